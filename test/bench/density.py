#!/usr/bin/python3
"""What an idle machine costs the host: 1 … 50 of them at once. Runs in the test host as root.

usage: density.py MOST > rows.json

Each is `uvmctl run -d busybox sleep`, with 128 MiB and one vCPU. At each count, when the machines have
settled, it reads the PSS of each machine's processes and memory.current of uvm.slice, which counts what the
kernel holds for them, too. It ends early when the host has less than RESERVE_MIB left, and says so.

Rows: see dev/bench.
"""
import json
import os
import re
import statistics
import subprocess
import sys
import time

COUNTS = (1, 2, 5, 10, 20, 30, 40, 50)
RESERVE_MIB = 250
SETTLE_SECONDS = 120
DEFAULTS = '/etc/default/uvm'


def call(*words):
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, encoding='ascii').stdout.strip()


def read(path):
    with open(path, encoding='ascii') as file:
        return file.read()


def slice_path():
    return '/sys/fs/cgroup' + call('systemctl', 'show', '-P', 'ControlGroup', 'uvm.slice')


def slice_mib():
    return int(read(slice_path() + '/memory.current')) / 2**20


def available_mib():
    return int(re.search(r'MemAvailable: +(\d+)', read('/proc/meminfo'))[1]) / 1024


def settle():
    """Until three looks, two seconds apart, show the same to half a percent."""
    end = time.monotonic() + SETTLE_SECONDS
    seen = [0.0, 0.0]
    while time.monotonic() < end:
        seen.append(slice_mib())
        if max(seen[-3:]) - min(seen[-3:]) < seen[-1] / 200:
            return
        time.sleep(2)


def pss_kib(pid):
    try:
        return int(re.search(r'^Pss: +(\d+)', read('/proc/%s/smaps_rollup' % pid), re.MULTILINE)[1])
    except (ProcessLookupError, FileNotFoundError):
        return 0  # it ended meanwhile


def pss_mib():
    """Of all processes of each machine, by the scope they are in."""
    found = []
    for scope in os.scandir(slice_path()):
        pids = []
        if scope.name.endswith('.scope'):
            for folder, _, _ in os.walk(scope.path):
                pids += read(folder + '/cgroup.procs').split()
        if pids:
            found.append(sum(pss_kib(pid) for pid in pids) / 1024)
    return found


def row(name, value, number):
    return {'name': name, 'ours': round(value, 2), 'peer': None, 'peer_name': None, 'unit': 'MiB',
            'ratio': None, 'n': number}


def measure(most):
    rows, running, first = [], 0, None
    before = available_mib()
    for count in (n for n in COUNTS if n <= most):
        while running < count and available_mib() > RESERVE_MIB:
            running += 1
            call('uvmctl', 'run', '-d', '--name', 'density-%d' % running, '-m', '128m', 'busybox',
                 'sleep', '100000')
        settle()
        used = slice_mib()
        first = first or used
        rows += [row('density_pss_%d' % running, statistics.mean(pss_mib()), running),
                 row('density_slice_%d' % running, used / running, running)]
        if running < count:
            print('density: the host has no memory for more than %d' % running, file=sys.stderr)
            break
    if running > 1:
        rows += [row('density_one_more', (used - first) / (running - 1), running),
                 row('density_host', (before - available_mib()) / running, running)]
    return rows


def main():
    kept = read(DEFAULTS) if os.path.exists(DEFAULTS) else None
    with open(DEFAULTS, 'w', encoding='ascii') as file:
        file.write((kept or '') + '\nUVM_MEMORY_OVERCOMMIT=20\nUVM_CPU_OVERCOMMIT=100\n')
    call('systemctl', 'restart', 'uvmd')
    try:
        json.dump(measure(int(sys.argv[1])), sys.stdout)
    finally:
        names = [n for n in ('density-%d' % (i + 1) for i in range(int(sys.argv[1])))]
        subprocess.run(['uvmctl', 'rm', '-f'] + names, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, check=False)
        if kept is None:
            os.unlink(DEFAULTS)
        else:
            with open(DEFAULTS, 'w', encoding='ascii') as file:
                file.write(kept)
        call('systemctl', 'restart', 'uvmd')


main()
