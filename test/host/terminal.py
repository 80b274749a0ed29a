"""A terminal with a program on it, for scenarios: what a person would type and see."""

import fcntl
import os
import re
import select
import signal
import struct
import sys
import termios
import time

LIMIT_SECONDS = 180  # only bounds a failure


def fail(text):
    print("FAILED: " + text, flush=True)
    sys.exit(1)


def note(text):
    print("- " + text, flush=True)


class Terminal:
    """Holds both ends, so that the terminal's state can be read when the program is gone."""

    def __init__(self, *command, rows=24, columns=80):
        self.name = " ".join(command)
        self.seen = ""
        self.master, self.slave = os.openpty()
        self.resize(rows, columns)
        self.modes_before = self.modes()
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)
            for fd in range(3):
                os.dup2(self.slave, fd)
            os.closerange(3, 256)
            os.execvp(command[0], command)
        self.exit = os.pidfd_open(self.pid)

    def modes(self):
        return termios.tcgetattr(self.slave)

    def resize(self, rows, columns):
        """The kernel sends SIGWINCH to who is in the foreground."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.master, text.encode())

    def line(self, text):
        self.type(text + "\r")

    def _read(self, end):
        """Whatever comes next into `seen`; False once the program has ended and all is read."""
        ready, _, _ = select.select([self.master, self.exit], [], [], max(0, end - time.monotonic()))
        if self.master in ready:
            self.seen += os.read(self.master, 65536).decode(errors="replace")
        elif not ready:
            fail("%s: nothing came for %d s after %r" % (self.name, LIMIT_SECONDS, self.seen))
        return self.master in ready

    def expect(self, pattern):
        """Reads until `pattern` was printed; what was before it is forgotten."""
        end = time.monotonic() + LIMIT_SECONDS
        while True:
            match = re.search(pattern, self.seen)
            if match:
                self.seen = self.seen[match.end():]
                return match
            if not self._read(end):
                fail("%s ended without %r after %r" % (self.name, pattern, self.seen))

    def wait(self, expected):
        """Until the program has ended; its exit code, and the terminal as it was before."""
        end = time.monotonic() + LIMIT_SECONDS
        while self._read(end):
            pass
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        if code != expected:
            fail("%s exited %d, not %d, after %r" % (self.name, code, expected, self.seen))
        if self.modes() != self.modes_before:
            fail("%s left the terminal in another state" % self.name)
        for fd in (self.master, self.slave, self.exit):
            os.close(fd)
        return self.seen

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
