"""Guests with one directory over 9p, under uvm-vmm or QEMU. In the test host.

The directory is the guest's /mnt, and once more, as another client has it, its /other. The guest runs
the script `run` that it finds there, and ends.
"""
import os
import subprocess

MEMORY_MIB = 192


def ours(here, directory, options, time_limit):
    return [here + '/vmmrun', '--vmm', here + '/uvm-vmm', '--firmware', here + '/posix.fw',
            '--memory', str(MEMORY_MIB), '--p9', directory + ':tree', '--p9', directory + ':other',
            '--time-limit', str(time_limit), '--cmdline', 'reboot=k posix.mount=' + options]


def qemu(here, directory, options, time_limit):
    """QEMU's own server at its most faithful: owners and modes as they are, on the host."""
    with open(here + '/cmdline', encoding='ascii') as file:
        cmdline = file.read().strip() + ' reboot=k posix.mount=' + options
    command = ['qemu-system-x86_64', '-M',
               'microvm,acpi=off,x-option-roms=off,pit=off,pic=off,rtc=off,isa-serial=on,'
               'auto-kernel-cmdline=on',
               '-accel', 'kvm', '-cpu', 'host', '-m', str(MEMORY_MIB), '-smp', '1', '-nodefaults',
               '-no-user-config', '-no-reboot', '-display', 'none', '-serial', 'stdio',
               '-kernel', here + '/vmlinux', '-initrd', here + '/initrd', '-append', cmdline,
               '-global', 'virtio-mmio.force-legacy=false']
    for tag in ('tree', 'other'):
        command += ['-fsdev', 'local,id=%s,path=%s,security_model=passthrough,multidevs=remap' % (
            tag, directory), '-device', 'virtio-9p-device,fsdev=%s,mount_tag=%s' % (tag, tag)]
    return ['timeout', str(time_limit)] + command


MONITORS = {'ours': ours, 'qemu': qemu}


class Guest:
    """One that runs @script as soon as it is there."""

    def __init__(self, here, monitor, directory, options, script, time_limit):
        self.log_path = directory + '.log'
        with open(directory + '/run', 'w', encoding='ascii') as file:
            file.write(script)
        with open(self.log_path, 'wb') as log:
            self.process = subprocess.Popen(MONITORS[monitor](here, directory, options, time_limit),
                                            stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT)

    def wait(self):
        self.process.wait()

    def ended_within(self, seconds):
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def log(self):
        with open(self.log_path, encoding='utf-8', errors='replace') as file:
            return file.read()


def remove_tree(directory):
    """Also what has names or depths that no path can have."""
    subprocess.run(['rm', '-rf', '--one-file-system', directory], check=False)
    if os.path.exists(directory + '.log'):
        os.unlink(directory + '.log')
