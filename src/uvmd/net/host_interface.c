/* Interfaces of the host in sandboxes; see host_interface.h. In workers but for the kind's own two. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/route/route.h>
#include <sched.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "uvmd/errors.h"
#include "uvmd/journal.h"
#include "uvmd/net/describe.h"
#include "uvmd/net/host_interface.h"
#include "uvmd/net/netlink.h"
#include "uvmd/sandbox.h"

DEFINE_CLEANUP(struct rtnl_route *, rtnl_route_put)

#define HOST_INTERFACE_USEC (10 * USEC_PER_SEC)

/* ------------------------------------------------------------------ what it had */

static struct nl_addr *address_build(const AgentAddress *address)
{
        struct nl_addr *built = nl_addr_build(address->size == 4 ? AF_INET : AF_INET6,
                                              address->bytes, address->size);

        if (built)
                nl_addr_set_prefixlen(built, (int)address->prefix);
        return built;
}

static int restore_address(struct nl_sock *socket, int ifindex, const AgentAddress *address)
{
        _cleanup_(rtnl_addr_putp) struct rtnl_addr *item = rtnl_addr_alloc();
        _cleanup_(nl_addr_putp) struct nl_addr *local = address_build(address);
        int r;

        if (!item || !local)
                return -ENOMEM;
        rtnl_addr_set_ifindex(item, ifindex);
        /* Its routes come as all others. Nobody else has got it: it was in use all the time. */
        rtnl_addr_set_flags(item, IFA_F_NOPREFIXROUTE | (address->size == 16 ? IFA_F_NODAD : 0));
        r = rtnl_addr_set_local(item, local);
        if (r >= 0)
                r = rtnl_addr_add(socket, item, 0);
        return netlink_error(r);
}

static int route_fill(struct rtnl_route *item, struct rtnl_nexthop *hop, int ifindex,
                      const AgentRoute *route)
{
        _cleanup_(nl_addr_putp) struct nl_addr *to = address_build(&route->destination);
        _cleanup_(nl_addr_putp) struct nl_addr *via = NULL, *from = NULL;

        if (route->gateway.size)
                via = address_build(&route->gateway);
        if (route->source.size)
                from = address_build(&route->source);
        if (!to || (route->gateway.size && !via) || (route->source.size && !from))
                return -ENOMEM;
        rtnl_route_set_family(item, route->destination.size == 4 ? AF_INET : AF_INET6);
        rtnl_route_set_scope(item, (uint8_t)route->scope);
        rtnl_route_set_priority(item, route->metric);
        rtnl_route_set_table(item, route->table);
        rtnl_route_set_type(item, (uint8_t)route->type);
        rtnl_route_set_tos(item, (uint8_t)route->tos);
        for (uint32_t i = 0; i < route->n_metrics; i++)
                rtnl_route_set_metric(item, (int)route->metrics[i].type, route->metrics[i].value);
        rtnl_route_nh_set_ifindex(hop, ifindex);
        if (route->onlink)
                rtnl_route_nh_set_flags(hop, RTNH_F_ONLINK);
        if (via) {
                nl_addr_set_prefixlen(via, (int)(8 * route->gateway.size));
                rtnl_route_nh_set_gateway(hop, via);
        }
        if (from) {
                nl_addr_set_prefixlen(from, (int)(8 * route->source.size));
                rtnl_route_set_pref_src(item, from);
        }
        return netlink_error(rtnl_route_set_dst(item, to));
}

static int restore_route(struct nl_sock *socket, int ifindex, const AgentRoute *route)
{
        _cleanup_(rtnl_route_putp) struct rtnl_route *item = rtnl_route_alloc();
        struct rtnl_nexthop *hop = item ? rtnl_route_nh_alloc() : NULL;
        int r;

        if (!hop)
                return -ENOMEM;
        rtnl_route_add_nexthop(item, hop);
        r = route_fill(item, hop, ifindex, route);
        return r < 0 ? r : netlink_error(rtnl_route_add(socket, item, NLM_F_CREATE | NLM_F_APPEND));
}

/* The kernel has made some by itself. One that can't be had is not worth the interface. */
static void restore_check(int r, const char *what)
{
        if (r < 0 && r != -EEXIST)
                log_warning_errno(r, "%s of an interface that was moved is lost", what);
}

static void restore(struct nl_sock *socket, int ifindex, const AgentNetwork *network)
{
        for (uint32_t i = 0; i < network->n_addresses; i++)
                restore_check(restore_address(socket, ifindex, &network->addresses[i]),
                              "An address");
        for (uint32_t i = 0; i < network->n_routes; i++)
                restore_check(restore_route(socket, ifindex, &network->routes[i]), "A route");
}

/* ------------------------------------------------------------------ moving */

