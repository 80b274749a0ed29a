"""The test host as a QEMU machine: a template booted once and saved, and instances restored from it.

The template's memory is a file that every instance maps copy-on-write, so starting one takes a
tenth of a second and several share what they did not change. An instance lives in a directory of
its own under the run-time directory; a QEMU process that is alive is the only truth about it.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import client
from client import HostGone, say

HERE = os.path.dirname(os.path.abspath(__file__))
MEMORY_MIB = 3072
CPUS = 2
AGENT_PORT = 7
BOOT_LIMIT = 300
# What QEMU's emulation of this model lacks; saying so keeps its warnings away.
TCG_CPU = "EPYC,+svm,+npt,-xsavec,-nrip-save"
# A kernel that panics ends QEMU, and with it whoever waits.
KERNEL_ARGS = "console=ttyS0 quiet loglevel=3 systemd.show_status=0 panic=-1"


def image():
    """The directory of the image of the tree as it is now; builds it when there is none."""
    done = subprocess.run([HERE + "/build"], stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    return done.stdout.decode().strip()


def qemu_version():
    out = subprocess.run(["qemu-system-x86_64", "--version"], stdout=subprocess.PIPE, check=True)
    return out.stdout


def nested_kvm(directory):
    """Whether /dev/kvm here runs Linux that itself has /dev/kvm: tried, and remembered with the image."""
    forced = os.environ.get("UVM_HOST_ACCEL")
    if forced in ("tcg", "kvm"):
        return forced == "kvm"
    nested = ("/sys/module/kvm_amd/parameters/nested", "/sys/module/kvm_intel/parameters/nested")
    if not os.access("/dev/kvm", os.R_OK | os.W_OK) or not any(map(os.path.exists, nested)):
        return False
    with open("/proc/sys/kernel/random/boot_id") as file:
        record = os.path.join(directory, "kvm-" + file.read().strip()[:8])
    if not os.path.exists(record):
        say("does the KVM of this machine nest? (tried once)")
        probe = ["timeout", "30", "qemu-system-x86_64", "-M", "q35,accel=kvm", "-cpu", "host",
                 "-m", "512", "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio",
                 "-kernel", directory + "/vmlinux", "-initrd", directory + "/initrd",
                 "-append", "console=ttyS0 panic=-1 probe-kvm"]
        done = subprocess.run(probe, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, check=False)
        with open(record, "w") as file:
            file.write("yes" if b"NESTED-KVM-WORKS" in done.stdout else "no")
    with open(record) as file:
        return file.read() == "yes"


def machine_args(directory, kvm):
    """What a template and its instances must have in common."""
    return ["qemu-system-x86_64", "-M", "q35,memory-backend=ram", "-nodefaults", "-no-user-config",
            "-accel", "kvm" if kvm else "tcg,thread=multi", "-cpu", "host" if kvm else TCG_CPU,
            "-smp", str(CPUS), "-m", str(MEMORY_MIB), "-display", "none", "-no-reboot",
            "-device", "virtio-blk-pci,drive=root", "-device", "virtio-rng-pci",
            "-device", "virtio-net-pci,netdev=uplink,romfile=",
            "-kernel", directory + "/vmlinux", "-initrd", directory + "/initrd",
            "-append", KERNEL_ARGS]


@contextlib.contextmanager
def locked(path):
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Qmp:
    def __init__(self, path, process, limit=20):
        end = time.monotonic() + limit
        self.sock = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self.sock.connect(path)
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > end:
                    raise HostGone("QEMU did not start") from None
                time.sleep(0.005)
        self.file = self.sock.makefile("rw")
        self.file.readline()
        self.call("qmp_capabilities")

    def call(self, command, **arguments):
        self.file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.file.flush()
        for line in self.file:
            answer = json.loads(line)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise HostGone("QEMU: %s: %s" % (command, answer["error"]["desc"]))
        raise HostGone("QEMU went away during " + command)

    def share_memory_file(self):
        self.call("migrate-set-capabilities",
                  capabilities=[{"capability": "x-ignore-shared", "state": True}])

    def wait_migrated(self):
        while True:
            status = self.call("query-migrate").get("status")
            if status == "completed":
                return
            if status in ("failed", "cancelled"):
                raise HostGone("QEMU could not save or restore the machine")
            time.sleep(0.005)

    def close(self):
        self.file.close()
        self.sock.close()


class Machine:
    """A QEMU process with its sockets in `directory`."""

    def __init__(self, directory, args, ram, share, disk, name):
        self.directory = directory
        self.port = free_port()
        self.command = args + [
            "-name", name,
            "-object", "memory-backend-file,id=ram,size=%dM,mem-path=%s,share=%s" %
            (MEMORY_MIB, ram, share),
            "-drive", "if=none,id=root,cache=unsafe," + disk,
            "-netdev", "user,id=uplink,restrict=on,hostfwd=tcp:127.0.0.1:%d-:%d" %
            (self.port, AGENT_PORT),
            "-chardev", "file,id=console,path=%s/console.log" % directory,
            "-serial", "chardev:console",
            "-qmp", "unix:%s/qmp,server=on,wait=off" % directory]

    def spawn(self, *more):
        with open(self.directory + "/qemu.log", "w") as log:
            self.process = subprocess.Popen(self.command + list(more), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, cwd="/", start_new_session=True)
        try:
            self.qmp = Qmp(self.directory + "/qmp", self.process)
        except HostGone as error:
            self.kill()
            with open(self.directory + "/qemu.log") as log:
                raise HostGone("%s: %s" % (error, log.read().strip())) from None

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def read_token(directory):
    with open(directory + "/token", "rb") as file:
        return file.read().strip()


def wait_for_agent(machine, token):
    """Connections are taken by QEMU long before anybody listens inside: what counts is an answer."""
    end = time.monotonic() + BOOT_LIMIT
    while time.monotonic() < end:
        if machine.process.poll() is not None:
            raise HostGone("the test host stopped while booting")
        try:
            sock = client.connect(machine.port, token)
            sock.sendall(client.frame(b"a", client.strings(["true"])) + client.frame(b"g"))
            sock.settimeout(2)
            if sock.recv(1):
                return
        except OSError:
            time.sleep(0.2)
    raise HostGone("no agent after %d s; see %s/console.log" % (BOOT_LIMIT, machine.directory))


SETTLE = """
systemctl is-system-running --wait
udevadm settle
test -c /dev/kvm || { echo 'no /dev/kvm in the test host'; exit 1; }
test -c /dev/vhost-vsock || { echo 'no /dev/vhost-vsock in the test host'; exit 1; }
journalctl --sync
sync
echo 3 >/proc/sys/vm/drop_caches
"""


# The first VM of a host turns static keys on and the last one turns them off, one of them in the
# scheduler. Under TCG a vCPU sometimes goes on executing the breakpoint of that patching from its
# translation cache for ever, and the test host hangs. So one idle VM, with a vCPU whose local APIC
# is off, always exists: then nothing is patched when others come and go.
WAKE = """
exec systemd-run --quiet --collect --unit=kvm-keeper python3 -c '
import fcntl, signal
KVM_CREATE_VM, KVM_CREATE_VCPU, KVM_CREATE_IRQCHIP = 0xae01, 0xae41, 0xae60
kvm = open("/dev/kvm", "rb+", buffering=0)
vm = fcntl.ioctl(kvm, KVM_CREATE_VM, 0)
fcntl.ioctl(vm, KVM_CREATE_IRQCHIP, 0)
fcntl.ioctl(vm, KVM_CREATE_VCPU, 31)
signal.pause()'
"""


def template(directory, kvm):
    """Boots the image once and saves the running machine; returns the template's directory."""
    args = machine_args(directory, kvm)
    key = hashlib.sha256(qemu_version() + repr([args, SETTLE]).encode()).hexdigest()[:8]
    path = os.path.join(directory, "template-" + key)
    if os.path.exists(path):
        return path
    with locked(directory + "/template.lock"):
        if os.path.exists(path):
            return path
        new = path + ".new"
        shutil.rmtree(new, ignore_errors=True)
        os.mkdir(new, 0o700)
        say("test host: first boot …")
        begun = time.monotonic()
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw",
                        "-b", directory + "/root.ext4", new + "/disk.qcow2"], check=True)
        machine = Machine(new, args, new + "/ram", "on", "file=%s/disk.qcow2" % new, "uvm-template")
        machine.spawn()
        try:
            save(machine, read_token(directory), new)
        finally:
            machine.kill()
        os.rename(new, path)
        say("test host: booted and saved: %d s" % (time.monotonic() - begun))
    return path


