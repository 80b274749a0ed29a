/* The way of a network device into a guest and out of it; see nic.h. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "uvmd/errors.h"
#include "uvmd/journal.h"
#include "uvmd/net/network.h"
#include "uvmd/net/network_guest.h"
#include "uvmd/net/nic.h"
#include "uvmd/sandbox.h"

ENUM_TABLE(nic_state, NicState, NIC_STATE_MAX_)
= {
        [NIC_JOINED] = "joined",
        [NIC_PLUGGING] = "plugging",
        [NIC_PLUGGED] = "plugged",
        [NIC_CONFIGURING] = "configuring",
        [NIC_CONFIGURED] = "configured",
        [NIC_REFUSED] = "refused",
        [NIC_UNPLUGGING] = "unplugging",
        [NIC_FAILED] = "failed",
        [NIC_GONE] = "gone",
};

#define TO(state) (1U << NIC_##state)

static const unsigned transitions[NIC_STATE_MAX_] = {
        [NIC_JOINED] = TO(PLUGGING) | TO(FAILED) | TO(GONE),
        [NIC_PLUGGING] = TO(PLUGGED) | TO(FAILED),
        [NIC_PLUGGED] = TO(CONFIGURING) | TO(UNPLUGGING) | TO(GONE),
        [NIC_CONFIGURING] = TO(CONFIGURED) | TO(REFUSED),
        [NIC_CONFIGURED] = TO(CONFIGURING) | TO(UNPLUGGING),
        [NIC_REFUSED] = TO(CONFIGURING) | TO(UNPLUGGING),
        [NIC_UNPLUGGING] = TO(GONE),
        [NIC_FAILED] = TO(GONE),
        [NIC_GONE] = 0,
};

static void nic_set_state(Nic *nic, NicState state)
{
        assert(transitions[nic->state] & (1U << state));
        sandbox_log_debug(nic->sandbox, "network device %s: %s → %s", nic->network.name,
                          nic_state_to_string(nic->state), nic_state_to_string(state));
        nic->state = state;
        network_on_nic(nic);
}

static int nic_alloc(Nic **ret, Sandbox *sandbox)
{
        Nic *nic = calloc(1, sizeof(*nic));

        if (!nic)
                return -ENOMEM;
        nic->sandbox = sandbox;
        list_append(&sandbox->network.nics, &nic->link);
        *ret = nic;
        return 0;
}

/* What is told of it changes hands. */
static void nic_take(Nic *nic, NetInterface *interface)
{
        agent_network_done(&nic->network);
        nic->network = interface->network;
        interface->network = (AgentNetwork){};
        memcpy(nic->kind, interface->kind, sizeof(nic->kind));
        nic->running = interface->flags & NET_INTERFACE_RUNNING;
}

int nic_new(Nic **ret, Sandbox *sandbox, NetInterface *interface, int *fds)
{
        int r = nic_alloc(ret, sandbox);
        Nic *nic;

        if (r < 0)
                return r;
        nic = *ret;
        nic->ifindex = interface->ifindex;
        nic->queues = interface->queues;
        nic->n_fds = interface->queues + interface->vhost;
        for (unsigned i = 0; i < nic->n_fds; i++)
                nic->fds[i] = TAKE_FD(fds[i]);
        nic_take(nic, interface);
        return 0;
}

int nic_new_plugged(Nic **ret, Sandbox *sandbox, uint32_t slot)
{
        int r = nic_alloc(ret, sandbox);

        if (r < 0)
                return r;
        (*ret)->state = NIC_PLUGGED;
        (*ret)->slot = slot;
        return 0;
}

Nic *nic_free(Nic *nic)
{
        if (!nic)
                return NULL;
        shim_link_forget(nic->sandbox->link, nic);
        list_remove(&nic->link);
        fd_close_many(nic->fds, nic->n_fds);
        agent_network_done(&nic->network);
        free(nic->refusal);
        free(nic);
        return NULL;
}

/* ------------------------------------------------------------------ plugging */

static void nic_set_link(Nic *nic)
{
        ShimMessage message = {
                .type = SHIM_SET_LINK,
                .set_link = {.slot = nic->slot, .up = nic->running},
        };

        if (nic->sandbox->link)
                shim_link_request(nic->sandbox->link, &message, NULL, 0, NULL, NULL);
}

