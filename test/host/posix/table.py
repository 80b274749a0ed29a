#!/usr/bin/python3
"""What works as on a local disk, behaviour by behaviour: this machine's own, ours, and QEMU's.

usage: table.py [--exceptions FILE] [--peer] [--column ours-loose]... DIRECTORY [BEHAVIOUR...]

DIRECTORY holds what guests.py needs and the program posix. QEMU's columns only with --peer: they
take as long as ours. Exit status 1 if ours fails in anything
but the exceptions, or passes one of them: then the exception goes. A line of exceptions is

    BEHAVIOUR  MODES  REASON

with MODES of loose, mmap, or both with a comma between.
"""
import argparse
import atexit
import contextlib
import os
import re
import subprocess
import sys
import time

from guests import Guest, remove_tree

MANY = 100000
SMALL_MIB = 1
TIME_LIMIT = 400
OPTIONS = 'access=client,posixacl,locktimeout=1,cache='
COLUMNS = [('ours', 'loose'), ('ours', 'mmap'), ('qemu', 'loose'), ('qemu', 'mmap')]
LINE = re.compile(r'(not )?ok \d+ - (\S+) # (.*) \([\d.]+ s\)$')
SCRIPT = 'posix %s /mnt/files %s 2>&1 | tee /tmp/report; cp /tmp/report /mnt/report\n'


def options_of(mode, behaviours):
    """Loose is for who has the directory alone: what is about two clients has no meaning there."""
    words = ['--small', 'small', '--many', str(MANY)]
    if mode == 'mmap':
        words += ['--other', '/other/files']
    return ' '.join(words), ' '.join(behaviours)


def parse(text):
    """{behaviour: verdict}; the verdict of what passed is the empty string."""
    verdicts = {}
    for line in text.splitlines():
        match = LINE.match(line)
        if match:
            verdicts[match[2]] = match[3] if match[1] else 'skip' if match[3].startswith('SKIP') else ''
    return verdicts


@contextlib.contextmanager
def directory(path):
    """A new one, with all that the behaviours want in it, for as long as it is used."""
    os.makedirs(path + '/files/small')
    os.mkdir(path + '/files/many')
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=%dm' % SMALL_MIB, 'small',
                    path + '/files/small'], check=True)
    subprocess.run(['mount', '--bind', os.path.dirname(path) + '/many', path + '/files/many'],
                   check=True)
    try:
        yield
    finally:
        subprocess.run(['umount', path + '/files/small', path + '/files/many'], check=True)
        remove_tree(path)


def fill_many(here):
    """In memory, which makes and forgets them fastest. Goes with its mount."""
    os.mkdir(here + '/many')
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'nr_inodes=0', 'many', here + '/many'], check=True)
    atexit.register(subprocess.run, ['umount', here + '/many'], check=True)
    subprocess.run([here + '/posix', '--fill', str(MANY), here + '/many'], check=True)


def run_local(here, behaviours):
    path = here + '/local'
    words = options_of('mmap', behaviours)[0].replace('/other', path).split()
    with directory(path):
        done = subprocess.run([here + '/posix'] + words + [path + '/files'] + behaviours,
                              stdout=subprocess.PIPE, check=False)
    return parse(done.stdout.decode(errors='replace'))


def run_guest(here, monitor, mode, behaviours):
    path = '%s/%s-%s' % (here, monitor, mode)
    report, verdicts = path + '/report', {}
    with directory(path):
        guest = Guest(here, monitor, path, OPTIONS + mode, SCRIPT % options_of(mode, behaviours),
                      TIME_LIMIT)
        guest.wait()
        if os.path.exists(report):
            with open(report, encoding='utf-8', errors='replace') as file:
                verdicts = parse(file.read())
        if not verdicts:
            print('%s: no report; its console:\n%s' % (path, guest.log()[-3000:]))
    return verdicts


def read_exceptions(path):
    """{(behaviour, mode): reason}"""
    exceptions = {}
    with open(path, encoding='utf-8') as file:
        for line in file:
            if line.strip() and not line.startswith('#'):
                behaviour, modes, reason = line.split(None, 2)
                for mode in modes.split(','):
                    exceptions[behaviour, mode] = reason.strip()
    return exceptions


def cell(verdict):
    if verdict is None:
        return 'absent'
    return 'pass' if verdict == '' else 'skip' if verdict == 'skip' else 'FAIL ' + verdict.split()[0].rstrip(':')


def print_table(names, columns, local, results, exceptions):
    print('%-28s %-14s' % ('', 'local disk') + ''.join(
        '%-16s' % ('%s %s' % column) for column in columns))
    for name in names:
        cells = ['%-14s' % cell(local.get(name))]
        for monitor, mode in columns:
            mark = '*' if monitor == 'ours' and (name, mode) in exceptions else ''
            cells.append('%-16s' % (cell(results[monitor, mode].get(name)) + mark))
        print('%-28s %s' % (name, ''.join(cells)))
    for column in columns:
        verdicts = results[column].values()
        print('# %s %s: %d pass, %d fail, %d skipped' % (
            *column, sum(v == '' for v in verdicts),
            sum(v not in ('', 'skip') for v in verdicts), sum(v == 'skip' for v in verdicts)))


def judge(names, local, results, exceptions, columns):
    """What is wrong, a line each."""
    for name in names:
        if local.get(name) not in ('', 'skip'):
            yield 'local disk: %s: %s' % (name, local.get(name, 'absent'))
        for mode in [mode for monitor, mode in columns if monitor == 'ours']:
            verdict = results['ours', mode].get(name)
            excepted = (name, mode) in exceptions
            if verdict is None or (verdict not in ('', 'skip') and not excepted):
                yield 'ours %s: %s: %s' % (mode, name, 'absent' if verdict is None else verdict)
            elif verdict == '' and excepted:
                yield 'ours %s: %s passes, yet is an exception' % (mode, name)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--exceptions', default='/dev/null')
    parser.add_argument('--peer', action='store_true', help='QEMU as well')
    parser.add_argument('--column', action='append', help='ours-loose and so on')
    parser.add_argument('directory')
    parser.add_argument('behaviours', nargs='*')
    arguments = parser.parse_args()
    here = os.path.abspath(arguments.directory)
    exceptions = read_exceptions(arguments.exceptions)
    known = subprocess.run([here + '/posix', '--list'], stdout=subprocess.PIPE,
                           check=True).stdout.decode().split()
    names = arguments.behaviours or known
    for name in {name for name, _ in exceptions} - set(known):
        raise SystemExit('exceptions: %s is no behaviour' % name)
    start = time.monotonic()
    fill_many(here)
    local = run_local(here, arguments.behaviours)
    columns = [column for column in COLUMNS
               if ('-'.join(column) in arguments.column if arguments.column
                   else arguments.peer or column[0] == 'ours')]
    results = {}
    for column in columns:
        results[column] = run_guest(here, *column, arguments.behaviours)
    print_table(names, columns, local, results, exceptions)
    print('# %.0f s' % (time.monotonic() - start))
    wrong = list(judge(names, local, results, exceptions, columns))
    print('\n'.join(wrong))
    return 1 if wrong else 0


sys.exit(main())
