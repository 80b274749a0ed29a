"""Mounts that come and go in a container that is there, disks, and writable layers on disks."""

import contextlib
import os
import stat
import subprocess

from frame import *  # noqa: F403 pylint: disable=wildcard-import,unused-wildcard-import

BLOCK_LAYER = 2


def add(t, name, mounted):
    t.host.call(MOUNT, text(name) + mounted)


def remove(t, name, target):
    t.host.call(UNMOUNT, text(name) + text(target))


def mounted(t):
    """What the agent itself has mounted below its state directory."""
    with open(f"/proc/{t.agent.pid}/mountinfo") as file:
        return [line.split()[4].split("/state/")[1] for line in file if "/state/" in line.split()[4]]


@contextlib.contextmanager
def disk(t, serial, size=16 << 20, form=True):
    """A loop device that the agent finds as the disk @serial: its path."""
    image = os.path.join(t.work, serial + ".img")
    with open(image, "wb") as file:
        file.truncate(size)
    if form:
        subprocess.run(["mke2fs", "-q", "-t", "ext4", image], check=True)
    device = subprocess.check_output(["losetup", "-f", "--show", image], text=True).strip()
    listed = os.path.join(t.work, "disks", os.path.basename(device))
    os.makedirs(listed)
    with open(os.path.join(listed, "serial"), "w") as file:
        file.write(serial)
    try:
        yield device
    finally:
        os.unlink(os.path.join(listed, "serial"))
        os.rmdir(listed)
        subprocess.run(["losetup", "-d", device], check=True)
        os.unlink(image)


def is_clean(device):
    """Nobody has it mounted, and its file system needs no repair."""
    os.close(os.open(device, os.O_RDONLY | os.O_EXCL))
    state = subprocess.run(["e2fsck", "-n", "-f", device], capture_output=True, text=True, check=False)
    assert "recovering journal" not in state.stdout, state.stdout
    return state.returncode == 0


@native
@with_container
def test_mount_and_unmount(t, name):
    add(t, name, mount(M_TMPFS, "/new/a/b", options="size=1m,mode=0700", flags=NOEXEC))
    assert "tmpfs /new/a/b tmpfs rw,noexec," in t.exec(name, "cat /proc/mounts")[1]
    add(t, name, mount(M_BIND, "/new/passwd", source="/etc/passwd", flags=RO))
    code, out, _ = t.exec(name, "head -n 1 /new/passwd; echo x > /new/passwd")
    assert code != 0 and out == "root:x:0:0:root:/root:/bin/sh\n", out
    busy = t.host.exec(name, "busy", ["sh", "-c", "cd /new/a/b; echo; exec sleep 1000"])
    while not busy.output[1]:
        time.sleep(0.01)
    reply = t.refused(remove, t, name, "/new/a/b")
    assert reply.code == 16 and "/new/a/b" in reply.text, reply
    t.host.signal(name, 9, "busy")
    t.host.end(name, busy, "busy")
    remove(t, name, "/new/a/b")
    remove(t, name, "/new/passwd")
    assert "/new" not in t.exec(name, "cat /proc/mounts")[1]
    assert t.refused(remove, t, name, "/new/a/b").code == 2
    assert t.refused(remove, t, name, "/new").code == 2
    # What the specification has mounted goes as well; of two at one place the upper one first.
    remove(t, name, "/tmp")
    for size in "12":
        add(t, name, mount(M_TMPFS, "/two", options=f"size={size}m"))
    remove(t, name, "/two")
    assert "size=1024k" in t.exec(name, "grep two /proc/mounts")[1]


