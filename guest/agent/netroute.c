/* One route; see netroute.h. */
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"

#include "agent/netroute.h"

/* IP6_RT_PRIO_USER of net/ipv6/ip6_route.h. */
#define IPV6_METRIC_DEFAULT 1024

static size_t address_size(uint8_t family)
{
        return family == AF_INET6 ? 16 : 4;
}

static uint8_t family_of(uint32_t size)
{
        return size == 16 ? AF_INET6 : size == 4 ? AF_INET : AF_UNSPEC;
}

static void copy(uint8_t ret[NETROUTE_ADDRESS_SIZE], const uint8_t *bytes, size_t size)
{
        memset(ret, 0, NETROUTE_ADDRESS_SIZE);
        if (size > 0)
                memcpy(ret, bytes, MIN(size, (size_t)NETROUTE_ADDRESS_SIZE));
}

/* The kernel refuses a destination with bits beyond its prefix. */
static void mask(uint8_t address[NETROUTE_ADDRESS_SIZE], unsigned prefix)
{
        for (unsigned i = 0; i < NETROUTE_ADDRESS_SIZE; i++) {
                unsigned bits = prefix >= 8 * (i + 1) ? 8 : prefix <= 8 * i ? 0 : prefix - 8 * i;

                address[i] &= (uint8_t)(0xff00 >> bits);
        }
}

static bool leads_nowhere(const NetRoute *route)
{
        return route->type >= RTN_BLACKHOLE && route->type <= RTN_THROW;
}

void netroute_from_agent(const AgentRoute *route, uint32_t index, NetRoute *ret)
{
        *ret = (NetRoute){
                .family = family_of(route->destination.size),
                .prefix = (uint8_t)route->destination.prefix,
                .scope = (uint8_t)route->scope,
                .type = (uint8_t)route->type,
                .tos = (uint8_t)route->tos,
                .protocol = RTPROT_STATIC,
                .table = route->table,
                .metric = route->metric,
        };
        copy(ret->destination, route->destination.bytes, route->destination.size);
        mask(ret->destination, ret->prefix);
        copy(ret->source, route->source.bytes, route->source.size);
        for (uint32_t i = 0; i < route->n_metrics; i++)
                if (route->metrics[i].type <= AGENT_METRIC_MAX)
                        ret->metrics[route->metrics[i].type] = route->metrics[i].value;
        if (ret->family == AF_INET6) {
                ret->scope = RT_SCOPE_UNIVERSE;
                ret->tos = 0;
                if (ret->metric == 0)
                        ret->metric = IPV6_METRIC_DEFAULT;
        }
        if (index == 0 || leads_nowhere(ret))
                return;
        ret->n_hops = 1;
        ret->hops[0] = (NetHop){
                .via = family_of(route->gateway.size),
                .onlink = route->onlink,
                .device = index,
        };
        copy(ret->hops[0].gateway, route->gateway.bytes, route->gateway.size);
}

void netroute_add_hop(NetRoute *route, const AgentHop *hop, uint32_t index)
{
        NetHop *into = &route->hops[route->n_hops];

        if (leads_nowhere(route) || route->n_hops == AGENT_HOPS_MAX)
                return;
        *into = (NetHop){
                .via = family_of(hop->gateway.size),
                .weight = (uint8_t)hop->weight,
                .onlink = hop->onlink,
                .device = index,
        };
        copy(into->gateway, hop->gateway.bytes, hop->gateway.size);
        route->n_hops++;
}

bool netroute_is_of(const NetRoute *route, uint32_t device)
{
        return route->n_hops == 1 && route->hops[0].device == device;
}

bool netroute_is_settable(const NetRoute *route)
{
        return route->protocol != RTPROT_KERNEL && route->protocol != RTPROT_RA;
}

static bool hop_is_equal(const NetHop *a, const NetHop *b, bool several)
{
        return a->via == b->via && a->onlink == b->onlink && a->device == b->device &&
               (!several || a->weight == b->weight) &&
               memcmp(a->gateway, b->gateway, sizeof(a->gateway)) == 0;
}

/* IPv6 gives no order to them. */
static bool hops_are_in(const NetRoute *a, const NetRoute *b)
{
        for (unsigned i = 0; i < a->n_hops; i++) {
                bool found = false;

                for (unsigned j = 0; !found && j < b->n_hops; j++)
                        found = hop_is_equal(&a->hops[i], &b->hops[j], a->n_hops > 1);
                if (!found)
                        return false;
        }
        return true;
}

