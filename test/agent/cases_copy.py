"""Copies between a container and a device, and what a writable layer changes."""

import contextlib
import os
import socket
import stat
import struct
import subprocess

from cases_mount import add, disk, mounted
from frame import *  # noqa: F403 pylint: disable=wildcard-import,unused-wildcard-import

OUT, INTO, ROOT, FOLLOW = 1, 2, 4, 8
TAG = "transfer"
ACL = struct.pack("<I" + "HHI" * 5, 2, 1, 7, 2 ** 32 - 1, 2, 6, 4711, 4, 5, 2 ** 32 - 1, 16, 7, 2 ** 32 - 1, 32, 0, 2 ** 32 - 1)
CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)  # VFS_CAP_REVISION_2, effective, NET_RAW


@contextlib.contextmanager
def device(t):
    """A file system that this test and the agent both have mounted, in the place of a 9p device: its path here."""
    with disk(t, TAG, size=64 << 20) as loop:
        here = os.path.join(t.work, TAG)
        os.mkdir(here)
        subprocess.run(["mount", loop, here], check=True)
        os.rmdir(os.path.join(here, "lost+found"))
        try:
            yield here, lambda: t.in_agent("sh", "-c", f"mkdir -p {t.work}/state/shares/{TAG} && "
                                           f"mount {loop} {t.work}/state/shares/{TAG}")
        finally:
            subprocess.run(["umount", here], check=True)
            os.rmdir(here)


def copy(t, container, plug, path, name="", flags=0, tag=TAG):
    plug()
    try:
        reader = Reader(t.host.call(COPY, text(container) + text(tag) + text(name) + text(path) + struct.pack("<I", flags)))
        return reader.get("QQ")
    finally:
        assert f"shares/{TAG}" not in mounted(t), "the device is still mounted"


def make_tree(top):
    """One of everything that a file system has, with names and times that are easily lost."""
    os.makedirs(os.path.join(top, "deep/er"))
    for i, name in enumerate(["plain", "x" * 255, b"\xff\xfe\x01", "a\nb", "-rf"]):
        path = os.path.join(os.fsencode(top), os.fsencode(name))
        with open(path, "wb") as file:
            file.write(os.urandom(i * 100000))
        os.chown(path, 1000 + i, 2000 + i)
        os.chmod(path, [0o644, 0o4755, 0o2755, 0o000, 0o1600][i])
        os.utime(path, ns=(10 ** 18 + 123456789 + i, 10 ** 18 + 987654321 - i))
    os.link(os.path.join(top, "plain"), os.path.join(top, "deep/link"))
    os.link(os.path.join(top, "plain"), os.path.join(top, "deep/er/link"))
    with open(os.path.join(top, "sparse"), "wb") as file:
        file.truncate(30 << 20)
        file.seek(10 << 20)
        file.write(b"in the middle")
    os.symlink("/nowhere" + "y" * 900, os.path.join(top, "deep/symlink"))
    os.lchown(os.path.join(top, "deep/symlink"), 7, 8)
    os.utime(os.path.join(top, "deep/symlink"), ns=(1, 10 ** 18 + 5), follow_symlinks=False)
    os.mkfifo(os.path.join(top, "fifo"), 0o640)
    os.mknod(os.path.join(top, "null"), stat.S_IFCHR | 0o666, os.makedev(1, 3))
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(os.path.join(top, "socket"))
    os.setxattr(os.path.join(top, "plain"), "user.some", b"value\0more")
    os.setxattr(os.path.join(top, "plain"), "security.capability", CAPABILITY)
    os.setxattr(os.path.join(top, "deep"), "system.posix_acl_access", ACL)
    os.setxattr(os.path.join(top, "deep"), "system.posix_acl_default", ACL)
    os.setxattr(os.path.join(top, "deep/er"), "user.dir", b"1")
    os.chmod(os.path.join(top, "deep/er"), 0o2711)
    for name in ("deep/er", "deep", "."):
        os.utime(os.path.join(top, name), ns=(10 ** 18, 10 ** 18 + 111))


def attributes(path):
    names = [] if os.path.islink(path) else sorted(os.listxattr(path))
    return [(name, os.getxattr(path, name)) for name in names]