@native
@with_container
def test_mount_refusals(t, name):
    for kind in (M_PROC, M_SYSFS, M_DEV, M_DEVPTS, M_MQUEUE, M_CGROUP):
        assert t.refused(add, t, name, mount(kind, "/x")).code == 95
    assert t.refused(add, t, name, mount(M_TMPFS, "x")).code == 22
    reply = t.refused(add, t, name, mount(M_TMPFS, "/x", options="nosuch=1"))
    assert reply.code == 22 and "nosuch" in reply.text, reply
    assert t.refused(add, t, name, mount(M_BIND, "/x", source="/no/where")).code == 2
    for kind in (M_BLOCK, M_DEVICE):
        reply = t.refused(add, t, name, mount(kind, "/x", source="nosuch", fs="ext4"))
        assert reply.code == 19 and "nosuch" in reply.text, reply
    assert t.refused(add, t, name, mount(M_9P, "/x", source="../root")).code == 22
    assert t.refused(add, t, "nosuch", mount(M_TMPFS, "/x")).code == 2
    assert t.refused(t.host.call, MOUNT, text(name)).code == 74
    assert mounted(t) == []
    for link in HOSTILE_LINKS:
        assert t.refused(add, t, name, mount(M_TMPFS, f"/etc/{link}/x")).code in (2, 20)
    assert not os.path.lexists(OUTSIDE)


@native
def test_mount_before_start(t):
    """A container that waits to be started can be mounted on, one that has ended can't."""
    name = t.name()
    process = t.host.create(name, t.spec(), ["sh", "-c", "touch /late/x && grep -c late /proc/mounts"])
    add(t, name, mount(M_TMPFS, "/late"))
    t.host.call(START, text(name))
    assert t.host.end(name, process).code == 0 and process.output[1] == b"1\n"
    assert t.refused(add, t, name, mount(M_TMPFS, "/later")).code == 3
    t.host.delete(name)


def stand_in(t, tag):
    """A tmpfs in the place of a 9p device that is mounted already."""
    path = os.path.join(t.work, "state", "shares", tag)
    t.in_agent("sh", "-c", f"mkdir {path} && mount -t tmpfs {tag} {path} && mkdir -p {path}/sub/deep && "
               f"echo hello > {path}/sub/deep/file")


@native
def test_shared_devices(t):
    """A device is mounted as long as a mount of any container uses it, and not longer."""
    stand_in(t, "binds")
    names = [t.name(), t.name()]
    spec = t.spec(mounts=MOUNTS + [mount(M_9P, "/one", source="binds", subpath="sub/deep")])
    processes = [t.host.run(name, spec, ["sleep", "1000"]) for name in names]
    add(t, names[0], mount(M_9P, "/etc/file", source="binds", subpath="sub/deep/file", flags=RO))
    assert t.exec(names[0], "cat /etc/file /one/file")[1] == "hello\nhello\n"
    add(t, names[0], mount(M_9P, "/up", source="binds", subpath="../.."))  # is the device's root
    assert t.exec(names[0], "ls /up")[1] == "sub\n"
    remove(t, names[0], "/up")
    remove(t, names[0], "/one")
    remove(t, names[0], "/etc/file")
    assert mounted(t) == ["shares/binds"]
    assert t.exec(names[1], "cat /one/file")[1] == "hello\n"
    remove(t, names[1], "/one")
    assert mounted(t) == []
    # A mount that fails leaves nothing either.
    stand_in(t, "binds")
    assert t.refused(add, t, names[0], mount(M_9P, "/x", source="binds", subpath="nosuch")).code == 2
    add(t, names[0], mount(M_TMPFS, "/y"))  # waits for the unmounting
    assert mounted(t) == []
    # Nor does a container that is deleted.
    stand_in(t, "binds")
    add(t, names[0], mount(M_9P, "/z", source="binds"))
    for name, process in zip(names, processes):
        t.kill(name, process)
    assert mounted(t) == []


@native
def test_self_unmounted(t):
    """A container that takes its mounts off by itself, or hides them, doesn't keep the device."""
    stand_in(t, "m1")
    name = t.name()
    process = t.host.run(name, t.spec(), ["sleep", "1000"], caps=(CAPS | 1 << 21,) * 3 + (0, 0))
    add(t, name, mount(M_9P, "/gone", source="m1"))
    t.in_agent("nsenter", "-t", t.in_agent("cat", f"/proc/{t.agent.pid}/task/{t.agent.pid}/children").split()[0],
               "-m", "umount", "/gone")
    remove(t, name, "/gone")
    assert mounted(t) == []
    t.kill(name, process)


