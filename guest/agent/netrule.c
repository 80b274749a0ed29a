/* Rules; see netrule.h. */
#include <linux/fib_rules.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/error.h"

#include "agent/netrule.h"

static uint8_t family_of(const AgentRule *rule)
{
        return rule->flags & AGENT_RULE_IPV6 ? AF_INET6 : AF_INET;
}

/* ------------------------------------------------------------------ writing */

static void put_name(NetlinkRequest *request, uint16_t type, const char *name)
{
        if (name && *name)
                netlink_put(request, type, name, strlen(name) + 1);
}

static void put_nonzero(NetlinkRequest *request, uint16_t type, uint32_t value)
{
        if (value != 0)
                netlink_put_u32(request, type, value);
}

static void put_ports(NetlinkRequest *request, uint16_t type, const AgentSpan *span)
{
        struct fib_rule_port_range range = {
                .start = (uint16_t)span->first,
                .end = (uint16_t)span->last,
        };

        netlink_put(request, type, &range, sizeof(range));
}

static void put_options(const AgentRule *rule, NetlinkRequest *request)
{
        struct fib_rule_uid_range uids = {.start = rule->uids.first, .end = rule->uids.last};

        if (rule->flags & AGENT_RULE_GOTO)
                netlink_put_u32(request, FRA_GOTO, rule->target);
        if (rule->flags & AGENT_RULE_SUPPRESS)
                netlink_put_u32(request, FRA_SUPPRESS_PREFIXLEN, rule->suppress_prefix);
        if (rule->flags & AGENT_RULE_SUPPRESS_LINK)
                netlink_put_u32(request, FRA_SUPPRESS_IFGROUP, rule->suppress_group);
        if (rule->flags & AGENT_RULE_UIDS)
                netlink_put(request, FRA_UID_RANGE, &uids, sizeof(uids));
        if (rule->flags & AGENT_RULE_SOURCE_PORTS)
                put_ports(request, FRA_SPORT_RANGE, &rule->source_ports);
        if (rule->flags & AGENT_RULE_PORTS)
                put_ports(request, FRA_DPORT_RANGE, &rule->ports);
        if (rule->flags & AGENT_RULE_L3MDEV)
                netlink_put_u8(request, FRA_L3MDEV, 1);
        if (rule->protocol != 0)
                netlink_put_u8(request, FRA_IP_PROTO, (uint8_t)rule->protocol);
}

void netrule_put(const AgentRule *rule, uint16_t type, uint16_t flags, NetlinkRequest *request)
{
        struct fib_rule_hdr body = {
                .family = family_of(rule),
                .dst_len = (uint8_t)rule->destination.prefix,
                .src_len = (uint8_t)rule->source.prefix,
                .tos = (uint8_t)rule->tos,
                .table = rule->table <= UINT8_MAX ? (uint8_t)rule->table : RT_TABLE_UNSPEC,
                .action = (uint8_t)rule->action,
                .flags = rule->flags & AGENT_RULE_INVERT ? FIB_RULE_INVERT : 0,
        };

        netlink_begin(request, type, flags, &body, sizeof(body));
        netlink_put_u32(request, FRA_PRIORITY, rule->priority);
        put_nonzero(request, FRA_TABLE, rule->table);
        if (rule->source.size > 0)
                netlink_put(request, FRA_SRC, rule->source.bytes, rule->source.size);
        if (rule->destination.size > 0)
                netlink_put(request, FRA_DST, rule->destination.bytes, rule->destination.size);
        put_name(request, FRA_IIFNAME, rule->input);
        put_name(request, FRA_OIFNAME, rule->output);
        put_nonzero(request, FRA_FWMARK, rule->mark);
        put_nonzero(request, FRA_FWMASK, rule->mask);
        put_nonzero(request, FRA_FLOW, rule->realms);
        put_options(rule, request);
}

/* ------------------------------------------------------------------ reading */

static uint32_t find_u8(const NetlinkReader *attributes, uint16_t type)
{
        NetlinkAttribute attribute;

        return netlink_find(attributes, type, &attribute) && attribute.size >= 1 ? attribute.data[0]
                                                                                 : 0;
}

static void find_address(const NetlinkReader *attributes, uint16_t type, uint32_t size,
                         uint32_t prefix, uint8_t bytes[16], AgentAddress *ret)
{
        NetlinkAttribute attribute;

        if (!netlink_find(attributes, type, &attribute) || attribute.size != size)
                return;
        memcpy(bytes, attribute.data, size);
        *ret = (AgentAddress){.bytes = bytes, .size = size, .prefix = MIN(prefix, 8 * size)};
}