def describe(top):
    """Everything about a tree but where it lies."""
    result = {}
    for directory, names, files in os.walk(os.fsencode(top)):
        for name in [b"."] + names + files:
            path = os.path.join(directory, name)
            status = os.lstat(path)
            if name == b"." and directory != os.fsencode(top):
                continue
            relative = os.path.relpath(path, os.fsencode(top))
            contents = b""
            if stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    contents = file.read()
            elif stat.S_ISLNK(status.st_mode):
                contents = os.readlink(path)
            result[relative] = (status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns, status.st_rdev,
                                status.st_nlink if stat.S_ISREG(status.st_mode) else 0, attributes(path), contents)
    return result


def same(one, other):
    assert one.keys() == other.keys(), one.keys() ^ other.keys()
    for path in one:
        assert one[path] == other[path], (path, one[path][:7], other[path][:7])


@contextlib.contextmanager
def container(t, spec=None, start=False):
    name = t.name()
    process = (t.host.run if start else t.host.create)(name, spec or t.spec(), ["sleep", "1000"])
    try:
        yield name
    finally:
        t.kill(name, process)


@native
def test_copy_round_trip(t):
    """A tree that is copied in, kept on a disk, and copied out is the same tree."""
    with device(t) as (here, plug), disk(t, "root-1", size=64 << 20):
        make_tree(os.path.join(here, "tree"))
        wanted = describe(os.path.join(here, "tree"))
        spec = t.spec(upper=2, upper_source="root-1")
        with container(t, spec) as name:
            files, size = copy(t, name, plug, "/srv", "tree")
            assert files == len(wanted), (files, len(wanted))
            assert size == 1000000 + (30 << 20), size
        with container(t, spec) as name:
            assert copy(t, name, plug, "/srv", "back", OUT) == (files, size)
            same(describe(os.path.join(here, "back")), wanted)
            assert os.lstat(os.path.join(here, "back/sparse")).st_blocks < 200
            links = [os.lstat(os.path.join(here, "back", path)).st_ino for path in ("plain", "deep/link", "deep/er/link")]
            assert len(set(links)) == 1
            # Once more over what is there: merged and replaced, not doubled.
            assert copy(t, name, plug, "/srv", "back", OUT) == (files, size)
            same(describe(os.path.join(here, "back")), wanted)
            # The contents alone, with the attributes of the directory.
            subprocess.run(["sh", "-c", f"rm -rf {here}/*"], check=True)
            copy(t, name, plug, "/srv", "", OUT)
            found = describe(here)
            same(found, wanted)


@native
def test_copy_names(t):
    with device(t) as (here, plug), container(t, start=True) as name:
        os.mkdir(os.path.join(here, "dir"))
        for path in ("file", "dir/one"):
            with open(os.path.join(here, path), "w") as file:
                file.write(path)
        assert copy(t, name, plug, "/etc/new", "file") == (1, 4)
        assert copy(t, name, plug, "/etc", "file", INTO) == (1, 4)
        assert copy(t, name, plug, "/etc/plain", "file", INTO) == (1, 4)  # is no directory: replaced
        assert t.exec(name, "cat /etc/new /etc/file /etc/plain")[1] == "file" * 3
        copy(t, name, plug, "/tmp/dir", "dir")
        copy(t, name, plug, "/tmp/dir", "dir", INTO)
        copy(t, name, plug, "/tmp/made", "")
        assert t.exec(name, "cd /tmp; find dir made -type f | sort")[1] == "dir/dir/one\ndir/one\nmade/dir/one\nmade/file\n"
        before = t.exec(name, "stat -c %a%u /tmp")
        copy(t, name, plug, "/tmp/", "dir")
        copy(t, name, plug, "/tmp", "")
        assert t.exec(name, "stat -c %a%u /tmp; cat /tmp/one /tmp/file")[1] == before[1] + "dir/onefile"
        t.exec(name, "ln -s /etc /tmp/link; ln -s /tmp/dir /tmp/chain")
        copy(t, name, plug, "/tmp/link", "out", OUT)
        copy(t, name, plug, "/tmp/chain", "followed", OUT | FOLLOW)
        assert os.readlink(os.path.join(here, "out")) == "/etc" and os.path.isdir(os.path.join(here, "followed/dir"))
        copy(t, name, plug, "/tmp/link", "file", INTO)
        for path, source, flags, code in (
                ("/no/where", "file", 0, 2), ("/etc", "file", 0, 21), ("/etc/new", "dir", 0, 20), ("/etc/x", "nosuch", 0, 2),
                ("/nosuch", "x", OUT, 2), ("/etc/passwd", "", OUT, 20), ("/etc/passwd/x", "file", 0, 20),
                ("/etc/passwd", "", 0, 20), ("relative", "file", 0, 22), ("/proc/x", "file", 0, 2), ("/..", "file", 0, 21)):
            reply = t.refused(copy, t, name, plug, path, source, flags)
            assert reply.code == code, (path, source, reply)
            assert path in reply.text or source in reply.text
        for source in ("a/b", "..", "."):
            assert t.refused(copy, t, name, lambda: None, "/etc/x", source).code == 74
        assert t.refused(copy, t, "nosuch", lambda: None, "/x", "y").code == 2
        for link in HOSTILE_LINKS:
            assert t.refused(copy, t, name, plug, f"/etc/{link}/x", "file").code in (2, 20)
            copy(t, name, plug, f"/etc/{link}", "file")  # replaces the link
        assert not os.path.lexists(OUTSIDE)
        assert t.exec(name, "cat /etc/link /etc/up")[1] == "filefile"


