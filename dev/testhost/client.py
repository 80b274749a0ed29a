"""The caller's end of the test host's agent: agent.c describes the frames."""

import errno
import os
import select
import signal
import socket
import struct
import sys
import termios
import time
import tty

INPUT_WINDOW = 262144
CHUNK = 32768


class HostGone(Exception):
    """The test host did not answer, or went away in the middle."""


class ReaderGone(Exception):
    """Nobody reads our output any more."""


def connect(port, token, timeout=10.0):
    """A trusted connection. Raises OSError when nobody listens."""
    sock = socket.create_connection(("127.0.0.1", port), timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(frame(b"k", token))
    return sock


def frame(kind, payload=b""):
    return kind + struct.pack("<I", len(payload)) + payload


def strings(items):
    return b"".join(os.fsencode(item) + b"\0" for item in items)


def clock():
    """What a restored host is told: the time, and entropy of its own."""
    return frame(b"t", struct.pack("<Q", time.time_ns()) + os.urandom(32))


def terminal_size(fd):
    try:
        size = os.get_terminal_size(fd)
        return struct.pack("<HH", size.lines, size.columns)
    except OSError:
        return struct.pack("<HH", 24, 80)


def write_all(fd, data):
    """Blocking write, also when somebody left O_NONBLOCK on our output."""
    while data:
        try:
            data = data[os.write(fd, data):]
        except BlockingIOError:
            select.select([], [fd], [])
        except BrokenPipeError:
            raise ReaderGone from None


class Run:
    """One command in the test host, wired to our own standard streams (or to given ones)."""

    def __init__(self, sock, argv, env=(), cwd=None, terminal=False, preamble=b""):
        self.sock = sock
        self.terminal = terminal
        self.window = INPUT_WINDOW
        self.buffer = b""
        self.interrupts = 0
        request = preamble + frame(b"a", strings(argv))
        if env:
            request += frame(b"v", strings("%s=%s" % pair for pair in dict(env).items()))
        if cwd:
            request += frame(b"d", os.fsencode(cwd))
        if terminal:
            request += frame(b"p", terminal_size(0))
        sock.settimeout(None)
        sock.sendall(request + frame(b"g"))

    def communicate(self, stdin=None, on_output=None, on_error=None):
        """Copies until the command ends; returns its exit code."""
        on_output = on_output or (lambda data: write_all(1, data))
        on_error = on_error or (lambda data: write_all(2, data))
        wakeup, restore = self.catch_signals()
        if stdin is None:
            self.sock.sendall(frame(b"i"))
        try:
            while True:
                poll = select.poll()
                poll.register(self.sock, select.POLLIN)
                poll.register(wakeup, select.POLLIN)
                if stdin is not None and self.window > 0:
                    poll.register(stdin, select.POLLIN)
                for fd, _ in poll.poll():
                    if fd == wakeup:
                        self.signals(os.read(wakeup, 64))
                    elif fd == stdin:
                        stdin = self.send_input(stdin)
                    else:
                        code = self.receive(on_output, on_error)
                        if code is not None:
                            return code
        finally:
            restore()
            self.sock.close()

    def send_input(self, fd):
        try:
            data = os.read(fd, min(CHUNK, self.window))
        except BlockingIOError:
            return fd
        except OSError as error:
            if error.errno not in (errno.EIO, errno.EISDIR):
                raise
            data = b""
        self.window -= len(data)
        self.sock.sendall(frame(b"i", data))
        return fd if data else None

    def receive(self, on_output, on_error):
        data = self.sock.recv(1 << 18)
        if not data:
            raise HostGone("the test host closed the connection")
        self.buffer += data
        while len(self.buffer) >= 5:
            kind, length = self.buffer[:1], struct.unpack_from("<I", self.buffer, 1)[0]
            if len(self.buffer) < 5 + length:
                break
            payload, self.buffer = self.buffer[5:5 + length], self.buffer[5 + length:]
            if kind == b"o":
                on_output(payload)
            elif kind == b"e":
                on_error(payload)
            elif kind == b"c":
                self.window += struct.unpack("<I", payload)[0]
            elif kind == b"x":
                return struct.unpack("<I", payload)[0]
            elif kind == b"f":
                raise HostGone(payload.decode())
        return None

    def signals(self, numbers):
        for number in numbers:
            if number == signal.SIGWINCH:
                self.sock.sendall(frame(b"w", terminal_size(0)))
                continue
            if number == signal.SIGINT:
                self.interrupts += 1
            if self.interrupts > 2:
                raise KeyboardInterrupt
            self.sock.sendall(frame(b"s", bytes([number])))

    def catch_signals(self):
        """Signals arrive as bytes on a pipe; returns its end and what undoes it all."""
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        wanted = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT]
        if self.terminal:
            wanted.append(signal.SIGWINCH)
        old = {number: signal.signal(number, lambda *_: None) for number in wanted}
        old_wakeup = signal.set_wakeup_fd(writer)
        modes = None
        if self.terminal and os.isatty(0):
            modes = termios.tcgetattr(0)
            tty.setraw(0)

        def restore():
            if modes:
                termios.tcsetattr(0, termios.TCSADRAIN, modes)
            signal.set_wakeup_fd(old_wakeup)
            for number, handler in old.items():
                signal.signal(number, handler)
            os.close(reader)
            os.close(writer)

        return reader, restore


def capture(sock, argv, preamble=b"", **keywords):
    """Runs argv without input; returns (exit code, output and errors together)."""
    output = []
    code = Run(sock, argv, preamble=preamble, **keywords).communicate(
        on_output=output.append, on_error=output.append)
    return code, b"".join(output).decode(errors="replace")


def say(text):
    print("==> " + text, file=sys.stderr, flush=True)
