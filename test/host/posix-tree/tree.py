#!/usr/bin/python3
"""A tree goes into a guest by tar, is changed there, and comes out by tar: is it what it should be?

usage: tree.py [--files N] [--seconds] DIRECTORY

DIRECTORY holds what guests.py needs. The same changes are made to the original by the same script on
this machine's own disk. Compared are that, what the guest left in its directory, and what comes out
of the archive that it made: every name with its type, owners, mode, size, time to the nanosecond
(--seconds: to the second), links, target, extended attributes, access control lists and content. Once
for each cache mode.
"""
import argparse
import hashlib
import os
import random
import socket
import struct
import subprocess
import sys
import time

from guests import Guest, remove_tree

OPTIONS = 'access=client,posixacl,locktimeout=1,cache='
PACK = '/bin/tar --format=posix --xattrs --xattrs-include=* --acls --sort=name -C %s -cf %s .'
UNPACK = '/bin/tar --xattrs --xattrs-include=* --acls --same-owner -p -C %s -xf %s'
ACL = 'system.posix_acl_access'
GRAIN = 1  # of times, in nanoseconds

# What happens to the tree, in its root.
CHANGE = '''
for directory in d*; do
        cd $directory
        for name in f*7; do
                chmod 0751 $name
                chown 33:44 $name
                echo more >>$name
                touch -d @1234567890 $name
        done
        for name in f*5; do mv $name moved-$name; touch -d @1234567890 .; done
        for name in f*3; do rm $name; done
        mkdir -p new/deeper
        ln -s ../moved new/link
        mkfifo new/fifo
        chmod 02750 new
        touch -d @1234567890 new/deeper new .
        touch -h -d @1234567890 new/link new/fifo
        cd ..
done
mv d0 renamed
touch -d @1234567890 .
'''


def acl(user):
    """user::rw-, that user r--, group::---, mask r--, other::---"""
    entries = ((1, 6, 0xffffffff), (2, 4, user), (4, 0, 0xffffffff), (16, 4, 0xffffffff),
               (32, 0, 0xffffffff))
    return struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *entry) for entry in entries)


def make_file(path, number, chance):
    with open(path, 'wb') as file:
        file.write(chance.randbytes(chance.choice((0, 1, 100, 3000, 9000))))
    os.chown(path, chance.randrange(5), chance.randrange(5))
    os.chmod(path, chance.choice((0o600, 0o644, 0o755, 0o4755, 0o2711, 0o400, 0o000)))
    if number % 10 == 4:
        os.setxattr(path, 'user.number', b'%d' % number)
        os.setxattr(path, 'user.empty', b'')
    if number % 20 == 6:
        os.chmod(path, 0o600)
        os.setxattr(path, ACL, acl(number))
    os.utime(path, ns=(10**9 * number, chance.randrange(16 * 10**17)))


def make_tree(root, n):
    """@n files, a hundred a directory, with hard and symbolic links, fifos and sockets."""
    chance = random.Random(n)
    for number in range(n):
        directory = os.path.join(root, 'd%d' % (number // 100))
        if number % 100 == 0:
            os.makedirs(directory)
            os.symlink('f%d' % number, directory + '/symlink')
            os.mkfifo(directory + '/fifo')
            os.mknod(directory + '/\udcff\udcfe odd \\name\t')
            os.makedirs(directory + '/' + 'long' * 60 + '/deep')
            with socket.socket(socket.AF_UNIX) as listener:
                os.chdir(directory)
                listener.bind('socket')
            os.unlink('socket')  # tar leaves sockets out
        make_file('%s/f%d' % (directory, number), number, chance)
        if number % 50 == 9:
            os.link('%s/f%d' % (directory, number), directory + '/hard%d' % number)
    for directory, _, _ in os.walk(root, topdown=False):
        os.chmod(directory, 0o755)
        os.utime(directory, ns=(0, 1111111111222222222))


def describe(path, st, links):
    line = [oct(st.st_mode), st.st_uid, st.st_gid, st.st_mtime_ns // GRAIN * GRAIN]
    if os.path.stat.S_ISREG(st.st_mode):
        with open(path, 'rb') as file:
            line.append(hashlib.md5(file.read()).hexdigest())
        line += [st.st_size, st.st_nlink, links.setdefault(st.st_ino, path)]
    if os.path.stat.S_ISLNK(st.st_mode):
        line.append(os.readlink(path))
    for name in sorted(os.listxattr(path, follow_symlinks=False)):
        line.append((name, os.getxattr(path, name, follow_symlinks=False)))
    return line


def listing(root):
    """{name: all about it}; hard links are told by the first of their names."""
    os.chdir(root)
    links, result = {}, {}
    for directory, directories, names in os.walk('.'):
        directories.sort()
        for name in ['.'] * (directory == '.') + sorted(directories + names):
            path = os.path.join(directory, name)
            result[path] = describe(path, os.lstat(path), links)
    return result


def differences(name, expected, actual):
    for path in sorted(set(expected) | set(actual)):
        if expected.get(path) != actual.get(path):
            yield '%s: %r is\n    %s, not\n    %s' % (name, path, actual.get(path),
                                                     expected.get(path))


def shell(command, where='.'):
    subprocess.run(['sh', '-ec', command], check=True, cwd=where)


def run(here, mode, expected):
    """The differences after a guest with that cache mode."""
    path, out = '%s/tree-%s' % (here, mode), here + '/out'
    script = 'set -e\n%s\ncd /mnt/files\n. /mnt/change\ncd /\n%s\necho done >/mnt/report\n' % (
        UNPACK % ('/mnt/files', '/mnt/in.tar'), PACK % ('/mnt/files', '/mnt/out.tar'))
    os.makedirs(path + '/files')
    os.link(here + '/in.tar', path + '/in.tar')
    with open(path + '/change', 'w', encoding='ascii') as file:
        file.write(CHANGE)
    start = time.monotonic()
    guest = Guest(here, 'ours', path, OPTIONS + mode, '(%s)' % script, 3000)
    guest.wait()
    print('%s: %.0f s' % (mode, time.monotonic() - start))
    if not os.path.exists(path + '/report'):
        return ['%s: the guest did not end in order; its console:\n%s' % (mode, guest.log()[-3000:])]
    os.mkdir(out)
    shell(UNPACK % (out, path + '/out.tar'))
    found = list(differences(mode + ', in place', expected, listing(path + '/files')))
    found += differences(mode + ', by tar', expected, listing(out))
    os.chdir(here)
    remove_tree(out)
    remove_tree(path)
    return found


def main():
    global GRAIN
    parser = argparse.ArgumentParser()
    parser.add_argument('--files', type=int, default=1000)
    parser.add_argument('--seconds', action='store_true')
    parser.add_argument('--mode', action='append', choices=('loose', 'mmap'))
    parser.add_argument('directory')
    arguments = parser.parse_args()
    GRAIN = 10**9 if arguments.seconds else 1
    here = os.path.abspath(arguments.directory)
    original = here + '/original'
    os.umask(0o022)
    make_tree(original, arguments.files)
    shell(PACK % (original, here + '/in.tar'))
    shell(CHANGE, original)
    expected = listing(original)
    print('%d names' % len(expected))
    found = []
    for mode in arguments.mode or ('loose', 'mmap'):
        found += run(here, mode, expected)
    print('\n'.join(found[:20]))
    return 1 if found else 0


sys.exit(main())