bool netroute_is_equal(const NetRoute *a, const NetRoute *b)
{
        return a->family == b->family && a->prefix == b->prefix && a->scope == b->scope &&
               a->type == b->type && a->tos == b->tos && a->table == b->table &&
               a->metric == b->metric && a->n_hops == b->n_hops &&
               memcmp(a->destination, b->destination, sizeof(a->destination)) == 0 &&
               memcmp(a->source, b->source, sizeof(a->source)) == 0 &&
               memcmp(a->metrics, b->metrics, sizeof(a->metrics)) == 0 && hops_are_in(a, b) &&
               hops_are_in(b, a);
}

/* ------------------------------------------------------------------ writing */

/* A gateway of the other family goes as RTA_VIA: its family, then its bytes. */
static void put_gateway(const NetRoute *route, const NetHop *hop, NetlinkRequest *request)
{
        size_t size = address_size(hop->via);
        uint8_t via[sizeof(uint16_t) + NETROUTE_ADDRESS_SIZE];
        uint16_t family = hop->via;

        if (hop->via == AF_UNSPEC)
                return;
        if (hop->via == route->family) {
                netlink_put(request, RTA_GATEWAY, hop->gateway, size);
                return;
        }
        memcpy(via, &family, sizeof(family));
        memcpy(via + sizeof(family), hop->gateway, size);
        netlink_put(request, RTA_VIA, via, sizeof(family) + size);
}

static void put_hops(const NetRoute *route, NetlinkRequest *request)
{
        size_t nest = netlink_nest(request, RTA_MULTIPATH);

        for (unsigned i = 0; i < route->n_hops; i++) {
                const NetHop *hop = &route->hops[i];
                struct rtnexthop header = {
                        .rtnh_flags = hop->onlink ? RTNH_F_ONLINK : 0,
                        .rtnh_hops = hop->weight,
                        .rtnh_ifindex = (int)hop->device,
                };
                size_t at = netlink_append(request, &header, sizeof(header));

                put_gateway(route, hop, request);
                header.rtnh_len = (unsigned short)(request->size - at);
                netlink_patch(request, at, &header, sizeof(header));
        }
        netlink_nest_end(request, nest);
}

static bool is_zero(const uint8_t address[NETROUTE_ADDRESS_SIZE])
{
        static const uint8_t zero[NETROUTE_ADDRESS_SIZE];

        return memcmp(address, zero, sizeof(zero)) == 0;
}

static void put_metrics(const NetRoute *route, NetlinkRequest *request)
{
        size_t nest = netlink_nest(request, RTA_METRICS), empty = request->size;

        for (uint16_t type = 1; type <= AGENT_METRIC_MAX; type++)
                if (route->metrics[type] != 0)
                        netlink_put_u32(request, type, route->metrics[type]);
        if (request->size == empty)
                request->size = nest; /* none */
        else
                netlink_nest_end(request, nest);
}

void netroute_put(const NetRoute *route, uint16_t type, uint16_t flags, NetlinkRequest *request)
{
        size_t size = address_size(route->family);
        struct rtmsg body = {
                .rtm_family = route->family,
                .rtm_dst_len = route->prefix,
                .rtm_tos = route->tos,
                .rtm_table = route->table < RT_TABLE_LOCAL + 1 ? (uint8_t)route->table
                                                               : RT_TABLE_UNSPEC,
                .rtm_protocol = route->protocol,
                .rtm_scope = route->scope,
                .rtm_type = route->type,
                .rtm_flags = route->n_hops == 1 && route->hops[0].onlink ? RTNH_F_ONLINK : 0,
        };

        netlink_begin(request, type, flags, &body, sizeof(body));
        netlink_put_u32(request, RTA_TABLE, route->table);
        if (route->prefix > 0)
                netlink_put(request, RTA_DST, route->destination, size);
        if (!is_zero(route->source))
                netlink_put(request, RTA_PREFSRC, route->source, size);
        if (route->n_hops > 1)
                put_hops(route, request);
        if (route->n_hops == 1) {
                put_gateway(route, &route->hops[0], request);
                netlink_put_u32(request, RTA_OIF, route->hops[0].device);
        }
        if (route->metric != 0)
                netlink_put_u32(request, RTA_PRIORITY, route->metric);
        put_metrics(route, request);
}

/* ------------------------------------------------------------------ reading */

static void take_address(const NetlinkReader *attributes, uint16_t type, uint8_t family,
                         uint8_t ret[NETROUTE_ADDRESS_SIZE])
{
        NetlinkAttribute attribute;

        if (netlink_find(attributes, type, &attribute) && attribute.size == address_size(family))
                copy(ret, attribute.data, attribute.size);
}

