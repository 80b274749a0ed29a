#!/usr/bin/env python3
"""The agent, driven as the host does, with containers made of a directory with busybox in it.

usage: agent_test.py AGENT [TEST...]           on this machine, over unix sockets
       agent_test.py KERNEL INITRD [TEST...]   in a guest of QEMU's microvm, over vsock and 9p

Needs root and busybox-static, for the guest also /dev/kvm and vhost-vsock; skips itself otherwise.
"""

import hashlib
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from host import *  # noqa: E402,F403 pylint: disable=wildcard-import,unused-wildcard-import

BUSYBOX = "/bin/busybox"
OUTSIDE = "/tmp/uvm-agent-test-outside"
HOSTILE_LINKS = {"link": OUTSIDE, "up": "../../../../../../.." + OUTSIDE}


def make_root(path):
    for name in ("bin", "etc", "home/user", "proc", "sys", "dev", "tmp", "root"):
        os.makedirs(os.path.join(path, name))
    shutil.copy(BUSYBOX, os.path.join(path, "bin/busybox"))
    for name in subprocess.check_output([BUSYBOX, "--list"], text=True).split():
        if name != "busybox":
            os.symlink("busybox", os.path.join(path, "bin", name))
    with open(os.path.join(path, "etc/passwd"), "w") as file:
        file.write("root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n")
    with open(os.path.join(path, "etc/group"), "w") as file:
        file.write("root:x:0:\nuser:x:1000:\nwheel:x:10:user\n")
    with open(os.path.join(path, "etc/plain"), "w") as file:
        file.write("no program\n")
    for name, target in HOSTILE_LINKS.items():
        os.symlink(target, os.path.join(path, "etc", name))


class Test:
    def __init__(self, programs, work):
        self.root = os.path.join(work, "root")
        self.work = work
        self.guest = len(programs) == 2
        make_root(self.root)
        self.host = Host(None if self.guest else work)
        self.log = open(os.path.join(work, "log"), "w+", errors="replace")
        if self.guest:
            self.agent = start_guest(*programs, self.root, self.log)
        else:
            self.agent = start_agent(*programs, work, os.path.join(work, "state"), self.log)
        self.hello = self.host.accept()
        self.n = 0

    def spec(self, **options):
        if self.guest:
            return container_spec("root", kind=M_9P, cache=2, **options)
        return container_spec(self.root, **options)

    def name(self):
        self.n += 1
        return f"c{self.n}"

    def run(self, argv, spec=None, **options):
        """Runs a container to its end: (exit, stdout, stderr)."""
        name = self.name()
        process = self.host.run(name, spec or self.spec(), argv, **options)
        exit = self.host.end(name, process)
        self.host.delete(name)
        return exit, bytes(process.output[1]), bytes(process.output[2])

    def sh(self, script, **options):
        exit, out, err = self.run(["sh", "-c", script], **options)
        assert exit.stdout == len(out) and exit.stderr == len(err), "bytes are missing"
        return exit.code, out.decode(), err.decode()

    def refused(self, function, *arguments, **options):
        try:
            function(*arguments, **options)
        except Reply as reply:
            return reply
        raise AssertionError("not refused")


def test_hello(t):
    assert t.hello["version"] == 1 and t.hello["mem_total"] > t.hello["mem_free"] > 0
    assert t.hello["last_request"] == 0
    t.host.call(PING)


def test_output_and_codes(t):
    assert t.sh("echo out; echo err >&2") == (0, "out\n", "err\n")
    assert t.sh("exit 7")[0] == 7
    exit, _, _ = t.run(["sh", "-c", "sh -c 'kill -9 $$'; exit $?"])
    assert exit.code == 137 and exit.signal == 0


def test_not_found(t):
    for argv, code in ((["nosuch"], 127), (["/nosuch"], 127), (["/etc"], 126), (["/etc/plain"], 126)):
        name = t.name()
        process = t.host.create(name, t.spec(), argv)
        reply = t.refused(t.host.call, START, text(name))
        assert reply.exit_code == code, (argv, reply)
        process.finish()
        t.host.delete(name)


