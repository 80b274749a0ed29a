"""RESOLVER: /etc/hosts and /etc/resolv.conf of containers, of those that run too."""

import contextlib
import os
import struct

from frame import *  # noqa: F403 pylint: disable=wildcard-import,unused-wildcard-import

LOCAL = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
OWN = "127.0.1.1\tbox\n"
READ = "cat /etc/hosts; echo --; cat /etc/resolv.conf"


def tell(t, nameservers=(), search=(), options=(), hosts=()):
    t.host.call(RESOLVER, texts(nameservers) + texts(search) + texts(options) + texts(hosts))


def names(t, script=READ, **options):
    code, out, err = t.sh(script, **options)
    assert code == 0, err
    return tuple(out.split("--\n"))


@contextlib.contextmanager
def image_with(t, **files):
    """The image has these files, or links, in /etc."""
    paths = []
    for name, contents in files.items():
        paths.append(os.path.join(t.root, "etc", name.replace("_", ".")))
        if contents.startswith("-> "):
            os.symlink(contents[3:], paths[-1])
        else:
            with open(paths[-1], "w") as file:
                file.write(contents)
    try:
        yield
    finally:
        for path in paths:
            os.unlink(path)


@native
def test_names_untold(t):
    """localhost and the own name without a word from the host; resolv.conf as the image has it."""
    assert names(t) == (LOCAL + OWN, "")
    with image_with(t, hosts="192.0.2.9 image\n", resolv_conf="nameserver 192.0.2.9\n"):
        assert names(t) == (LOCAL + OWN, "nameserver 192.0.2.9\n")
    with image_with(t, resolv_conf="-> /proc/self/environ"):
        assert names(t)[0] == LOCAL + OWN


@native
def test_names_told(t):
    """At once, and again, to those that run and those that come; what a container has written goes."""
    name = t.name()
    process = t.host.run(name, t.spec(), ["sleep", "1000"])
    assert t.exec(name, "echo own > /etc/resolv.conf; echo mine >> /etc/hosts; cat /etc/resolv.conf")[1] == "own\n"
    tell(t, ["192.0.2.53", "2001:db8::53"], ["a.example", "b.example"], ["ndots:2", "edns0"],
         ["192.0.2.1\tother one", "192.0.2.5 box # me"])
    told = (LOCAL + "192.0.2.1\tother one\n192.0.2.5 box # me\n",
            "search a.example b.example\nnameserver 192.0.2.53\nnameserver 2001:db8::53\noptions ndots:2 edns0\n")
    assert tuple(t.exec(name, READ)[1].split("--\n")) == told, t.exec(name, READ)
    with image_with(t, hosts="192.0.2.9 image\n", resolv_conf="nameserver 192.0.2.9\n"):
        assert names(t) == told
    with image_with(t, resolv_conf="-> ../run/resolve/stub.conf", hosts="-> hosts.d"):
        assert names(t) == told
        assert names(t, "cat /run/resolve/stub.conf") == told[1:]
    tell(t, hosts=["192.0.2.2 boxer"])
    assert tuple(t.exec(name, READ)[1].split("--\n")) == (LOCAL + "192.0.2.2 boxer\n" + OWN, "")
    tell(t)
    assert tuple(t.exec(name, READ)[1].split("--\n")) == (LOCAL + OWN, "")
    t.kill(name, process)
    assert name not in os.listdir(os.path.join(t.work, "state", "names"))


@native
def test_names_of_its_own(t):
    """A mount, a network, a root of its own; a read-only one."""
    tell(t, ["192.0.2.53"], hosts=["192.0.2.1 other"])
    ours = (LOCAL + "192.0.2.1 other\n" + OWN, "nameserver 192.0.2.53\n")
    bind = mount(M_BIND, "/etc/hosts", source="/etc/plain")
    assert names(t, spec=t.spec(mounts=MOUNTS + [bind])) == ("no program\n", ours[1])
    whole = mount(M_TMPFS, "/etc//")
    assert t.sh("ls /etc", spec=t.spec(mounts=MOUNTS + [whole]))[1] == ""
    assert names(t, "cat /etc/hosts; ls /etc", spec=t.spec(namespaces=NS_PID | NS_UTS | NS_NET)) == (
        LOCAL + OWN + "group\nhosts\nlink\npasswd\nplain\nup\n",)
    assert names(t, spec=t.spec(read_only=True)) == ours
    assert t.sh("echo x > /etc/hosts", spec=t.spec(read_only=True))[0] == 1
    # A directory of the host's as it is isn't written to.
    code, out, _ = t.sh("ls /etc/hosts /etc/resolv.conf", spec=t.spec(upper=0))
    assert code == 1 and out == "" and not os.path.exists(os.path.join(t.root, "etc/hosts"))
    flags = t.sh("grep -c 'nosuid,nodev,noexec.* [/]etc/hosts\\|/etc/hosts.*nosuid,nodev,noexec' /proc/self/mountinfo")
    assert flags[1] == "1\n", flags
    with image_with(t, hosts="-> /proc/1/exe", resolv_conf="-> resolv.conf"):
        assert names(t, "echo fine") == ("fine\n",)
    tell(t)


@native
def test_names_are_no_change(t):
    """What the agent makes to mount on is none of the container's changes."""
    name = t.name()
    process = t.host.run(name, t.spec(), ["sleep", "1000"])
    t.exec(name, "echo x > /etc/new")
    changes = t.host.call(DIFF, text(name) + struct.pack("<I", 0))
    assert b"/etc/new" in changes and b"/etc/hosts" not in changes and b"resolv" not in changes, changes
    t.kill(name, process)


@native
def test_names_refused(t):
    for bad in ("192.0.2.1\nnameserver 192.0.2.66", "192.0.2.1\x1b"):
        assert t.refused(tell, t, [bad]).code == 22
    assert names(t) == (LOCAL + OWN, "")
