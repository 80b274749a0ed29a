/* Subnets of the host; see host_subnets.h. */
#include <errno.h>
#include <ifaddrs.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/route/route.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "uvmd/net/host_subnets.h"
#include "uvmd/net/netlink.h"

static uint32_t count_bits(const uint8_t *bytes, size_t size)
{
        uint32_t n = 0;

        for (size_t i = 0; i < size; i++)
                n += (uint32_t)__builtin_popcount(bytes[i]);
        return n;
}

/* False: it is none of IP. */
static bool read_address(const struct ifaddrs *at, Subnet *ret)
{
        bool six = at->ifa_addr && at->ifa_addr->sa_family == AF_INET6;
        size_t offset = six ? offsetof(struct sockaddr_in6, sin6_addr)
                            : offsetof(struct sockaddr_in, sin_addr);

        if (!at->ifa_addr || !at->ifa_netmask || (!six && at->ifa_addr->sa_family != AF_INET))
                return false;
        *ret = subnet_make((const uint8_t *)at->ifa_addr + offset, six ? AF_INET6 : AF_INET,
                           count_bits((const uint8_t *)at->ifa_netmask + offset, six ? 16 : 4));
        return true;
}

int host_subnets_of_addresses(HostSubnetVisit visit, void *userdata)
{
        struct ifaddrs *addresses;
        Subnet subnet;
        int r = 0;

        if (getifaddrs(&addresses) < 0)
                return errno_neg();
        for (const struct ifaddrs *at = addresses; at && r == 0; at = at->ifa_next)
                if (read_address(at, &subnet))
                        r = visit(&subnet, at->ifa_name, userdata);
        freeifaddrs(addresses);
        return r;
}

/* Of the tables that people see; the kernel's own lists each address again. */
static bool read_route(struct rtnl_route *route, Subnet *ret)
{
        struct nl_addr *to = rtnl_route_get_dst(route);
        unsigned size = to ? nl_addr_get_len(to) : 0, prefix = to ? nl_addr_get_prefixlen(to) : 0;

        if (rtnl_route_get_table(route) == RT_TABLE_LOCAL || prefix == 0 ||
            rtnl_route_get_type(route) != RTN_UNICAST || (size != 4 && size != 16))
                return false;
        *ret = subnet_make(nl_addr_get_binary_addr(to), size == 4 ? AF_INET : AF_INET6, prefix);
        return true;
}

static const char *route_interface(struct rtnl_route *route, char name[IF_NAMESIZE])
{
        struct rtnl_nexthop *hop = rtnl_route_nexthop_n(route, 0);

        return hop ? if_indextoname((unsigned)rtnl_route_nh_get_ifindex(hop), name) : NULL;
}

int host_subnets_of_routes(HostSubnetVisit visit, void *userdata)
{
        _cleanup_(nl_socket_freep) struct nl_sock *socket = NULL;
        struct nl_cache *cache;
        int r = netlink_open(&socket);

        if (r >= 0)
                r = netlink_error(rtnl_route_alloc_cache(socket, AF_UNSPEC, 0, &cache));
        if (r < 0)
                return r;
        for (struct nl_object *at = nl_cache_get_first(cache); at && r == 0;
             at = nl_cache_get_next(at)) {
                struct rtnl_route *route = (struct rtnl_route *)at;
                char name[IF_NAMESIZE];
                Subnet subnet;

                if (read_route(route, &subnet))
                        r = visit(&subnet, route_interface(route, name) ?: "a route", userdata);
        }
        nl_cache_free(cache);
        return r;
}
