/*
 * The routes of a namespace; see describe.h. One with one way, through an interface of the guest's,
 * belongs to that; what has several, none, or leads to the loopback interface belongs to the namespace.
 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "uvmd/net/describe_parts.h"

#define METRIC_CC_ALGO RTAX_CC_ALGO /* a name, of which a guest need not have the algorithm */

/* ------------------------------------------------------------------ dumps */

/* libnl's cache of routes has room for one of those that differ in nothing but the interface. */
typedef struct Routes {
        struct rtnl_route **items;
        size_t n;
        int failure;
        bool left_out; /* one that says how packets are wrapped */
} Routes;

static void routes_done(Routes *routes)
{
        for (size_t i = 0; i < routes->n; i++)
                rtnl_route_put(routes->items[i]);
        free(routes->items);
        *routes = (Routes){};
}

static bool route_has_no_way(struct rtnl_route *route)
{
        uint8_t type = rtnl_route_get_type(route);

        return type >= RTN_BLACKHOLE && type <= RTN_THROW;
}

/* What a router advertised is heard by the guest, and dies with its time. What the kernel makes of
 * addresses the guest's makes, too, but for the ways to their networks, which it is told not to. */
static bool route_is_wanted(struct rtnl_route *route)
{
        uint8_t type = rtnl_route_get_type(route), protocol = rtnl_route_get_protocol(route);
        bool kernels = rtnl_route_get_table(route) == RT_TABLE_LOCAL || type != RTN_UNICAST;

        return type >= RTN_UNICAST && type <= RTN_THROW && protocol != RTPROT_RA &&
               !(protocol == RTPROT_KERNEL && kernels) &&
               !(rtnl_route_get_flags(route) & RTM_F_CLONED) && rtnl_route_get_table(route) != 0 &&
               describe_family_size(rtnl_route_get_family(route)) > 0;
}

