/* The codec of reports; see report.h. */
#include <errno.h>
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

int net_report_encode(const NetReport *report, void *data, size_t capacity, size_t *ret_size)
{
        WireWriter writer = wire_writer(data, capacity);

        if (report->n_interfaces > NET_INTERFACES_MAX)
                return -EINVAL;
        wire_put_u32(&writer, report->flags);
        wire_put_u32(&writer, report->n_interfaces);
        for (uint32_t i = 0; i < report->n_interfaces; i++) {
                int r = put_interface(&writer, &report->interfaces[i]);

                if (r < 0)
                        return r;
        }
        return wire_writer_end(&writer, ret_size);
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
        return wire_reader_end(reader);
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
