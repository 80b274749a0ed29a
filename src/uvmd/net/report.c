/* The codec of reports; see report.h. */
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/wire.h"
#include "uvmd/net/report.h"

/* Of one interface: an AgentNetwork with all its lists full is longer and has no place. */
#define NETWORK_SIZE_MAX (48 * 1024)

void net_report_done(NetReport *report)
{
        for (uint32_t i = 0; i < report->n_interfaces; i++)
                agent_network_done(&report->interfaces[i].network);
        free(report->interfaces);
        free(report->left);
        agent_routing_done(&report->routing);
        *report = (NetReport){};
}

unsigned net_report_count_fds(const NetReport *report)
{
        unsigned n = report->flags & NET_REPORT_MONITOR ? 1 : 0;

        for (uint32_t i = 0; i < report->n_interfaces; i++)
                n += report->interfaces[i].queues + report->interfaces[i].vhost;
        return n;
}

static bool interface_is_valid(const NetInterface *interface)
{
        return interface->ifindex != 0 && interface->ifindex <= INT32_MAX &&
               (interface->flags & ~(uint32_t)NET_INTERFACE_FLAGS) == 0 &&
               interface->queues <= NET_QUEUES_MAX &&
               (interface->vhost == 0 || interface->vhost == interface->queues);
}

/* ------------------------------------------------------------------ what is left out */

const char *net_reason_to_text(NetReason reason)
{
        static const char *const texts[NET_REASON_MAX_] = {
                [NET_REASON_TOO_MANY] = "a guest has at most 16 network interfaces",
                [NET_REASON_NOT_ETHERNET] = "it carries no Ethernet frames, which a guest's do",
                [NET_REASON_L3S] =
                        "an ipvlan in mode l3s can't be joined to a guest; l2 and l3 can",
                [NET_REASON_LOWER] =
                        "interfaces on top of it are the guest's, and it has addresses",
                [NET_REASON_NAME] = "a guest can't have an interface of that name",
                [NET_REASON_TAP] = "somebody has a tap of the name that it is to be joined to",
                [NET_REASON_SAME_MAC] = "another interface of the guest has its MAC address",
        };

        _Static_assert(NET_INTERFACES_MAX == 16, "it is in the text");
        return texts[reason];
}

void net_report_leave(NetReport *report, uint32_t ifindex, const char *name, const char *kind,
                      NetReason reason)
{
        NetLeft *left;

        if (!report->left)
                report->left = calloc(NET_LEFT_MAX, sizeof(*report->left));
        if (!report->left || report->n_left == NET_LEFT_MAX)
                return;
        left = &report->left[report->n_left++];
        *left = (NetLeft){.ifindex = ifindex, .reason = reason};
        snprintf(left->name, sizeof(left->name), "%s", name);
        snprintf(left->kind, sizeof(left->kind), "%s", kind);
}

/* ------------------------------------------------------------------ encoding */

static int put_interface(WireWriter *writer, const NetInterface *interface)
{
        _cleanup_(freep) uint8_t *buffer = malloc(NETWORK_SIZE_MAX);
        size_t size;
        int r;

        if (!buffer)
                return -ENOMEM;
        if (!interface_is_valid(interface))
                return -EINVAL;
        r = agent_network_encode(&interface->network, buffer, NETWORK_SIZE_MAX, &size);
        if (r < 0)
                return r;
        wire_put_u32(writer, interface->ifindex);
        wire_put_u32(writer, interface->flags);
        wire_put_u32(writer, interface->queues);
        wire_put_u32(writer, interface->vhost);
        wire_put_string(writer, interface->kind);
        wire_put_blob(writer, buffer, size);
        return 0;
}

static int put_left(WireWriter *writer, const NetLeft *left)
{
        if (left->ifindex == 0 || left->reason >= NET_REASON_MAX_)
                return -EINVAL;
        wire_put_u32(writer, left->ifindex);
        wire_put_u32(writer, left->reason);
        wire_put_string(writer, left->name);
        wire_put_string(writer, left->kind);
        return 0;
}