def refused_delete(t, name):
    try:
        t.host.delete(name)
    except Reply as reply:
        assert reply.code == 16, reply
        return True
    return False


Test.refused_delete = refused_delete


def test_environment(t):
    code, out, _ = t.sh("pwd; id -u; echo $HOME; echo $PATH; echo $A; hostname; echo $$; umask; ls /", env=["A=b c"])
    assert code == 0
    lines = out.splitlines()
    assert lines[:8] == ["/", "0", "/root",
                         "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "b c", "box", "1", "0022"], out
    assert "bin" in lines[8:]


def test_users(t):
    assert t.sh("id -u; id -g; id -G; echo $HOME", user="user")[1] == "1000\n1000\n1000 10\n/home/user\n"
    assert t.sh("id -u; id -g; id -G; echo $HOME", user="1000:wheel")[1] == "1000\n10\n10\n/home/user\n"
    assert t.sh("id -u; id -g; echo $HOME", user="4711")[1] == "4711\n0\n/\n"
    assert t.sh("id -G", user="4711:5", groups=["wheel", "77"])[1] == "5 10 77\n"
    assert t.sh("pwd; echo hi > /dev/stdout", user="user", cwd="/home/user")[1] == "/home/user\nhi\n"
    reply = t.refused(t.host.create, t.name(), t.spec(), ["id"], user="nobody-here")
    assert "unable to find user nobody-here" in reply.text and reply.exit_code == 125
    reply = t.refused(t.host.create, t.name(), t.spec(), ["id"], user="user:nogroup-here")
    assert "unable to find group" in reply.text


def test_capabilities(t):
    _, out, _ = t.sh("grep -E 'Cap|NoNewPrivs' /proc/self/status", no_new_privileges=True)
    values = dict(line.split(":\t") for line in out.splitlines())
    assert values["CapEff"] == values["CapBnd"] == "00000000800405fb", out
    assert values["CapInh"] == "0000000000000000" and values["NoNewPrivs"] == "1"
    _, out, _ = t.sh("grep Cap /proc/self/status", user="user")
    values = dict(line.split(":\t") for line in out.splitlines())
    assert values["CapEff"] == values["CapPrm"] == "0000000000000000", out
    assert values["CapBnd"] == "00000000800405fb"


def test_limits(t):
    assert t.sh("ulimit -n; ulimit -c", rlimits=[(7, 100, 200), (4, 0, 0)])[1] == "100\n0\n"


def test_file_systems(t):
    assert t.sh("echo new > /etc/new && cat /etc/new && rm /etc/plain && ls /etc")[1] == "new\ngroup\nlink\nnew\npasswd\nup\n"
    assert os.path.exists(os.path.join(t.root, "etc/plain")) and not os.path.exists(os.path.join(t.root, "etc/new"))
    assert t.sh("echo x > /etc/new", spec=t.spec(read_only=True))[0] != 0
    assert t.sh("echo x > /tmp/new", spec=t.spec(read_only=True))[0] == 0
    _, out, _ = t.sh("ls -l /dev | grep '^c' | wc -l; readlink /dev/ptmx; echo $$ > /dev/null; stat -c %t:%T /dev/zero")
    assert out == "6\npts/ptmx\n1:5\n", out
    assert t.sh("echo 1 > /proc/sys/kernel/panic")[0] != 0
    assert t.sh("wc -c < /proc/version; ls /proc/tty", spec=t.spec(masked=["/proc/version", "/proc/tty"]))[1] == "0\n"
    spec = t.spec(mounts=MOUNTS + [mount(M_BIND, "/a/b/c", source="/etc/passwd", flags=RO)])
    code, out, _ = t.sh("head -n 1 /a/b/c; echo x > /a/b/c", spec=spec)
    assert code != 0 and out == "root:x:0:0:root:/root:/bin/sh\n", out


def test_hostile_links(t):
    """A target is looked up in the container's root, wherever the image's links point to."""
    assert not os.path.lexists(OUTSIDE)
    for link in HOSTILE_LINKS:
        spec = t.spec(mounts=MOUNTS + [mount(M_TMPFS, f"/etc/{link}/x")])
        reply = t.refused(t.host.create, t.name(), spec, ["true"])
        assert reply.code == 2 or reply.code == 20, reply  # dangling in the container
        spec = t.spec(mounts=[mount(M_TMPFS, "/tmp/uvm-agent-test-outside/x")] + MOUNTS[:1])
        assert t.sh(f"ls -d /etc/{link}/x", spec=spec)[1] == f"/etc/{link}/x\n"
    assert not os.path.lexists(OUTSIDE)


def test_bad_specs(t):
    reply = t.refused(t.host.create, t.name(), t.spec(mounts=[mount(M_TMPFS, "/x", options="nosuch=1")]), ["true"])
    assert reply.code == 22 and "nosuch" in reply.text, reply
    reply = t.refused(t.host.create, t.name(), container_spec("/no/such/dir"), ["true"])
    assert reply.code == 2
    reply = t.refused(t.host.create, t.name(), t.spec(sysctls=["kernel.panic=1"]), ["true"])
    assert reply.code == 1 and "kernel.panic" in reply.text or "kernel/panic" in reply.text, reply
    reply = t.refused(t.host.call, CREATE, b"\x01\x00\x00\x00cgarbage")
    assert reply.code == 74
    reply = t.refused(t.host.call, START, text("nosuch"))
    assert reply.code == 2
    reply = t.refused(t.host.call, 63)
    assert reply.code == 38
    name = t.name()
    process = t.host.create(name, t.spec(), ["true"], cwd="/no/where")
    reply = t.refused(t.host.call, START, text(name))
    assert reply.exit_code == 127 and reply.text.startswith("chdir to `/no/where`"), reply
    process.finish()
    t.host.delete(name)


def test_stdin(t):
    name = t.name()
    process = t.host.run(name, t.spec(), ["cat"], attach=STDIN | STDOUT)
    process.stream(0).sendall(b"hello\n")
    process.stream(0).shutdown(1)
    exit = t.host.end(name, process)
    assert exit.code == 0 and process.output[1] == b"hello\n"
    t.host.delete(name)


def test_unattached(t):
    name = t.name()
    process = t.host.run(name, t.spec(), ["sh", "-c", "readlink /proc/self/fd/0; echo gone"], attach=0)
    assert t.host.end(name, process).code == 0
    t.host.delete(name)


def test_bulk(t):
    """100 MB through stdin, cat and stdout, checked by hash on the way out."""
    name = t.name()
    process = t.host.process(STDIN | STDOUT)
    digest, sent = hashlib.sha256(), hashlib.sha256()
    count = 0

    def gather(which, connection):
        nonlocal count
        while True:
            data = connection.recv(1 << 20)
            if not data:
                return
            digest.update(data)
            count += len(data)

    process.gather = gather
    t.host.call(CREATE, text(name) + t.spec() + process_spec(process.token, ["cat"], attach=STDIN | STDOUT))
    t.host.call(START, text(name))
    block = os.urandom(1 << 20)
    for i in range(100):
        data = struct.pack("<I", i) + block[4:]
        sent.update(data)
        process.stream(0).sendall(data)
    process.stream(0).shutdown(1)
    exit = t.host.end(name, process)
    assert count == 100 << 20 and digest.digest() == sent.digest() and exit.stdout == count
    t.host.delete(name)


def test_slow_reader(t):
    """An exit waits for what was written before it, however slow the reader."""
    name = t.name()
    process = t.host.process(STDOUT)
    process.gather_from = lambda which: False
    t.host.call(CREATE, text(name) + t.spec() +
                process_spec(process.token, ["sh", "-c", "head -c 300000 /dev/zero"], attach=STDOUT))
    t.host.call(START, text(name))
    t.host.call(PING)
    assert (name, "") not in t.host.exits
    process.gather(1, process.stream(1))
    exit = t.host.end(name, process)
    assert exit.code == 0 and len(process.output[1]) == exit.stdout == 300000
    t.host.delete(name)


def test_reader_gone(t):
    """A reader that goes away doesn't stop the process, nor its exit."""
    name = t.name()
    process = t.host.process(STDOUT)
    process.gather_from = lambda which: False
    t.host.call(CREATE, text(name) + t.spec() +
                process_spec(process.token, ["sh", "-c", "head -c 10000000 /dev/zero; exit 3"], attach=STDOUT))
    t.host.call(START, text(name))
    process.stream(1).close()
    assert t.host.end(name, process).code == 3
    t.host.delete(name)


def with_container(function):
    """Runs @function(t, name) beside a container that sleeps."""
    def test(t):
        name = t.name()
        first = t.host.run(name, t.spec(), ["sleep", "1000"])
        function(t, name)
        t.host.signal(name, 9)
        exit = t.host.end(name, first)
        assert exit.code == 137 and exit.signal == 9
        while t.refused_delete(name):
            t.host.take()
    test.__name__, test.__doc__ = function.__name__, function.__doc__
    return test


@with_container
def test_exec(t, name):
    process = t.host.exec(name, "one", ["sh", "-c", "echo $$; cat /proc/1/cmdline | tr '\\0' ' '; hostname; exit 4"])
    exit = t.host.end(name, process, "one")
    assert exit.code == 4
    lines = process.output[1].decode().splitlines()
    assert int(lines[0]) > 1 and lines[1].startswith("sleep 1000"), lines
    reply = t.refused(t.host.exec, name, "two", ["nosuch"])
    assert reply.exit_code == 127 and reply.text.startswith("executable file `nosuch` not found in $PATH"), reply
    reply = t.refused(t.host.exec, name, "three", ["/etc/plain"])
    assert reply.exit_code == 126
    process = t.host.exec(name, "four", ["sleep", "1000"])
    t.refused(t.host.exec, name, "four", ["true"])
    t.host.signal(name, 15, "four")
    assert t.host.end(name, process, "four").code == 143
    assert t.refused(t.host.signal, name, 15, "four").code == 3


@with_container
def test_held_pipe(t, name):
    """A background child that keeps stdout delays nothing, and nothing written before is lost."""
    process = t.host.exec(name, "p", ["sh", "-c", "sleep 500 & echo before; exit 5"])
    exit = t.host.end(name, process, "p")
    assert exit.code == 5 and process.output[1] == b"before\n" and exit.stdout == 7


@with_container
def test_many_execs(t, name):
    for i in range(200):
        process = t.host.exec(name, f"p{i}", ["sh", "-c", f"echo out {i}; echo err {i} >&2; exit {i}"])
        exit = t.host.end(name, process, f"p{i}")
        assert exit.code == i
        assert process.output[1].decode() == f"out {i}\n" and process.output[2].decode() == f"err {i}\n"


@with_container
def test_link_break(t, name):
    """What happens while the link is down is told when it is up again, and nothing twice."""
    one = t.host.exec(name, "one", ["sh", "-c", "cat; exit 9"], attach=STDIN | STDOUT)
    t.host.acknowledge = False
    number = t.host.request(PING)
    t.host.control.close()
    one.stream(0).sendall(b"still here\n")
    one.stream(0).shutdown(1)
    hello = t.host.accept()
    t.host.acknowledge = True
    if hello["last_request"] < number:
        t.host.send(PING, number, b"")
    assert t.host.reply(number).code == 0
    exit = t.host.end(name, one, "one")
    assert exit.code == 9 and one.output[1] == b"still here\n"
    t.host.send(PING, number, b"")  # a repetition is dropped
    t.host.call(PING)
    assert not t.host.replies


def read_until(connection, wanted):
    data = b""
    connection.settimeout(LIMIT)
    while wanted not in data:
        more = connection.recv(4096)
        assert more, data
        data += more
    return data


def test_terminal(t):
    name = t.name()
    process = t.host.process(TTY)
    process.gather_from = lambda which: False
    t.host.call(CREATE, text(name) + t.spec() +
                process_spec(process.token, ["sh"], attach=TTY | STDIN | STDOUT, size=(24, 80)))
    t.host.call(START, text(name))
    tty = process.stream(3)
    tty.sendall(b"stty size; tty; ls -l /dev/console | cut -c1; echo T=$TERM; ps -o comm | head -n 2\n")
    assert b"T=xterm" in read_until(tty, b"\r\nCOMMAND")
    tty.sendall(b"trap 'stty size' WINCH; echo re''ady; read line\n")
    read_until(tty, b"ready")
    t.host.call(RESIZE, text(name) + text("") + struct.pack("<HH", 50, 132))
    read_until(tty, b"50 132")
    tty.sendall(b"\nsh -c \"echo slee''ping; sleep 1000\"\n")
    read_until(tty, b"sleeping")
    tty.sendall(b"\x03")
    tty.sendall(b"echo st''atus; seq 1 3000; exit 6\n")
    read_until(tty, b"status")
    process.gather(3, tty)
    exit = t.host.end(name, process)
    assert exit.code == 6 and process.output[3].endswith(b"3000\r\n"), process.output[3][-100:]
    t.host.delete(name)


@with_container
def test_terminal_exec(t, name):
    process = t.host.exec(name, "x", ["sh", "-c", "tty; echo done"], attach=TTY, user="user")
    exit = t.host.end(name, process, "x")
    assert exit.code == 0 and process.output[3].endswith(b"done\r\n") and exit.stdout == len(process.output[3])
    reply = t.refused(t.host.call, RESIZE, text(name) + text("") + struct.pack("<HH", 1, 1))
    assert reply.code == 25


@with_container
def test_signals(t, name):
    process = t.host.exec(name, "p", ["sh", "-c", "trap 'echo got; exit 8' USR1; echo ready; while :; do sleep 0.1; done"])
    while process.output[1] != b"ready\n":
        time.sleep(0.01)
    t.host.signal(name, signal.SIGUSR1, "p")
    exit = t.host.end(name, process, "p")
    assert exit.code == 8 and process.output[1] == b"ready\ngot\n"
    process = t.host.exec(name, "q", ["sleep", "1000"])
    t.host.signal(name, 0, "q")
    t.host.signal(name, 9, "q")
    exit = t.host.end(name, process, "q")
    assert exit.code == 137 and exit.signal == 9


@with_container
def test_stats_and_processes(t, name):
    reader = Reader(t.host.call(STATS, text("")))
    values = reader.get("17Q")
    assert values[15] > values[16] > 0
    t.host.call(STATS, text(name))
    process = t.host.exec(name, "p", ["sh", "-c", "sleep 1000; true"], user="user")
    rows = []
    while len(rows) < 3:  # the shell may not have started its child yet
        reader = Reader(t.host.call(PROCESSES, text(name)))
        rows = []
        for _ in range(reader.get("I")):
            pid, ppid, _, uid = reader.get("4I")
            user, state, tty = reader.text(), chr(reader.get("B")), reader.get("I")
            cpu, rss, size, age = reader.get("4Q")
            rows.append((pid, ppid, uid, user, reader.text()))
        assert reader.get("B") == 0
    assert rows[0][:4] == (1, 0, 0, b"root") and rows[0][4] == b"sleep 1000", rows
    assert (1000, b"user", b"sh -c sleep 1000; true") == rows[1][2:], rows
    t.host.signal(name, 9, "p")
    assert t.host.end(name, process, "p").code == 137


def test_created_and_killed(t):
    name = t.name()
    process = t.host.create(name, t.spec(), ["sleep", "1000"])
    assert t.refused(t.host.call, DELETE, text(name)).code == 16
    assert t.refused(t.host.exec, name, "x", ["true"]).code == 3
    t.host.signal(name, 9)
    assert t.host.end(name, process).code == 137
    t.host.delete(name)


def in_guest(function):
    """What needs a machine of its own: cgroup2, 9p."""
    function.in_guest = True
    return function


@in_guest
def test_limits_of_cgroups(t):
    spec = t.spec(limits=(16 << 20, 20, 0, 0, 50),
                  mounts=MOUNTS + [mount(M_CGROUP, "/sys/fs/cgroup", flags=RO | NOSUID | NODEV | NOEXEC)])
    _, out, _ = t.sh("cd /sys/fs/cgroup && cat memory.max pids.max cpu.weight; cat /proc/self/cgroup", spec=spec)
    assert out == f"{16 << 20}\n20\n50\n0::/\n", out
    code, _, err = t.sh("for i in $(seq 40); do sleep 5 & done", spec=spec)
    assert code != 0 and "fork" in err, err


@in_guest
def test_out_of_memory(t):
    name = t.name()
    process = t.host.run(name, t.spec(limits=(16 << 20, 0, 0, 0, 0)),
                         ["sh", "-c", "head -c 100000000 /dev/zero | tail; echo status $?; exit 3"])
    exit = t.host.end(name, process)
    assert exit.oom and exit.stdout == len(process.output[1]), exit.__dict__
    t.host.delete(name)
    kinds = [kind for kind, _ in t.host.others]
    assert OOM in kinds
    t.host.others.clear()


@in_guest
def test_devices(t):
    """Nodes can be made with MKNOD, but only the usual devices open."""
    caps = CAPS | 1 << 27
    code, out, err = t.sh("mknod /tmp/kmsg c 1 11; mknod /tmp/full c 1 7; cat /tmp/kmsg; "
                          "echo x > /tmp/full; head -c 3 /dev/urandom | wc -c",
                          caps=(caps,) * 3 + (0, 0), spec=t.spec(mounts=[
                              m for m in MOUNTS[:-1]] + [mount(M_TMPFS, "/tmp")]))
    assert "/tmp/kmsg': Operation not permitted" in err and "No space left" in err and out == "3\n", err


@in_guest
def test_shared_tag(t):
    """A tag that two containers use is mounted once, and again after both have gone."""
    for _ in range(3):
        names = [t.name(), t.name()]
        spec = t.spec(mounts=MOUNTS + [mount(M_9P, "/mnt", source="root", subpath="etc"),
                                       mount(M_9P, "/etc/hosts", source="root", subpath="etc/group", flags=RO)])
        processes = [t.host.run(name, spec, ["sh", "-c", "cat /mnt/plain; wc -l < /etc/hosts; cat > /dev/null"],
                                attach=STDIN | STDOUT) for name in names]
        for name, process in zip(names, processes):
            process.stream(0).shutdown(1)
            assert t.host.end(name, process).code == 0
            assert process.output[1] == b"no program\n3\n", process.output
            t.host.delete(name)


@in_guest
def test_group_stats(t):
    name = t.name()
    process = t.host.run(name, t.spec(limits=(64 << 20, 10, 0, 0, 0)),
                         ["sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done; echo; sleep 100"])
    while not process.output[1]:
        time.sleep(0.01)
    values = Reader(t.host.call(STATS, text(name))).get("17Q")
    assert values[0] > 1000 and values[3] > 4096 and values[5] == 64 << 20 and values[7] >= 1 and values[8] == 10, values
    t.host.signal(name, 9, everything=True)
    assert t.host.end(name, process).code == 137
    t.host.delete(name)


@in_guest
def test_own_groups(t):
    """A container that divides its own cgroup can still be entered."""
    name = t.name()
    spec = t.spec(mounts=MOUNTS + [mount(M_CGROUP, "/sys/fs/cgroup", flags=NOSUID | NODEV | NOEXEC)])
    first = t.host.run(name, spec, ["sh", "-c", "cd /sys/fs/cgroup && mkdir a && echo 1 > a/cgroup.procs && "
                                    "echo +pids > cgroup.subtree_control && echo ok; exec sleep 1000"])
    while first.output[1] != b"ok\n":
        assert not first.output[2], first.output[2]
        time.sleep(0.01)
    process = t.host.exec(name, "x", ["cat", "/proc/self/cgroup"])
    assert t.host.end(name, process, "x").code == 0 and process.output[1] == b"0::/a\n", process.output
    t.host.signal(name, 9, everything=True)
    assert t.host.end(name, first).code == 137
    t.host.delete(name)


@in_guest
def test_empty_slot(t):
    for kind in (PLUG, UNPLUG):
        reply = t.refused(t.host.call, kind, struct.pack("<I", 200))
        assert reply.code == 19, reply


def native(function):
    """What looks at the agent from beside it."""
    function.in_guest = False
    return function


@native
def test_leaks(t):
    """After all of that the agent has no more fds, children or mounts than at the start."""
    pid = t.agent.pid
    with open(f"/proc/{pid}/mountinfo") as file:
        assert t.work not in file.read()
    children = open(f"/proc/{pid}/task/{pid}/children").read().split()
    assert children == [], children
    fds = sorted(os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd"))
    assert len(fds) <= 6, fds


def test_shutdown(t):
    name = t.name()
    polite = t.host.run(name, t.spec(), ["sh", "-c", "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.1; done"])
    while polite.output[1] != b"up\n":
        time.sleep(0.01)
    t.host.call(SHUTDOWN, struct.pack("<Q", 60000000))
    exit = t.host.end(name, polite)
    assert exit.code == 0 and polite.output[1] == b"up\nbye\n"
    while not t.host.others:
        t.host.take()
    kind, payload = t.host.others.pop()
    assert kind == GOODBYE and payload[8] == 0
    assert t.agent.wait(LIMIT) == 0


TESTS = [test_hello, test_output_and_codes, test_not_found, test_environment, test_users, test_capabilities,
         test_limits, test_file_systems, test_hostile_links, test_bad_specs, test_stdin, test_unattached, test_bulk,
         test_slow_reader, test_reader_gone, test_exec, test_held_pipe, test_many_execs, test_link_break,
         test_terminal, test_terminal_exec, test_signals, test_stats_and_processes, test_created_and_killed,
         test_limits_of_cgroups, test_out_of_memory, test_devices, test_shared_tag, test_group_stats,
         test_own_groups, test_empty_slot, test_leaks, test_shutdown]


def missing(programs):
    if os.getuid() != 0 or not os.path.exists(BUSYBOX):
        return "needs root and busybox-static"
    if len(programs) == 2 and not (os.path.exists("/dev/kvm") and os.path.exists("/dev/vhost-vsock")):
        return "needs /dev/kvm and /dev/vhost-vsock"
    return None


def main():
    programs = [argument for argument in sys.argv[1:] if not argument.startswith("test_")]
    wanted = sys.argv[1 + len(programs):]
    if missing(programs):
        print("1..0 # SKIP", missing(programs))
        return 0
    chosen = [test for test in TESTS if test.__name__ in (wanted or [test.__name__])
              and getattr(test, "in_guest", len(programs) == 2) == (len(programs) == 2)]
    with tempfile.TemporaryDirectory() as work:
        t = Test([os.path.abspath(program) for program in programs], work)
        print(f"1..{len(chosen)}", flush=True)
        try:
            for i, test in enumerate(chosen, 1):
                start = time.monotonic()
                test(t)
                print(f"ok {i} {test.__name__} # {time.monotonic() - start:.2f} s", flush=True)
        finally:
            t.agent.kill()
            t.agent.wait()
            t.log.seek(0)
            for line in t.log:
                print("#", line, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