static int routes_on_message(struct nl_msg *message, void *userdata)
{
        Routes *routes = userdata;
        struct rtnl_route *route, **grown;

        if (rtnl_route_parse(nlmsg_hdr(message), &route) < 0)
                return NL_SKIP; /* of a kind that libnl doesn't know */
        if (!route_is_wanted(route)) {
                rtnl_route_put(route);
                return NL_OK;
        }
        if (nlmsg_find_attr(nlmsg_hdr(message), sizeof(struct rtmsg), RTA_ENCAP)) {
                routes->left_out = true;
                rtnl_route_put(route);
                return NL_OK;
        }
        grown = reallocarray(routes->items, routes->n + 1, sizeof(*grown));
        if (!grown) {
                routes->failure = -ENOMEM;
                rtnl_route_put(route);
                return NL_OK;
        }
        routes->items = grown;
        grown[routes->n++] = route;
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

/* ------------------------------------------------------------------ one route */

static struct nl_addr *hop_gateway(struct rtnl_nexthop *hop)
{
        return rtnl_route_nh_get_gateway(hop) ?: rtnl_route_nh_get_via(hop);
}

static const char *hop_device(NetReport *report, struct rtnl_nexthop *hop)
{
        int ifindex = rtnl_route_nh_get_ifindex(hop);
        const NetInterface *interface = describe_find(report, ifindex);

        return interface ? interface->network.name : ifindex == LOOPBACK_INDEX ? "lo" : NULL;
}

/* The ways that a guest has. Returns how many there are, and the last. */
static unsigned count_hops(NetReport *report, struct rtnl_route *route, struct rtnl_nexthop **ret)
{
        unsigned n = 0;

        for (int i = 0; i < rtnl_route_get_nnexthops(route); i++) {
                struct rtnl_nexthop *hop = rtnl_route_nexthop_n(route, i);

                if (!hop || !hop_device(report, hop))
                        continue;
                *ret = hop;
                n++;
        }
        return n;
}

static bool has_gateway(struct rtnl_route *route)
{
        for (int i = 0; i < rtnl_route_get_nnexthops(route); i++)
                if (hop_gateway(rtnl_route_nexthop_n(route, i)))
                        return true;
        return false;
}

static int fill_gateway(AgentAddress *into, struct rtnl_nexthop *hop)
{
        struct nl_addr *gateway = hop_gateway(hop);

        return gateway ? describe_address(into, gateway,
                                          describe_family_size(nl_addr_get_family(gateway)), 0)
                       : 0;
}

static int fill_metrics(AgentRoute *into, struct rtnl_route *route)
{
        for (int type = 1; type <= AGENT_METRIC_MAX; type++) {
                AgentMetric *metric;
                uint32_t value;

                if (type == METRIC_CC_ALGO || rtnl_route_get_metric(route, type, &value) < 0)
                        continue;
                metric = describe_grow((void **)&into->metrics, &into->n_metrics, AGENT_METRIC_MAX,
                                       sizeof(*metric));
                if (!metric)
                        return -ENOMEM;
                *metric = (AgentMetric){.type = (uint32_t)type, .value = value};
        }
        return 0;
}

static int fill_route(AgentRoute *into, struct rtnl_route *route)
{
        uint32_t size = describe_family_size(rtnl_route_get_family(route));
        struct nl_addr *destination = rtnl_route_get_dst(route);
        struct nl_addr *source = rtnl_route_get_pref_src(route);
        uint32_t prefix = destination ? nl_addr_get_prefixlen(destination) : 0;
        int r = describe_address(&into->destination, destination, size, MIN(prefix, 8 * size));

        if (r >= 0 && source)
                r = describe_address(&into->source, source, size, 0);
        into->table = rtnl_route_get_table(route);
        into->metric = rtnl_route_get_priority(route);
        into->type = rtnl_route_get_type(route);
        into->tos = rtnl_route_get_tos(route);
        into->scope = rtnl_route_get_scope(route);
        return r < 0 ? r : fill_metrics(into, route);
}

static int fill_hops(AgentRoute *into, NetReport *report, struct rtnl_route *route)
{
        int r = 0;

        for (int i = 0; r >= 0 && i < rtnl_route_get_nnexthops(route); i++) {
                struct rtnl_nexthop *hop = rtnl_route_nexthop_n(route, i);
                const char *device = hop_device(report, hop);
                AgentHop *item;

                if (!device)
                        continue;
                item = describe_grow((void **)&into->hops, &into->n_hops, AGENT_HOPS_MAX,
                                     sizeof(*item));
                if (!item)
                        return -ENOSPC;
                item->device = strdup(device);
                item->weight = rtnl_route_nh_get_weight(hop);
                item->onlink = rtnl_route_nh_get_flags(hop) & RTNH_F_ONLINK;
                r = item->device ? fill_gateway(&item->gateway, hop) : -ENOMEM;
        }
        return r;
}

static AgentRoute *routing_grow(AgentRouting *routing)
{
        return describe_grow((void **)&routing->routes, &routing->n_routes, NET_ROUTES_MAX,
                             sizeof(*routing->routes));
}

static int add_to_interface(NetInterface *interface, struct rtnl_route *route,
                            struct rtnl_nexthop *hop)
{
        AgentNetwork *network = &interface->network;
        AgentRoute *item = describe_grow((void **)&network->routes, &network->n_routes,
                                         NET_ROUTES_MAX, sizeof(*item));
        int r = item ? fill_route(item, route) : -ENOSPC;

        if (r < 0)
                return r;
        item->onlink = rtnl_route_nh_get_flags(hop) & RTNH_F_ONLINK;
        return fill_gateway(&item->gateway, hop);
}

static int add_route(NetReport *report, struct rtnl_route *route)
{
        struct rtnl_nexthop *hop = NULL;
        unsigned n = route_has_no_way(route) ? 0 : count_hops(report, route, &hop);
        NetInterface *interface = hop ? describe_find(report, rtnl_route_nh_get_ifindex(hop))
                                      : NULL;
        AgentRoute *item;
        int r;

        if (n == 0 && !route_has_no_way(route))
                return 0;
        if (n == 1 && interface)
                return add_to_interface(interface, route, hop);
        item = routing_grow(&report->routing);
        r = item ? fill_route(item, route) : -ENOSPC;
        return r < 0 || n == 0 ? r : fill_hops(item, report, route);
}

/* ------------------------------------------------------------------ the whole */

/* In two rounds: a gateway is reached by what comes first. */
int describe_routes(NetReport *report)
{
        _cleanup_(routes_done) Routes routes = {};
        int r = routes_take(&routes);

        if (routes.left_out)
                log_info("routes with encapsulations are left out: a guest's packets leave as they "
                         "are");
        for (int gateway = 0; r >= 0 && gateway < 2; gateway++)
                for (size_t i = 0; r >= 0 && i < routes.n; i++)
                        if (has_gateway(routes.items[i]) == gateway)
                                r = add_route(report, routes.items[i]);
        if (r != -ENOSPC)
                return r;
        log_warning("the namespace has more routes than a guest is told of");
        return 0;
}
