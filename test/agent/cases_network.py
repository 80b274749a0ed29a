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


def device(name, gateway="", weight=0, onlink=False):
    """AgentHop."""
    return text(name) + address(gateway) + struct.pack("<IB", weight, onlink)


def route(to, gateway="", source="", metric=0, scope=0, onlink=False, table=254, kind=1, tos=0, metrics=(), hops=()):
    return (address(to) + address(gateway) + address(source)
            + struct.pack("<IIIIIB", table, metric, kind, tos, scope, onlink)
            + items([struct.pack("<II", *one) for one in metrics]) + items(list(hops)))


def items(values):
    return struct.pack("<I", len(values)) + b"".join(values)


def network(name="eth0", mac=MAC, mtu=0, addresses=(), routes=(), neighbours=(), noarp=False, queue=0, alias="",
            settings=()):
    return (mac_of(mac) + text(name) + struct.pack("<IBI", mtu, noarp, queue) + text(alias)
            + items([text(one) for one in settings]) + items([address(value) for value in addresses])
            + items(list(routes)) + items([address(ip) + mac_of(where) for ip, where in neighbours]))


RULE_INVERT, RULE_IPV6, RULE_SUPPRESS, RULE_UIDS, RULE_PORTS = 1, 2, 8, 32, 128


def rule(priority, table=254, flags=0, action=1, source="", to="", iif="", oif="", tos=0, mark=0, mask=0, suppress=0,
         protocol=0, uids=(0, 0), ports=(0, 0)):
    return (struct.pack("<IIII", flags, priority, action, table) + address(source) + address(to) + text(iif)
            + text(oif) + struct.pack("<IIIIIIIIIIIIII", tos, mark, mask, 0, 0, suppress, 0, protocol, *uids, 0, 0, *ports))


DEFAULT_RULES = [rule(0, 255), rule(32766), rule(32767, 253), rule(0, 255, RULE_IPV6), rule(32766, 254, RULE_IPV6)]


def routing(settings=(), loopback=(), routes=(), rules=()):
    return (items([text(one) for one in settings]) + items([address(value) for value in loopback])
            + items(list(routes)) + items(list(rules)))


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
                route("0.0.0.0/0", "192.0.2.2", metric=50), route("203.0.113.7/25", "192.0.2.3", metrics=[(2, 1300), (8, 1200), (11, 20)]),
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
        "default via 192.0.2.2 proto static metric 50",
        "203.0.113.0/25 via 192.0.2.3 proto static mtu 1300 advmss 1200 initcwnd 20",
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


def sysctl(t, key):
    return subprocess.run(["nsenter", "-t", str(t.agent.pid), "-n", "cat", f"/proc/sys/{key}"], check=True,
                          capture_output=True, text=True).stdout.strip()


@with_devices
def test_network_details(t):
    """Other tables and kinds of route, no ARP, the queue's length, an alias, settings before it is up."""
    ip(t, "link", "set", "a0", "down")
    t.host.call(NETWORK, network(
        addresses=["192.0.2.5/24"], noarp=True, queue=77, alias="up link", settings=["net/ipv4/conf/eth0/rp_filter=2"],
        routes=[route("192.0.2.0/24", scope=LINK), route("0.0.0.0/0", "192.0.2.1", table=100),
                route("198.51.100.0/24", kind=5, table=1000, scope=LINK), route("10.7.0.0/16", "192.0.2.1", tos=16)]))
    one = shown(t, "link", "show", "eth0")[0]
    assert "NOARP" in one["flags"] and one["txqlen"] == 77 and one["ifalias"] == "up link", one
    assert sysctl(t, "net/ipv4/conf/eth0/rp_filter") == "2"
    assert ip(t, "route", "show", "table", "100").split()[:5] == ["default", "via", "192.0.2.1", "dev", "eth0"]
    assert ip(t, "route", "show", "table", "1000").startswith("multicast 198.51.100.0/24 dev eth0")
    assert "10.7.0.0/16 tos" in ip(t, "route", "show")
    # One that is up already keeps what somebody has set since.
    t.host.call(NETWORK, network(addresses=["192.0.2.5/24"], settings=["net/ipv4/conf/eth0/rp_filter=1"]))
    one = shown(t, "link", "show", "eth0")[0]
    assert "NOARP" not in one["flags"] and one["txqlen"] == 77 and not one.get("ifalias"), one
    assert sysctl(t, "net/ipv4/conf/eth0/rp_filter") == "2"
    assert not ip(t, "route", "show", "table", "all").count("table 100")


def rules_of(t, family="-4"):
    return [" ".join(line.split()) for line in ip(t, family, "rule", "show").splitlines()]


