"""What is done to the machine or a running container's limits: CPUS, SET_TIME, UPDATE, STATS of it all."""

import os
import struct
import time

from frame import *  # noqa: F403 pylint: disable=wildcard-import,unused-wildcard-import


def cpu(t, number):
    with open(os.path.join(t.work, "cpus", f"cpu{number}", "online")) as file:
        return file.read()


@native
def test_cpus(t):
    """Up in order and down from the highest, up to one that won't; the kernel's list is the answer."""
    ask = lambda n: struct.pack("<I", n)  # noqa: E731
    assert t.host.call(CPUS, ask(3)) == ask(2) and cpu(t, 1) == cpu(t, 2) == "1"  # the list is not a kernel's
    reply = t.refused(t.host.call, CPUS, ask(5))  # cpu3 is broken and there is no cpu4
    assert reply.code == 2 and "CPU 3" in reply.text and reply.payload == ask(2), reply
    with open(os.path.join(t.work, "cpus", "online"), "w") as file:
        file.write("0,2\n")
    assert t.host.call(CPUS, ask(1)) == ask(2) and cpu(t, 1) == cpu(t, 2) == "0"
    assert stats_of(t.host.call(STATS, text("")))["cpus"] == 2
    for number in (0, 257):
        assert t.refused(t.host.call, CPUS, ask(number)).code == 74
    assert t.host.call(CPUS, ask(2)) == ask(2) and cpu(t, 1) == "1" and cpu(t, 2) == "0"


@native
def test_time_is_left_alone(t):
    """This machine's clock is not the guest's."""
    before = time.time()
    t.host.call(SET_TIME, struct.pack("<Q", 1000000))
    assert time.time() >= before


@native
def test_update_without_cgroups(t):
    name = t.name()
    process = t.host.run(name, t.spec(), ["sleep", "1000"])
    assert t.refused(t.host.call, UPDATE, text("nobody") + limits_of()).code == 2
    if not os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        assert t.refused(t.host.call, UPDATE, text(name) + limits_of(pids=5)).code == 95
    t.kill(name, process)


@in_guest
def test_time_is_set(t):
    """To what the host says, and back."""
    now = time.time()
    for moment in (now - 86400, now):
        t.host.call(SET_TIME, struct.pack("<Q", int(moment * 1000000)))
        _, out, _ = t.sh("date +%s")
        assert abs(int(out) - moment) < 30, (out, moment)


FILES = "memory.max memory.high memory.low pids.max cpu.max cpu.weight cpuset.cpus io.weight io.max"


@in_guest
def test_update(t):
    """Limits of a running container come and go, those of disks too; CREATE sets the same."""
    mounts = MOUNTS + [mount(M_CGROUP, "/sys/fs/cgroup", flags=RO | NOSUID | NODEV | NOEXEC)]
    name = t.name()
    process = t.host.run(name, t.spec(mounts=mounts), ["sleep", "1000"])

    def read():
        out = t.exec(name, f"cd /sys/fs/cgroup && for f in {FILES}; do echo $f $(cat $f); done; cat /sys/block/vda/dev")[1]
        lines = out.splitlines()
        return dict(line.partition(" ")[::2] for line in lines[:-1]), lines[-1]

    fresh, number = read()
    assert fresh["memory.max"] == "max" and fresh["cpu.weight"] == "100" and fresh["io.max"] == "", fresh
    some = dict(memory=48 << 20, memory_high=40 << 20, memory_low=1 << 20, pids=30, cpu_quota=50000, cpu_weight=200,
                cpuset="0", io_weight=300, io=[("", 1 << 20, 0, 0, 50), ("disk0", 2 << 20, 0, 7, 0)])
    t.host.call(UPDATE, text(name) + limits_of(**some))
    set_now, _ = read()
    assert set_now == {"memory.max": str(48 << 20), "memory.high": str(40 << 20), "memory.low": str(1 << 20),
                       "pids.max": "30", "cpu.max": "50000 100000", "cpu.weight": "200", "cpuset.cpus": "0",
                       "io.weight": "default 300", "io.max": f"{number} rbps={2 << 20} wbps=max riops=7 wiops=max"}, set_now
    t.host.call(UPDATE, text(name) + limits_of(io=[("", 0, 4096, 0, 0)]))
    none = dict(fresh, **{"cpuset.cpus": t.exec(name, "cat /sys/devices/system/cpu/possible")[1].strip()})
    assert read()[0] == dict(none, **{"io.max": f"{number} rbps=max wbps=4096 riops=max wiops=max"}), read()
    t.host.call(UPDATE, text(name) + limits_of())
    assert read()[0] == none, read()
    reply = t.refused(t.host.call, UPDATE, text(name) + limits_of(io=[("nowhere", 1, 0, 0, 0)]))
    assert reply.code == 19 and "nowhere" in reply.text, reply
    reply = t.refused(t.host.call, UPDATE, text(name) + limits_of(cpuset="0-900"))
    assert reply.code in (22, 34) and "cpuset.cpus" in reply.text, reply
    t.kill(name, process)
    name = t.name()
    process = t.host.run(name, t.spec(mounts=mounts, limits=limits_of(**some)), ["sleep", "1000"])
    assert read()[0] == set_now, read()
    t.kill(name, process)


@in_guest
def test_figures(t):
    """Pressure is felt where there is some: by the container and by the machine."""
    before = stats_of(t.host.call(STATS, text("")))
    assert before["cpus"] == 1, before
    name = t.name()
    process = t.host.run(name, t.spec(limits=limits_of(cpu_quota=10000)),
                         ["sh", "-c", "while :; do :; done & while :; do :; done & head -c 100000 /dev/vda; wait"])
    while True:
        container = stats_of(t.host.call(STATS, text(name)))
        machine = stats_of(t.host.call(STATS, text("")))
        if container["cpu_some_usec"] > 200000:
            break
        time.sleep(0.1)
    assert machine["cpu_some_usec"] > before["cpu_some_usec"], (before, machine)
    t.kill(name, process)
