#!/usr/bin/python3
"""How long a machine takes to boot, ours and QEMU's microvm, run by run in turn. Runs in the test host.

usage: boot.py DIRECTORY ROUNDS > rows.json

DIRECTORY holds uvm.fw, vmlinux, initrd.cpio, cmdline (the image's own) and vmmrun. Both guests have
the same kernel, initial RAM disk and parameters, 128 MiB and one vCPU, and say on the console when
init runs and when the agent has been answered ("uvm-marker"). The clock is this program's: it starts
before the monitor is executed.

Rows: see dev/bench. Times are medians; counters are read at the moment the agent is ready.
"""
import json
import os
import re
import select
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time

MEMORY_MIB = 128
PORT = 1024
GUEST_CID = 77
TIME_LIMIT = 60
TRACING = '/sys/kernel/tracing'
MARKERS = (rb'uvm-marker init', rb'uvm-marker agent free_kib=(\d+)\s')


def ours(directory):
    return [directory + '/vmmrun', '--vmm', '/usr/libexec/uvm/uvm-vmm',
            '--firmware', directory + '/uvm.fw', '--memory', str(MEMORY_MIB),
            '--vsock-listen', str(PORT), '--cmdline', 'uvm.marker']


def microvm(directory):
    """QEMU's best: no option ROMs, no PIT, PIC or RTC, the kernel by PVH, vhost for vsock."""
    cmdline = open(directory + '/cmdline', encoding='ascii').read().strip() + ' uvm.marker'
    return ['qemu-system-x86_64', '-M',
            'microvm,acpi=off,x-option-roms=off,pit=off,pic=off,rtc=off,isa-serial=on,auto-kernel-cmdline=on',
            '-accel', 'kvm', '-cpu', 'host', '-m', str(MEMORY_MIB), '-smp', '1', '-nodefaults',
            '-no-user-config', '-no-reboot', '-display', 'none', '-serial', 'stdio',
            '-kernel', directory + '/vmlinux', '-initrd', directory + '/initrd.cpio',
            '-append', cmdline, '-global', 'virtio-mmio.force-legacy=false',
            '-device', 'virtio-rng-device', '-device', 'vhost-vsock-device,guest-cid=%d' % GUEST_CID]


class Agents(threading.Thread):
    """Takes the place of the shim for QEMU's guest: accepts the agent and keeps the link."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        self.socket.bind((socket.VMADDR_CID_ANY, PORT))
        self.socket.listen(8)
        self.kept = []

    def run(self):
        while True:
            self.kept = self.kept[-4:] + [self.socket.accept()[0]]


def monitor_pid(process, program):
    """The process that has the guest: the child itself, or vmmrun's child."""
    if program == 'qemu':
        return process.pid
    path = '/proc/%d/task/%d/children' % (process.pid, process.pid)
    return int(open(path, encoding='ascii').read().split()[0])


def private_kib(pid):
    """Private memory without the guest's RAM, which is the one mapping of its size or more."""
    total, size, guest = 0, 0, MEMORY_MIB * 1024
    for line in open('/proc/%d/smaps' % pid, encoding='ascii', errors='replace'):
        field, _, rest = line.partition(':')
        if field == 'Size':
            size = int(rest.split()[0])
        elif field in ('Private_Clean', 'Private_Dirty', 'Private_Hugetlb') and size < guest:
            total += int(rest.split()[0])
    return total


def kvm_exits():
    """Of every VM that is alive; there is one."""
    return int(open('/sys/kernel/debug/kvm/exits', encoding='ascii').read())


def boot(program, command):
    """One run: {name: value}. Ends the machine at once when the agent is ready."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, start_new_session=True)
    output, found = b'', {}
    poll = select.poll()
    poll.register(process.stdout, select.POLLIN)
    try:
        while len(found) < len(MARKERS):
            if not poll.poll(1000 * (TIME_LIMIT - (time.monotonic() - start))):
                raise SystemExit('%s: no agent in %d s; console:\n%s' % (
                    program, TIME_LIMIT, output[-3000:].decode(errors='replace')))
            data = os.read(process.stdout.fileno(), 65536)
            now = time.monotonic()
            if not data:
                raise SystemExit('%s ended early:\n%s%s' % (
                    program, output[-3000:].decode(errors='replace'),
                    process.stderr.read().decode(errors='replace')[-2000:]))
            output += data
            for marker in MARKERS:
                if marker not in found and re.search(marker, output):
                    found[marker] = 1000 * (now - start)
        pid = monitor_pid(process, program)
        free_kib = int(re.search(MARKERS[1], output)[1])
        return {
            'init_ready': found[MARKERS[0]],
            'agent_ready': found[MARKERS[1]],
            'vmm_uss_mib': private_kib(pid) / 1024,
            'vm_exits': kvm_exits(),
            'guest_overhead_mib': MEMORY_MIB - free_kib / 1024,
        }
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def trace(name, value):
    with open('%s/%s' % (TRACING, name), 'w', encoding='ascii') as file:
        file.write(value)


def host_setup(command):
    """Milliseconds from exec to the first KVM_RUN, by the kernel's own trace of it."""
    trace('trace', '')
    pipe = open(TRACING + '/trace_pipe', 'rb', buffering=0)
    start = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        line = b''
        while b'kvm_entry' not in line:
            line = pipe.read(4096).split(b'\n')[0]
        return 1000 * (float(re.search(rb' (\d+\.\d+): kvm_entry', line)[1]) - start)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        pipe.close()


UNITS = {'init_ready': 'ms', 'agent_ready': 'ms', 'host_setup_ms': 'ms', 'vmm_uss_mib': 'MiB',
         'guest_overhead_mib': 'MiB', 'vm_exits': 'exits'}


def row(name, mine, theirs):
    mine, theirs = statistics.median(mine), statistics.median(theirs)
    return {'name': name, 'ours': round(mine, 3), 'peer': round(theirs, 3),
            'peer_name': 'QEMU microvm', 'unit': UNITS[name],
            'ratio': round(mine / theirs, 3) if theirs else None}


def main():
    directory, rounds = sys.argv[1], int(sys.argv[2])
    subprocess.run(['modprobe', 'vhost_vsock'], check=True)
    Agents().start()
    # On for the whole run: to turn it on and off patches the kernel, which costs more than it does.
    trace('trace_clock', 'mono')
    trace('events/kvm/kvm_entry/enable', '1')
    commands = {'uvm-vmm': ours(directory), 'qemu': microvm(directory)}
    results = {program: [] for program in commands}
    setups = {program: [] for program in commands}
    for turn in range(rounds + 1):
        for program, command in commands.items():
            result = boot(program, command)
            setup = host_setup(command)
            print('%-8s %s' % (program, json.dumps({**result, 'host_setup_ms': setup})),
                  file=sys.stderr)
            if turn > 0:  # the first fills the caches
                results[program].append(result)
                setups[program].append(setup)
    rows = [row(name, *([result[name] for result in results[program]] for program in commands))
            for name in results['qemu'][0]]
    rows.append(row('host_setup_ms', setups['uvm-vmm'], setups['qemu']))
    for entry in rows:
        entry['n'] = rounds
    json.dump(rows, sys.stdout)


main()
