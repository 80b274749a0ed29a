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

void netroute_from_agent(const AgentRoute *route, uint32_t index, NetRoute *ret)
{
        *ret = (NetRoute){
                .family = family_of(route->destination.size),
                .prefix = (uint8_t)route->destination.prefix,
                .scope = (uint8_t)route->scope,
                .via = family_of(route->gateway.size),
                .protocol = RTPROT_STATIC,
                .onlink = route->onlink,
                .metric = route->metric,
                .mtu = route->mtu,
                .device = index,
        };
        copy(ret->destination, route->destination.bytes, route->destination.size);
        mask(ret->destination, ret->prefix);
        copy(ret->gateway, route->gateway.bytes, route->gateway.size);
        copy(ret->source, route->source.bytes, route->source.size);
        if (ret->family == AF_INET6) {
                ret->scope = RT_SCOPE_UNIVERSE;
                if (ret->metric == 0)
                        ret->metric = IPV6_METRIC_DEFAULT;
        }
}

bool netroute_is_equal(const NetRoute *a, const NetRoute *b)
{
        return a->family == b->family && a->prefix == b->prefix && a->scope == b->scope &&
               a->via == b->via && a->onlink == b->onlink && a->metric == b->metric &&
               a->mtu == b->mtu && a->device == b->device &&
               memcmp(a->destination, b->destination, sizeof(a->destination)) == 0 &&
               memcmp(a->gateway, b->gateway, sizeof(a->gateway)) == 0 &&
               memcmp(a->source, b->source, sizeof(a->source)) == 0;
}

/* A gateway of the other family goes as RTA_VIA: its family, then its bytes. */
static void put_gateway(const NetRoute *route, NetlinkRequest *request)
{
        size_t size = address_size(route->via);
        uint8_t via[sizeof(uint16_t) + NETROUTE_ADDRESS_SIZE];
        uint16_t family = route->via;

        if (route->via == AF_UNSPEC)
                return;
        if (route->via == route->family) {
                netlink_put(request, RTA_GATEWAY, route->gateway, size);
                return;
        }
        memcpy(via, &family, sizeof(family));
        memcpy(via + sizeof(family), route->gateway, size);
        netlink_put(request, RTA_VIA, via, sizeof(family) + size);
}

static bool is_zero(const uint8_t address[NETROUTE_ADDRESS_SIZE])
{
        static const uint8_t zero[NETROUTE_ADDRESS_SIZE];

        return memcmp(address, zero, sizeof(zero)) == 0;
}

void netroute_put(const NetRoute *route, uint16_t type, uint16_t flags, NetlinkRequest *request)
{
        size_t size = address_size(route->family), nest;
        struct rtmsg body = {
                .rtm_family = route->family,
                .rtm_dst_len = route->prefix,
                .rtm_table = RT_TABLE_MAIN,
                .rtm_protocol = route->protocol,
                .rtm_scope = route->scope,
                .rtm_type = RTN_UNICAST,
                .rtm_flags = route->onlink ? RTNH_F_ONLINK : 0,
        };

        netlink_begin(request, type, flags, &body, sizeof(body));
        if (route->prefix > 0)
                netlink_put(request, RTA_DST, route->destination, size);
        put_gateway(route, request);
        if (!is_zero(route->source))
                netlink_put(request, RTA_PREFSRC, route->source, size);
        netlink_put_u32(request, RTA_OIF, route->device);
        if (route->metric != 0)
                netlink_put_u32(request, RTA_PRIORITY, route->metric);
        if (route->mtu != 0) {
                nest = netlink_nest(request, RTA_METRICS);
                netlink_put_u32(request, RTAX_MTU, route->mtu);
                netlink_nest_end(request, nest);
        }
}

static void take_address(const NetlinkReader *attributes, uint16_t type, uint8_t family,
                         uint8_t ret[NETROUTE_ADDRESS_SIZE])
{
        NetlinkAttribute attribute;

        if (netlink_find(attributes, type, &attribute) && attribute.size == address_size(family))
                copy(ret, attribute.data, attribute.size);
}

