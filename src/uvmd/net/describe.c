/* The interfaces of a namespace and what is to be known of them; see describe.h. */
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netlink/route/link/ipvlan.h>
#include <netlink/route/neighbour.h>
#include <netlink/route/route.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "uvmd/net/describe.h"

void net_tap_name(uint32_t ifindex, char ret[NET_NAME_SIZE])
{
        snprintf(ret, NET_NAME_SIZE, NET_TAP_PREFIX "%u", ifindex);
}

/* ------------------------------------------------------------------ which interfaces */

static bool link_is_kind(struct rtnl_link *link, const char *kind)
{
        const char *type = rtnl_link_get_type(link);

        return type && strcmp(type, kind) == 0;
}

static bool link_is_our_tap(struct rtnl_link *link)
{
        const char *name = rtnl_link_get_name(link);
        size_t size = strlen(NET_TAP_PREFIX);

        return link_is_kind(link, "tun") && name && strncmp(name, NET_TAP_PREFIX, size) == 0 &&
               name[size] && name[size + strspn(name + size, "0123456789")] == 0;
}

/* A veth names its peer where the others name what they are stacked on. */
static bool link_is_stacked_on(struct rtnl_link *link, int ifindex)
{
        int elsewhere;

        return rtnl_link_get_link(link) == ifindex && rtnl_link_get_ifindex(link) != ifindex &&
               !link_is_kind(link, "veth") && rtnl_link_get_link_netnsid(link, &elsewhere) < 0;
}

static bool link_is_lower(struct rtnl_link *link, struct nl_cache *links)
{
        netlink_for_each (struct rtnl_link, other, links)
                if (link_is_stacked_on(other, rtnl_link_get_ifindex(link)))
                        return true;
        return false;
}

static bool link_has_address(struct rtnl_link *link, struct nl_cache *addresses)
{
        netlink_for_each (struct rtnl_addr, address, addresses)
                if (rtnl_addr_get_ifindex(address) == rtnl_link_get_ifindex(link))
                        return true;
        return false;
}

static bool mac_is_usable(struct nl_addr *address)
{
        static const uint8_t none[AGENT_MAC_SIZE];
        const uint8_t *mac;

        if (!address || nl_addr_get_len(address) != AGENT_MAC_SIZE)
                return false;
        mac = nl_addr_get_binary_addr(address);
        return memcmp(mac, none, sizeof(none)) != 0 && (mac[0] & 1) == 0;
}

static bool link_has_arp(struct rtnl_link *link)
{
        uint16_t mode;

        return !rtnl_link_is_ipvlan(link) || rtnl_link_ipvlan_get_mode(link, &mode) < 0 ||
               mode == IPVLAN_MODE_L2;
}

static bool link_is_eligible(struct rtnl_link *link, struct nl_cache *links,
                             struct nl_cache *addresses)
{
        unsigned flags = rtnl_link_get_flags(link);

        return rtnl_link_get_arptype(link) == ARPHRD_ETHER && !(flags & IFF_LOOPBACK) &&
               mac_is_usable(rtnl_link_get_addr(link)) && rtnl_link_get_master(link) == 0 &&
               !link_is_our_tap(link) && link_has_arp(link) &&
               agent_interface_name_is_valid(rtnl_link_get_name(link)) &&
               (flags & IFF_UP || link_has_address(link, addresses)) && !link_is_lower(link, links);
}

/* ------------------------------------------------------------------ what each has */

/* One more item at the end of a list of at most @max; NULL: full, or no memory. */
static void *list_grow(void **items, uint32_t *n, uint32_t max, size_t size)
{
        char *grown;

        if (*n >= max)
                return NULL;
        if (!*items)
                *items = calloc(max, size);
        grown = *items;
        return grown ? grown + size * (*n)++ : NULL;
}

static int fill_address(AgentAddress *into, struct nl_addr *from, uint32_t size, uint32_t prefix)
{
        uint8_t *bytes = calloc(1, size);

        if (!bytes)
                return -ENOMEM;
        /* A default route's destination has no bytes. */
        if (from)
                memcpy(bytes, nl_addr_get_binary_addr(from), MIN(nl_addr_get_len(from), size));
        *into = (AgentAddress){.bytes = bytes, .size = size, .prefix = prefix};
        return 0;
}

static uint32_t family_size(int family)
{
        switch (family) {
        case AF_INET:
                return 4;
        case AF_INET6:
                return 16;
        default:
                return 0;
        }
}

static bool address_is_wanted(struct rtnl_addr *address, const NetInterface *interface)
{
        unsigned flags = rtnl_addr_get_flags(address);

        if (rtnl_addr_get_ifindex(address) != (int)interface->ifindex ||
            !rtnl_addr_get_local(address))
                return false;
        if (rtnl_addr_get_family(address) == AF_INET6)
                return flags & IFA_F_PERMANENT && !(flags & IFA_F_DADFAILED);
        return rtnl_addr_get_family(address) == AF_INET;
}