@native
def test_disk(t):
    with disk(t, "disk0") as device:
        name = t.name()
        process = t.host.run(name, t.spec(), ["sleep", "1000"])
        add(t, name, mount(M_BLOCK, "/data", source="disk0", fs="ext4", options="commit=1", flags=NODEV))
        code, out, err = t.exec(name, "echo kept > /data/file && mkdir /data/sub && dd if=/dev/zero of=/data/big bs=64k count=2000")
        assert code != 0 and "No space left" in err, err
        add(t, name, mount(M_BLOCK, "/again", source="disk0", fs="ext4", subpath="sub", flags=RO))
        assert t.exec(name, "touch /again/x")[0] != 0 and t.exec(name, "touch /data/sub/x")[0] == 0
        remove(t, name, "/data")
        assert t.exec(name, "ls /again")[1] == "x\n"
        remove(t, name, "/again")
        assert mounted(t) == [] and is_clean(device)
        reply = t.refused(add, t, name, mount(M_BLOCK, "/data", source="disk0", fs="nosuch"))
        assert reply.code == 19, reply
        assert t.refused(add, t, name, mount(M_BLOCK, "/data", source="disk0")).code == 22
        # And by a specification, until the container is deleted.
        t.kill(name, process)
        spec = t.spec(mounts=MOUNTS + [mount(M_BLOCK, "/data", source="disk0", fs="ext4")])
        assert t.sh("cat /data/file; rm /data/big", spec=spec)[1] == "kept\n"
        assert mounted(t) == [] and is_clean(device)


@native
def test_device_node(t):
    with disk(t, "disk1", form=False) as device:
        spec = t.spec(mounts=MOUNTS + [mount(M_DEVICE, "/dev/disks/first", source="disk1")])
        name = t.name()
        process = t.host.run(name, spec, ["sleep", "1000"])
        assert t.exec(name, "stat -c '%F %a %u:%g' /dev/disks/first")[1] == "block special file 660 0:6\n"
        add(t, name, mount(M_DEVICE, "/dev/second", source="disk1"))
        assert t.exec(name, "echo hello | dd of=/dev/second conv=fsync && head -c 6 /dev/disks/first")[1] == "hello\n"
        with open(device, "rb") as file:
            assert file.read(6) == b"hello\n"
        remove(t, name, "/dev/second")
        assert t.exec(name, "ls /dev/second /dev/disks")[1] == "/dev/disks:\nfirst\n"
        t.refused(add, t, name, mount(M_DEVICE, "/etc/passwd", source="disk1"))
        t.kill(name, process)


@native
def test_layer_on_disk(t):
    """The writable layer outlives the container, and looks like the root it lies over."""
    os.chmod(t.root, 0o751)
    with disk(t, "root-0") as device:
        spec = t.spec(upper=BLOCK_LAYER, upper_source="root-0")
        assert t.sh("echo kept > /etc/new; rm /etc/plain; mkdir /d; chmod 700 /d; stat -c %a /", spec=spec)[1] == "751\n"
        assert mounted(t) == [] and is_clean(device)
        code, out, _ = t.sh("cat /etc/new; ls /etc; stat -c %a /d; cd / && cat etc/passwd > /dev/null", spec=spec)
        assert code == 0 and out == "kept\ngroup\nhosts\nlink\nnew\npasswd\nresolv.conf\nup\n700\n", out
        code, _, err = t.sh("dd if=/dev/zero of=/big bs=64k count=2000", spec=spec)
        assert code != 0 and "No space left" in err, err
        # An end in the middle: what was synchronised is there, and the stale work directory is no hindrance.
        name = t.name()
        process = t.host.run(name, spec, ["sh", "-c", "rm /big; echo late > /etc/late; sync; echo; exec sleep 1000"])
        while not process.output[1]:
            time.sleep(0.01)
        copy = os.path.join(t.work, "copy.img")
        subprocess.run(["cp", "--sparse=always", os.path.join(t.work, "root-0.img"), copy], check=True)
        t.kill(name, process)
        assert is_clean(device)
        subprocess.run(["cp", copy, os.path.join(t.work, "root-0.img")], check=True)
        assert t.sh("cat /etc/new /etc/late", spec=spec)[1] == "kept\nlate\n"
        os.unlink(copy)
        assert is_clean(device)
    os.chmod(t.root, 0o755)
    reply = t.refused(t.host.create, t.name(), spec, ["true"])
    assert reply.code == 19 and "root-0" in reply.text, reply
    assert mounted(t) == []