static void take_gateway(const NetlinkReader *attributes, NetRoute *route)
{
        NetlinkAttribute attribute;
        uint16_t family;

        if (netlink_find(attributes, RTA_GATEWAY, &attribute) &&
            attribute.size == address_size(route->family)) {
                route->via = route->family;
                copy(route->gateway, attribute.data, attribute.size);
        } else if (netlink_find(attributes, RTA_VIA, &attribute) &&
                   attribute.size > sizeof(family)) {
                memcpy(&family, attribute.data, sizeof(family));
                if ((family != AF_INET && family != AF_INET6) ||
                    attribute.size != sizeof(family) + address_size((uint8_t)family))
                        return;
                route->via = (uint8_t)family;
                copy(route->gateway, attribute.data + sizeof(family), address_size(route->via));
        }
}

/* The @way-th of the ways of RTA_MULTIPATH: a struct rtnexthop with attributes each. */
static bool take_way(const NetlinkAttribute *ways, unsigned way, NetRoute *route)
{
        const uint8_t *at = ways->data;
        size_t left = ways->size, step;
        struct rtnexthop hop;

        for (;; way--) {
                NetlinkReader attributes;

                if (left < sizeof(hop))
                        return false;
                memcpy(&hop, at, sizeof(hop));
                if (hop.rtnh_len < sizeof(hop) || hop.rtnh_len > left)
                        return false;
                if (way == 0) {
                        attributes = netlink_reader(at + sizeof(hop), hop.rtnh_len - sizeof(hop));
                        take_gateway(&attributes, route);
                        route->device = (uint32_t)hop.rtnh_ifindex;
                        route->onlink = hop.rtnh_flags & RTNH_F_ONLINK;
                        return true;
                }
                step = MIN(((size_t)hop.rtnh_len + 3) & ~(size_t)3, left);
                at += step;
                left -= step;
        }
}

static uint32_t take_mtu(const NetlinkReader *attributes)
{
        NetlinkAttribute metrics;
        NetlinkReader reader;

        if (!netlink_find(attributes, RTA_METRICS, &metrics))
                return 0;
        reader = netlink_reader(metrics.data, metrics.size);
        return netlink_find_u32(&reader, RTAX_MTU, 0);
}

bool netroute_from_message(const NetlinkMessage *message, unsigned way, NetRoute *ret)
{
        NetlinkReader attributes;
        NetlinkAttribute ways;
        struct rtmsg body;
        NetRoute route;

        if (message->type != RTM_NEWROUTE ||
            netlink_body(message, &body, sizeof(body), &attributes) < 0)
                return false;
        if ((body.rtm_family != AF_INET && body.rtm_family != AF_INET6) ||
            body.rtm_type != RTN_UNICAST || (body.rtm_flags & RTM_F_CLONED) ||
            body.rtm_dst_len > 8 * address_size(body.rtm_family) ||
            netlink_find_u32(&attributes, RTA_TABLE, body.rtm_table) != RT_TABLE_MAIN)
                return false;
        route = (NetRoute){
                .family = body.rtm_family,
                .prefix = body.rtm_dst_len,
                .scope = body.rtm_family == AF_INET ? body.rtm_scope : RT_SCOPE_UNIVERSE,
                .protocol = body.rtm_protocol,
                .onlink = body.rtm_flags & RTNH_F_ONLINK,
                .metric = netlink_find_u32(&attributes, RTA_PRIORITY, 0),
                .mtu = take_mtu(&attributes),
        };
        take_address(&attributes, RTA_DST, route.family, route.destination);
        mask(route.destination, route.prefix);
        take_address(&attributes, RTA_PREFSRC, route.family, route.source);
        if (netlink_find(&attributes, RTA_MULTIPATH, &ways)) {
                if (!take_way(&ways, way, &route))
                        return false;
        } else {
                if (way > 0)
                        return false;
                take_gateway(&attributes, &route);
                route.device = netlink_find_u32(&attributes, RTA_OIF, 0);
        }
        *ret = route;
        return true;
}
