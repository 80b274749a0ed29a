"""NETWORK: devices that the test makes in the agent's network namespace, read back with ip(8)."""

import ipaddress
import json
import struct
import subprocess

from frame import *  # noqa: F403 pylint: disable=wildcard-import,unused-wildcard-import

MAC, OTHER = "02:00:00:00:00:01", "02:00:00:00:00:02"
LINK = 253  # RT_SCOPE_LINK


def mac_of(value):
    return bytes.fromhex(value.replace(":", ""))


def blob(data):
    return struct.pack("<I", len(data)) + data


def address(value, prefix=None):
    """AgentAddress of "192.0.2.1/24", "192.0.2.1" (prefix 0), "" (none)."""
    if not value:
        return blob(b"") + struct.pack("<I", 0)
    interface = ipaddress.ip_interface(value)
    length = interface.network.prefixlen if "/" in value else 0
    return blob(interface.ip.packed) + struct.pack("<I", length if prefix is None else prefix)


def route(to, gateway="", source="", metric=0, mtu=0, scope=0, onlink=False):
    return address(to) + address(gateway) + address(source) + struct.pack("<IIIB", metric, mtu, scope, onlink)


def items(values):
    return struct.pack("<I", len(values)) + b"".join(values)


def network(name="eth0", mac=MAC, mtu=0, addresses=(), routes=(), neighbours=()):
    return (mac_of(mac) + text(name) + struct.pack("<I", mtu) + items([address(value) for value in addresses])
            + items(list(routes)) + items([address(ip) + mac_of(where) for ip, where in neighbours]))


def ip(t, *arguments):
    return subprocess.run(["nsenter", "-t", str(t.agent.pid), "-n", "ip", *arguments], check=True,
                          capture_output=True, text=True).stdout


def shown(t, *arguments):
    return json.loads(ip(t, "-j", "-details", *arguments) or "[]")


def addresses_of(t, name):
    return {f"{one['local']}/{one['prefixlen']}" for one in shown(t, "address", "show", name)[0]["addr_info"]}


def routes_of(t, name, family="-4"):
    """What ip(8) says of the main table, without the words that say nothing."""
    lines = ip(t, family, "route", "show", "dev", name).splitlines()
    return {" ".join(line.replace("linkdown", "").replace("pref medium", "").split()) for line in lines}


def settled(t):
    """All but what comes and goes by itself."""
    return [ip(t, "-d", "address", "show", "eth0"), ip(t, "-4", "route"), ip(t, "-6", "route"),
            ip(t, "neigh", "show", "nud", "permanent")]


def with_devices(function):
    """Runs it with two ends of a cable, the near one called "a0" with the address MAC."""
    def test(t):
        ip(t, "link", "add", "a0", "address", MAC, "type", "veth", "peer", "far", "address", OTHER)
        ip(t, "link", "set", "far", "up")
        try:
            function(t)
        finally:
            ip(t, "link", "del", "far")
    test.__name__, test.__doc__ = function.__name__, function.__doc__
    return native(test)


