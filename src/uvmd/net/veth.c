/* Pairs of interfaces; see veth.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <net/if.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <sched.h>

#include "base/error.h"
#include "base/fd.h"
#include "uvmd/net/netlink.h"
#include "uvmd/net/veth.h"

static int set_mac(struct rtnl_link *link, const char *mac)
{
        _cleanup_(nl_addr_putp) struct nl_addr *address = NULL;
        int r;

        if (!mac)
                return 0;
        r = netlink_error(nl_addr_parse(mac, AF_LLC, &address));
        if (r >= 0)
                rtnl_link_set_addr(link, address);
        return r;
}

int veth_add(struct nl_sock *socket, const char *name, const char *peer, const char *mac,
             int namespace)
{
        _cleanup_(rtnl_link_putp) struct rtnl_link *link = rtnl_link_veth_alloc(), *other = NULL;
        int r;

        if (!link)
                return -ENOMEM;
        rtnl_link_set_name(link, name);
        rtnl_link_set_flags(link, IFF_UP);
        other = rtnl_link_veth_get_peer(link);
        rtnl_link_set_name(other, peer);
        if (namespace >= 0)
                rtnl_link_set_ns_fd(other, namespace);
        r = set_mac(other, mac);
        return r < 0 ? r : netlink_error(rtnl_link_add(socket, link, NLM_F_CREATE | NLM_F_EXCL));
}

int veth_delete(const char *name)
{
        _cleanup_(nl_socket_freep) struct nl_sock *socket = NULL;
        _cleanup_(rtnl_link_putp) struct rtnl_link *link = rtnl_link_alloc();
        int r = link ? netlink_open(&socket) : -ENOMEM;

        if (r < 0)
                return r;
        rtnl_link_set_name(link, name);
        r = netlink_error(rtnl_link_delete(socket, link));
        return r == -ENODEV || r == -ENOENT ? 0 : r;
}

/* A socket stays in the namespace in which it was made. */
static int open_socket_in(int namespace, struct nl_sock **ret)
{
        _cleanup_(fd_closep) int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        int r;

        if (own < 0 || setns(namespace, CLONE_NEWNET) < 0)
                return errno_neg();
        r = netlink_open(ret);
        if (setns(own, CLONE_NEWNET) < 0 && r >= 0)
                r = errno_neg();
        return r;
}

static int add_address(struct nl_sock *socket, int index, const char *text)
{
        _cleanup_(rtnl_addr_putp) struct rtnl_addr *address = rtnl_addr_alloc();
        _cleanup_(nl_addr_putp) struct nl_addr *local = NULL;
        int r = address ? netlink_error(nl_addr_parse(text, AF_UNSPEC, &local)) : -ENOMEM;

        if (r < 0)
                return r;
        rtnl_addr_set_ifindex(address, index);
        r = netlink_error(rtnl_addr_set_local(address, local));
        /* The guest looks for itself whether it is free. */
        if (nl_addr_get_family(local) == AF_INET6)
                rtnl_addr_set_flags(address, IFA_F_NODAD);
        return r < 0 ? r : netlink_error(rtnl_addr_add(socket, address, NLM_F_CREATE));
}

/* Addresses, then up: whoever watches the namespace sees it complete. */
int veth_set_up(int namespace, const char *interface, char *const *addresses)
{
        _cleanup_(nl_socket_freep) struct nl_sock *socket = NULL;
        _cleanup_(rtnl_link_putp) struct rtnl_link *link = NULL, *change = rtnl_link_alloc();
        int r = change ? open_socket_in(namespace, &socket) : -ENOMEM;

        if (r >= 0)
                r = netlink_error(rtnl_link_get_kernel(socket, 0, interface, &link));
        for (; r >= 0 && addresses && *addresses; addresses++)
                r = add_address(socket, rtnl_link_get_ifindex(link), *addresses);
        if (r < 0)
                return r;
        rtnl_link_set_flags(change, IFF_UP);
        return netlink_error(rtnl_link_change(socket, link, change, 0));
}

int veth_set_mtu(int namespace, const char *interface, uint32_t mtu)
{
        _cleanup_(nl_socket_freep) struct nl_sock *socket = NULL;
        _cleanup_(rtnl_link_putp) struct rtnl_link *link = NULL, *change = rtnl_link_alloc();
        int r = change ? open_socket_in(namespace, &socket) : -ENOMEM;

        if (r >= 0)
                r = netlink_error(rtnl_link_get_kernel(socket, 0, interface, &link));
        if (r < 0)
                return r;
        rtnl_link_set_mtu(change, mtu);
        return netlink_error(rtnl_link_change(socket, link, change, 0));
}

/* @hop is the route's own once it was added. */
static int fill_route(struct rtnl_route *route, struct rtnl_nexthop *hop, int index, const char *to,
                      const char *gateway)
{
        _cleanup_(nl_addr_putp) struct nl_addr *destination = NULL, *via = NULL;
        int r = netlink_error(nl_addr_parse(to, AF_UNSPEC, &destination));

        if (r >= 0 && gateway)
                r = netlink_error(nl_addr_parse(gateway, AF_UNSPEC, &via));
        if (r >= 0)
                r = netlink_error(rtnl_route_set_dst(route, destination));
        if (r < 0)
                return r;
        rtnl_route_nh_set_ifindex(hop, index);
        if (via)
                rtnl_route_nh_set_gateway(hop, via);
        rtnl_route_set_scope(route, via ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK);
        return 0;
}

int veth_add_route(int namespace, const char *interface, const char *to, const char *gateway)
{
        _cleanup_(nl_socket_freep) struct nl_sock *socket = NULL;
        _cleanup_(rtnl_link_putp) struct rtnl_link *link = NULL;
        struct rtnl_route *route = rtnl_route_alloc();
        struct rtnl_nexthop *hop = rtnl_route_nh_alloc();
        int r = route && hop ? open_socket_in(namespace, &socket) : -ENOMEM;

        if (r >= 0)
                r = netlink_error(rtnl_link_get_kernel(socket, 0, interface, &link));
        if (r >= 0)
                r = fill_route(route, hop, rtnl_link_get_ifindex(link), to, gateway);
        if (r >= 0) {
                rtnl_route_add_nexthop(route, hop);
                hop = NULL;
                r = netlink_error(rtnl_route_add(socket, route, NLM_F_CREATE));
        }
        if (hop)
                rtnl_route_nh_free(hop);
        if (route)
                rtnl_route_put(route);
        return r == -EEXIST ? 0 : r;
}
