/* A sandbox's network, from its namespace to its end; see network.h. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "uvmd/boot.h"
#include "uvmd/bus/emit.h"
#include "uvmd/errors.h"
#include "uvmd/events.h"
#include "uvmd/journal.h"
#include "uvmd/net/monitor.h"
#include "uvmd/net/netns.h"
#include "uvmd/net/network.h"
#include "uvmd/net/network_guest.h"
#include "uvmd/net/reconcile.h"
#include "uvmd/sandbox.h"

ENUM_TABLE(network_state, NetworkState, NETWORK_STATE_MAX_)
= {
        [NETWORK_ABSENT] = "absent",       [NETWORK_MAKING] = "making",
        [NETWORK_ATTACHING] = "attaching", [NETWORK_JOINING] = "joining",
        [NETWORK_JOINED] = "joined",       [NETWORK_DETACHING] = "detaching",
        [NETWORK_RELEASING] = "releasing",
};

#define TO(state) (1U << NETWORK_##state)

static const unsigned transitions[NETWORK_STATE_MAX_] = {
        [NETWORK_ABSENT] = TO(MAKING),
        [NETWORK_MAKING] = TO(ATTACHING) | TO(DETACHING) | TO(ABSENT),
        [NETWORK_ATTACHING] = TO(JOINING) | TO(DETACHING),
        [NETWORK_JOINING] = TO(JOINED) | TO(DETACHING),
        [NETWORK_JOINED] = TO(DETACHING),
        [NETWORK_DETACHING] = TO(RELEASING) | TO(ABSENT),
        [NETWORK_RELEASING] = TO(ABSENT),
};

void network_set_state(Sandbox *sandbox, NetworkState state)
{
        Network *network = &sandbox->network;

        assert(transitions[network->state] & (1U << state));
        sandbox_log_debug(sandbox, "network: %s → %s", network_state_to_string(network->state),
                          network_state_to_string(state));
        network->state = state;
        if (state != NETWORK_ABSENT)
                return;
        network->netns = fd_close(network->netns);
        network_forget_routing(network);
}

void network_init(Network *network)
{
        network->netns = FD_NONE;
        list_init(&network->nics);
        list_init(&network->attachments);
        list_init(&network->throttles);
}

/* What is on the host stays there: a new uvmd finds it again. */
void network_done(Network *network)
{
        network->worker = worker_free(network->worker);
        network->monitor = monitor_free(network->monitor);
        network_forget_routing(network);
        for_each_nic (nic, network)
                nic_free(nic);
        for_each_attachment (attachment, network)
                attachment_free(attachment);
        list_for_each (item, &network->throttles) {
                list_remove(item);
                free(LIST_ENTRY(item, NetworkThrottle, link));
        }
        network->ending = sd_event_source_disable_unref(network->ending);
        network->retry = sd_event_source_disable_unref(network->retry);
        network->netns = fd_close(network->netns);
}

static bool network_is_private(const Sandbox *sandbox)
{
        const char *spec = sandbox->config.network.network;

        return spec && strcmp(spec, "private") == 0;
}

bool network_is_wanted(const Sandbox *sandbox)
{
        return sandbox->network.given || network_is_private(sandbox) ||
               !list_is_empty(&sandbox->network.attachments);
}

char *network_path(const Sandbox *sandbox)
{
        return netns_path(sandbox->manager->paths.run_dir, sandbox->id);
}

/* ------------------------------------------------------------------ the way there */

void network_fail(Sandbox *sandbox, int r, const sd_bus_error *error)
{
        sandbox_log_warning(sandbox, "%s", error && error->message ? error->message : strerror(-r));
        network_on_failure(sandbox, NULL, r, error);
}

/* There is none, for what was to be attached to a guest that runs. */
static void network_lose(Sandbox *sandbox, int r, const sd_bus_error *error)
{
        network_fail(sandbox, r, error);
        if (sandbox->network.state != NETWORK_MAKING)
                return;
        for_each_attachment (attachment, &sandbox->network)
                network_on_failure(sandbox, attachment->config.interface, r, error);
        netns_drop(sandbox->manager->paths.run_dir, sandbox->id);
        network_set_state(sandbox, NETWORK_ABSENT);
        network_pass_on(sandbox);
}

