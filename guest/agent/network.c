/* The request NETWORK; see network.h. */
#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"

#include "agent/netaddress.h"
#include "agent/netannounce.h"
#include "agent/netdevice.h"
#include "agent/netroutes.h"
#include "agent/network.h"
#include "agent/task.h"

typedef struct NetworkTask {
        Task task;
        AgentNetwork network;
} NetworkTask;

/* An earlier request may have left it, or somebody in the guest. */
static bool is_wanted(const NetRoute *route, uint32_t device, const AgentNetwork *network)
{
        for (uint32_t i = 0; i < network->n_routes; i++) {
                NetRoute wanted;

                netroute_from_agent(&network->routes[i], device, &wanted);
                if (netroute_is_equal(&wanted, route))
                        return true;
        }
        return false;
}

static int remove_routes(Rtnetlink *rtnetlink, const RtnetlinkDump *dump, uint32_t device,
                         const AgentNetwork *network)
{
        NetlinkReader reader = netlink_reader(dump->data, dump->size);
        NetlinkMessage message;
        NetRoute route;
        int r = 0;

        while (r == 0 && netlink_next(&reader, &message)) {
                if (!netroute_from_message(&message, &route) || !netroute_is_of(&route, device) ||
                    !netroute_is_settable(&route) || is_wanted(&route, device, network))
                        continue;
                r = netroutes_remove(rtnetlink, &route);
        }
        return r;
}

static int fault_route(const Rtnetlink *rtnetlink, const NetRoute *route, const char *name, int r,
                       Fault *fault)
{
        char destination[INET6_ADDRSTRLEN], gateway[INET6_ADDRSTRLEN] = "";

        inet_ntop(route->family, route->destination, destination, sizeof(destination));
        if (route->hops[0].via != AF_UNSPEC)
                inet_ntop(route->hops[0].via, route->hops[0].gateway, gateway, sizeof(gateway));
        return rtnetlink_fault(rtnetlink, fault, r, "cannot route %s/%u over %s%s%s", destination,
                               route->prefix, name, *gateway ? " by " : "", gateway);
}

static int set_routes(Rtnetlink *rtnetlink, int index, const AgentNetwork *network, Fault *fault)
{
        _cleanup_(rtnetlink_dump_done) RtnetlinkDump dump = {};
        int r = rtnetlink_dump(rtnetlink, RTM_GETROUTE, AF_UNSPEC, &dump);

        if (r == 0)
                r = remove_routes(rtnetlink, &dump, (uint32_t)index, network);
        if (r < 0)
                return rtnetlink_fault(rtnetlink, fault, r, "cannot remove routes over %s",
                                       network->name);
        for (uint32_t i = 0; i < network->n_routes; i++) {
                NetRoute route;

                netroute_from_agent(&network->routes[i], (uint32_t)index, &route);
                if (netroutes_have(&dump, &route))
                        continue;
                r = netroutes_add(rtnetlink, &route);
                if (r < 0)
                        return fault_route(rtnetlink, &route, network->name, r, fault);
        }
        return 0;
}

static int set_up(Rtnetlink *rtnetlink, const AgentNetwork *network, Fault *fault)
{
        const uint8_t *mac = network->mac;
        NetDevice device;
        int r = netdevice_find(rtnetlink, mac, &device);

        if (r < 0)
                return rtnetlink_fault(rtnetlink, fault, r,
                                       "network device %02x:%02x:%02x:%02x:%02x:%02x", mac[0],
                                       mac[1], mac[2], mac[3], mac[4], mac[5]);
        r = netdevice_set_up(rtnetlink, &device, network, fault);
        if (r == 0)
                r = netaddress_set(rtnetlink, device.index, network, fault);
        if (r == 0)
                r = set_routes(rtnetlink, device.index, network, fault);
        if (r == 0)
                r = netneighbour_set(rtnetlink, device.index, network, fault);
        if (r == 0)
                netannounce(device.index, network);
        return r;
}

static int network_run(const Task *task, TaskResult *ret)
{
        const AgentNetwork *network = &CONTAINER_OF(task, NetworkTask, task)->network;
        Rtnetlink rtnetlink;
        int r = rtnetlink_open(&rtnetlink);

        if (r < 0)
                return fault_set(&ret->fault, r, "cannot open a netlink socket");
        r = set_up(&rtnetlink, network, &ret->fault);
        rtnetlink_close(&rtnetlink);
        return r;
}

static void network_free(Task *task)
{
        NetworkTask *network = CONTAINER_OF(task, NetworkTask, task);

        agent_network_done(&network->network);
        free(network);
}

static const TaskKind network_kind = {
        .run = network_run,
        .free = network_free,
};

void network_start(Guest *guest, uint32_t request, AgentNetwork *network)
{
        NetworkTask *task = calloc(1, sizeof(*task));

        if (!task) {
                guest_reply_error(guest, request, -ENOMEM, "network device");
                return;
        }
        task->network = *network;
        *network = (AgentNetwork){};
        task_start(&task->task, &network_kind, guest, &guest->networks, request);
}