static int put_rest(WireWriter *writer, const NetReport *report)
{
        _cleanup_(freep) uint8_t *buffer = malloc(NETWORK_SIZE_MAX);
        size_t size;
        int r = buffer ? agent_routing_encode(&report->routing, buffer, NETWORK_SIZE_MAX, &size)
                       : -ENOMEM;

        if (r >= 0 && report->n_left > NET_LEFT_MAX)
                r = -EINVAL;
        wire_put_u32(writer, report->n_left);
        for (uint32_t i = 0; r >= 0 && i < report->n_left; i++)
                r = put_left(writer, &report->left[i]);
        if (r >= 0)
                wire_put_blob(writer, buffer, size);
        return r;
}

int net_report_encode(const NetReport *report, void *data, size_t capacity, size_t *ret_size)
{
        WireWriter writer = wire_writer(data, capacity);
        int r;

        if (report->n_interfaces > NET_INTERFACES_MAX)
                return -EINVAL;
        wire_put_u32(&writer, report->flags);
        wire_put_u32(&writer, report->n_interfaces);
        for (uint32_t i = 0; i < report->n_interfaces; i++) {
                r = put_interface(&writer, &report->interfaces[i]);
                if (r < 0)
                        return r;
        }
        r = put_rest(&writer, report);
        return r < 0 ? r : wire_writer_end(&writer, ret_size);
}

/* ------------------------------------------------------------------ decoding */

static int get_interface(WireReader *reader, NetInterface *interface)
{
        _cleanup_(freep) char *kind = NULL;
        const uint8_t *network;
        size_t size;

        interface->ifindex = wire_get_u32(reader);
        interface->flags = wire_get_u32(reader);
        interface->queues = wire_get_u32(reader);
        interface->vhost = wire_get_u32(reader);
        kind = wire_get_string(reader, NET_KIND_MAX);
        network = wire_get_blob(reader, NETWORK_SIZE_MAX, &size);
        if (reader->bad || !interface_is_valid(interface))
                return -EBADMSG;
        strcpy(interface->kind, kind);
        return agent_network_decode(network, size, &interface->network);
}

static bool ifindex_is_new(const NetReport *report, uint32_t ifindex)
{
        for (uint32_t i = 0; i < report->n_interfaces; i++)
                if (report->interfaces[i].ifindex == ifindex)
                        return false;
        return true;
}

static int get_interfaces(WireReader *reader, NetReport *report, uint32_t n)
{
        for (uint32_t i = 0; i < n; i++) {
                NetInterface *interface = &report->interfaces[i];
                int r = get_interface(reader, interface);

                if (r < 0)
                        return r;
                if (!ifindex_is_new(report, interface->ifindex)) {
                        agent_network_done(&interface->network);
                        return -EBADMSG;
                }
                report->n_interfaces = i + 1;
        }
        return 0;
}

static int get_left(WireReader *reader, NetReport *report)
{
        uint32_t n = wire_get_u32(reader);

        if (reader->bad || n > NET_LEFT_MAX)
                return -EBADMSG;
        report->left = calloc(NET_LEFT_MAX, sizeof(*report->left));
        if (!report->left)
                return -ENOMEM;
        for (; report->n_left < n; report->n_left++) {
                NetLeft *left = &report->left[report->n_left];
                _cleanup_(freep) char *name = NULL, *kind = NULL;
                uint32_t reason;

                left->ifindex = wire_get_u32(reader);
                reason = wire_get_u32(reader);
                name = wire_get_string(reader, AGENT_NAME_MAX);
                kind = wire_get_string(reader, NET_KIND_MAX);
                if (reader->bad || left->ifindex == 0 || reason >= NET_REASON_MAX_)
                        return -EBADMSG;
                left->reason = (NetReason)reason;
                strcpy(left->name, name);
                strcpy(left->kind, kind);
        }
        return 0;
}