static void network_on_made(void *userdata, int r, const sd_bus_error *error,
                            const uint8_t *payload, size_t size, IoMessage *message)
{
        Sandbox *sandbox = userdata;
        Network *network = &sandbox->network;

        network->worker = NULL;
        if (r >= 0 && message->n_fds != 1)
                r = -EBADMSG;
        if (r >= 0)
                network->netns = TAKE_FD(message->fds[0]);
        if (network->state == NETWORK_DETACHING) {
                network_finish(sandbox);
                return;
        }
        if (r < 0) {
                network_lose(sandbox, r, error);
                return;
        }
        network_set_state(sandbox, NETWORK_ATTACHING);
        attachments_set_up(sandbox);
        network_pass_on(sandbox);
}

static int network_make(Sandbox *sandbox)
{
        NetnsOptions options = {
                .run_dir = sandbox->manager->paths.run_dir,
                .id = sandbox->id,
                .given = FD_NONE,
        };
        int r = netns_hold(&sandbox->network.worker, sandbox->manager->event, &options,
                           network_on_made, sandbox);

        if (r >= 0)
                network_set_state(sandbox, NETWORK_MAKING);
        return r;
}

/* A given one is held since the sandbox was made. */
int network_set_up(Sandbox *sandbox, sd_bus_error *error)
{
        Network *network = &sandbox->network;
        int r;

        if (network->state == NETWORK_ABSENT)
                network->named = false;
        if (!network_is_wanted(sandbox) || network->state != NETWORK_ABSENT)
                return 0;
        if (!network->given)
                return network_make(sandbox);
        r = netns_open(sandbox->manager->paths.run_dir, sandbox->id, &network->netns);
        if (r < 0)
                return error_set(error, r, ERROR_FAILED,
                                 "The sandbox's network namespace can't be opened again: %s. Make "
                                 "the sandbox anew.",
                                 strerror(-r));
        network_set_state(sandbox, NETWORK_MAKING);
        network_set_state(sandbox, NETWORK_ATTACHING);
        attachments_set_up(sandbox);
        network_pass_on(sandbox);
        return 0;
}

/* Once, when all networks that know of name servers have said so. */
static void network_tell_names(Sandbox *sandbox)
{
        Network *network = &sandbox->network;
        int r;

        if (network->named || sandbox->boot < SANDBOX_BOOT_BOOTED ||
            network->state == NETWORK_MAKING || network->state == NETWORK_ATTACHING)
                return;
        network->named = true;
        r = network_send_resolver(sandbox);
        if (r < 0)
                sandbox_log_error_errno(sandbox, r, "can't tell its name servers");
}

void network_continue(Sandbox *sandbox)
{
        network_tell_names(sandbox);
        for_each_nic (nic, &sandbox->network)
                nic_continue(nic);
        network_route(sandbox);
}

bool network_is_ready(const Sandbox *sandbox)
{
        const Network *network = &sandbox->network;

        if ((network->state != NETWORK_ABSENT && network->state != NETWORK_JOINED) ||
            network->routing.state != ROUTING_SETTLED)
                return false;
        for_each_nic (nic, network)
                if (nic_is_awaited(nic))
                        return false;
        return true;
}

bool network_is_counting(const Sandbox *sandbox)
{
        return sandbox->network.given && sandbox->network.state != NETWORK_JOINED;
}

bool network_was_interrupted(const Sandbox *sandbox)
{
        return sandbox->state == SANDBOX_STARTING && sandbox->network.state != NETWORK_ABSENT;
}

void network_pass_on(Sandbox *sandbox)
{
        Network *network = &sandbox->network;

        if (network->state == NETWORK_ATTACHING && !attachments_are_moving(sandbox)) {
                network_set_state(sandbox, NETWORK_JOINING);
                network_look(sandbox);
        }
        network_tell_names(sandbox);
        network_route(sandbox);
        for_each_attachment (attachment, network)
                attachment_continue(attachment);
        boot_continue(sandbox);
}

void network_on_failure(Sandbox *sandbox, const char *name, int r, const sd_bus_error *error)
{
        NetworkAttachment *attachment = name ? network_find_attachment(sandbox, name) : NULL;

        if (sandbox->state == SANDBOX_STARTING) {
                sandbox_fail(sandbox, r, error);
                return;
        }
        if (!attachment || attachment->goal != ATTACHMENT_NEW)
                return;
        attachment->failure = r;
        sd_bus_error_copy(&attachment->error, error);
        attachment->goal = ATTACHMENT_GONE;
}

/* ------------------------------------------------------------------ devices */

void network_on_nic(const Nic *nic)
{
        event_nic(nic);
        bus_emit_sandbox_networks(nic->sandbox);
}

