"""What needs a machine of its own: cgroup2, device rules, 9p, slots; and the end of either."""

import os
import struct
import time

from cases_mount import add, disk, is_clean, remove
from frame import *  # noqa: F403 pylint: disable=wildcard-import,unused-wildcard-import


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
def test_9p_options(t):
    """Access control lists where there is writing, locks that are tried again soon."""
    name = t.name()
    process = t.host.run(name, t.spec(), ["sleep", "1000"])
    add(t, name, mount(M_9P, "/mnt", source="extra", cache=1))
    _, out, _ = t.exec(name, "grep /mnt /proc/mounts")
    assert "mmap,access=client,posixacl,msize=512000" in out, out
    assert t.exec(name, "echo x > /mnt/file && cat /mnt/file")[1] == "x\n"
    assert os.path.exists(os.path.join(t.work, "extra", "file"))
    remove(t, name, "/mnt")
    add(t, name, mount(M_9P, "/mnt", source="extra", cache=2, flags=RO))  # a new session
    assert "posixacl" not in t.exec(name, "grep /mnt /proc/mounts")[1]
    # A namespace of the container's own that still holds the mount is found out.
    holder = t.host.exec(name, "holder", ["unshare", "-m", "sh", "-c", "echo; exec sleep 1000"],
                         caps=(CAPS | 1 << 21,) * 3 + (0, 0))
    while not holder.output[1]:
        time.sleep(0.01)
    reply = t.refused(remove, t, name, "/mnt")
    assert reply.code == 16 and "extra" in reply.text, reply
    t.host.signal(name, 9, "holder")
    t.host.end(name, holder, "holder")
    remove(t, name, "/mnt")
    t.kill(name, process)


@in_guest
def test_disks(t):
    """A disk as a node opens only where it was given, and while; a file system on it needs no such."""
    name = t.name()
    process = t.host.run(name, t.spec(), ["sleep", "1000"])
    read = "mknod /tmp/raw b $(sed 's/:/ /' /sys/block/vda/dev) 2> /dev/null; head -c 1 /tmp/raw | wc -c"
    caps = (CAPS | 1 << 27,) * 3 + (0, 0)
    t.host.call(MOUNT, text(name) + mount(M_TMPFS, "/tmp"))

    def readable():
        t.n += 1
        one = t.host.exec(name, f"r{t.n}", ["sh", "-c", read], caps=caps)
        t.host.end(name, one, f"r{t.n}")
        return one.output[1] == b"1\n"

    assert not readable()
    add(t, name, mount(M_BLOCK, "/data", source="disk0", fs="ext4"))
    assert t.exec(name, "echo kept > /data/file && cat /data/file")[1] == "kept\n" and not readable()
    remove(t, name, "/data")
    add(t, name, mount(M_DEVICE, "/dev/disk", source="disk0"))
    assert readable() and t.exec(name, "head -c 1 /dev/disk | wc -c")[1] == "1\n"
    remove(t, name, "/dev/disk")
    assert not readable()
    t.kill(name, process)
    spec = t.spec(mounts=MOUNTS + [mount(M_DEVICE, "/dev/disk", source="disk0")])
    assert t.sh("head -c 1 /dev/disk | wc -c", spec=spec)[1] == "1\n"


@in_guest
def test_layer_on_disk_over_9p(t):
    spec = t.spec(upper=2, upper_source="disk0")
    assert t.sh("echo new > /etc/new; rm /etc/plain; cat /etc/new", spec=spec)[1] == "new\n"
    assert t.sh("cat /etc/new; ls /etc", spec=spec)[1] == "new\ngroup\nhosts\nlink\nnew\npasswd\nresolv.conf\nup\n"


@in_guest
def test_group_stats(t):
    name = t.name()
    process = t.host.run(name, t.spec(limits=(64 << 20, 10, 0, 0, 0)),
                         ["sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done; echo; sleep 100"])
    while not process.output[1]:
        time.sleep(0.01)
    stats = stats_of(t.host.call(STATS, text(name)))
    assert stats["cpu"] > 1000 and stats["memory"] > 4096 and stats["memory_limit"] == 64 << 20, stats
    assert stats["pids"] >= 1 and stats["pids_limit"] == 10, stats
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


@in_guest
def test_unplug(t):
    """A device that is mounted isn't unbound, one that was can be bound and mounted again."""
    name = t.name()
    process = t.host.run(name, t.spec(), ["sleep", "1000"])
    for found, mounted in (("*/mount_tag", mount(M_9P, "/mnt", source="extra")),
                           ("*/block/*/serial", mount(M_BLOCK, "/mnt", source="disk0", fs="ext4"))):
        path = t.exec(name, f"grep -lE 'extra|disk0' /sys/bus/platform/devices/virtio-mmio.*/virtio{found}")[1]
        slot = struct.pack("<I", int(path.split("virtio-mmio.")[1].split("/")[0]))
        for _ in range(2):
            add(t, name, mounted)
            assert t.refused(t.host.call, UNPLUG, slot).code == 16
            remove(t, name, "/mnt")
            t.host.call(UNPLUG, slot)
            t.host.call(UNPLUG, slot)  # as one would whose first answer came too late
            assert t.refused(add, t, name, mounted).code in (2, 19)
            t.host.call(PLUG, slot)
    t.kill(name, process)


@native
def test_leaks(t):
    """After all of that the agent has no more fds, children or mounts than at the start."""
    t.host.call(PING)  # what the agent does behind its last reply has been done then
    pid = t.agent.pid
    with open(f"/proc/{pid}/mountinfo") as file:
        assert t.work not in file.read()
    children = open(f"/proc/{pid}/task/{pid}/children").read().split()
    assert children == [], children
    fds = sorted(os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd"))
    assert len(fds) <= 6, fds


def test_shutdown(t):
    """What lies on a disk is unmounted before the goodbye."""
    if t.guest:
        end(t, t.spec(upper=2, upper_source="disk0"))
        assert is_clean(os.path.join(t.work, "disk0.img"))
        return
    with disk(t, "last") as device:
        end(t, t.spec(upper=2, upper_source="last"))
        assert is_clean(device)


def end(t, spec):
    waiting, name = t.name(), t.name()
    process = t.host.create(waiting, t.spec(), ["sleep", "1000"])
    polite = t.host.run(name, spec, ["sh", "-c", "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.1; done"])
    while polite.output[1] != b"up\n":
        time.sleep(0.01)
    t.host.call(SHUTDOWN, struct.pack("<Q", 60000000))
    exit = t.host.end(name, polite)
    assert exit.code == 0 and polite.output[1] == b"up\nbye\n"
    assert t.host.end(waiting, process).code == 137  # at once: it has no program to be asked
    while not t.host.others:
        t.host.take()
    kind, payload = t.host.others.pop()
    assert kind == GOODBYE and payload[8] == 0
    assert t.agent.wait(LIMIT) == 0
