/*
 * What of a namespace belongs to no device alone (proto/agent_network.h, AgentRouting), and which interfaces a
 * guest doesn't get. A guest has the devices first, and is told again after each that it gets: what
 * leads over several was lost with the one that went.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "uvmd/bus/emit.h"
#include "uvmd/errors.h"
#include "uvmd/journal.h"
#include "uvmd/net/describe.h"
#include "uvmd/net/network.h"
#include "uvmd/net/network_guest.h"
#include "uvmd/sandbox.h"

static bool routing_is_needed(const NetworkRouting *routing)
{
        return routing->told || !net_routing_is_plain(&routing->last);
}

static void routing_make_due(NetworkRouting *routing)
{
        routing->state = routing->state >= ROUTING_ASKING ? ROUTING_AGAIN : ROUTING_DUE;
}

void network_take_routing(Sandbox *sandbox, NetReport *report)
{
        NetworkRouting *routing = &sandbox->network.routing;

        if (routing->told && net_settings_complete(report, &routing->last.settings) < 0)
                sandbox_log_error(sandbox, "can't tell what settings its network had");
        if (net_routing_equal(&routing->last, &report->routing))
                return;
        routing->moved = true;
        agent_routing_done(&routing->last);
        routing->last = report->routing;
        report->routing = (AgentRouting){};
        if (routing_is_needed(routing))
                routing_make_due(routing);
}

void network_on_configured(Sandbox *sandbox)
{
        if (routing_is_needed(&sandbox->network.routing))
                routing_make_due(&sandbox->network.routing);
}

/* Where IPv6 has the ways of one route one by one, taking the route away took those that are a device's
 * own now, too. And what a device was refused (addresses, while IPv6 was disabled) it may have now. */
static void routing_refresh_devices(Sandbox *sandbox)
{
        sandbox->network.routing.moved = false;
        for_each_nic (nic, &sandbox->network) {
                if (nic->goal != NIC_KEEP)
                        continue;
                nic->goal = NIC_REFRESH;
                nic_continue(nic);
        }
}

static void routing_on_reply(void *userdata, int r, const ShimReply *reply)
{
        _cleanup_(sd_bus_error_free) sd_bus_error answer = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        Sandbox *sandbox = userdata;
        NetworkRouting *routing = &sandbox->network.routing;
        uint8_t code;

        if (!reply || r == -ECANCELED)
                return;
        routing->state = routing->state == ROUTING_AGAIN ? ROUTING_DUE : ROUTING_SETTLED;
        if (r >= 0)
                r = task_read_answer(reply, "its network", &code, &answer);
        if (r < 0) {
                error_set(&error, r, ERROR_FAILED, "The guest doesn't take the routes of %s",
                          answer.message ?: strerror(-r));
                network_fail(sandbox, r, &error);
        } else if (routing->moved) {
                routing_refresh_devices(sandbox);
        }
        network_pass_on(sandbox);
}

static bool devices_are_settled(const Sandbox *sandbox)
{
        for_each_nic (nic, &sandbox->network)
                if (nic->state < NIC_CONFIGURED && nic->goal != NIC_DROP)
                        return false;
        return true;
}

void network_route(Sandbox *sandbox)
{
        NetworkRouting *routing = &sandbox->network.routing;
        _cleanup_(freep) uint8_t *buffer = NULL;
        size_t size;
        int r;

        if (routing->state != ROUTING_DUE || sandbox->boot < SANDBOX_BOOT_BOOTED ||
            !sandbox->link || !devices_are_settled(sandbox))
                return;
        buffer = malloc(SHIM_PAYLOAD_MAX);
        r = buffer ? agent_routing_encode(&routing->last, buffer, SHIM_PAYLOAD_MAX, &size)
                   : -ENOMEM;
        if (r >= 0)
                r = sandbox_ask_agent(sandbox, AGENT_REQUEST_ROUTING, 0, buffer, size,
                                      routing_on_reply, sandbox);
        routing->state = r < 0 ? ROUTING_SETTLED : ROUTING_ASKING;
        /* A guest that was told nothing before has no routes that could be taken away. */
        routing->moved = routing->moved && routing->told;
        routing->told = true;
        if (r < 0)
                network_fail(sandbox, r, NULL);
}

void network_forget_routing(Network *network)
{
        agent_routing_done(&network->routing.last);
        network->routing = (NetworkRouting){};
        free(network->left);
        network->left = NULL;
        network->n_left = 0;
}

/* ------------------------------------------------------------------ what is left out */

static bool left_is_known(const Network *network, const NetLeft *left)
{
        for (uint32_t i = 0; i < network->n_left; i++)
                if (network->left[i].ifindex == left->ifindex &&
                    network->left[i].reason == left->reason)
                        return true;
        return false;
}

void network_take_left(Sandbox *sandbox, NetReport *report)
{
        Network *network = &sandbox->network;
        bool changed = network->n_left != report->n_left;

        for (uint32_t i = 0; i < report->n_left; i++) {
                const NetLeft *left = &report->left[i];

                if (left_is_known(network, left))
                        continue;
                sandbox_log_warning(sandbox, "%s is left out: %s", left->name,
                                    net_reason_to_text(left->reason));
                changed = true;
        }
        free(network->left);
        network->left = report->left;
        network->n_left = report->n_left;
        report->left = NULL;
        report->n_left = 0;
        if (changed)
                bus_emit_sandbox_networks(sandbox);
}

const NetLeft *network_find_left(const Sandbox *sandbox, const char *name)
{
        const Network *network = &sandbox->network;

        for (uint32_t i = 0; i < network->n_left; i++)
                if (strcmp(network->left[i].name, name) == 0)
                        return &network->left[i];
        return NULL;
}
