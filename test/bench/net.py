#!/usr/bin/python3
"""How fast a guest's network is, ours and QEMU's, run by run in turn. Runs in the test host.

usage: net.py DIRECTORY ROUNDS MIB OPS > rows.json

DIRECTORY holds bench.fw (our monitor, our kernel, the bench's initial RAM disk), vmlinux, net.cpio,
cmdline, vmmrun and bench-net, the program that is init of the guests and the server on the host.
Guest and host talk TCP over a tap, the same one for all: opened as a single queue with a virtio-net
header, each monitor with its own loop and with the kernel's vhost-net.

Throughput is what iperf3 says, a client in the guest. CPU time is all that the host spent between the
guest's words, whoever did: monitor, kernel, vhost's threads, the server, the start of iperf3. Counters come
from runs of one phase each by streams of our own, that start nothing.
"""
import json
import os
import re
import statistics
import subprocess
import sys
import time

from monitor import Console, count_system_calls, kvm_exits, system_calls

TAP = 'uvmbench'
MEMORY_MIB = 256
PROGRAMS = ('ours', 'qemu', 'ours-vhost', 'qemu-vhost')
PHASES = ('tx', 'rx', 'rr')


class Setting:
    """A tap with the host's address, and the server."""

    def __init__(self, directory, mib, ops):
        self.directory, self.mib, self.ops = directory, mib, ops
        self.has_vhost = os.path.exists('/dev/vhost-net')
        subprocess.run(['ip', 'tuntap', 'add', TAP, 'mode', 'tap', 'vnet_hdr'], check=True)
        subprocess.run(['ip', 'address', 'add', '10.98.0.1/24', 'dev', TAP], check=True)
        subprocess.run(['ip', 'link', 'set', TAP, 'up'], check=True)
        self.servers = [subprocess.Popen([directory + '/bench-net', 'server']),
                        subprocess.Popen(['iperf3', '-s', '-p', '5202'], stdout=subprocess.DEVNULL)]

    def done(self):
        for server in self.servers:
            server.kill()
            server.wait()
        subprocess.run(['ip', 'link', 'delete', TAP], check=True)

    def programs(self):
        return [name for name in PROGRAMS if self.has_vhost or 'vhost' not in name]

    def parameters(self, phases):
        return 'bench=%s benchmib=%d benchops=%d' % (','.join(phases), self.mib, self.ops)

    def ours(self, phases, vhost):
        return [self.directory + '/vmmrun', '--vmm', '/usr/libexec/uvm/uvm-vmm',
                '--firmware', self.directory + '/bench.fw', '--memory', str(MEMORY_MIB), '--no-rng',
                '--net', TAP + (',vhost' if vhost else ''), '--stats-at', 'bench done',
                '--cmdline', self.parameters(phases)]

    def qemu(self, phases, vhost):
        with open(self.directory + '/cmdline', encoding='ascii') as file:
            cmdline = file.read().strip() + ' ' + self.parameters(phases)
        return ['qemu-system-x86_64', '-M',
                'microvm,acpi=off,x-option-roms=off,pit=off,pic=off,rtc=off,isa-serial=on,auto-kernel-cmdline=on',
                '-accel', 'kvm', '-cpu', 'host', '-m', str(MEMORY_MIB), '-smp', '1', '-nodefaults',
                '-no-user-config', '-no-reboot', '-display', 'none', '-serial', 'stdio',
                '-kernel', self.directory + '/vmlinux', '-initrd', self.directory + '/net.cpio',
                '-append', cmdline, '-global', 'virtio-mmio.force-legacy=false',
                '-netdev', 'tap,id=net,ifname=%s,script=no,downscript=no,vhost=%s' % (
                    TAP, 'on' if vhost else 'off'),
                '-device', 'virtio-net-device,netdev=net']

    def command(self, program, phases):
        return (self.ours if program.startswith('ours') else self.qemu)(
            phases, program.endswith('vhost'))