@with_devices
def test_network_is_set_up(t):
    """Name, MTU, addresses without their routes, routes of all kinds, neighbours: as they were said."""
    t.host.call(NETWORK, network(
        mtu=1400, addresses=["192.0.2.5/24", "198.51.100.1/32", "2001:db8::5/64", "fe80::5/64"],
        routes=[route("192.0.2.0/24", source="192.0.2.5", scope=LINK), route("0.0.0.0/0", "192.0.2.1"),
                route("0.0.0.0/0", "192.0.2.2", metric=50), route("203.0.113.7/25", "192.0.2.3", mtu=1300),
                route("10.9.9.9/32", "10.1.1.1", onlink=True), route("fe80::/64", metric=256),
                route("10.8.0.0/16", "fe80::1"),
                route("2001:db8::/64", metric=256), route("::/0", "fe80::1", metric=1024),
                route("2001:db8:2::/48", "2001:db8::7", source="2001:db8::5")],
        neighbours=[("192.0.2.1", OTHER), ("2001:db8::1", OTHER)]))
    device = shown(t, "link", "show", "eth0")[0]
    assert device["address"] == MAC and device["mtu"] == 1400 and "UP" in device["flags"], device
    assert addresses_of(t, "eth0") == {"192.0.2.5/24", "198.51.100.1/32", "2001:db8::5/64", "fe80::5/64"}
    for one in shown(t, "address", "show", "eth0")[0]["addr_info"]:
        assert one.get("noprefixroute") and not one.get("tentative"), one
    assert routes_of(t, "eth0") == {
        "192.0.2.0/24 proto static scope link src 192.0.2.5", "default via 192.0.2.1 proto static",
        "default via 192.0.2.2 proto static metric 50", "203.0.113.0/25 via 192.0.2.3 proto static mtu 1300",
        "10.9.9.9 via 10.1.1.1 proto static onlink", "10.8.0.0/16 via inet6 fe80::1 proto static"}, routes_of(t, "eth0")
    assert routes_of(t, "eth0", "-6") == {
        "fe80::/64 proto static metric 256", "2001:db8::/64 proto static metric 256",
        "default via fe80::1 proto static metric 1024",
        "2001:db8:2::/48 via 2001:db8::7 proto static src 2001:db8::5 metric 1024"}, routes_of(t, "eth0", "-6")
    assert {(one["dst"], one["lladdr"]) for one in shown(t, "neigh", "show", "dev", "eth0", "nud", "permanent")} == {
        ("192.0.2.1", OTHER), ("2001:db8::1", OTHER)}


@with_devices
def test_network_again(t):
    """The same again changes nothing; what is no longer said goes, whoever has made it."""
    one = network(addresses=["192.0.2.5/24", "2001:db8::5/64"],
                  routes=[route("192.0.2.0/24", scope=LINK), route("0.0.0.0/0", "192.0.2.1", source="192.0.2.5"),
                          route("2001:db8::/64"), route("::/0", "2001:db8::1")],
                  neighbours=[("192.0.2.1", OTHER)])
    t.host.call(NETWORK, one)
    before = settled(t)
    watch = subprocess.Popen(["nsenter", "-t", str(t.agent.pid), "-n", "ip", "monitor", "route"],
                             stdout=subprocess.PIPE, text=True)
    t.host.call(NETWORK, one)
    assert before == settled(t), settled(t)
    ip(t, "route", "add", "203.0.113.0/24", "via", "192.0.2.9", "metric", "7")
    while (line := watch.stdout.readline()).split()[0] != "203.0.113.0/24":
        assert "Deleted" not in line and "default" not in line, line
    watch.kill()
    watch.wait()
    watch.stdout.close()
    ip(t, "link", "set", "eth0", "address", "02:00:00:00:00:77")
    assert t.refused(t.host.call, NETWORK, one).code == 19  # a cable's end has no address of its own
    ip(t, "link", "set", "eth0", "address", MAC)
    t.host.call(NETWORK, network(name="net1", addresses=["192.0.2.6/24", "192.0.2.5/25"],
                                 routes=[route("192.0.2.0/24", scope=LINK)]))
    assert addresses_of(t, "net1") == {"192.0.2.6/24", "192.0.2.5/25"}, addresses_of(t, "net1")
    assert routes_of(t, "net1") == {"192.0.2.0/24 proto static scope link"}, routes_of(t, "net1")
    assert routes_of(t, "net1", "-6") == set() and not ip(t, "neigh", "show", "dev", "net1", "nud", "permanent")
    t.host.call(NETWORK, network(name="net1"))
    assert addresses_of(t, "net1") == set()


