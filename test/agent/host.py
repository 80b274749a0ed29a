"""The host's side of the agent protocol (src/proto/agent.h), for tests: written from the header's
text and not from the code, so that the two check each other."""

import os
import select
import signal
import socket
import struct
import subprocess
import threading
import time

HELLO, WELCOME, REPLY, ACK = 1, 2, 3, 4
PING, CREATE, START, DELETE, EXEC, SIGNAL, RESIZE, STATS, PROCESSES, PLUG, UNPLUG, SHUTDOWN, MOUNT, UNMOUNT, COPY, DIFF = range(16, 32)
NETWORK, RESOLVER, CPUS, UPDATE, SET_TIME, STOP_COPY, ROUTING = range(32, 39)
EXITED, OOM, GOODBYE = 64, 65, 66
STDIN, STDOUT, STDERR, TTY = 1, 2, 4, 8
NS_PID, NS_IPC, NS_UTS, NS_CGROUP, NS_NET = 1, 2, 4, 8, 16
M_9P, M_BIND, M_TMPFS, M_PROC, M_SYSFS, M_DEV, M_DEVPTS, M_MQUEUE, M_CGROUP, M_BLOCK, M_DEVICE = range(11)
RO, NOSUID, NODEV, NOEXEC = 1, 2, 4, 8
MAGIC = 0x734D5675
CAPS = 0x800405FB
LIMIT = 30 * int(os.environ.get("UVM_TIME_SCALE", "1"))


def text(value):
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<I", len(data)) + data


def texts(values):
    return struct.pack("<I", len(values)) + b"".join(map(text, values))


def mount(kind, target, source="", subpath="", options="", flags=0, cache=0, msize=0, fs=""):
    return (bytes([kind]) + text(source) + text(subpath) + text(target) + text(options) + text(fs)
            + struct.pack("<IBI", flags, cache, msize))


MOUNTS = [
    mount(M_PROC, "/proc", flags=NOSUID | NODEV | NOEXEC),
    mount(M_DEV, "/dev"),
    mount(M_DEVPTS, "/dev/pts", flags=NOSUID | NOEXEC),
    mount(M_TMPFS, "/dev/shm", options="mode=1777,size=1m", flags=NOSUID | NODEV | NOEXEC),
    mount(M_MQUEUE, "/dev/mqueue", flags=NOSUID | NODEV | NOEXEC),
    mount(M_SYSFS, "/sys", flags=RO | NOSUID | NODEV | NOEXEC),
    mount(M_TMPFS, "/tmp", options="mode=1777", flags=NOSUID | NODEV),
]


def limits_of(memory=0, pids=0, cpu_quota=0, cpu_period=0, cpu_weight=0, memory_high=0, memory_low=0, cpuset="",
              io_weight=0, io=()):
    """AgentLimits; an item of @io is a serial and the four limits of that disk."""
    return (struct.pack("<QQQ", memory, memory_high, memory_low) + text(cpuset) + struct.pack("<I", io_weight)
            + struct.pack("<I", len(io)) + b"".join(text(disk[0]) + struct.pack("<4Q", *disk[1:]) for disk in io)
            + struct.pack("<QQQI", pids, cpu_quota, cpu_period, cpu_weight))


def container_spec(root, upper=1, read_only=False, mounts=None, hostname="box",
                   namespaces=NS_PID | NS_IPC | NS_UTS | NS_CGROUP, masked=("/proc/kcore", "/proc/acpi"),
                   readonly=("/proc/sys", "/proc/bus"), sysctls=(), limits=(0, 0, 0, 0, 0), kind=M_BIND,
                   cache=0, upper_source=""):
    mounts = MOUNTS if mounts is None else mounts
    return (bytes([kind]) + text(root) + text("") + bytes([cache]) + struct.pack("<I", 0)
            + bytes([read_only, upper]) + struct.pack("<Q", 0) + text(upper_source)
            + struct.pack("<I", len(mounts)) + b"".join(mounts)
            + text(hostname) + struct.pack("<I", namespaces)
            + texts(masked) + texts(readonly) + texts(sysctls)
            + (limits if isinstance(limits, bytes) else limits_of(*limits)))


def process_spec(token, argv, attach=STDOUT | STDERR, env=(), cwd="", user="", groups=(), caps=(CAPS,) * 3 + (0, 0),
                 rlimits=(), no_new_privileges=False, size=(0, 0), umask=0o022, oom=0):
    return (struct.pack("<QIHH", token, attach, *size) + texts(argv) + texts(env) + text(cwd) + text(user)
            + texts(groups) + struct.pack("<5Q", *caps)
            + struct.pack("<I", len(rlimits)) + b"".join(struct.pack("<IQQ", *r) for r in rlimits)
            + bytes([no_new_privileges]) + struct.pack("<iI", oom, umask))


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def get(self, form):
        values = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return values[0] if len(values) == 1 else values

    def text(self):
        size = self.get("I")
        self.at += size
        return self.data[self.at - size:self.at]