void network_on_nic_gone(Nic *nic)
{
        Sandbox *sandbox = nic->sandbox;

        event_nic_gone(nic);
        sandbox_log_info(sandbox, "network device %s is gone", nic->network.name);
        sandbox_save(sandbox);
        /* Its interface may have come back meanwhile. */
        network_look(sandbox);
        network_pass_on(sandbox);
}

Nic *network_find_nic(const Sandbox *sandbox, const char *name)
{
        for_each_nic (nic, &sandbox->network)
                if (nic->state != NIC_GONE && strcmp(nic->network.name, name) == 0)
                        return nic;
        return NULL;
}

unsigned network_count_slots(const Sandbox *sandbox)
{
        unsigned n = 0;

        for_each_nic (nic, &sandbox->network)
                n += nic_has_slot(nic);
        return n;
}

/* What will be in one of its own isn't there yet. */
unsigned network_plan_slots(const Sandbox *sandbox)
{
        const Network *network = &sandbox->network;
        unsigned n = network_is_private(sandbox) ? 1 : 0;

        if (network->given)
                return network_count_slots(sandbox);
        for_each_attachment (attachment, network)
                n++;
        return n;
}

/* ------------------------------------------------------------------ the way back */

static void network_end(Sandbox *sandbox)
{
        if (!sandbox->network.given)
                netns_drop(sandbox->manager->paths.run_dir, sandbox->id);
        network_set_state(sandbox, NETWORK_ABSENT);
        sandbox_on_network_gone(sandbox);
}

static void network_on_released(void *userdata, int r, const sd_bus_error *error,
                                const uint8_t *payload, size_t size, IoMessage *message)
{
        Sandbox *sandbox = userdata;

        sandbox->network.worker = NULL;
        if (r < 0)
                sandbox_log_warning(sandbox, "its network namespace isn't as it was: %s",
                                    error && error->message ? error->message : strerror(-r));
        network_end(sandbox);
}

/* Detaching goes on until no kind and no worker is at work any more. */
void network_finish(Sandbox *sandbox)
{
        Network *network = &sandbox->network;
        int r = 0;

        if (network->state != NETWORK_DETACHING || network->worker || network->ending ||
            attachments_take_down(sandbox))
                return;
        if (network->given && network->netns >= 0) {
                r = reconcile_release(&network->worker, sandbox->manager->event, network->netns,
                                      sandbox, network_on_released, sandbox);
                if (r >= 0) {
                        network_set_state(sandbox, NETWORK_RELEASING);
                        return;
                }
                sandbox_log_error_errno(sandbox, r, "can't release its network");
        }
        network_end(sandbox);
}

static int network_on_ending(sd_event_source *source, void *userdata)
{
        Sandbox *sandbox = userdata;
        Network *network = &sandbox->network;

        network->ending = sd_event_source_disable_unref(network->ending);
        for_each_nic (nic, network)
                nic_free(nic);
        bus_emit_sandbox_networks(sandbox);
        network_finish(sandbox);
        return 0;
}

/* Not at once: callers up the stack may walk its lists. A worker that is under way ends first: what it
 * is just making would be left behind. */
void network_on_guest_gone(Sandbox *sandbox)
{
        Network *network = &sandbox->network;

        network->monitor = monitor_free(network->monitor);
        network->retry = sd_event_source_disable_unref(network->retry);
        if (network->state == NETWORK_ABSENT || network->state >= NETWORK_DETACHING)
                return;
        network_set_state(sandbox, NETWORK_DETACHING);
        network->look = NETWORK_LOOK_NONE;
        network->names = 0;
        if (sd_event_add_defer(sandbox->manager->event, &network->ending, network_on_ending,
                               sandbox) < 0)
                sandbox_log_error(sandbox, "can't take its network back");
}

void network_on_attachment(Sandbox *sandbox)
{
        if (sandbox->network.state == NETWORK_DETACHING)
                network_finish(sandbox);
        else
                network_pass_on(sandbox);
}

bool network_is_ending(const Sandbox *sandbox)
{
        return sandbox->network.state != NETWORK_ABSENT;
}

bool network_has_namespace(const Sandbox *sandbox)
{
        return sandbox->network.given || sandbox->network.state != NETWORK_ABSENT;
}

void network_forget(Sandbox *sandbox)
{
        if (network_has_namespace(sandbox))
                netns_drop(sandbox->manager->paths.run_dir, sandbox->id);
}
