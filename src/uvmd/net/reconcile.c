/* Making a namespace's interfaces a guest's; see reconcile.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <netlink/socket.h>
#include <sched.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "uvmd/errors.h"
#include "uvmd/journal.h"
#include "uvmd/net/describe.h"
#include "uvmd/net/netlink.h"
#include "uvmd/net/reconcile.h"
#include "uvmd/net/redirect.h"
#include "uvmd/net/tap.h"

#define RECONCILE_LIMIT_USEC (10 * USEC_PER_SEC)

typedef struct Reconcile {
        const ReconcileOptions *options;
        struct nl_sock *socket;
        NetReport report;
        int fds[IO_FDS_MAX];
        unsigned n_fds;
} Reconcile;

static void reconcile_done(Reconcile *reconcile)
{
        nl_socket_free(reconcile->socket);
        net_report_done(&reconcile->report);
        fd_close_many(reconcile->fds, reconcile->n_fds);
}

/* ------------------------------------------------------------------ the monitor's socket */

static int monitor_open(int *ret)
{
        _cleanup_(nl_socket_freep) struct nl_sock *socket = NULL;
        int fd, r = netlink_open(&socket);

        if (r >= 0)
                r = netlink_error(nl_socket_add_memberships(
                        socket, RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
                        RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_NEIGH, RTNLGRP_IPV4_RULE,
                        RTNLGRP_IPV6_RULE, RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF, 0));
        if (r >= 0)
                r = netlink_error(nl_socket_set_nonblocking(socket));
        if (r < 0)
                return r;
        fd = fcntl(nl_socket_get_fd(socket), F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
                return errno_neg();
        *ret = fd;
        return 0;
}

static int reconcile_open_monitor(Reconcile *reconcile)
{
        int r;

        if (!reconcile->options->monitor)
                return 0;
        r = monitor_open(&reconcile->fds[0]);
        if (r < 0)
                return r;
        reconcile->n_fds = 1;
        reconcile->report.flags |= NET_REPORT_MONITOR;
        return 0;
}

/* ------------------------------------------------------------------ one interface */

static bool has_tap(const ReconcileOptions *options, uint32_t ifindex)
{
        for (unsigned i = 0; i < options->n_joined; i++)
                if (options->joined[i] == ifindex)
                        return true;
        return false;
}

static int interface_join(Reconcile *reconcile, NetInterface *interface, const char *tap)
{
        int tap_index = tap_ifindex(reconcile->socket, tap);
        int r = tap_index ? redirect_join(reconcile->socket, (int)interface->ifindex, tap_index)
                          : -ENODEV;

        if (r >= 0)
                interface->flags |= NET_INTERFACE_JOINED;
        return r;
}

/* The monitor has its tap, or has died with it. */
static int interface_put_right(Reconcile *reconcile, NetInterface *interface, const char *tap)
{
        int r = tap_set_mtu(reconcile->socket, tap, interface->network.mtu);

        return r < 0 ? r : interface_join(reconcile, interface, tap);
}

static int interface_set_up(Reconcile *reconcile, NetInterface *interface, const char *tap)
{
        unsigned queues = reconcile->options->queues;
        int *fds = reconcile->fds + reconcile->n_fds;
        int r;

        if (reconcile->n_fds + 2 * queues > IO_FDS_MAX) {
                reconcile->report.flags |= NET_REPORT_MORE;
                return 0;
        }
        r = tap_open(reconcile->socket, tap, queues, interface->network.mtu, fds);
        if (r < 0)
                return r;
        r = interface_join(reconcile, interface, tap);
        if (r < 0) {
                fd_close_many(fds, queues);
                return r;
        }
        interface->queues = queues;
        /* A host without it has the monitor do the work. */
        if (tap_open_vhost(queues, fds + queues) >= 0)
                interface->vhost = queues;
        reconcile->n_fds += interface->queues + interface->vhost;
        return 0;
}

/* 1: it is not there any more. A tap of that name that is not ours to have is somebody's who will
 * close it: the monitor's of a guest that is just ending, say. */
static int interface_reconcile(Reconcile *reconcile, NetInterface *interface, sd_bus_error *error)
{
        bool joined = has_tap(reconcile->options, interface->ifindex);
        char tap[NET_NAME_SIZE];
        int r;

        net_tap_name(interface->ifindex, tap);
        r = joined ? interface_put_right(reconcile, interface, tap)
                   : interface_set_up(reconcile, interface, tap);
        if (r >= 0)
                return 0;
        if (r == -ENODEV)
                return joined ? 0 : 1;
        if (r == -EEXIST) {
                net_report_leave(&reconcile->report, interface->ifindex, interface->network.name,
                                 interface->kind, NET_REASON_TAP);
                return 1;
        }
        return error_set(error, r, ERROR_FAILED,
                         "The network interface %s can't be joined to a tap: %s.",
                         interface->network.name, strerror(-r));
}

static void report_drop(NetReport *report, uint32_t i)
{
        agent_network_done(&report->interfaces[i].network);
        memmove(&report->interfaces[i], &report->interfaces[i + 1],
                (report->n_interfaces - i - 1) * sizeof(*report->interfaces));
        report->n_interfaces--;
}

/* ------------------------------------------------------------------ the whole */

static int reconcile_all(Reconcile *reconcile, sd_bus_error *error)
{
        NetReport *report = &reconcile->report;
        int r = netlink_open(&reconcile->socket);

        if (r >= 0)
                r = reconcile_open_monitor(reconcile);
        if (r >= 0)
                r = net_describe(reconcile->socket, NULL, report);
        if (r < 0)
                return error_set(error, r, ERROR_FAILED,
                                 "The sandbox's network namespace can't be looked at: %s.",
                                 strerror(-r));
        for (uint32_t i = 0; i < report->n_interfaces;) {
                r = interface_reconcile(reconcile, &report->interfaces[i], error);
                if (r < 0)
                        return r;
                if (r > 0)
                        report_drop(report, i);
                else
                        i++;
        }
        return 0;
}

int reconcile_here(const ReconcileOptions *options, NetReport *ret, int *fds, unsigned *ret_n_fds,
                   sd_bus_error *error)
{
        _cleanup_(reconcile_done) Reconcile reconcile = {.options = options};
        int r = reconcile_all(&reconcile, error);

        if (r < 0)
                return r;
        *ret = reconcile.report;
        memcpy(fds, reconcile.fds, reconcile.n_fds * sizeof(*fds));
        *ret_n_fds = reconcile.n_fds;
        reconcile.report = (NetReport){};
        reconcile.n_fds = 0;
        return 0;
}

int reconcile_release_here(sd_bus_error *error)
{
        _cleanup_(nl_socket_freep) struct nl_sock *socket = NULL;
        _cleanup_(nl_cache_freep) struct nl_cache *links = NULL;
        int failure = 0, r = netlink_open(&socket);

        if (r >= 0)
                r = netlink_error(rtnl_link_alloc_cache(socket, AF_UNSPEC, &links));
        if (r < 0)
                return r;
        netlink_for_each (struct rtnl_link, link, links) {
                r = redirect_remove(socket, rtnl_link_get_ifindex(link));
                if (r >= 0 || r == -ENODEV)
                        continue;
                failure = error_set(error, r, ERROR_FAILED,
                                    "The filter on %s can't be taken away: %s.",
                                    rtnl_link_get_name(link), strerror(-r));
        }
        return failure;
}

/* ------------------------------------------------------------------ the workers */

static int netns_enter(int netns, sd_bus_error *error)
{
        if (setns(netns, CLONE_NEWNET) < 0)
                return error_set(error, errno_neg(), ERROR_FAILED,
                                 "The sandbox's network namespace can't be entered: %s.",
                                 strerror(errno));
        return 0;
}

static int reconcile_main(int socket, void *userdata, sd_bus_error *error)
{
        const ReconcileOptions *options = userdata;
        _cleanup_(freep) uint8_t *payload = malloc(WORKER_PAYLOAD_MAX);
        NetReport report = {};
        int fds[IO_FDS_MAX], r = payload ? netns_enter(options->netns, error) : -ENOMEM;
        unsigned n_fds = 0;
        size_t size;

        if (options->about)
                journal_about(options->about);
        if (r >= 0)
                r = reconcile_here(options, &report, fds, &n_fds, error);
        if (r < 0)
                return r;
        r = net_report_encode(&report, payload, WORKER_PAYLOAD_MAX, &size);
        if (r < 0)
                return error_set(error, r, ERROR_LIMIT_EXCEEDED,
                                 "The namespace has more addresses and routes than can be told.");
        return worker_answer(socket, payload, size, fds, n_fds);
}

int reconcile_start(Worker **ret, sd_event *event, const ReconcileOptions *options,
                    WorkerHandler handler, void *userdata)
{
        return worker_start(ret, event, "uvmd-network", reconcile_main, (void *)options,
                            clock_limit_usec(RECONCILE_LIMIT_USEC), handler, userdata);
}

static int release_main(int socket, void *userdata, sd_bus_error *error)
{
        const ReconcileOptions *options = userdata;
        int r = netns_enter(options->netns, error);

        journal_about(options->about);
        if (r >= 0)
                r = reconcile_release_here(error);
        return r < 0 ? r : worker_answer(socket, NULL, 0, NULL, 0);
}

int reconcile_release(Worker **ret, sd_event *event, int netns, const Sandbox *about,
                      WorkerHandler handler, void *userdata)
{
        ReconcileOptions options = {.netns = netns, .about = about};

        return worker_start(ret, event, "uvmd-network", release_main, &options,
                            clock_limit_usec(RECONCILE_LIMIT_USEC), handler, userdata);
}