PRESSURE = ("some_usec", "full_usec", "some_avg10", "full_avg10")
FIGURES = ("cpu", "cpu_user", "cpu_system", "memory", "memory_peak", "memory_limit", "memory_cache", "pids",
           "pids_limit", "oom_kills", "read_bytes", "write_bytes", "read_ops", "write_ops", "receive_packets",
           "transmit_packets", "cpus", "receive_bytes", "transmit_bytes", "uptime", "mem_total", "mem_available",
           "mem_free")


def stats_of(payload):
    """AgentStats, by name; the pressures as cpu_some_usec …"""
    reader, stats = Reader(payload), {}
    for kind in ("cpu", "memory", "io"):
        stats.update(zip(tuple(kind + "_" + name for name in PRESSURE), reader.get("QQII")))
    stats.update(zip(FIGURES, reader.get("16QI6Q")))
    assert reader.at == len(payload)
    return stats


class Reply(Exception):
    def __init__(self, payload):
        reader = Reader(payload)
        self.sequence, self.code, self.exit_code = reader.get("QIB")
        self.text, self.payload = reader.text().decode(), reader.text()
        super().__init__(f"{self.code} ({self.exit_code}): {self.text}")


class Exit:
    def __init__(self, payload):
        reader = Reader(payload)
        self.sequence = reader.get("Q")
        self.container, self.process = reader.text().decode(), reader.text().decode()
        self.code, self.signal, self.oom, self.stdout, self.stderr, self.when = reader.get("BBBQQQ")


class Process:
    """A process and its streams; output is gathered by threads. A stream may be accepted only
    after the exit has been told: the two come on different sockets."""

    def __init__(self, token, attach):
        self.token = token
        self.expected = {3} if attach & TTY else {i for i in range(3) if attach & 1 << i}
        self.streams = {}
        self.arrived = threading.Condition()
        self.output = {1: bytearray(), 2: bytearray(), 3: bytearray()}
        self.gathering = []
        self.gather_from = lambda which: True

    def add(self, which, connection):
        with self.arrived:
            if which and self.gather_from(which):
                thread = threading.Thread(target=self.gather, args=(which, connection), daemon=True)
                thread.start()
                self.gathering.append(thread)
            self.streams[which] = connection
            self.arrived.notify_all()

    def gather(self, which, connection):
        while True:
            try:
                data = connection.recv(1 << 18)
            except ConnectionResetError:
                return
            if not data:
                return
            self.output[which] += data

    def stream(self, which):
        with self.arrived:
            assert self.arrived.wait_for(lambda: which in self.streams, LIMIT), "a stream did not come"
        return self.streams[which]

    def finish(self):
        for which in self.expected:
            self.stream(which)
        for thread in self.gathering:
            thread.join(LIMIT)
            assert not thread.is_alive(), "a stream did not end"
        for connection in self.streams.values():
            connection.close()