static void take_gateway(const NetlinkReader *attributes, uint8_t own, NetHop *hop)
{
        NetlinkAttribute attribute;
        uint16_t family;

        if (netlink_find(attributes, RTA_GATEWAY, &attribute) &&
            attribute.size == address_size(own)) {
                hop->via = own;
                copy(hop->gateway, attribute.data, attribute.size);
        } else if (netlink_find(attributes, RTA_VIA, &attribute) &&
                   attribute.size > sizeof(family)) {
                memcpy(&family, attribute.data, sizeof(family));
                if ((family != AF_INET && family != AF_INET6) ||
                    attribute.size != sizeof(family) + address_size((uint8_t)family))
                        return;
                hop->via = (uint8_t)family;
                copy(hop->gateway, attribute.data + sizeof(family), address_size(hop->via));
        }
}

/* RTA_MULTIPATH: a struct rtnexthop with attributes each. False: too many, or a length that lies. */
static bool take_hops(const NetlinkAttribute *ways, NetRoute *route)
{
        const uint8_t *at = ways->data;
        size_t left = ways->size;

        while (left > 0) {
                NetHop *hop = &route->hops[route->n_hops];
                NetlinkReader attributes;
                struct rtnexthop header;
                size_t step;

                if (left < sizeof(header) || route->n_hops == AGENT_HOPS_MAX)
                        return false;
                memcpy(&header, at, sizeof(header));
                if (header.rtnh_len < sizeof(header) || header.rtnh_len > left)
                        return false;
                attributes = netlink_reader(at + sizeof(header), header.rtnh_len - sizeof(header));
                *hop = (NetHop){
                        .weight = header.rtnh_hops,
                        .onlink = header.rtnh_flags & RTNH_F_ONLINK,
                        .device = (uint32_t)header.rtnh_ifindex,
                };
                take_gateway(&attributes, route->family, hop);
                route->n_hops++;
                step = MIN(((size_t)header.rtnh_len + 3) & ~(size_t)3, left);
                at += step;
                left -= step;
        }
        return route->n_hops > 0;
}

static void take_metrics(const NetlinkReader *attributes, NetRoute *route)
{
        NetlinkAttribute metrics;
        NetlinkReader reader;

        if (!netlink_find(attributes, RTA_METRICS, &metrics))
                return;
        reader = netlink_reader(metrics.data, metrics.size);
        for (uint16_t type = 1; type <= AGENT_METRIC_MAX; type++)
                route->metrics[type] = netlink_find_u32(&reader, type, 0);
        route->metrics[RTAX_CC_ALGO] = 0;
}

static bool is_readable(const struct rtmsg *body)
{
        return (body->rtm_family == AF_INET || body->rtm_family == AF_INET6) &&
               body->rtm_type >= RTN_UNICAST && body->rtm_type <= RTN_THROW &&
               !(body->rtm_flags & RTM_F_CLONED) &&
               body->rtm_dst_len <= 8 * address_size(body->rtm_family);
}

bool netroute_from_message(const NetlinkMessage *message, NetRoute *ret)
{
        NetlinkReader attributes;
        NetlinkAttribute ways;
        struct rtmsg body;

        if (message->type != RTM_NEWROUTE ||
            netlink_body(message, &body, sizeof(body), &attributes) < 0 || !is_readable(&body))
                return false;
        *ret = (NetRoute){
                .family = body.rtm_family,
                .prefix = body.rtm_dst_len,
                .scope = body.rtm_family == AF_INET ? body.rtm_scope : RT_SCOPE_UNIVERSE,
                .type = body.rtm_type,
                .tos = body.rtm_family == AF_INET ? body.rtm_tos : 0,
                .protocol = body.rtm_protocol,
                .table = netlink_find_u32(&attributes, RTA_TABLE, body.rtm_table),
                .metric = netlink_find_u32(&attributes, RTA_PRIORITY, 0),
        };
        take_address(&attributes, RTA_DST, ret->family, ret->destination);
        mask(ret->destination, ret->prefix);
        take_address(&attributes, RTA_PREFSRC, ret->family, ret->source);
        take_metrics(&attributes, ret);
        /* IPv6 has these lead to the loopback interface. */
        if (leads_nowhere(ret))
                return true;
        if (netlink_find(&attributes, RTA_MULTIPATH, &ways))
                return take_hops(&ways, ret);
        ret->n_hops = 1;
        ret->hops[0] = (NetHop){
                .onlink = body.rtm_flags & RTNH_F_ONLINK,
                .device = netlink_find_u32(&attributes, RTA_OIF, 0),
        };
        take_gateway(&attributes, ret->family, &ret->hops[0]);
        return true;
}
