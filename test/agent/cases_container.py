"""Containers: programs, users, rights, file systems, refusals."""

import os

from frame import *  # noqa: F403 pylint: disable=wildcard-import,unused-wildcard-import


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
    assert t.sh("echo new > /etc/new && cat /etc/new && rm /etc/plain && ls /etc")[1] == (
        "new\ngroup\nhosts\nlink\nnew\npasswd\nresolv.conf\nup\n")
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