@with_devices
def test_routing(t):
    """What belongs to no device: rules, ways that lead nowhere, ways over several, loopback, settings; and back."""
    ip(t, "link", "set", "lo", "up")
    ip(t, "link", "add", "b0", "address", "02:00:00:00:00:03", "type", "veth", "peer", "b1")
    ip(t, "link", "set", "b1", "up")
    before = rules_of(t), rules_of(t, "-6")
    for one in (network(addresses=["192.0.2.5/24", "2001:db8::5/64"],
                        routes=[route("192.0.2.0/24", scope=LINK), route("2001:db8::/64")]),
                network(name="eth1", mac="02:00:00:00:00:03", addresses=["198.51.100.5/24", "2001:db8:1::5/64"],
                        routes=[route("198.51.100.0/24", scope=LINK), route("2001:db8:1::/64")])):
        t.host.call(NETWORK, one)
    hops = [device("eth0", "192.0.2.1", 2), device("eth1", "198.51.100.1")]
    hops6 = [device("eth0", "2001:db8::1"), device("eth1", "2001:db8:1::1")]
    said = routing(
        settings=["net/ipv4/ip_forward=1", "net/ipv4/conf/eth0/rp_filter=1", "net/ipv4/no_such_thing=1"],
        loopback=["10.99.0.1/24", "2001:db8:99::1/128"],
        routes=[route("10.1.0.0/16", kind=6), route("2001:db8:2::/48", kind=7), route("10.2.0.0/16", kind=8, table=100),
                route("0.0.0.0/0", hops=[device("lo")], kind=2, table=101, scope=254),
                route("0.0.0.0/0", hops=hops), route("::/0", hops=hops6)],
        rules=DEFAULT_RULES + [
            rule(100, 100, RULE_INVERT, source="192.0.2.0/24", mark=1, mask=255), rule(101, 101, iif="eth0"),
            rule(102, 254, RULE_SUPPRESS), rule(103, 0, RULE_UIDS | RULE_PORTS, 8, protocol=17, uids=(5, 9), ports=(53, 54)),
            rule(104, 1000, RULE_IPV6, source="2001:db8::/32")])
    t.host.call(ROUTING, said)
    assert sysctl(t, "net/ipv4/ip_forward") == "1"
    assert {"10.99.0.1/24", "2001:db8:99::1/128"} <= addresses_of(t, "lo")
    main = ip(t, "route", "show")
    assert "blackhole 10.1.0.0/16" in main and "weight 3" in main and "weight 1" in main, main
    assert "unreachable 2001:db8:2::/48" in ip(t, "-6", "route", "show")
    both = ip(t, "-6", "route", "show", "default")
    assert "dev eth0" in both and "dev eth1" in both, both
    assert "prohibit 10.2.0.0/16" in ip(t, "route", "show", "table", "100")
    assert ip(t, "route", "show", "table", "101").startswith("local default dev lo")
    assert rules_of(t) == [
        "0: from all lookup local", "100: not from 192.0.2.0/24 fwmark 0x1/0xff lookup 100 proto static",
        "101: from all iif eth0 lookup 101 proto static", "102: from all lookup main suppress_prefixlength 0 proto static",
        "103: from all uidrange 5-9 ipproto udp dport 53-54 prohibit proto static",
        "32766: from all lookup main", "32767: from all lookup default"], rules_of(t)
    assert "104: from 2001:db8::/32 lookup 1000 proto static" in rules_of(t, "-6"), rules_of(t, "-6")

    # The same again changes nothing, nor what containers have made meanwhile.
    ip(t, "rule", "add", "from", "10.5.0.0/16", "lookup", "77", "pref", "500")
    ip(t, "route", "add", "blackhole", "10.6.0.0/16")
    subprocess.run(["nsenter", "-t", str(t.agent.pid), "-n", "sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_forward"], check=True)
    now = [ip(t, family, *what) for family in ("-4", "-6") for what in (("rule",), ("route", "show", "table", "all"))]
    t.host.call(ROUTING, said)
    assert now == [ip(t, family, *what) for family in ("-4", "-6") for what in (("rule",), ("route", "show", "table", "all"))]
    assert sysctl(t, "net/ipv4/ip_forward") == "0"

    # A device's own routes leave those of several alone.
    t.host.call(NETWORK, network(addresses=["192.0.2.5/24", "2001:db8::5/64"],
                                 routes=[route("192.0.2.0/24", scope=LINK), route("2001:db8::/64")]))
    assert "weight 3" in ip(t, "route", "show")
    t.host.call(ROUTING, routing(settings=["net/ipv4/ip_forward=1"], rules=DEFAULT_RULES))
    assert rules_of(t)[1] == "500: from 10.5.0.0/16 lookup 77", rules_of(t)
    assert "blackhole 10.6.0.0/16" in ip(t, "route", "show") and "nexthop" not in ip(t, "route", "show")
    assert not ip(t, "-6", "route", "show", "default") and addresses_of(t, "lo") >= {"127.0.0.1/8"}
    assert "10.99.0.1/24" not in addresses_of(t, "lo") and not ip(t, "route", "show", "table", "101")
    ip(t, "rule", "del", "pref", "500")
    ip(t, "route", "del", "blackhole", "10.6.0.0/16")
    assert (rules_of(t), rules_of(t, "-6")) == before

    # A namespace without one of the kernel's own rules.
    t.host.call(ROUTING, routing(rules=[rule(0, 255), rule(10, 254)]))
    assert rules_of(t) == ["0: from all lookup local", "10: from all lookup main proto static"], rules_of(t)
    assert rules_of(t, "-6") == before[1]
    t.host.call(ROUTING, routing(rules=DEFAULT_RULES))
    assert [one.replace(" proto static", "") for one in rules_of(t)] == before[0]

    reply = t.refused(t.host.call, ROUTING, routing(routes=[route("10.0.0.0/8", hops=[device("eth0", "172.16.0.1")] * 2)]))
    assert reply.code == 101 and "10.0.0.0/8 in table 254" in reply.text, reply
    t.host.call(ROUTING, routing())
    assert t.refused(t.host.call, ROUTING, routing()[:-1]).code == 74
    ip(t, "link", "del", "b1")
