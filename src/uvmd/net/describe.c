/* The interfaces of a namespace and what is to be known of them; see describe.h. */
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netlink/route/link/ipvlan.h>
#include <netlink/route/neighbour.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "uvmd/net/describe_parts.h"

void net_tap_name(uint32_t ifindex, char ret[NET_NAME_SIZE])
{
        snprintf(ret, NET_NAME_SIZE, NET_TAP_PREFIX "%u", ifindex);
}

/* ------------------------------------------------------------------ dumps */

typedef struct Dump {
        struct nl_cache *links, *addresses, *neighbours;
} Dump;

static void dump_done(Dump *dump)
{
        nl_cache_free(dump->links);
        nl_cache_free(dump->addresses);
        nl_cache_free(dump->neighbours);
}

static int dump_take(struct nl_sock *socket, Dump *dump)
{
        int r = rtnl_link_alloc_cache(socket, AF_UNSPEC, &dump->links);

        if (r >= 0)
                r = rtnl_addr_alloc_cache(socket, &dump->addresses);
        if (r >= 0)
                r = rtnl_neigh_alloc_cache(socket, &dump->neighbours);
        return netlink_error(r);
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

/* Of those that were given to it: not a link-local one, which the kernel makes. */
static bool link_has_own_address(struct rtnl_link *link, struct nl_cache *addresses)
{
        netlink_for_each (struct rtnl_addr, address, addresses)
                if (rtnl_addr_get_ifindex(address) == rtnl_link_get_ifindex(link) &&
                    rtnl_addr_get_scope(address) < RT_SCOPE_LINK)
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

/* It takes packets out of the IP layer, behind where they can be redirected (ipvlan_nf_input()). */
static bool link_is_l3s(struct rtnl_link *link)
{
        uint16_t mode;

        return rtnl_link_is_ipvlan(link) && rtnl_link_ipvlan_get_mode(link, &mode) >= 0 &&
               mode == IPVLAN_MODE_L3S;
}

/* What nobody would expect a guest to have. */
static bool link_is_ours_to_ignore(struct rtnl_link *link, struct nl_cache *addresses)
{
        unsigned flags = rtnl_link_get_flags(link);

        return flags & IFF_LOOPBACK || rtnl_link_get_master(link) != 0 || link_is_our_tap(link) ||
               (!(flags & IFF_UP) && !link_has_address(link, addresses));
}

/* Whether a guest can have it; else *ret_reason, NET_REASON_MAX_ for none worth telling. */
static bool link_is_eligible(struct rtnl_link *link, const Dump *dump, NetReason *ret_reason)
{
        *ret_reason = NET_REASON_MAX_;
        if (link_is_ours_to_ignore(link, dump->addresses))
                return false;
        if (link_is_lower(link, dump->links)) {
                if (link_has_own_address(link, dump->addresses))
                        *ret_reason = NET_REASON_LOWER;
        } else if (rtnl_link_get_arptype(link) != ARPHRD_ETHER ||
                   !mac_is_usable(rtnl_link_get_addr(link))) {
                *ret_reason = NET_REASON_NOT_ETHERNET;
        } else if (link_is_l3s(link)) {
                *ret_reason = NET_REASON_L3S;
        } else if (!agent_interface_name_is_valid(rtnl_link_get_name(link))) {
                *ret_reason = NET_REASON_NAME;
        } else {
                return true;
        }
        return false;
}

/* ------------------------------------------------------------------ what each has */

void *describe_grow(void **items, uint32_t *n, uint32_t max, size_t size)
{
        char *grown;

        if (*n >= max)
                return NULL;
        if (!*items)
                *items = calloc(max, size);
        grown = *items;
        return grown ? grown + size * (*n)++ : NULL;
}

int describe_address(AgentAddress *into, struct nl_addr *from, uint32_t size, uint32_t prefix)
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

uint32_t describe_family_size(int family)
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
        uint32_t size = describe_family_size(rtnl_addr_get_family(address));
        uint32_t prefix = (uint32_t)rtnl_addr_get_prefixlen(address);
        AgentAddress *item = describe_grow((void **)&network->addresses, &network->n_addresses,
                                           NET_ADDRESSES_MAX, sizeof(*item));

        if (!item)
                return -ENOSPC;
        if (rtnl_addr_get_peer(address))
                prefix = 8 * size;
        return describe_address(item, rtnl_addr_get_local(address), size, MIN(prefix, 8 * size));
}

static int add_neighbour(NetInterface *interface, struct rtnl_neigh *neighbour)
{
        AgentNetwork *network = &interface->network;
        struct nl_addr *address = rtnl_neigh_get_dst(neighbour);
        struct nl_addr *mac = rtnl_neigh_get_lladdr(neighbour);
        uint32_t size = address ? describe_family_size(nl_addr_get_family(address)) : 0;
        AgentNeighbour *item;

        if (rtnl_neigh_get_ifindex(neighbour) != (int)interface->ifindex || size == 0 ||
            !(rtnl_neigh_get_state(neighbour) & NUD_PERMANENT) || !mac ||
            nl_addr_get_len(mac) != AGENT_MAC_SIZE)
                return 0;
        item = describe_grow((void **)&network->neighbours, &network->n_neighbours,
                             NET_NEIGHBOURS_MAX, sizeof(*item));
        if (!item)
                return -ENOSPC;
        memcpy(item->mac, nl_addr_get_binary_addr(mac), AGENT_MAC_SIZE);
        return describe_address(&item->address, address, size, 8 * size);
}

/* ------------------------------------------------------------------ the whole */

static int fill_lists(NetInterface *interface, const Dump *dump)
{
        int r = 0;

        netlink_for_each (struct rtnl_addr, address, dump->addresses)
                if (r >= 0 && address_is_wanted(address, interface))
                        r = add_address(interface, address);
        netlink_for_each (struct rtnl_neigh, neighbour, dump->neighbours)
                if (r >= 0)
                        r = add_neighbour(interface, neighbour);
        return r;
}

static void leave(NetReport *report, struct rtnl_link *link, NetReason reason)
{
        net_report_leave(report, (uint32_t)rtnl_link_get_ifindex(link), rtnl_link_get_name(link),
                         rtnl_link_get_type(link) ?: "", reason);
}

NetInterface *describe_find(NetReport *report, int ifindex)
{
        for (uint32_t i = 0; i < report->n_interfaces; i++)
                if ((int)report->interfaces[i].ifindex == ifindex)
                        return &report->interfaces[i];
        return NULL;
}

static int fill_interface(NetInterface *interface, struct rtnl_link *link)
{
        AgentNetwork *network = &interface->network;
        const char *type = rtnl_link_get_type(link), *alias = rtnl_link_get_ifalias(link);
        unsigned flags = rtnl_link_get_flags(link);

        interface->ifindex = (uint32_t)rtnl_link_get_ifindex(link);
        if (flags & IFF_RUNNING)
                interface->flags |= NET_INTERFACE_RUNNING;
        snprintf(interface->kind, sizeof(interface->kind), "%s", type ?: "");
        memcpy(network->mac, nl_addr_get_binary_addr(rtnl_link_get_addr(link)), AGENT_MAC_SIZE);
        network->mtu = MIN(rtnl_link_get_mtu(link), (unsigned)UINT16_MAX);
        network->noarp = flags & IFF_NOARP;
        network->queue_length = rtnl_link_get_txqlen(link);
        network->name = strdup(rtnl_link_get_name(link));
        if (alias)
                network->alias = strndup(alias, AGENT_ALIAS_MAX);
        return network->name && (network->alias || !alias) ? 0 : -ENOMEM;
}

static int add_interface(NetReport *report, struct rtnl_link *link, const Dump *dump)
{
        NetInterface *interface = describe_grow((void **)&report->interfaces, &report->n_interfaces,
                                                NET_INTERFACES_MAX, sizeof(*interface));
        int r;

        if (!interface) {
                leave(report, link, NET_REASON_TOO_MANY);
                return 0;
        }
        r = fill_interface(interface, link);
        if (r >= 0)
                r = fill_lists(interface, dump);
        if (r != -ENOSPC)
                return r;
        log_warning("%s has more addresses or neighbours than a guest is told of",
                    interface->network.name);
        return 0;
}

static int add_interfaces(NetReport *report, const Dump *dump, const char *only)
{
        int r = 0;

        netlink_for_each (struct rtnl_link, link, dump->links) {
                NetReason reason;

                if (r < 0 || (only && strcmp(rtnl_link_get_name(link), only) != 0))
                        continue;
                if (link_is_eligible(link, dump, &reason))
                        r = add_interface(report, link, dump);
                else if (reason < NET_REASON_MAX_)
                        leave(report, link, reason);
        }
        return r;
}

/* Those that the kernel gives it by itself aren't told. */
static bool is_kernels_own(struct rtnl_addr *address)
{
        static const uint8_t own4[] = {127, 0, 0, 1}, own6[16] = {[15] = 1};
        struct nl_addr *local = rtnl_addr_get_local(address);
        int prefix = rtnl_addr_get_prefixlen(address);
        const void *bytes = nl_addr_get_binary_addr(local);

        return nl_addr_get_len(local) == 4 ? prefix == 8 && memcmp(bytes, own4, 4) == 0
                                           : prefix == 128 && memcmp(bytes, own6, 16) == 0;
}

static int add_loopback(AgentRouting *routing, const Dump *dump)
{
        int r = 0;

        netlink_for_each (struct rtnl_addr, address, dump->addresses) {
                uint32_t size = describe_family_size(rtnl_addr_get_family(address));
                AgentAddress *item;

                if (r < 0 || rtnl_addr_get_ifindex(address) != LOOPBACK_INDEX || size == 0 ||
                    !rtnl_addr_get_local(address) || is_kernels_own(address))
                        continue;
                item = describe_grow((void **)&routing->loopback, &routing->n_loopback,
                                     NET_ADDRESSES_MAX, sizeof(*item));
                if (!item)
                        break;
                r = describe_address(item, rtnl_addr_get_local(address), size,
                                     MIN((uint32_t)rtnl_addr_get_prefixlen(address), 8 * size));
        }
        return r;
}

int net_describe(struct nl_sock *socket, const char *only, NetReport *ret)
{
        _cleanup_(dump_done) Dump dump = {};
        NetReport report = {};
        int r = dump_take(socket, &dump);

        if (r < 0)
                return r;
        r = add_interfaces(&report, &dump, only);
        if (r >= 0)
                r = describe_routes(&report);
        if (r >= 0 && !only)
                r = add_loopback(&report.routing, &dump);
        if (r >= 0 && !only)
                r = describe_rules(&report);
        if (r >= 0 && !only)
                r = describe_settings(&report);
        if (r < 0) {
                net_report_done(&report);
                return r;
        }
        report.flags = ret->flags;
        *ret = report;
        return 0;
}
