"""Processes: streams, exec, terminals, signals, a link that breaks."""

import hashlib
import os
import signal
import struct
import time

from frame import *  # noqa: F403 pylint: disable=wildcard-import,unused-wildcard-import


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
    # A slow host, which says so by its time scale, gets a quarter: half a second each there.
    for i in range(200 if os.environ.get("UVM_TIME_SCALE", "1") == "1" else 50):
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
    stats = stats_of(t.host.call(STATS, text("")))
    assert stats["mem_total"] > stats["mem_available"] > 0, stats
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