def busy_seconds():
    """CPU time of the whole host: a guest's is in user time, too."""
    with open('/proc/stat', encoding='ascii') as file:
        user, nice, system, _, _, irq, softirq = (int(n) for n in file.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf('SC_CLK_TCK')


def run(setting, program, phases, counting=False):
    """One machine: ({phase: (seconds, bytes, operations, CPU seconds)}, counters)."""
    console = Console(setting.command(program, phases))
    busy, counters, results = {}, {}, {}
    try:
        if counting:
            console.wait_for(rb'bench \w+ begins')
            exits = kvm_exits()
            count_system_calls(True)
        for phase in phases:
            console.wait_for(rb'bench %s begins' % phase.encode())
            before = busy_seconds()
            console.wait_for(rb'bench %s usec' % phase.encode())
            busy[phase] = busy_seconds() - before
        console.wait_for(rb'bench done')
        if counting:
            counters = {'exits': kvm_exits() - exits, 'system_calls': system_calls(console.process.pid)}
        if program.startswith('ours'):
            console.wait_for(rb'net: .*\n', errors=True)
            print(console.errors.decode(errors='replace').strip(), file=sys.stderr)
    finally:
        console.close()
        if counting:
            count_system_calls(False)
    for found in re.finditer(rb'bench (\w+) usec=(\d+) bytes=(\d+) ops=(\d+)', console.output):
        name = found[1].decode()
        results[name] = (int(found[2]) / 1e6, int(found[3]), int(found[4]), busy[name])
    time.sleep(0.2)  # the tap is free again
    return results, counters


def row(name, mine, theirs, peer, unit, n):
    return {'name': name, 'ours': round(mine, 4), 'peer': round(theirs, 4), 'peer_name': peer,
            'unit': unit, 'ratio': round(mine / theirs, 3) if theirs else None, 'n': n}


def values(results):
    """What one run's results are in the rows' units."""
    gib = 1 << 30
    return {
        'tx_throughput': (results['tx'][1] / (1 << 20) / results['tx'][0], 'MiB/s'),
        'rx_throughput': (results['rx'][1] / (1 << 20) / results['rx'][0], 'MiB/s'),
        'rr_latency': (results['rr'][0] / results['rr'][2] * 1e6, 'us'),
        'cpu_per_gib': ((results['tx'][3] + results['rx'][3]) /
                        ((results['tx'][1] + results['rx'][1]) / gib), 's/GiB'),
        'tx_cpu_per_gib': (results['tx'][3] / (results['tx'][1] / gib), 's/GiB'),
        'rx_cpu_per_gib': (results['rx'][3] / (results['rx'][1] / gib), 's/GiB'),
    }


def speed_rows(setting, rounds):
    results = {program: [] for program in setting.programs()}
    for turn in range(rounds + 1):
        for program, kept in results.items():
            found = values(run(setting, program, PHASES)[0])
            print('%-10s %s' % (program, {name: round(v[0], 2) for name, v in found.items()}),
                  file=sys.stderr)
            if turn > 0:  # the first fills the caches
                kept.append(found)
    for suffix in ('', '-vhost') if setting.has_vhost else ('',):
        for name in results['ours'][0]:
            mine, theirs = (statistics.median(found[name][0] for found in results[program + suffix])
                            for program in ('ours', 'qemu'))
            yield row(name + suffix.replace('-', '_'), mine, theirs,
                      'QEMU virtio-net' + (' with vhost' if suffix else ''),
                      results['ours'][0][name][1], rounds)


def counter_rows(setting):
    for name, phase, units, per in (('tx', 'send', setting.mib, 'MiB'),
                                    ('rx', 'receive', setting.mib, 'MiB'),
                                    ('rr', 'rr', setting.ops, 'round trip')):
        found = {program: run(setting, program, [phase], True)[1] for program in ('ours', 'qemu')}
        for key in ('exits', 'system_calls'):
            yield row('%s_%s' % (name, key), found['ours'][key] / units, found['qemu'][key] / units,
                      'QEMU virtio-net', 'per ' + per, 1)


def main():
    directory, rounds, mib, ops = sys.argv[1], *(int(text) for text in sys.argv[2:])
    subprocess.run(['modprobe', 'vhost_net'], check=False)
    setting = Setting(directory, mib, ops)
    try:
        rows = list(speed_rows(setting, rounds)) + list(counter_rows(setting))
    finally:
        setting.done()
    json.dump(rows, sys.stdout)


main()