/* Where an address has a peer, the prefix is the peer's and comes as a route. */
static int add_address(NetInterface *interface, struct rtnl_addr *address)
{
        AgentNetwork *network = &interface->network;
        uint32_t size = family_size(rtnl_addr_get_family(address));
        uint32_t prefix = (uint32_t)rtnl_addr_get_prefixlen(address);
        AgentAddress *item = list_grow((void **)&network->addresses, &network->n_addresses,
                                       NET_ADDRESSES_MAX, sizeof(*item));

        if (!item)
                return -ENOSPC;
        if (rtnl_addr_get_peer(address))
                prefix = 8 * size;
        return fill_address(item, rtnl_addr_get_local(address), size, MIN(prefix, 8 * size));
}

static struct rtnl_nexthop *route_find_hop(struct rtnl_route *route, uint32_t ifindex)
{
        for (int i = 0; i < rtnl_route_get_nnexthops(route); i++) {
                struct rtnl_nexthop *hop = rtnl_route_nexthop_n(route, i);

                if (hop && rtnl_route_nh_get_ifindex(hop) == (int)ifindex)
                        return hop;
        }
        return NULL;
}

static struct nl_addr *hop_gateway(struct rtnl_nexthop *hop)
{
        return rtnl_route_nh_get_gateway(hop) ?: rtnl_route_nh_get_via(hop);
}

/* What a router advertised is heard by the guest, and dies with its time. */
static bool route_is_wanted(struct rtnl_route *route)
{
        return rtnl_route_get_table(route) == RT_TABLE_MAIN &&
               rtnl_route_get_type(route) == RTN_UNICAST &&
               rtnl_route_get_protocol(route) != RTPROT_RA &&
               !(rtnl_route_get_flags(route) & RTM_F_CLONED) &&
               family_size(rtnl_route_get_family(route)) > 0;
}

static int fill_route(AgentRoute *into, struct rtnl_route *route, struct rtnl_nexthop *hop)
{
        uint32_t size = family_size(rtnl_route_get_family(route));
        struct nl_addr *destination = rtnl_route_get_dst(route);
        struct nl_addr *gateway = hop_gateway(hop), *source = rtnl_route_get_pref_src(route);
        uint32_t prefix = destination ? nl_addr_get_prefixlen(destination) : 0, mtu = 0;
        int r = fill_address(&into->destination, destination, size, MIN(prefix, 8 * size));

        if (r >= 0 && gateway)
                r = fill_address(&into->gateway, gateway, family_size(nl_addr_get_family(gateway)),
                                 0);
        if (r >= 0 && source)
                r = fill_address(&into->source, source, size, 0);
        rtnl_route_get_metric(route, RTAX_MTU, &mtu);
        into->metric = rtnl_route_get_priority(route);
        into->mtu = mtu <= UINT16_MAX ? mtu : 0;
        into->scope = rtnl_route_get_scope(route);
        into->onlink = rtnl_route_nh_get_flags(hop) & RTNH_F_ONLINK;
        return r;
}

static int add_route(NetInterface *interface, struct rtnl_route *route, struct rtnl_nexthop *hop)
{
        AgentNetwork *network = &interface->network;
        AgentRoute *item = list_grow((void **)&network->routes, &network->n_routes, NET_ROUTES_MAX,
                                     sizeof(*item));

        return item ? fill_route(item, route, hop) : -ENOSPC;
}

static int add_neighbour(NetInterface *interface, struct rtnl_neigh *neighbour)
{
        AgentNetwork *network = &interface->network;
        struct nl_addr *address = rtnl_neigh_get_dst(neighbour);
        struct nl_addr *mac = rtnl_neigh_get_lladdr(neighbour);
        uint32_t size = address ? family_size(nl_addr_get_family(address)) : 0;
        AgentNeighbour *item;

        if (rtnl_neigh_get_ifindex(neighbour) != (int)interface->ifindex || size == 0 ||
            !(rtnl_neigh_get_state(neighbour) & NUD_PERMANENT) || !mac ||
            nl_addr_get_len(mac) != AGENT_MAC_SIZE)
                return 0;
        item = list_grow((void **)&network->neighbours, &network->n_neighbours, NET_NEIGHBOURS_MAX,
                         sizeof(*item));
        if (!item)
                return -ENOSPC;
        memcpy(item->mac, nl_addr_get_binary_addr(mac), AGENT_MAC_SIZE);
        return fill_address(&item->address, address, size, 8 * size);
}

/* ------------------------------------------------------------------ dumps */

/* libnl's cache of routes has room for one of those that differ in nothing but the interface. */
typedef struct Routes {
        struct rtnl_route **items;
        size_t n;
        int failure;
} Routes;

static void routes_done(Routes *routes)
{
        for (size_t i = 0; i < routes->n; i++)
                rtnl_route_put(routes->items[i]);
        free(routes->items);
        *routes = (Routes){};
}