def save(machine, token, path):
    wait_for_agent(machine, token)
    sock = client.connect(machine.port, token)
    code, output = client.capture(sock, ["/bin/sh", "-c", SETTLE], preamble=client.clock())
    if code:
        raise HostGone("the test host did not settle: " + output)
    qmp = machine.qmp
    qmp.call("stop")
    qmp.share_memory_file()
    qmp.call("migrate", uri="exec:cat >'%s/state'" % path)
    qmp.wait_migrated()
    qmp.call("quit")
    machine.process.wait()


class Instance:
    """A test host by name: UVM_HOST, or `main`."""

    def __init__(self, name=None):
        self.name = name or os.environ.get("UVM_HOST") or "main"
        if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9_-]{0,31}", self.name):
            raise SystemExit("host: not a name for a test host: %r" % self.name)
        self.directory = os.path.join(runtime_directory(), self.name)
        self.title = "uvm-host-" + self.name

    def load(self):
        """The record of the running instance, or None."""
        try:
            with open(self.directory + "/state.json") as file:
                state = json.load(file)
            with open("/proc/%d/cmdline" % state["pid"], "rb") as file:
                words = file.read().split(b"\0")
        except (OSError, ValueError):
            return None
        return state if self.title.encode() in words else None

    def ensure(self):
        """The running instance; starts it when there is none."""
        return self.load() or self.start()

    def start(self):
        """Starts it, or replaces one that runs an older image; one that is current stays."""
        directory = image()
        kvm = nested_kvm(directory)
        base = template(directory, kvm)
        os.makedirs(self.directory, 0o700, exist_ok=True)
        with locked(self.directory + "/lock"):
            state = self.load()
            if state and state["template"] == base:
                return state
            if state:
                say("test host %s: its image is out of date, starting a new one" % self.name)
                self.end(state)
            return self.restore(directory, base, kvm)

    def restore(self, directory, base, kvm):
        begun = time.monotonic()
        self.clean()
        machine = Machine(self.directory, machine_args(directory, kvm), base + "/ram", "off",
                          "file=%s/disk.qcow2,snapshot=on" % base, self.title)
        machine.spawn("-incoming", "defer")
        try:
            machine.qmp.share_memory_file()
            machine.qmp.call("migrate-incoming", uri="exec:cat '%s/state'" % base)
            machine.qmp.wait_migrated()
            machine.qmp.call("cont")
            machine.qmp.close()
            sock = client.connect(machine.port, read_token(directory))
            code, output = client.capture(sock, ["/bin/sh", "-c", WAKE],
                                          preamble=client.clock())
            if code:
                raise HostGone("the restored test host does not work: " + output)
        except BaseException:
            machine.kill()
            raise
        state = {"pid": machine.process.pid, "port": machine.port, "image": directory,
                 "template": base, "accel": "kvm" if kvm else "tcg", "started": time.time()}
        with open(self.directory + "/state.json.new", "w") as file:
            json.dump(state, file)
        os.rename(self.directory + "/state.json.new", self.directory + "/state.json")
        say("test host %s: up in %.2f s" % (self.name, time.monotonic() - begun))
        return state

    def clean(self):
        for entry in os.listdir(self.directory):
            if entry != "lock":
                os.unlink(os.path.join(self.directory, entry))

    def end(self, state):
        """There is nothing in it worth a clean shutdown: the disk is thrown away."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(state["pid"], signal.SIGKILL)
        while os.path.exists("/proc/%d" % state["pid"]) and self.load():
            time.sleep(0.01)
        self.clean()

    def stop(self):
        if os.path.isdir(self.directory):
            with locked(self.directory + "/lock"):
                state = self.load()
                if state:
                    self.end(state)
            shutil.rmtree(self.directory, ignore_errors=True)

    def connect(self):
        state = self.ensure()
        return client.connect(state["port"], read_token(state["image"]))


def runtime_directory():
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    path = os.path.join(base, "uvm-host-%d" % os.getuid())
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    if os.lstat(path).st_uid != os.getuid() or os.path.islink(path):
        raise SystemExit("host: %s is not ours" % path)
    return path


def instances():
    for name in sorted(os.listdir(runtime_directory())):
        yield Instance(name)
