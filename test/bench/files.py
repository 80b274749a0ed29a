#!/usr/bin/python3
"""How fast a guest's files are, ours and QEMU's, run by run in turn. Runs in the test host.

usage: files.py DIRECTORY ROUNDS MIB FILES > rows.json

DIRECTORY holds bench.fw (our monitor, our kernel, the bench's initial RAM disk), vmlinux.stock (the
same kernel without our patches to 9p), bench.cpio, cmdline and vmmrun. In each guest test/bench/
guest/files.c runs the phases against a directory of this host's memory by 9p, with the same msize
and cache mode, and against a raw file by virtio-blk.

Times are taken by the guests in runs that have all phases. Counters come from runs of one phase
each, less those of a run that only mounts: they don't depend on how fast the CPU is.
"""
import json
import os
import re
import shutil
import statistics
import sys
import tempfile

from monitor import Console, count_system_calls, kvm_exits, system_calls

MEMORY_MIB = 256
OPS = 400
TREE = ['meta_create', 'meta_find', 'meta_remove']
PEERS = {'9p': 'QEMU virtio-9p', 'blk': 'QEMU virtio-blk'}

# What is counted: the phases of a run, and what a count is given per.
COUNTED = {
    'seq_write_4k': (['seq_write_4k'], 'MiB'), 'seq_write_1m': (['seq_write_1m'], 'MiB'),
    'seq_read_4k': (['seq_read_4k'], 'MiB'), 'seq_read_1m': (['seq_read_1m'], 'MiB'),
    'rand_read_4k': (['rand_read_4k'], 'operation'),
    'rand_write_4k': (['rand_write_4k'], 'operation'),
    'metadata': (TREE, 'file'),
    'blk_seq_read': (['blk_seq_read'], 'MiB'), 'blk_rand_read': (['blk_rand_read'], 'operation'),
}
TIMED = [phase for phases, _ in COUNTED.values() for phase in phases]


class Setting:
    """The files of a bench and the directory that guests work in."""

    def __init__(self, directory, mib, files):
        self.directory, self.mib, self.files = directory, mib, files
        self.work = tempfile.mkdtemp(dir='/dev/shm')
        self.disk, self.trace = directory + '/disk', directory + '/trace'
        self.renew()

    def renew(self):
        """Every run starts from the same files."""
        shutil.rmtree(self.work)
        os.mkdir(self.work)
        for path in (self.work + '/data', self.disk):
            with open(path, 'wb') as file:
                for _ in range(self.mib):
                    file.write(b'd' * (1 << 20))

    def done(self):
        shutil.rmtree(self.work)
        os.unlink(self.disk)

    def parameters(self, phases):
        return 'bench=%s benchmib=%d benchops=%d benchfiles=%d benchopts=access=client,posixacl,cache=loose' % (
            ','.join(phases), self.mib, OPS, self.files)

    def ours(self, phases):
        return [self.directory + '/vmmrun', '--vmm', '/usr/libexec/uvm/uvm-vmm',
                '--firmware', self.directory + '/bench.fw', '--memory', str(MEMORY_MIB),
                '--p9', self.work + ':bench', '--disk', self.disk,
                '--stats-at', 'bench done', '--cmdline', self.parameters(phases)]

    def qemu(self, phases):
        """QEMU's best: no PIT, PIC or RTC, the kernel by PVH, the disk by a thread of its own."""
        with open(self.directory + '/cmdline', encoding='ascii') as file:
            cmdline = file.read().strip() + ' ' + self.parameters(phases)
        return ['qemu-system-x86_64', '-M',
                'microvm,acpi=off,x-option-roms=off,pit=off,pic=off,rtc=off,isa-serial=on,auto-kernel-cmdline=on',
                '-accel', 'kvm', '-cpu', 'host', '-m', str(MEMORY_MIB), '-smp', '1', '-nodefaults',
                '-no-user-config', '-no-reboot', '-display', 'none', '-serial', 'stdio',
                '-kernel', self.directory + '/vmlinux.stock', '-initrd', self.directory + '/bench.cpio',
                '-append', cmdline, '-global', 'virtio-mmio.force-legacy=false',
                '-fsdev', 'local,id=fs,security_model=passthrough,path=' + self.work,
                '-device', 'virtio-9p-device,fsdev=fs,mount_tag=bench',
                '-object', 'iothread,id=io',
                '-drive', 'if=none,id=disk,format=raw,file=' + self.disk,
                '-device', 'virtio-blk-device,drive=disk,iothread=io',
                '-trace', 'enable=virtqueue_pop,file=' + self.trace]


