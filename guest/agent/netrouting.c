/* The request ROUTING; see network.h. */
#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"

#include "agent/netaddress.h"
#include "agent/netroutes.h"
#include "agent/netrule.h"
#include "agent/netsettings.h"
#include "agent/network.h"
#include "agent/task.h"

typedef struct RoutingTask {
        Task task;
        AgentRouting before, now;
} RoutingTask;

/* Of one with several ways only those that are there: a device may have gone meanwhile, and the host says
 * so next. False: none is. */
static bool route_make(const AgentRoute *route, NetRoute *ret)
{
        netroute_from_agent(route, 0, ret);
        for (uint32_t i = 0; i < route->n_hops; i++) {
                unsigned index = if_nametoindex(route->hops[i].device);

                if (index > 0)
                        netroute_add_hop(ret, &route->hops[i], index);
        }
        return route->n_hops == 0 || ret->n_hops > 0;
}

static bool is_in(const NetRoute *route, const AgentRouting *routing)
{
        for (uint32_t i = 0; i < routing->n_routes; i++) {
                NetRoute other;

                if (route_make(&routing->routes[i], &other) && netroute_is_equal(route, &other))
                        return true;
        }
        return false;
}

static int fault_route(const Rtnetlink *rtnetlink, const NetRoute *route, int r, Fault *fault)
{
        char destination[INET6_ADDRSTRLEN];

        inet_ntop(route->family, route->destination, destination, sizeof(destination));
        return rtnetlink_fault(rtnetlink, fault, r, "cannot route %s/%u in table %u", destination,
                               route->prefix, route->table);
}

static int set_routes(Rtnetlink *rtnetlink, const AgentRouting *before, const AgentRouting *now,
                      Fault *fault)
{
        _cleanup_(rtnetlink_dump_done) RtnetlinkDump dump = {};
        NetRoute route;
        int r;

        if (before->n_routes == 0 && now->n_routes == 0)
                return 0;
        r = rtnetlink_dump(rtnetlink, RTM_GETROUTE, AF_UNSPEC, &dump);
        for (uint32_t i = 0; r == 0 && i < before->n_routes; i++)
                if (route_make(&before->routes[i], &route) && !is_in(&route, now) &&
                    netroutes_have(&dump, &route))
                        r = netroutes_remove(rtnetlink, &route);
        if (r < 0)
                return rtnetlink_fault(rtnetlink, fault, r, "cannot remove routes");
        for (uint32_t i = 0; i < now->n_routes; i++) {
                if (!route_make(&now->routes[i], &route) || netroutes_have(&dump, &route))
                        continue;
                r = netroutes_add(rtnetlink, &route);
                if (r < 0)
                        return fault_route(rtnetlink, &route, r, fault);
        }
        return 0;
}

static int routing_run(const Task *task, TaskResult *ret)
{
        const RoutingTask *routing = CONTAINER_OF(task, RoutingTask, task);
        const AgentRouting *before = &routing->before, *now = &routing->now;
        Rtnetlink rtnetlink;
        int r = rtnetlink_open(&rtnetlink);

        if (r < 0)
                return fault_set(&ret->fault, r, "cannot open a netlink socket");
        netsettings_write(&now->settings, &before->settings);
        r = netaddress_set_loopback(&rtnetlink, before, now, &ret->fault);
        if (r == 0)
                r = set_routes(&rtnetlink, before, now, &ret->fault);
        if (r == 0)
                r = netrule_set(&rtnetlink, before, now, &ret->fault);
        rtnetlink_close(&rtnetlink);
        return r;
}

static void routing_free(Task *task)
{
        RoutingTask *routing = CONTAINER_OF(task, RoutingTask, task);

        agent_routing_done(&routing->before);
        agent_routing_done(&routing->now);
        free(routing);
}

static const TaskKind routing_kind = {
        .run = routing_run,
        .free = routing_free,
};

int netrouting_start(Guest *guest, uint32_t request, const uint8_t *payload, size_t size)
{
        RoutingTask *task = calloc(1, sizeof(*task));
        AgentRouting told;
        int r = task ? agent_routing_decode(payload, size, &task->now) : -ENOMEM;

        if (r == 0)
                r = agent_routing_decode(payload, size, &told);
        if (r < 0) {
                if (task)
                        routing_free(&task->task);
                return r;
        }
        task->before = guest->routing;
        guest->routing = told;
        task_start(&task->task, &routing_kind, guest, &guest->networks, request);
        return 0;
}
