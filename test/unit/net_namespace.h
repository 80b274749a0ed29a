/* For tests in a network namespace of their own: links and addresses are made by libnl. */
#pragma once

#include <errno.h>
#include <net/if.h>
#include <netlink/route/link/ipvlan.h>
#include <netlink/route/link/macvlan.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/neighbour.h>
#include <netlink/route/route.h>
#include <sched.h>
#include <unistd.h>

#include "test/unit.h"
#include "uvmd/net/netlink.h"

static struct nl_sock *nl;

/* A fresh namespace for each test; what an earlier one made goes with its own. */
static inline void namespace_enter(void)
{
        nl_socket_free(nl);
        nl = NULL;
        unit_assert_int(unshare(CLONE_NEWNET), 0);
        unit_assert_int(netlink_open(&nl), 0);
}

static inline int link_index(const char *name)
{
        return (int)if_nametoindex(name);
}

static inline void link_change(const char *name, unsigned flags, unsigned mtu)
{
        struct rtnl_link *link = NULL, *change = rtnl_link_alloc();

        unit_assert_int(rtnl_link_get_kernel(nl, 0, name, &link), 0);
        rtnl_link_set_flags(change, flags);
        if (mtu)
                rtnl_link_set_mtu(change, mtu);
        unit_assert_int(rtnl_link_change(nl, link, change, 0), 0);
        rtnl_link_put(change);
        rtnl_link_put(link);
}

static inline void link_up(const char *name)
{
        link_change(name, IFF_UP, 0);
}

static inline void link_delete(const char *name)
{
        struct rtnl_link *link = rtnl_link_alloc();

        rtnl_link_set_ifindex(link, link_index(name));
        unit_assert_int(rtnl_link_delete(nl, link), 0);
        rtnl_link_put(link);
}

static inline void veth_add(const char *name, const char *peer)
{
        unit_assert_int(rtnl_link_veth_add(nl, name, peer, getpid()), 0);
        link_up(name);
        link_up(peer);
}

/* 0, or libnl's error where this kernel has no such links. */
static inline int link_add_kind(const char *kind, const char *name, const char *lower)
{
        struct rtnl_link *link = rtnl_link_alloc();
        int r;

        if (strcmp(kind, "macvlan") == 0) {
                rtnl_link_put(link);
                link = rtnl_link_macvlan_alloc();
                rtnl_link_macvlan_set_mode(link, rtnl_link_macvlan_str2mode("bridge"));
        } else if (strncmp(kind, "ipvlan", 6) == 0) {
                rtnl_link_put(link);
                link = rtnl_link_ipvlan_alloc();
                rtnl_link_ipvlan_set_mode(
                        link, (uint16_t)rtnl_link_ipvlan_str2mode(kind[6] ? "l3" : "l2"));
        } else {
                unit_assert_int(rtnl_link_set_type(link, kind), 0);
        }
        rtnl_link_set_name(link, name);
        if (lower)
                rtnl_link_set_link(link, link_index(lower));
        r = rtnl_link_add(nl, link, NLM_F_CREATE | NLM_F_EXCL);
        rtnl_link_put(link);
        if (r >= 0)
                link_up(name);
        return r;
}

static inline struct nl_addr *address_parse(const char *text, int family)
{
        struct nl_addr *address;

        unit_assert_int(nl_addr_parse(text, family, &address), 0);
        return address;
}

static inline void address_add(const char *name, const char *text)
{
        struct rtnl_addr *address = rtnl_addr_alloc();
        struct nl_addr *local = address_parse(text, AF_UNSPEC);

        rtnl_addr_set_ifindex(address, link_index(name));
        unit_assert_int(rtnl_addr_set_local(address, local), 0);
        unit_assert_int(rtnl_addr_add(nl, address, 0), 0);
        nl_addr_put(local);
        rtnl_addr_put(address);
}

static inline void route_add(const char *destination, const char *gateway, const char *name,
                             uint32_t metric)
{
        struct nl_addr *via = gateway ? address_parse(gateway, AF_UNSPEC) : NULL;
        struct nl_addr *to = address_parse(destination, via ? nl_addr_get_family(via) : AF_UNSPEC);
        struct rtnl_route *route = rtnl_route_alloc();
        struct rtnl_nexthop *hop = rtnl_route_nh_alloc();

        rtnl_route_set_family(route, (uint8_t)nl_addr_get_family(to));
        rtnl_route_set_dst(route, to);
        rtnl_route_set_priority(route, metric);
        rtnl_route_set_scope(route, via ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK);
        rtnl_route_nh_set_ifindex(hop, link_index(name));
        if (via)
                rtnl_route_nh_set_gateway(hop, via);
        rtnl_route_add_nexthop(route, hop);
        unit_assert_int(rtnl_route_add(nl, route, NLM_F_CREATE | NLM_F_APPEND), 0);
        rtnl_route_put(route);
        nl_addr_put(to);
        nl_addr_put(via);
}

static inline void neighbour_add(const char *name, const char *address, const char *mac)
{
        struct rtnl_neigh *neighbour = rtnl_neigh_alloc();
        struct nl_addr *dst = address_parse(address, AF_UNSPEC);
        struct nl_addr *lladdr = address_parse(mac, AF_LLC);

        rtnl_neigh_set_ifindex(neighbour, link_index(name));
        rtnl_neigh_set_dst(neighbour, dst);
        rtnl_neigh_set_lladdr(neighbour, lladdr);
        rtnl_neigh_set_state(neighbour, NUD_PERMANENT);
        unit_assert_int(rtnl_neigh_add(nl, neighbour, NLM_F_CREATE), 0);
        nl_addr_put(dst);
        nl_addr_put(lladdr);
        rtnl_neigh_put(neighbour);
}