static int routes_on_message(struct nl_msg *message, void *userdata)
{
        Routes *routes = userdata;
        struct rtnl_route *route, **grown;

        if (rtnl_route_parse(nlmsg_hdr(message), &route) < 0)
                return NL_SKIP; /* of a kind that libnl doesn't know */
        grown = route_is_wanted(route) ? reallocarray(routes->items, routes->n + 1, sizeof(*grown))
                                       : NULL;
        if (grown) {
                routes->items = grown;
                grown[routes->n++] = route;
                return NL_OK;
        }
        if (route_is_wanted(route))
                routes->failure = -ENOMEM;
        rtnl_route_put(route);
        return NL_OK;
}

static int routes_take(Routes *routes)
{
        _cleanup_(nl_socket_freep) struct nl_sock *socket = NULL;
        int r = netlink_open(&socket);

        if (r < 0)
                return r;
        nl_socket_modify_cb(socket, NL_CB_VALID, NL_CB_CUSTOM, routes_on_message, routes);
        do {
                routes_done(routes);
                r = nl_rtgen_request(socket, RTM_GETROUTE, AF_UNSPEC, NLM_F_DUMP);
                if (r >= 0)
                        r = nl_recvmsgs_default(socket);
        } while (r == -NLE_DUMP_INTR);
        return r < 0 ? netlink_error(r) : routes->failure;
}

typedef struct Dump {
        struct nl_cache *links, *addresses, *neighbours;
        Routes routes;
} Dump;

static void dump_done(Dump *dump)
{
        nl_cache_free(dump->links);
        nl_cache_free(dump->addresses);
        nl_cache_free(dump->neighbours);
        routes_done(&dump->routes);
}

static int dump_take(struct nl_sock *socket, Dump *dump)
{
        int r = rtnl_link_alloc_cache(socket, AF_UNSPEC, &dump->links);

        if (r >= 0)
                r = rtnl_addr_alloc_cache(socket, &dump->addresses);
        if (r >= 0)
                r = rtnl_neigh_alloc_cache(socket, &dump->neighbours);
        return r < 0 ? netlink_error(r) : routes_take(&dump->routes);
}

/* ------------------------------------------------------------------ the whole */

/* In two rounds: a gateway is reached by what comes first. */
static int add_routes(NetInterface *interface, const Routes *routes, bool with_gateway)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < routes->n; i++) {
                struct rtnl_nexthop *hop = route_find_hop(routes->items[i], interface->ifindex);

                if (hop && !!hop_gateway(hop) == with_gateway)
                        r = add_route(interface, routes->items[i], hop);
        }
        return r;
}

static int fill_lists(NetInterface *interface, const Dump *dump)
{
        int r = 0;

        netlink_for_each (struct rtnl_addr, address, dump->addresses)
                if (r >= 0 && address_is_wanted(address, interface))
                        r = add_address(interface, address);
        for (int with_gateway = 0; r >= 0 && with_gateway < 2; with_gateway++)
                r = add_routes(interface, &dump->routes, with_gateway);
        netlink_for_each (struct rtnl_neigh, neighbour, dump->neighbours)
                if (r >= 0)
                        r = add_neighbour(interface, neighbour);
        return r;
}

static int add_interface(NetReport *report, struct rtnl_link *link, const Dump *dump)
{
        NetInterface *interface = list_grow((void **)&report->interfaces, &report->n_interfaces,
                                            NET_INTERFACES_MAX, sizeof(*interface));
        const char *name = rtnl_link_get_name(link);
        const char *type = rtnl_link_get_type(link);
        int r;

        if (!interface) {
                log_warning("%s is left out: a guest has at most %d network interfaces", name,
                            NET_INTERFACES_MAX);
                return 0;
        }
        interface->ifindex = (uint32_t)rtnl_link_get_ifindex(link);
        if (rtnl_link_get_flags(link) & IFF_RUNNING)
                interface->flags |= NET_INTERFACE_RUNNING;
        snprintf(interface->kind, sizeof(interface->kind), "%s", type ?: "");
        memcpy(interface->network.mac, nl_addr_get_binary_addr(rtnl_link_get_addr(link)),
               AGENT_MAC_SIZE);
        interface->network.mtu = MIN(rtnl_link_get_mtu(link), (unsigned)UINT16_MAX);
        interface->network.name = strdup(name);
        if (!interface->network.name)
                return -ENOMEM;
        r = fill_lists(interface, dump);
        if (r != -ENOSPC)
                return r;
        log_warning("%s has more addresses, routes or neighbours than a guest is told of", name);
        return 0;
}

int net_describe(struct nl_sock *socket, const char *only, NetReport *ret)
{
        _cleanup_(dump_done) Dump dump = {};
        NetReport report = {};
        int r = dump_take(socket, &dump);

        if (r < 0)
                return r;
        netlink_for_each (struct rtnl_link, link, dump.links)
                if (r >= 0 && link_is_eligible(link, dump.links, dump.addresses) &&
                    (!only || strcmp(rtnl_link_get_name(link), only) == 0))
                        r = add_interface(&report, link, &dump);
        if (r < 0) {
                net_report_done(&report);
                return r;
        }
        ret->interfaces = report.interfaces;
        ret->n_interfaces = report.n_interfaces;
        return 0;
}