@with_devices
def test_two_networks(t):
    """Two default routes of one metric, names that change places."""
    ip(t, "link", "add", "b0", "address", "02:00:00:00:00:03", "type", "veth", "peer", "b1")
    ip(t, "link", "set", "b1", "up")
    one = network(name="b0", addresses=["192.0.2.5/24"],
                  routes=[route("192.0.2.0/24", scope=LINK), route("0.0.0.0/0", "192.0.2.1"),
                          route("::/0", metric=1024)])
    two = network(name="a0", mac="02:00:00:00:00:03", addresses=["198.51.100.5/24"],
                  routes=[route("198.51.100.0/24", scope=LINK), route("0.0.0.0/0", "198.51.100.1"),
                          route("::/0", metric=1024)])
    for wanted in (one, two, one, two):
        t.host.call(NETWORK, wanted)
    assert shown(t, "link", "show", "b0")[0]["address"] == MAC
    assert "default via 192.0.2.1 proto static" in routes_of(t, "b0"), ip(t, "route")
    assert "default via 198.51.100.1 proto static" in routes_of(t, "a0"), ip(t, "route")
    both = ip(t, "-6", "route", "show", "default")
    assert both.count("dev a0") == 1 and both.count("dev b0") == 1, both
    # One of two ways goes alone.
    t.host.call(NETWORK, network(name="a0", mac="02:00:00:00:00:03", addresses=["198.51.100.5/24"],
                                 routes=[route("198.51.100.0/24", scope=LINK)]))
    assert "default" not in " ".join(routes_of(t, "a0")) and "dev b0" in ip(t, "-6", "route", "show", "default")
    assert "default via 192.0.2.1 proto static" in routes_of(t, "b0")
    ip(t, "link", "del", "b1")


@with_devices
def test_network_is_announced(t):
    """Who knew an address at another machine hears where it is now, of both families and each time."""
    neighbour = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec sleep infinity"], stdout=subprocess.PIPE)
    try:
        neighbour.stdout.readline()
        ip(t, "link", "set", "far", "netns", str(neighbour.pid))
        there = ["nsenter", "-t", str(neighbour.pid), "-n", "ip"]
        subprocess.run([*there, "link", "set", "far", "up"], check=True)
        # A kernel without an IPv4 address hears no ARP.
        subprocess.run([*there, "address", "add", "192.0.2.1/24", "dev", "far"], check=True)
        addresses = {"192.0.2.5": 24, "192.0.2.6": 32, "2001:db8::5": 64, "fe80::5": 64}
        for mac in (MAC, "02:00:00:00:00:07"):
            ip(t, "link", "set", "dev", "a0", "address", mac)
            for one in addresses:
                subprocess.run([*there, "neigh", "replace", one, "dev", "far", "lladdr", "02:00:00:00:00:55", "nud",
                                "reachable"], check=True)
            t.host.call(NETWORK, network(name="a0", mac=mac, addresses=[f"{one}/{n}" for one, n in addresses.items()]))
            out = subprocess.run([*there, "-j", "neigh", "show", "dev", "far"], check=True, capture_output=True).stdout
            known = {one["dst"]: one["lladdr"] for one in json.loads(out)}
            assert known == dict.fromkeys(addresses, mac), known
        ip(t, "link", "set", "a0", "down")
        subprocess.run([*there, "link", "set", "far", "netns", str(t.agent.pid)], check=True)
    finally:
        neighbour.kill()
        neighbour.wait()
        neighbour.stdout.close()


@with_devices
def test_network_refused(t):
    """What can't be done is named."""
    reply = t.refused(t.host.call, NETWORK, network(mac="02:00:00:00:00:99"))
    assert reply.code == 19 and "02:00:00:00:00:99" in reply.text, reply
    reply = t.refused(t.host.call, NETWORK, network(addresses=["192.0.2.5/24"], routes=[route("0.0.0.0/0", "10.1.1.1")]))
    assert reply.code == 101 and "0.0.0.0/0 over eth0 by 10.1.1.1" in reply.text and "invalid gateway" in reply.text, reply
    ip(t, "link", "set", "far", "up")
    reply = t.refused(t.host.call, NETWORK, network(name="far"))
    assert reply.code == 17 and '"far"' in reply.text, reply
    assert t.refused(t.host.call, NETWORK, network(name="lo")).code == 74
    assert t.refused(t.host.call, NETWORK, network()[:-1]).code == 74