@native
def test_copy_failures(t):
    """A full disk: the error names the file, nothing half is left, what was copied stays."""
    with device(t) as (here, plug), container(t, t.spec(mounts=MOUNTS + [mount(M_TMPFS, "/small", options="size=1m")])) as name:
        os.mkdir(os.path.join(here, "dir"))
        for i in range(4):
            with open(os.path.join(here, "dir", f"file{i}"), "wb") as file:
                file.write(os.urandom(400000))
        reply = t.refused(copy, t, name, plug, "/small/dir", "dir")
        assert reply.code == 28 and "/small/dir/file" in reply.text and "No space left" in reply.text, reply
        copy(t, name, plug, "/small", "out", OUT)
        sizes = [os.path.getsize(os.path.join(here, "out/dir", file)) for file in os.listdir(os.path.join(here, "out/dir"))]
        assert sizes == [400000] * 2, sizes
        os.mkdir(os.path.join(here, "odd"))
        with open(os.path.join(here, "odd/\x1b[31m\nname"), "wb") as file:
            file.write(os.urandom(2 << 20))
        reply = t.refused(copy, t, name, plug, "/small/odd", "odd")
        assert reply.text == "cannot copy /small/odd/?[31m?name: No space left on device", reply
        # An existing file is as it was.
        with open(os.path.join(here, "big"), "wb") as file:
            file.write(os.urandom(900000))
        existing = os.listdir(os.path.join(here, "out/dir"))[0]
        assert t.refused(copy, t, name, plug, f"/small/dir/{existing}", "big").code == 28
        copy(t, name, plug, "/small", "again", OUT)
        found, wanted = describe(os.path.join(here, "again/dir")), describe(os.path.join(here, "out/dir"))
        del found[b"."], wanted[b"."]  # something was made and taken away in it
        same(found, wanted)


@native
def test_copy_root(t):
    """The root file system alone: what is mounted on it, and what lies below, isn't in it."""
    spec = t.spec(mounts=MOUNTS + [mount(M_TMPFS, "/etc/volume")])
    with device(t) as (here, plug), container(t, spec, start=True) as name:
        t.exec(name, "echo x > /etc/volume/hidden; echo y > /etc/new; rm /etc/plain; echo > /tmp/hidden")
        copy(t, name, plug, "/", "", OUT | ROOT)
        assert sorted(os.listdir(here)) == sorted(os.listdir(t.root)), os.listdir(here)
        assert sorted(os.listdir(os.path.join(here, "etc"))) == [
            "group", "hosts", "link", "new", "passwd", "resolv.conf", "up", "volume"]
        for empty in ("etc/volume", "proc", "dev", "tmp", "sys"):
            assert os.listdir(os.path.join(here, empty)) == []
        assert os.lstat(os.path.join(here, "bin/busybox")).st_size == os.path.getsize(BUSYBOX)


@native
def test_copy_all(t):
    """Volumes are copied with what they are mounted on; what the kernel shows of itself isn't."""
    spec = t.spec(mounts=MOUNTS + [mount(M_TMPFS, "/etc/volume")])
    with device(t) as (here, plug), container(t, spec, start=True) as name:
        t.exec(name, "echo x > /etc/volume/file; echo y > /dev/shm/file")
        copy(t, name, plug, "/", "all", OUT)
        assert os.path.exists(os.path.join(here, "all/etc/volume/file"))
        for empty in ("proc", "dev", "sys"):
            assert os.listdir(os.path.join(here, "all", empty)) == []
        copy(t, name, plug, "/dev/shm", "shm", OUT)
        assert os.listdir(os.path.join(here, "shm")) == ["file"]