static void nic_on_plugged(void *userdata, int r, const ShimReply *reply)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        Nic *nic = userdata;
        Sandbox *sandbox = nic->sandbox;

        if (!reply || r == -ECANCELED)
                return; /* link or guest have ended: the network hears of it */
        if (r < 0) {
                error_set(&error, r, r == -ETIMEDOUT ? ERROR_TIMEOUT : ERROR_FAILED,
                          "The network device %s can't be plugged in: %s", nic->network.name,
                          reply->text[0] ? reply->text : strerror(-r));
                nic_set_state(nic, NIC_FAILED);
                network_on_failure(sandbox, nic->network.name, r, &error);
                nic_continue(nic);
                network_pass_on(sandbox);
                return;
        }
        nic->slot = reply->value;
        nic_set_state(nic, NIC_PLUGGED);
        sandbox_save(sandbox);
        /* A new one has a carrier. */
        if (!nic->running)
                nic_set_link(nic);
        nic_continue(nic);
        network_pass_on(sandbox);
}

/*
 * Not told an MTU, for a guest can't go above what a device tells: the agent sets what it is to be,
 * and what it is changed to.
 */
static int nic_plug(Nic *nic)
{
        ShimMessage message = {
                .type = SHIM_ADD_DEVICE,
                .add_device =
                        {
                                .kind = SHIM_DEVICE_NET,
                                .flags = nic->n_fds > nic->queues ? SHIM_DEVICE_VHOST : 0,
                                .queues = nic->queues,
                        },
        };
        const NetworkThrottle *throttle = network_find_throttle(nic->sandbox, nic->network.name);
        int r;

        memcpy(message.add_device.mac, nic->network.mac, sizeof(message.add_device.mac));
        if (throttle) {
                message.add_device.throttle = throttle->transmit;
                message.add_device.receive = throttle->receive;
        }
        r = shim_link_request(nic->sandbox->link, &message, nic->fds, nic->n_fds, nic_on_plugged,
                              nic);
        if (r < 0)
                return r;
        fd_close_many(nic->fds, nic->n_fds);
        nic->n_fds = 0;
        nic_set_state(nic, NIC_PLUGGING);
        return 0;
}

static void nic_on_unplugged(void *userdata, int r, const ShimReply *reply)
{
        Nic *nic = userdata;
        Sandbox *sandbox = nic->sandbox;

        if (!reply)
                return;
        if (r < 0)
                sandbox_log_warning(sandbox, "the network device %s can't be removed: %s",
                                    nic->network.name, reply->text);
        nic_set_state(nic, NIC_GONE);
        network_on_nic_gone(nic);
}

static int nic_unplug(Nic *nic)
{
        ShimMessage message = {
                .type = SHIM_REMOVE_DEVICE,
                .remove_device = {.slot = nic->slot},
        };
        int r = shim_link_request(nic->sandbox->link, &message, NULL, 0, nic_on_unplugged, nic);

        if (r >= 0)
                nic_set_state(nic, NIC_UNPLUGGING);
        return r;
}

/* ------------------------------------------------------------------ telling the guest */

/* A start ends there. A guest that runs keeps what it has of it. */
static void nic_refuse(Nic *nic, int r, const char *why)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        error_set(&error, r, ERROR_FAILED, "The guest doesn't take the network interface %s", why);
        sandbox_log_warning(nic->sandbox, "%s", error.message ?: why);
        nic->refusal = strdup(why);
        network_on_failure(nic->sandbox, nic->network.name, r, &error);
}

static void nic_on_configured(void *userdata, int r, const ShimReply *reply)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        Nic *nic = userdata;
        Sandbox *sandbox = nic->sandbox;
        uint8_t code;

        if (!reply || r == -ECANCELED)
                return;
        if (r < 0)
                error_set(&error, r, ERROR_FAILED, "%s: %s", nic->network.name,
                          reply->text[0] ? reply->text : strerror(-r));
        else
                r = task_read_answer(reply, nic->network.name, &code, &error);
        nic_set_state(nic, r < 0 ? NIC_REFUSED : NIC_CONFIGURED);
        nic->taken = nic->taken || r >= 0;
        free(nic->refusal);
        nic->refusal = NULL;
        network_on_configured(sandbox);
        if (r < 0)
                nic_refuse(nic, r, error.message ?: nic->network.name);
        nic_continue(nic);
        network_pass_on(sandbox);
}