static int move_link(struct nl_sock *socket, const char *name, int to, const char *new_name)
{
        _cleanup_(rtnl_link_putp) struct rtnl_link *link = NULL, *change = rtnl_link_alloc();
        int r;

        if (!change)
                return -ENOMEM;
        r = rtnl_link_get_kernel(socket, 0, name, &link);
        if (r < 0)
                return netlink_error(r);
        rtnl_link_set_ns_fd(change, to);
        rtnl_link_set_name(change, new_name);
        return netlink_error(rtnl_link_change(socket, link, change, 0));
}

static int bring_up(const char *name, const AgentNetwork *network)
{
        _cleanup_(nl_socket_freep) struct nl_sock *socket = NULL;
        _cleanup_(rtnl_link_putp) struct rtnl_link *link = NULL, *change = rtnl_link_alloc();
        int r = change ? netlink_open(&socket) : -ENOMEM;

        if (r < 0)
                return r;
        rtnl_link_set_flags(change, IFF_UP);
        r = rtnl_link_get_kernel(socket, 0, name, &link);
        if (r >= 0)
                r = rtnl_link_change(socket, link, change, 0);
        if (r >= 0)
                restore(socket, rtnl_link_get_ifindex(link), network);
        return netlink_error(r);
}

int host_interface_move(const char *name, int to, const char *new_name, sd_bus_error *error)
{
        _cleanup_(nl_socket_freep) struct nl_sock *socket = NULL;
        _cleanup_(net_report_done) NetReport report = {};
        int r = netlink_open(&socket);

        if (r >= 0)
                r = net_describe(socket, name, &report);
        if (r >= 0 && report.n_interfaces == 0)
                return error_set(error, -ENODEV, ERROR_INVALID_ARGUMENT,
                                 "There is no interface \"%s\" that can be given away: it must be "
                                 "an Ethernet interface that is up and part of nothing else.",
                                 name);
        if (r >= 0)
                r = move_link(socket, name, to, new_name);
        if (r >= 0 && setns(to, CLONE_NEWNET) < 0)
                r = errno_neg();
        if (r >= 0)
                r = bring_up(new_name, &report.interfaces[0].network);
        return r < 0 ? error_set(error, r, ERROR_FAILED, "The interface \"%s\" can't be moved: %s.",
                                 name, strerror(-r))
                     : 0;
}

/* ------------------------------------------------------------------ the kind */

typedef struct HostTask {
        const char *outside, *inside; /* its names */
        int netns;
        const Sandbox *about;
} HostTask;

static int host_attach_main(int socket, void *userdata, sd_bus_error *error)
{
        const HostTask *task = userdata;
        int r;

        journal_about(task->about);
        r = host_interface_move(task->outside, task->netns, task->inside, error);

        return r < 0 ? r : worker_answer(socket, NULL, 0, NULL, 0);
}

/* Nothing is to be done where it never came, or has gone by itself. */
static int host_detach_main(int socket, void *userdata, sd_bus_error *error)
{
        const HostTask *task = userdata;
        _cleanup_(fd_closep) int host = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        int r = 0;

        journal_about(task->about);
        if (host < 0 || setns(task->netns, CLONE_NEWNET) < 0)
                return errno_neg();
        if (if_nametoindex(task->inside) > 0)
                r = host_interface_move(task->inside, host, task->outside, error);
        return r < 0 ? r : worker_answer(socket, NULL, 0, NULL, 0);
}

static void host_on_attached(void *userdata, int r, const sd_bus_error *error,
                             const uint8_t *payload, size_t size, IoMessage *message)
{
        NetworkAttachment *attachment = userdata;

        attachment->worker = NULL;
        network_on_attached(attachment, r, error);
}

static void host_on_detached(void *userdata, int r, const sd_bus_error *error,
                             const uint8_t *payload, size_t size, IoMessage *message)
{
        NetworkAttachment *attachment = userdata;

        attachment->worker = NULL;
        network_on_detached(attachment, r, error);
}

static int host_start(NetworkAttachment *attachment, WorkerMain main, WorkerHandler handler)
{
        HostTask task = {
                .inside = attachment->config.interface,
                .netns = attachment->sandbox->network.netns,
                .about = attachment->sandbox,
        };
        NetworkSpec spec;
        int r = network_spec_parse(&spec, attachment->config.network);

        if (r < 0)
                return r;
        task.outside = spec.name;
        return worker_start(&attachment->worker, attachment->sandbox->manager->event,
                            "uvmd-network", main, &task, clock_limit_usec(HOST_INTERFACE_USEC),
                            handler, attachment);
}

static int host_attach(NetworkAttachment *attachment, sd_bus_error *error)
{
        return host_start(attachment, host_attach_main, host_on_attached);
}

static int host_detach(NetworkAttachment *attachment, sd_bus_error *error)
{
        return host_start(attachment, host_detach_main, host_on_detached);
}

const NetworkKind network_kind_host = {
        .attach = host_attach,
        .detach = host_detach,
};