class Host:
    """Listens as the host does, on unix sockets in @directory, or on vsock if that is None. One
    thread runs the test; one accepts streams."""

    def __init__(self, directory):
        self.listeners = []
        for port in (1024, 1025):
            if directory:
                listener = socket.socket(socket.AF_UNIX)
                listener.bind(os.path.join(directory, str(port)))
            else:
                listener = socket.socket(socket.AF_VSOCK)
                listener.bind((socket.VMADDR_CID_ANY, port))
            listener.listen(128)
            self.listeners.append(listener)
        self.control = None
        self.buffer = b""
        self.id = 0
        self.token = 0
        self.sequence = 0
        self.acknowledge = True
        self.replies, self.exits, self.others = {}, {}, []
        self.processes = {}
        threading.Thread(target=self.accept_streams, daemon=True).start()

    def accept_streams(self):
        while True:
            connection, _ = self.listeners[1].accept()
            data = self.preamble(connection)
            if not data:
                continue
            magic, which, token = struct.unpack("<IIQ", data)
            assert magic == MAGIC
            self.processes[token].add(which, connection)

    @staticmethod
    def preamble(connection):
        """None if the agent has given the process up before it said whose stream this is."""
        data = b""
        while len(data) < 16:
            try:
                more = connection.recv(16 - len(data))
            except ConnectionResetError:
                return None
            if not more:
                return None
            data += more
        return data

    def accept(self):
        self.listeners[0].settimeout(LIMIT)
        self.control, _ = self.listeners[0].accept()
        self.control.settimeout(LIMIT)
        self.buffer = b""
        kind, _, payload = self.frame()
        assert kind == HELLO
        reader = Reader(payload)
        hello = {"version": reader.get("I"), "agent": reader.text(), "kernel": reader.text(), "boot_id": reader.text()}
        (hello["mem_total"], hello["mem_free"], hello["uptime"], hello["last_request"],
         hello["last_sequence"]) = reader.get("QQQIQ")
        self.send(WELCOME, 0, struct.pack("<IQ", 1, 0) + text("") + struct.pack("<Q", self.sequence) + text("seed"))
        return hello

    def send(self, kind, number, payload):
        self.control.sendall(struct.pack("<IHHI", len(payload) + 8, kind, 0, number) + payload)

    def need(self, size):
        while len(self.buffer) < size:
            data = self.control.recv(1 << 16)
            if not data:
                raise EOFError("the agent hung up")
            self.buffer += data

    def frame(self):
        self.need(4)
        size, = struct.unpack_from("<I", self.buffer)
        self.need(4 + size)
        data, self.buffer = self.buffer[:4 + size], self.buffer[4 + size:]
        _, kind, flags, number = struct.unpack_from("<IHHI", data)
        assert flags == 0
        return kind, number, data[12:]

    def take(self):
        kind, number, payload = self.frame()
        sequence, = struct.unpack_from("<Q", payload)
        if sequence <= self.sequence:
            return  # repeated after a break
        assert sequence == self.sequence + 1, "a message was lost"
        self.sequence = sequence
        if kind == REPLY:
            self.replies[number] = Reply(payload)
        elif kind == EXITED:
            end = Exit(payload)
            self.exits[end.container, end.process] = end
        else:
            self.others.append((kind, payload))
        if self.acknowledge:
            self.send(ACK, 0, struct.pack("<Q", sequence))

    def request(self, kind, payload=b""):
        self.id += 1
        self.send(kind, self.id, payload)
        return self.id

    def reply(self, number):
        while number not in self.replies:
            self.take()
        return self.replies.pop(number)

    def call(self, kind, payload=b""):
        reply = self.reply(self.request(kind, payload))
        if reply.code:
            raise reply
        return reply.payload

    def wait_exit(self, container, process=""):
        while (container, process) not in self.exits:
            self.take()
        return self.exits.pop((container, process))

    def process(self, attach=STDOUT | STDERR):
        self.token += 1
        self.processes[self.token] = Process(self.token, attach)
        return self.processes[self.token]

    def create(self, container, spec, argv, **options):
        process = self.process(options.get("attach", STDOUT | STDERR))
        self.call(CREATE, text(container) + spec + process_spec(process.token, argv, **options))
        return process

    def run(self, container, spec, argv, **options):
        process = self.create(container, spec, argv, **options)
        self.call(START, text(container))
        return process

    def exec(self, container, name, argv, **options):
        process = self.process(options.get("attach", STDOUT | STDERR))
        self.call(EXEC, text(container) + text(name) + process_spec(process.token, argv, **options))
        return process

    def end(self, container, process, name=""):
        """Waits for the exit and for as much output as it says."""
        exit = self.wait_exit(container, name)
        process.finish()
        del self.processes[process.token]
        return exit

    def delete(self, container):
        self.call(DELETE, text(container))

    def signal(self, container, number, process="", everything=False):
        self.call(SIGNAL, text(container) + text(process) + struct.pack("<IB", number, everything))


def make_cpus(directory):
    """Four CPUs of which the first can't be taken off, two are online and the last is broken."""
    for number, online in enumerate((None, "1", "0", None)):
        os.makedirs(os.path.join(directory, f"cpu{number}"))
        if online:
            with open(os.path.join(directory, f"cpu{number}", "online"), "w") as file:
                file.write(online)
    with open(os.path.join(directory, "online"), "w") as file:
        file.write("0-1\n")
    os.symlink("/nonexistent/online", os.path.join(directory, "cpu3", "online"))


def start_agent(program, directory, state, log):
    """The agent on this machine, in mount and network namespaces of its own, with the disks in @directory/disks."""
    os.makedirs(os.path.join(directory, "disks"))
    make_cpus(os.path.join(directory, "cpus"))
    return subprocess.Popen(["unshare", "-mn", program, "--connect-unix", directory, "--state", state,
                             "--disks", os.path.join(directory, "disks"), "--cpus", os.path.join(directory, "cpus")],
                            stderr=log)


def start_guest(kernel, initrd, work, log):
    """A guest in QEMU's microvm, with 9p devices "root" and "extra" and the disk "disk0", all of @work."""
    shares = [word for tag in ("root", "extra") for word in (
        "-fsdev", f"local,id={tag},path={work}/{tag},security_model=none",
        "-device", f"virtio-9p-device,fsdev={tag},mount_tag={tag}")]
    return subprocess.Popen(
        ["qemu-system-x86_64", "-M", "microvm,x-option-roms=off,pit=off,pic=off,rtc=off,isa-serial=on,acpi=off",
         "-accel", "kvm", "-cpu", "host", "-m", "128", "-nodefaults", "-no-user-config", "-no-reboot",
         "-display", "none", "-serial", "stdio", "-kernel", kernel, "-initrd", initrd,
         "-append", "console=ttyS0 quiet loglevel=1 reboot=t panic=-1 noreplace-smp"
         + (" uvm.debug" if os.environ.get("UVM_LOG_LEVEL") == "debug" else ""),
         "-device", "virtio-rng-device", "-device", "vhost-vsock-device,guest-cid=78",
         "-drive", f"file={work}/disk0.img,if=none,id=disk0,format=raw",
         "-device", "virtio-blk-device,drive=disk0,serial=disk0", *shares], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