static int nic_configure(Nic *nic)
{
        _cleanup_(freep) uint8_t *buffer = malloc(SHIM_PAYLOAD_MAX);
        size_t size;
        int r;

        if (!buffer)
                return -ENOMEM;
        r = agent_network_encode(&nic->network, buffer, SHIM_PAYLOAD_MAX, &size);
        if (r >= 0)
                r = sandbox_ask_agent(nic->sandbox, AGENT_REQUEST_NETWORK, 0, buffer, size,
                                      nic_on_configured, nic);
        if (r < 0)
                return r;
        if (nic->goal == NIC_REFRESH)
                nic->goal = NIC_KEEP;
        nic_set_state(nic, NIC_CONFIGURING);
        return 0;
}

/* ------------------------------------------------------------------ steps */

static int nic_withdraw(Nic *nic)
{
        switch (nic->state) {
        case NIC_JOINED:
        case NIC_FAILED:
                fd_close_many(nic->fds, nic->n_fds);
                nic->n_fds = 0;
                nic_set_state(nic, NIC_GONE);
                network_on_nic_gone(nic);
                break;
        case NIC_PLUGGED:
        case NIC_CONFIGURED:
        case NIC_REFUSED:
                return nic->sandbox->boot == SANDBOX_BOOT_GREETED ? nic_unplug(nic) : 0;
        case NIC_PLUGGING:
        case NIC_CONFIGURING:
        case NIC_UNPLUGGING:
        case NIC_GONE:
        case NIC_STATE_MAX_:
                break;
        }
        return 0;
}

static int nic_advance(Nic *nic)
{
        switch (nic->state) {
        case NIC_JOINED:
                return nic->sandbox->boot >= SANDBOX_BOOT_PLUGGING ? nic_plug(nic) : 0;
        case NIC_PLUGGED:
                return nic->sandbox->boot >= SANDBOX_BOOT_BOOTED ? nic_configure(nic) : 0;
        case NIC_CONFIGURED:
        case NIC_REFUSED:
                return nic->goal == NIC_REFRESH ? nic_configure(nic) : 0;
        case NIC_PLUGGING:
        case NIC_CONFIGURING:
        case NIC_UNPLUGGING:
        case NIC_FAILED:
        case NIC_GONE:
        case NIC_STATE_MAX_:
                break;
        }
        return 0;
}

void nic_continue(Nic *nic)
{
        Sandbox *sandbox = nic->sandbox;
        int r;

        if (!sandbox->link)
                return;
        r = nic->goal == NIC_DROP ? nic_withdraw(nic) : nic_advance(nic);
        if (r >= 0)
                return;
        sandbox_log_error_errno(sandbox, r, "can't ask for a network device");
        if (nic->state == NIC_JOINED) {
                fd_close_many(nic->fds, nic->n_fds);
                nic->n_fds = 0;
                nic_set_state(nic, NIC_FAILED);
                network_on_failure(sandbox, nic->network.name, r, NULL);
        }
}

void nic_lose(Nic *nic)
{
        nic_set_state(nic, NIC_GONE);
}

static bool mac_is_same(const Nic *nic, const NetInterface *interface)
{
        return memcmp(nic->network.mac, interface->network.mac, AGENT_MAC_SIZE) == 0;
}

void nic_update(Nic *nic, NetInterface *interface)
{
        bool running = interface && interface->flags & NET_INTERFACE_RUNNING;

        if (nic->goal == NIC_DROP)
                return;
        /* The guest knows a device by its address: with another one it is another device. */
        if (!interface || (nic->network.name && !mac_is_same(nic, interface))) {
                nic->goal = NIC_DROP;
                nic_continue(nic);
                return;
        }
        if (nic->running != running) {
                nic->running = running;
                if (nic->state >= NIC_PLUGGED && nic->state <= NIC_REFUSED)
                        nic_set_link(nic);
        }
        if (net_network_equal(&nic->network, &interface->network))
                return;
        nic_take(nic, interface);
        nic->goal = NIC_REFRESH;
        nic_continue(nic);
}