static int get_routing(WireReader *reader, NetReport *report)
{
        size_t size;
        const uint8_t *routing = wire_get_blob(reader, NETWORK_SIZE_MAX, &size);
        int r = reader->bad ? -EBADMSG : agent_routing_decode(routing, size, &report->routing);

        return r < 0 ? r : wire_reader_end(reader);
}

int net_report_decode(const void *data, size_t size, NetReport *ret)
{
        WireReader reader = wire_reader(data, size);
        NetReport report = {};
        uint32_t n;
        int r;

        report.flags = wire_get_u32(&reader);
        n = wire_get_u32(&reader);
        if (reader.bad || n > NET_INTERFACES_MAX || report.flags & ~(uint32_t)NET_REPORT_FLAGS)
                return -EBADMSG;
        report.interfaces = calloc(NET_INTERFACES_MAX, sizeof(*report.interfaces));
        if (!report.interfaces)
                return -ENOMEM;
        r = get_interfaces(&reader, &report, n);
        if (r >= 0)
                r = get_left(&reader, &report);
        if (r >= 0)
                r = get_routing(&reader, &report);
        if (r < 0) {
                net_report_done(&report);
                return r;
        }
        *ret = report;
        return 0;
}

/* ------------------------------------------------------------------ comparing */

bool net_network_equal(const AgentNetwork *a, const AgentNetwork *b)
{
        _cleanup_(freep) uint8_t *first = malloc(NETWORK_SIZE_MAX);
        _cleanup_(freep) uint8_t *second = malloc(NETWORK_SIZE_MAX);
        size_t first_size, second_size;

        /* What can't be told is told anew. */
        if (!first || !second ||
            agent_network_encode(a, first, NETWORK_SIZE_MAX, &first_size) < 0 ||
            agent_network_encode(b, second, NETWORK_SIZE_MAX, &second_size) < 0)
                return false;
        return first_size == second_size && memcmp(first, second, first_size) == 0;
}

bool net_routing_equal(const AgentRouting *a, const AgentRouting *b)
{
        _cleanup_(freep) uint8_t *first = malloc(NETWORK_SIZE_MAX);
        _cleanup_(freep) uint8_t *second = malloc(NETWORK_SIZE_MAX);
        size_t first_size, second_size;

        if (!first || !second ||
            agent_routing_encode(a, first, NETWORK_SIZE_MAX, &first_size) < 0 ||
            agent_routing_encode(b, second, NETWORK_SIZE_MAX, &second_size) < 0)
                return false;
        return first_size == second_size && memcmp(first, second, first_size) == 0;
}

/* The kernel's own rules (fib_default_rules_init(), fib6_rules_net_init()). */
static bool rule_is_default(const AgentRule *rule)
{
        static const struct {
                uint32_t priority, table;
        } defaults[] = {{0, RT_TABLE_LOCAL}, {0x7ffe, RT_TABLE_MAIN}, {0x7fff, RT_TABLE_DEFAULT}};

        if ((rule->flags & ~AGENT_RULE_IPV6) || rule->action != FR_ACT_TO_TBL ||
            rule->source.size || rule->destination.size || (rule->input && *rule->input) ||
            (rule->output && *rule->output) || rule->tos || rule->mark || rule->mask ||
            rule->realms || rule->protocol)
                return false;
        for (size_t i = 0; i < ELEMENTSOF(defaults); i++)
                if (rule->priority == defaults[i].priority && rule->table == defaults[i].table)
                        return true;
        return false;
}

bool net_routing_is_plain(const AgentRouting *routing)
{
        unsigned n4 = 0, n6 = 0;

        for (uint32_t i = 0; i < routing->n_rules; i++) {
                if (!rule_is_default(&routing->rules[i]))
                        return false;
                if (routing->rules[i].flags & AGENT_RULE_IPV6)
                        n6++;
                else
                        n4++;
        }
        return routing->settings.n == 0 && routing->n_loopback == 0 && routing->n_routes == 0 &&
               (n4 == 0 || n4 == 3) && (n6 == 0 || n6 == 2);
}
