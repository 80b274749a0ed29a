/*
 * Looking at a sandbox's namespace; see network.h. A worker looks (reconcile.h); what it found is compared
 * here with the devices there are.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "uvmd/journal.h"
#include "uvmd/net/monitor.h"
#include "uvmd/net/network.h"
#include "uvmd/net/network_guest.h"
#include "uvmd/net/reconcile.h"
#include "uvmd/sandbox.h"

#define NETWORK_RETRY_USEC (2 * USEC_PER_SEC)

/* What leaves by the caller's wish isn't taken up again while it is still there. */
static bool interface_is_leaving(const Sandbox *sandbox, const char *name)
{
        const NetworkAttachment *attachment = network_find_attachment(sandbox, name);

        return attachment &&
               (attachment->goal == ATTACHMENT_GONE || attachment->state == ATTACHMENT_DETACHING);
}

static NetInterface *report_find(const NetReport *report, uint32_t ifindex)
{
        for (uint32_t i = 0; i < report->n_interfaces; i++)
                if (report->interfaces[i].ifindex == ifindex)
                        return &report->interfaces[i];
        return NULL;
}

static bool mac_is_taken(const Sandbox *sandbox, const NetInterface *interface)
{
        for_each_nic (nic, &sandbox->network)
                if (nic_has_slot(nic) &&
                    memcmp(nic->network.mac, interface->network.mac, AGENT_MAC_SIZE) == 0)
                        return true;
        return false;
}

/* @fds are its tap's; what isn't taken the caller closes. */
static int network_add_nic(Sandbox *sandbox, NetReport *report, NetInterface *interface, int *fds)
{
        Nic *nic;
        int r;

        if (interface->queues == 0 || interface_is_leaving(sandbox, interface->network.name))
                return 0;
        /* ipvlans of one parent: the guest could not tell one from the other. */
        if (mac_is_taken(sandbox, interface)) {
                net_report_leave(report, interface->ifindex, interface->network.name,
                                 interface->kind, NET_REASON_SAME_MAC);
                return 0;
        }
        r = nic_new(&nic, sandbox, interface, fds);
        if (r < 0)
                return r;
        sandbox_log_info(sandbox, "network device %s (%s)", nic->network.name,
                         nic->kind[0] ? nic->kind : "hardware");
        nic_continue(nic);
        return 0;
}

/* What is there and what isn't any more, then what is new. */
static int network_take_report(Sandbox *sandbox, NetReport *report, int *fds)
{
        unsigned at = report->flags & NET_REPORT_MONITOR ? 1 : 0;
        bool known[NET_INTERFACES_MAX] = {};
        int r = 0;

        for_each_nic (nic, &sandbox->network) {
                NetInterface *interface = report_find(report, nic->ifindex);

                if (interface && interface_is_leaving(sandbox, interface->network.name))
                        interface = NULL;
                if (report_find(report, nic->ifindex))
                        known[report_find(report, nic->ifindex) - report->interfaces] = true;
                nic_update(nic, interface);
        }
        for (uint32_t i = 0; r >= 0 && i < report->n_interfaces; i++) {
                NetInterface *interface = &report->interfaces[i];
                unsigned n_fds = interface->queues + interface->vhost;

                if (!known[i])
                        r = network_add_nic(sandbox, report, interface, fds + at);
                at += n_fds;
        }
        network_take_left(sandbox, report);
        network_take_routing(sandbox, report);
        return r;
}

static void network_on_change(void *userdata)
{
        network_look(userdata);
}

static int network_take_monitor(Sandbox *sandbox, const NetReport *report, int *fds)
{
        if (!(report->flags & NET_REPORT_MONITOR))
                return 0;
        sandbox->network.monitor = monitor_free(sandbox->network.monitor);
        return monitor_new(&sandbox->network.monitor, sandbox->manager->event, TAKE_FD(fds[0]),
                           network_on_change, sandbox);
}

static int network_on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
        network_look(userdata);
        return 0;
}

/* Of a guest that runs: nothing else may happen there for long that would have it looked at again. */
static void network_look_later(Sandbox *sandbox)
{
        Network *network = &sandbox->network;

        network->retry = sd_event_source_disable_unref(network->retry);
        if (sd_event_add_time_relative(sandbox->manager->event, &network->retry, CLOCK_MONOTONIC,
                                       NETWORK_RETRY_USEC, 0, network_on_retry, sandbox) < 0)
                log_error("Sandbox %s: can't look at its network again", sandbox->id);
}

/* When nobody walks the list. */
static void nics_collect(Sandbox *sandbox)
{
        for_each_nic (nic, &sandbox->network)
                if (nic->state == NIC_GONE)
                        nic_free(nic);
}

static void network_on_look(void *userdata, int r, const sd_bus_error *error,
                            const uint8_t *payload, size_t size, IoMessage *message)
{
        _cleanup_(net_report_done) NetReport report = {};
        Sandbox *sandbox = userdata;
        Network *network = &sandbox->network;
        bool again;

        network->worker = NULL;
        nics_collect(sandbox);
        if (network->state == NETWORK_DETACHING) {
                network_finish(sandbox);
                return;
        }
        if (r >= 0)
                r = net_report_decode(payload, size, &report);
        if (r >= 0 && net_report_count_fds(&report) != message->n_fds)
                r = -EBADMSG;
        if (r >= 0)
                r = network_take_monitor(sandbox, &report, message->fds);
        if (r >= 0 && network->look != NETWORK_LOOK_STALE)
                r = network_take_report(sandbox, &report, message->fds);
        again = network->look > NETWORK_LOOK_BUSY || report.flags & NET_REPORT_MORE;
        network->look = NETWORK_LOOK_NONE;
        /* What has changed meanwhile is no reason for a start to wait. */
        if (r >= 0 && network->state == NETWORK_JOINING && !(report.flags & NET_REPORT_MORE))
                network_set_state(sandbox, NETWORK_JOINED);
        if (r < 0) {
                network_fail(sandbox, r, error);
                network_look_later(sandbox);
        } else if (again) {
                network_look(sandbox);
        }
        network_pass_on(sandbox);
}

void network_look(Sandbox *sandbox)
{
        Network *network = &sandbox->network;
        uint32_t joined[NET_INTERFACES_MAX];
        ReconcileOptions options = {
                .netns = network->netns,
                .joined = joined,
                .queues = MIN(hotplug_vcpus_max(sandbox), NET_QUEUES_MAX),
                .monitor = !network->monitor,
                .about = sandbox,
        };
        int r;

        if (network->state != NETWORK_JOINING && network->state != NETWORK_JOINED)
                return;
        if (network->look != NETWORK_LOOK_NONE) {
                network->look = MAX(network->look, NETWORK_LOOK_AGAIN);
                return;
        }
        for_each_nic (nic, network)
                if (nic_has_tap(nic) && options.n_joined < NET_INTERFACES_MAX)
                        joined[options.n_joined++] = nic->ifindex;
        r = reconcile_start(&network->worker, sandbox->manager->event, &options, network_on_look,
                            sandbox);
        if (r < 0)
                network_fail(sandbox, r, NULL);
        else
                network->look = NETWORK_LOOK_BUSY;
}

/* A look that is under way may have seen what has just been taken away. */
void network_look_anew(Sandbox *sandbox)
{
        if (sandbox->network.look != NETWORK_LOOK_NONE)
                sandbox->network.look = NETWORK_LOOK_STALE;
}