static char *find_name(const NetlinkReader *attributes, uint16_t type,
                       char name[AGENT_NAME_MAX + 1])
{
        NetlinkAttribute attribute;

        if (netlink_find(attributes, type, &attribute))
                memcpy(name, attribute.data, MIN(attribute.size, (size_t)AGENT_NAME_MAX));
        return name;
}

static uint32_t find_ports(const NetlinkReader *attributes, uint16_t type, uint32_t flag,
                           AgentSpan *ret)
{
        struct fib_rule_port_range range;
        NetlinkAttribute attribute;

        if (!netlink_find(attributes, type, &attribute) || attribute.size != sizeof(range))
                return 0;
        memcpy(&range, attribute.data, sizeof(range));
        *ret = (AgentSpan){.first = range.start, .last = range.end};
        return flag;
}

static uint32_t find_uids(const NetlinkReader *attributes, AgentSpan *ret)
{
        struct fib_rule_uid_range range;
        NetlinkAttribute attribute;

        if (!netlink_find(attributes, FRA_UID_RANGE, &attribute) || attribute.size != sizeof(range))
                return 0;
        memcpy(&range, attribute.data, sizeof(range));
        *ret = (AgentSpan){.first = range.start, .last = range.end};
        return AGENT_RULE_UIDS;
}

/* All ones stands for none. */
static uint32_t find_suppress(const NetlinkReader *attributes, uint16_t type, uint32_t flag,
                              uint32_t *ret)
{
        uint32_t value = netlink_find_u32(attributes, type, UINT32_MAX);

        if (value == UINT32_MAX)
                return 0;
        *ret = value;
        return flag;
}

static void take_options(const NetlinkReader *attributes, AgentRule *rule)
{
        NetlinkAttribute attribute;

        if (netlink_find(attributes, FRA_GOTO, &attribute))
                rule->flags |= AGENT_RULE_GOTO;
        rule->target = netlink_find_u32(attributes, FRA_GOTO, 0);
        rule->flags |= find_suppress(attributes, FRA_SUPPRESS_PREFIXLEN, AGENT_RULE_SUPPRESS,
                                     &rule->suppress_prefix);
        rule->flags |= find_suppress(attributes, FRA_SUPPRESS_IFGROUP, AGENT_RULE_SUPPRESS_LINK,
                                     &rule->suppress_group);
        rule->flags |= find_uids(attributes, &rule->uids);
        rule->flags |= find_ports(attributes, FRA_SPORT_RANGE, AGENT_RULE_SOURCE_PORTS,
                                  &rule->source_ports);
        rule->flags |= find_ports(attributes, FRA_DPORT_RANGE, AGENT_RULE_PORTS, &rule->ports);
        if (find_u8(attributes, FRA_L3MDEV))
                rule->flags |= AGENT_RULE_L3MDEV;
        rule->protocol = find_u8(attributes, FRA_IP_PROTO);
}

bool netrule_from_message(const NetlinkMessage *message, NetRule *ret)
{
        AgentRule *rule = &ret->rule;
        NetlinkReader attributes;
        struct fib_rule_hdr body;
        uint32_t size;

        if (message->type != RTM_NEWRULE ||
            netlink_body(message, &body, sizeof(body), &attributes) < 0 ||
            (body.family != AF_INET && body.family != AF_INET6))
                return false;
        *ret = (NetRule){.kernels = find_u8(&attributes, FRA_PROTOCOL) == RTPROT_KERNEL};
        size = body.family == AF_INET ? 4 : 16;
        rule->flags = (body.flags & FIB_RULE_INVERT ? AGENT_RULE_INVERT : 0) |
                      (body.family == AF_INET6 ? AGENT_RULE_IPV6 : 0);
        find_address(&attributes, FRA_SRC, size, body.src_len, ret->source, &rule->source);
        find_address(&attributes, FRA_DST, size, body.dst_len, ret->destination,
                     &rule->destination);
        rule->input = find_name(&attributes, FRA_IIFNAME, ret->input);
        rule->output = find_name(&attributes, FRA_OIFNAME, ret->output);
        rule->priority = netlink_find_u32(&attributes, FRA_PRIORITY, 0);
        rule->action = body.action;
        rule->table = netlink_find_u32(&attributes, FRA_TABLE, body.table);
        rule->tos = body.tos;
        rule->mark = netlink_find_u32(&attributes, FRA_FWMARK, 0);
        rule->mask = netlink_find_u32(&attributes, FRA_FWMASK, 0);
        rule->realms = netlink_find_u32(&attributes, FRA_FLOW, 0);
        take_options(&attributes, rule);
        return true;
}
