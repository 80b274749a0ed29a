"""What the cases share: an agent to talk to, a root file system, ways to run containers."""

import os
import shutil
import struct
import subprocess
import time

from host import *  # noqa: F403 pylint: disable=wildcard-import,unused-wildcard-import

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
            os.mkdir(os.path.join(work, "extra"))
            disk = os.path.join(work, "disk0.img")
            with open(disk, "wb") as file:
                file.truncate(64 << 20)
            subprocess.run(["mke2fs", "-q", "-t", "ext4", disk], check=True)
            self.agent = start_guest(*programs, work, self.log)
        else:
            self.agent = start_agent(*programs, work, os.path.join(work, "state"), self.log)
        self.hello = self.host.accept()
        self.n = 0

    def spec(self, **options):
        if self.guest:
            return container_spec("root", kind=M_9P, cache=2, **options)
        return container_spec(self.root, **options)

    def exec(self, name, script):
        """Runs a script in a container: (exit code, stdout, stderr)."""
        self.n += 1
        process = self.host.exec(name, f"x{self.n}", ["sh", "-c", script])
        exit = self.host.end(name, process, f"x{self.n}")
        return exit.code, process.output[1].decode(errors="surrogateescape"), process.output[2].decode()

    def kill(self, name, process):
        """Ends a container and deletes it."""
        self.host.signal(name, 9)
        self.host.end(name, process)
        while self.refused_delete(name):
            self.host.take()

    def in_agent(self, *command):
        """Runs a command in the agent's mount namespace."""
        return subprocess.run(["nsenter", "-t", str(self.agent.pid), "-m", *command], check=True,
                              capture_output=True, text=True).stdout

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

    def refused_delete(self, name):
        """True while exits of the container have still to be told."""
        try:
            self.host.delete(name)
        except Reply as reply:
            assert reply.code == 16, reply
            return True
        return False


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


def in_guest(function):
    """What needs a machine of its own: cgroup2, 9p."""
    function.in_guest = True
    return function


def native(function):
    """What looks at the agent from beside it."""
    function.in_guest = False
    return function