def stats_of_ours(stderr):
    """What vmmrun told: (exits, requests of the 9p device and the disk)."""
    exits = int(re.search(rb'(\d+) exits in all', stderr)[1])
    return exits, sum(int(n) for n in re.findall(rb'slot \d+ (?:p9|block):.* (\d+) requests', stderr))


def requests_of_qemu(trace):
    """Chains that QEMU took off any ring: one line each in its own trace."""
    with open(trace, encoding='ascii', errors='replace') as file:
        return sum(1 for line in file if 'virtqueue_pop' in line)


def run(setting, program, phases, counting):
    """One machine: ({phase: (seconds, bytes, operations)}, counters)."""
    setting.renew()
    if os.path.exists(setting.trace):
        os.unlink(setting.trace)  # QEMU goes on where it ended
    command = (setting.ours if program == 'ours' else setting.qemu)(phases)
    if program != 'ours' and not counting:
        command = command[:-2]
    if counting:
        count_system_calls(True)
    console, counters = Console(command), {}
    try:
        console.wait_for(rb'bench done')
        if counting:
            counters['system_calls'] = system_calls(console.process.pid)
            counters['exits'] = kvm_exits()
        if program == 'ours':
            console.wait_for(rb'(p9|block): .* requests.*\n', errors=True)
            counters['exits'], counters['requests'] = stats_of_ours(console.errors)
    finally:
        console.close()
        if counting:
            count_system_calls(False)
    if counting and program != 'ours':
        counters['requests'] = requests_of_qemu(setting.trace)
    times = {found[1].decode(): (int(found[2]) / 1e6, int(found[3]), int(found[4]))
             for found in re.finditer(rb'bench (\w+) usec=(\d+) bytes=(\d+) ops=(\d+)', console.output)}
    return times, counters


def peer_of(name):
    return PEERS['blk' if name.startswith('blk') else '9p']


def row(name, mine, theirs, unit, n):
    return {'name': name, 'ours': round(mine, 4), 'peer': round(theirs, 4), 'peer_name': peer_of(name),
            'unit': unit, 'ratio': round(mine / theirs, 3) if theirs else None, 'n': n}


def speed(name, times, files):
    """(value, unit): more is better."""
    if name == 'metadata':
        return files / sum(times[phase][0] for phase in TREE), 'files/s'
    seconds, size, operations = times[name]
    if 'rand' in name:
        return operations / seconds, 'operations/s'
    return size / (1 << 20) / seconds, 'MiB/s'


def speed_rows(setting, rounds):
    results = {'ours': [], 'qemu': []}
    for turn in range(rounds + 1):
        for program, kept in results.items():
            times = run(setting, program, TIMED, False)[0]
            print('%-5s %s' % (program, json.dumps({p: t[0] for p, t in times.items()})), file=sys.stderr)
            if turn > 0:  # the first fills the caches
                kept.append(times)
    for name in COUNTED:
        mine, theirs = ([speed(name, times, setting.files)[0] for times in results[program]]
                        for program in results)
        yield row(name, statistics.median(mine), statistics.median(theirs),
                  speed(name, results['ours'][0], setting.files)[1], rounds)


def counter_rows(setting):
    base = {program: run(setting, program, ['none'], True)[1] for program in ('ours', 'qemu')}
    for name, (phases, per) in COUNTED.items():
        units = {'MiB': setting.mib, 'operation': OPS, 'file': setting.files}[per]
        found = {}
        for program, less in base.items():
            counters = run(setting, program, phases, True)[1]
            found[program] = {key: (counters[key] - less[key]) / units for key in counters}
            print('%-5s %s %s per %s' % (program, name, json.dumps(found[program]), per), file=sys.stderr)
        for key in ('requests', 'exits', 'system_calls'):
            yield row(name + '_' + key, found['ours'][key], found['qemu'][key], 'per ' + per, 1)


def main():
    directory, rounds, mib, files = sys.argv[1], *(int(text) for text in sys.argv[2:])
    setting = Setting(directory, mib, files)
    try:
        rows = list(speed_rows(setting, rounds)) + list(counter_rows(setting))
    finally:
        setting.done()
    json.dump(rows, sys.stdout)


main()