@in_guest
def test_copy_over_9p(t):
    here = os.path.join(t.work, "extra")
    make_tree(os.path.join(here, "tree"))
    # QEMU's server refuses to set attributes of special files, and knows no extended ones but user.*.
    for special in ("null", "fifo", "socket"):
        os.unlink(os.path.join(here, "tree", special))
    for kind in ("access", "default"):
        os.removexattr(os.path.join(here, "tree/deep"), f"system.posix_acl_{kind}")
    os.removexattr(os.path.join(here, "tree/plain"), "security.capability")
    wanted = describe(os.path.join(here, "tree"))
    spec = t.spec(upper=2, upper_source="disk0")
    with container(t, spec) as name:
        copied = copy(t, name, lambda: None, "/srv", "tree", tag="extra")
        assert copied[0] == len(wanted)
        assert diff(t, name)[-1] == "A /srv/" + os.fsdecode(b"\xff\xfe\x01")
    with container(t, spec) as name:
        assert copy(t, name, lambda: None, "/srv", "back", OUT, tag="extra") == copied
    same(describe(os.path.join(here, "back")), wanted)
    assert os.lstat(os.path.join(here, "back/sparse")).st_blocks < 200


@native
def test_copy_deep(t):
    """Deeper than a path may be long, than fds may be many; many files in one directory."""
    with device(t) as (here, plug), container(t, start=True) as name:
        os.mkdir(os.path.join(here, "deep"))
        fd = os.open(os.path.join(here, "deep"), os.O_RDONLY)
        for _ in range(1500):
            os.mkdir("d" * 20, dir_fd=fd)
            below = os.open("d" * 20, os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            fd = below
        os.close(os.open("bottom", os.O_WRONLY | os.O_CREAT, dir_fd=fd))
        os.link("bottom", "twin", src_dir_fd=fd, dst_dir_fd=fd)
        os.close(fd)
        assert copy(t, name, plug, "/tmp/deep", "deep") == (1503, 0)
        assert copy(t, name, plug, "/tmp/deep", "back", OUT) == (1503, 0)
        fd = os.open(os.path.join(here, "back"), os.O_RDONLY)
        for _ in range(1500):
            below = os.open("d" * 20, os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            fd = below
        assert os.stat("bottom", dir_fd=fd).st_ino == os.stat("twin", dir_fd=fd).st_ino
        os.close(fd)
        os.mkdir(os.path.join(here, "many"))
        for i in range(10000):
            os.close(os.open(os.path.join(here, "many", f"file{i}"), os.O_WRONLY | os.O_CREAT))
        assert copy(t, name, plug, "/tmp/many", "many") == (10001, 0)
        assert t.exec(name, "ls /tmp/many | wc -l")[1] == "10000\n"


@native
def test_copy_races(t):
    """A container that swaps directories for links under the copier's hands leads it nowhere."""
    with device(t) as (here, plug), container(t, start=True) as name:
        os.makedirs(os.path.join(here, "tree/a"))
        for i in range(300):
            with open(os.path.join(here, "tree/a", f"f{i}"), "w") as file:
                file.write("x")
        swap = t.host.exec(name, "swap", ["sh", "-c", "mkdir -p /tmp/tree/a /tmp/other; echo; while :; do "
                                          "mv /tmp/tree/a /tmp/tree/b; ln -s ../../../../../../../tmp /tmp/tree/a; "
                                          "rm /tmp/tree/a; mv /tmp/tree/b /tmp/tree/a; done"])
        while not swap.output[1]:
            time.sleep(0.01)
        before = set(os.listdir("/tmp"))
        for _ in range(20):
            try:
                copy(t, name, plug, "/tmp/tree", "tree")
                copy(t, name, plug, "/tmp/tree", "out", OUT)
            except Reply as reply:
                assert reply.code in (2, 17, 20, 21, 39, 40, 116), reply
        t.host.signal(name, 9, "swap")
        t.host.end(name, swap, "swap")
        new = set(os.listdir("/tmp")) - before
        assert not any(entry[0] == "f" and entry[1:].isdigit() for entry in new), new


@native
def test_copy_and_end(t):
    """A container that ends takes a copy with it, and the device is free again."""
    with device(t) as (here, plug):
        name = t.name()
        process = t.host.create(name, t.spec(mounts=MOUNTS + [mount(M_TMPFS, "/data")]), ["sleep", "1000"])
        with open(os.path.join(here, "big"), "wb") as file:
            for _ in range(50):
                file.write(os.urandom(1 << 20))
        plug()
        number = t.host.request(COPY, text(name) + text(TAG) + text("big") + text("/data/big") + struct.pack("<I", 0))
        reply = t.refused(t.host.call, COPY, text(name) + text(TAG) + text("big") + text("/x") + struct.pack("<I", 0))
        assert reply.code == 16, reply
        t.kill(name, process)
        assert t.host.reply(number).code in (0, 4)
        with container(t) as other:
            add(t, other, mount(M_TMPFS, "/x"))  # waits for the unmounting
            assert f"shares/{TAG}" not in mounted(t)


@native
def test_copy_stop(t):
    """A copy that nobody wants any more leaves off: no half of a file, and the device is free."""
    with device(t) as (here, plug), container(t, start=True) as name:
        os.mkdir(os.path.join(here, "tree"))
        for i in range(10):
            with open(os.path.join(here, "tree", f"big{i}"), "wb") as file:
                file.write(os.urandom(5 << 20))
        t.host.call(STOP_COPY, text(name))  # none: nothing happens
        codes = []
        while 125 not in codes:
            plug()
            number = t.host.request(COPY, text(name) + text(TAG) + text("tree") + text("/tmp/tree") + struct.pack("<I", 0))
            time.sleep(len(codes) / 1000)  # later each time, until it comes in the midst of the copy
            t.host.call(STOP_COPY, text(name))
            codes.append(t.host.reply(number).code)
            assert codes[-1] in (0, 4, 125) and len(codes) < 200, codes
            add(t, name, mount(M_TMPFS, f"/mnt/{len(codes)}"))  # waits for the unmounting of one that was ended
            assert f"shares/{TAG}" not in mounted(t)
        code, out, _ = t.exec(name, "cd /tmp/tree 2>/dev/null && find . -type f -exec stat -c '%n %s' {} +")
        assert all(line.startswith("./big") and line.endswith(f" {5 << 20}") for line in out.splitlines()), (code, out)
        assert t.refused(t.host.call, STOP_COPY, text("nobody")).code == 2


def diff(t, name):
    changes, more = [], True
    while more:
        reader = Reader(t.host.call(DIFF, text(name) + struct.pack("<I", len(changes))))
        n = reader.get("I")
        for _ in range(n):
            kind = reader.get("B")
            changes.append("CAD"[kind] + " " + os.fsdecode(reader.text()))
        more = reader.get("B")
        assert n or not more
    return changes


CHANGES = """
    echo x > /etc/new; rm /etc/plain; echo y >> /etc/passwd; mkdir -p /d/e; touch /d/e/f
    rm -r /home; mkdir /home; touch /home/fresh; mkdir /home/user; ln -s x /bin/ln; rm /bin/cat; mkdir /bin/cat
    touch /bin/cat/in; touch /mnt/point/hidden
"""
CHANGED = ["C /bin", "C /bin/cat", "A /bin/cat/in", "A /d", "A /d/e", "A /d/e/f", "C /etc", "A /etc/new", "C /etc/passwd",
           "D /etc/plain", "C /home", "A /home/fresh", "C /home/user", "A /mnt"]


@native
def test_diff(t):
    with disk(t, "root-2") as _:
        for spec in ({}, {"upper": 2, "upper_source": "root-2"}):
            spec = t.spec(mounts=MOUNTS + [mount(M_TMPFS, "/mnt/point")], **spec)
            with container(t, spec, start=True) as name:
                # Places to mount on are none; the directory that they are in is there.
                assert diff(t, name) == ["C /etc", "A /mnt"], diff(t, name)
                t.exec(name, CHANGES)
                assert diff(t, name) == CHANGED, diff(t, name)
        with container(t, spec) as name:  # what was kept, before it is started
            assert diff(t, name) == CHANGED
            t.host.call(MOUNT, text(name) + mount(M_TMPFS, "/mnt/other"))
    with container(t, start=True) as name:
        code, _, err = t.exec(name, "mkdir /many; cd /many; for i in $(seq 300); do mkdir $i$i; "
                                    "for j in $(seq 20); do : > $i$i/$(printf %0100d $j); done; done")
        assert code == 0, err
        changes = diff(t, name)
        assert len(changes) == 6302 and changes == sorted(set(changes), key=lambda line: line[2:].split("/"))
    with container(t, t.spec(upper=0)) as name:
        assert t.refused(diff, t, name).code == 95
