#!/usr/bin/python3
"""How long each kind of plug takes, asked for as a person would, until it is done. In the test host.

usage: hotplug.py ROUNDS > rows.json

One machine of 256 MiB, idle. Every time is that of one uvmctl from its start to its end; call_ms is that of
one that only reads, which is in all the others. Medians.

Rows: see dev/bench.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

NAME = 'bench-hotplug'
TIME_LIMIT = 120


def uvmctl(*words):
    start = time.monotonic()
    subprocess.run(('uvmctl',) + words, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    return (time.monotonic() - start) * 1000


def row(name, values, unit='ms'):
    return {'name': name, 'ours': round(statistics.median(values), 2), 'peer': None,
            'peer_name': None, 'unit': unit, 'ratio': None, 'n': len(values)}


def cgroup():
    found = subprocess.run(('uvmctl', 'inspect', NAME), check=True, stdout=subprocess.PIPE).stdout
    unit = json.loads(found)[0]['SandboxProperties']['Unit']
    path = subprocess.run(('systemctl', 'show', '-P', 'ControlGroup', unit), check=True,
                          stdout=subprocess.PIPE, encoding='ascii').stdout.strip()
    return '/sys/fs/cgroup' + path


def current_mib(path):
    with open(path + '/memory.current', encoding='ascii') as file:
        return int(file.read()) / 2**20


def freed_back():
    """From a file of 128 MiB in the guest's memory being removed to the host having 100 MiB of it."""
    path = cgroup()
    uvmctl('exec', NAME, 'dd', 'if=/dev/zero', 'of=/fill/file', 'bs=1M', 'count=128')
    full, start = current_mib(path), time.monotonic()
    uvmctl('exec', NAME, 'rm', '/fill/file')
    while current_mib(path) > full - 100:
        if time.monotonic() - start > TIME_LIMIT:
            raise RuntimeError('the guest gives nothing back')
        time.sleep(0.05)
    return time.monotonic() - start


def pairs(disk, share):
    """What is plugged, and what takes it out again."""
    return (('vcpu_up', ('update', '--cpus', '2', NAME), 'vcpu_down', ('update', '--cpus', '1', NAME)),
            ('memory_up_128m', ('update', '-m', '384m', NAME),
             'memory_down_128m', ('update', '-m', '256m', NAME)),
            ('volume_attach', ('volume', 'attach', NAME, share + ':/more'),
             'volume_detach', ('volume', 'detach', NAME, '/more')),
            ('disk_attach', ('disk', 'attach', NAME, disk + ':/disk'),
             'disk_detach', ('disk', 'detach', NAME, '/disk')),
            ('network_attach', ('network', 'attach', NAME, 'bridge'),
             'network_detach', ('network', 'detach', NAME, 'eth0')))


def measure(rounds, disk, share):
    times = {'call': [uvmctl('inspect', NAME) for _ in range(rounds)]}
    for up, up_words, down, down_words in pairs(disk, share):
        for _ in range(rounds):
            try:
                times.setdefault(up, []).append(uvmctl(*up_words))
                times.setdefault(down, []).append(uvmctl(*down_words))
            except subprocess.CalledProcessError:
                print('hotplug: %s or %s fails' % (up, down), file=sys.stderr)
                break
    rows = [row(name + '_ms', values) for name, values in times.items() if values]
    return rows + [row('freed_back_s', [freed_back() for _ in range(rounds)], 's')]


def main():
    rounds = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        disk, share = folder + '/disk.img', folder + '/share'
        os.mkdir(share)
        subprocess.run(('mke2fs', '-q', '-t', 'ext4', disk, '64M'), check=True,
                       stdout=subprocess.DEVNULL)
        uvmctl('run', '-d', '--name', NAME, '-m', '256m', '--cpus-max', '2', '--memory-limit', '1g',
               '--tmpfs', '/fill:size=200m', 'busybox', 'sleep', '100000')
        try:
            json.dump(measure(rounds, disk, share), sys.stdout)
        finally:
            subprocess.run(('uvmctl', 'rm', '-f', NAME), stdout=subprocess.DEVNULL, check=False)


main()
