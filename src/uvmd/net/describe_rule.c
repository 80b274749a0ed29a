/*
 * The rules of a namespace ("ip rule"); see describe.h. libnl's own object for them knows neither
 * "not" nor what is suppressed: they are read from the messages.
 */
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/route/rtnl.h>
#include <stdlib.h>
#include <string.h>

#include "uvmd/net/describe_parts.h"

static uint32_t get_u32(struct nlattr *attribute)
{
        return attribute && nla_len(attribute) >= 4 ? nla_get_u32(attribute) : 0;
}

static uint32_t get_u8(struct nlattr *attribute)
{
        return attribute && nla_len(attribute) >= 1 ? nla_get_u8(attribute) : 0;
}

/* False: there is none. */
static bool get_name(struct nlattr *attribute, char **ret)
{
        if (!attribute || nla_len(attribute) < 1)
                return false;
        *ret = strndup(nla_data(attribute), (size_t)nla_len(attribute));
        return true;
}

static bool get_ports(struct nlattr *attribute, AgentSpan *ret)
{
        struct fib_rule_port_range range;

        if (!attribute || nla_len(attribute) < (int)sizeof(range))
                return false;
        memcpy(&range, nla_data(attribute), sizeof(range));
        *ret = (AgentSpan){.first = range.start, .last = range.end};
        return true;
}

static bool get_uids(struct nlattr *attribute, AgentSpan *ret)
{
        struct fib_rule_uid_range range;

        if (!attribute || nla_len(attribute) < (int)sizeof(range))
                return false;
        memcpy(&range, nla_data(attribute), sizeof(range));
        *ret = (AgentSpan){.first = range.start, .last = range.end};
        return true;
}

static int get_address(struct nlattr *attribute, uint32_t size, uint32_t prefix, AgentAddress *ret)
{
        if (!attribute || nla_len(attribute) != (int)size)
                return 0;
        ret->bytes = malloc(size);
        if (!ret->bytes)
                return -ENOMEM;
        memcpy(ret->bytes, nla_data(attribute), size);
        ret->size = size;
        ret->prefix = MIN(prefix, 8 * size);
        return 0;
}

/* UINT32_MAX is the kernel's word for none. */
static bool get_suppress(struct nlattr *attribute, uint32_t *ret)
{
        if (!attribute)
                return false;
        *ret = get_u32(attribute);
        return *ret != UINT32_MAX;
}

static uint32_t rule_flags(const struct fib_rule_hdr *header, struct nlattr **attributes,
                           AgentRule *rule)
{
        uint32_t flags = header->flags & FIB_RULE_INVERT ? AGENT_RULE_INVERT : 0;

        if (header->family == AF_INET6)
                flags |= AGENT_RULE_IPV6;
        if (attributes[FRA_GOTO])
                flags |= AGENT_RULE_GOTO;
        if (get_suppress(attributes[FRA_SUPPRESS_PREFIXLEN], &rule->suppress_prefix))
                flags |= AGENT_RULE_SUPPRESS;
        if (get_suppress(attributes[FRA_SUPPRESS_IFGROUP], &rule->suppress_group))
                flags |= AGENT_RULE_SUPPRESS_LINK;
        if (get_uids(attributes[FRA_UID_RANGE], &rule->uids))
                flags |= AGENT_RULE_UIDS;
        if (get_ports(attributes[FRA_SPORT_RANGE], &rule->source_ports))
                flags |= AGENT_RULE_SOURCE_PORTS;
        if (get_ports(attributes[FRA_DPORT_RANGE], &rule->ports))
                flags |= AGENT_RULE_PORTS;
        if (get_u8(attributes[FRA_L3MDEV]))
                flags |= AGENT_RULE_L3MDEV;
        return flags;
}

static int rule_fill(AgentRule *rule, const struct fib_rule_hdr *header, struct nlattr **attributes)
{
        uint32_t size = describe_family_size(header->family);
        int r = get_address(attributes[FRA_SRC], size, header->src_len, &rule->source);

        if (r >= 0)
                r = get_address(attributes[FRA_DST], size, header->dst_len, &rule->destination);
        if (r >= 0 && ((get_name(attributes[FRA_IIFNAME], &rule->input) && !rule->input) ||
                       (get_name(attributes[FRA_OIFNAME], &rule->output) && !rule->output)))
                r = -ENOMEM;
        rule->flags = rule_flags(header, attributes, rule);
        rule->priority = get_u32(attributes[FRA_PRIORITY]);
        rule->action = header->action;
        rule->table = attributes[FRA_TABLE] ? get_u32(attributes[FRA_TABLE]) : header->table;
        rule->tos = header->tos;
        rule->mark = get_u32(attributes[FRA_FWMARK]);
        rule->mask = get_u32(attributes[FRA_FWMASK]);
        rule->realms = get_u32(attributes[FRA_FLOW]);
        rule->target = get_u32(attributes[FRA_GOTO]);
        rule->protocol = get_u8(attributes[FRA_IP_PROTO]);
        return r;
}

typedef struct Rules {
        AgentRouting *routing;
        int failure;
} Rules;

static int rules_on_message(struct nl_msg *message, void *userdata)
{
        struct nlattr *attributes[FRA_MAX + 1];
        struct nlmsghdr *header = nlmsg_hdr(message);
        struct fib_rule_hdr body;
        Rules *rules = userdata;
        AgentRule *rule;
        int r;

        if (header->nlmsg_type != RTM_NEWRULE ||
            nlmsg_parse(header, sizeof(body), attributes, FRA_MAX, NULL) < 0)
                return NL_SKIP;
        memcpy(&body, nlmsg_data(header), sizeof(body));
        /* Of multicast routing, and of actions that the kernel has never had. */
        if (describe_family_size(body.family) == 0 || body.action == FR_ACT_UNSPEC ||
            body.action > FR_ACT_PROHIBIT)
                return NL_SKIP;
        rule = describe_grow((void **)&rules->routing->rules, &rules->routing->n_rules,
                             NET_RULES_MAX, sizeof(*rule));
        r = rule ? rule_fill(rule, &body, attributes) : -ENOSPC;
        rules->failure = rules->failure < 0 ? rules->failure : r;
        return NL_OK;
}

static int rules_take(Rules *rules, int family)
{
        _cleanup_(nl_socket_freep) struct nl_sock *socket = NULL;
        int r = netlink_open(&socket);

        if (r < 0)
                return r;
        nl_socket_modify_cb(socket, NL_CB_VALID, NL_CB_CUSTOM, rules_on_message, rules);
        r = nl_rtgen_request(socket, RTM_GETRULE, family, NLM_F_DUMP);
        if (r >= 0)
                r = nl_recvmsgs_default(socket);
        r = netlink_error(r);
        return r == -EOPNOTSUPP || r == -EAFNOSUPPORT ? 0 : r;
}

/* A dump that others have interrupted is one that the monitor has told of: it is looked at again. */
int describe_rules(NetReport *report)
{
        Rules rules = {.routing = &report->routing};
        int r = rules_take(&rules, AF_INET);

        if (r >= 0 || r == -EINTR)
                r = rules_take(&rules, AF_INET6);
        if (r >= 0 || r == -EINTR)
                r = rules.failure;
        return r;
}
