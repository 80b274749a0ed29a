/* What is attached to a sandbox, as objects; see network.h. The interfaces are the kinds' to make. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "uvmd/errors.h"
#include "uvmd/journal.h"
#include "uvmd/net/network.h"
#include "uvmd/net/network_guest.h"
#include "uvmd/net/ports.h"
#include "uvmd/sandbox.h"

/* How long a caller waits for the guest. The shim gives it less for each step: this is for a machine that
 * stands still as a whole. */
#define ATTACHMENT_LIMIT_USEC (25 * USEC_PER_SEC)

ENUM_TABLE(attachment_state, AttachmentState, ATTACHMENT_STATE_MAX_)
= {
        [ATTACHMENT_ABSENT] = "absent",
        [ATTACHMENT_ATTACHING] = "attaching",
        [ATTACHMENT_ATTACHED] = "attached",
        [ATTACHMENT_DETACHING] = "detaching",
};

ENUM_TABLE(attachment_goal, AttachmentGoal, ATTACHMENT_GOAL_MAX_)
= {
        [ATTACHMENT_NEW] = "new",
        [ATTACHMENT_KEPT] = "kept",
        [ATTACHMENT_GONE] = "gone",
};

#define TO(state) (1U << ATTACHMENT_##state)

static const unsigned transitions[ATTACHMENT_STATE_MAX_] = {
        [ATTACHMENT_ABSENT] = TO(ATTACHING),
        [ATTACHMENT_ATTACHING] = TO(ATTACHED) | TO(ABSENT),
        [ATTACHMENT_ATTACHED] = TO(DETACHING),
        [ATTACHMENT_DETACHING] = TO(ABSENT),
};

void attachment_set_state(NetworkAttachment *attachment, AttachmentState state)
{
        assert(transitions[attachment->state] & (1U << state));
        sandbox_log_debug(attachment->sandbox, "network %s as %s: %s → %s",
                          attachment->config.network, attachment->config.interface,
                          attachment_state_to_string(attachment->state),
                          attachment_state_to_string(state));
        attachment->state = state;
        /* Before it is done and when it is: a kill finds what is there. */
        sandbox_save(attachment->sandbox);
        network_names_changed(attachment->sandbox->manager);
}

/* ------------------------------------------------------------------ objects */

NetworkAttachment *network_find_attachment(const Sandbox *sandbox, const char *name)
{
        for_each_attachment (attachment, &sandbox->network)
                if (strcmp(attachment->config.interface, name) == 0)
                        return attachment;
        return NULL;
}

static bool interface_is_taken(const Sandbox *sandbox, const char *name)
{
        return network_find_attachment(sandbox, name) || network_find_nic(sandbox, name);
}

static int attachment_name(const Sandbox *sandbox, NetworkConfig *config, sd_bus_error *error)
{
        char name[16];

        if (config->interface && interface_is_taken(sandbox, config->interface))
                return error_set(error, -EEXIST, ERROR_NAME_IN_USE,
                                 "The sandbox has a network interface \"%s\" already.",
                                 config->interface);
        for (unsigned i = 0; !config->interface; i++) {
                snprintf(name, sizeof(name), "eth%u", i);
                if (interface_is_taken(sandbox, name))
                        continue;
                config->interface = strdup(name);
                if (!config->interface)
                        return -ENOMEM;
        }
        return 0;
}

static const NetworkKind *attachment_find_kind(const NetworkConfig *config)
{
        NetworkSpec spec;

        return network_spec_parse(&spec, config->network) < 0 ? NULL : network_kind_find(spec.kind);
}

int attachment_new(NetworkAttachment **ret, Sandbox *sandbox, NetworkConfig *config,
                   sd_bus_error *error)
{
        const NetworkKind *kind = attachment_find_kind(config);
        NetworkAttachment *attachment;
        int r;

        if (!kind)
                return error_set(error, -EOPNOTSUPP, ERROR_NOT_SUPPORTED,
                                 "A network \"%s\" can't be attached.", config->network);
        r = attachment_name(sandbox, config, error);
        if (r >= 0)
                r = ports_choose(sandbox->manager, config, error);
        if (r < 0)
                return r;
        attachment = calloc(1, sizeof(*attachment));
        if (!attachment)
                return -ENOMEM;
        attachment->sandbox = sandbox;
        attachment->kind = kind;
        attachment->config = *config;
        *config = (NetworkConfig){};
        list_append(&sandbox->network.attachments, &attachment->link);
        *ret = attachment;
        return 0;
}

NetworkAttachment *attachment_free(NetworkAttachment *attachment)
{
        if (!attachment)
                return NULL;
        attachment_answer(attachment);
        sd_event_source_disable_unref(attachment->limit);
        list_remove(&attachment->link);
        worker_free(attachment->worker);
        network_config_done(&attachment->config);
        json_object_put(attachment->result);
        sd_bus_error_free(&attachment->error);
        free(attachment);
        return NULL;
}

/* ------------------------------------------------------------------ answers */

void attachment_answer(NetworkAttachment *attachment)
{
        sd_bus_message *call = TAKE_PTR(attachment->call);

        attachment->limit = sd_event_source_disable_unref(attachment->limit);
        if (!call)
                return;
        if (attachment->failure < 0)
                error_reply(call, attachment->failure, &attachment->error);
        else if (attachment->goal == ATTACHMENT_GONE)
                sd_bus_reply_method_return(call, NULL);
        else
                sd_bus_reply_method_return(call, "s", attachment->config.interface);
        sd_bus_message_unref(call);
}

static int attachment_on_limit(sd_event_source *source, uint64_t usec, void *userdata)
{
        NetworkAttachment *attachment = userdata;
        const char *name = attachment->config.interface;

        attachment->limit = sd_event_source_disable_unref(attachment->limit);
        if (attachment->state != ATTACHMENT_ATTACHED)
                return 0; /* the guest has done its part; a worker has a limit of its own */
        attachment->failure = -ETIMEDOUT;
        if (attachment->goal == ATTACHMENT_NEW)
                error_set(&attachment->error, -ETIMEDOUT, ERROR_TIMEOUT,
                          "The guest doesn't answer. The network device %s is taken away when it "
                          "does, or when the sandbox stops.",
                          name);
        else
                error_set(&attachment->error, -ETIMEDOUT, ERROR_TIMEOUT,
                          "The guest doesn't answer. The network device %s goes when it does, or "
                          "when the sandbox stops.",
                          name);
        attachment_answer(attachment);
        attachment->goal = ATTACHMENT_GONE;
        sandbox_save(attachment->sandbox);
        attachment_continue(attachment);
        return 0;
}

static void attachment_limit(NetworkAttachment *attachment)
{
        if (!attachment->call || attachment->limit)
                return;
        sd_event_add_time_relative(attachment->sandbox->manager->event, &attachment->limit,
                                   CLOCK_MONOTONIC, clock_limit_usec(ATTACHMENT_LIMIT_USEC), 0,
                                   attachment_on_limit, attachment);
}

/* A new one goes; one of the sandbox's own fails its start. */
static void attachment_fail(NetworkAttachment *attachment, int r, const sd_bus_error *error)
{
        sandbox_log_warning(attachment->sandbox, "network %s: %s", attachment->config.network,
                            error && error->message ? error->message : strerror(-r));
        network_on_failure(attachment->sandbox, attachment->config.interface, r, error);
}

void network_on_attached(NetworkAttachment *attachment, int r, const sd_bus_error *error)
{
        Sandbox *sandbox = attachment->sandbox;

        attachment_set_state(attachment, r < 0 ? ATTACHMENT_ABSENT : ATTACHMENT_ATTACHED);
        if (r < 0)
                attachment_fail(attachment, r, error);
        else
                network_look(sandbox);
        network_on_attachment(sandbox);
}

void network_on_detached(NetworkAttachment *attachment, int r, const sd_bus_error *error)
{
        Sandbox *sandbox = attachment->sandbox;

        if (r < 0)
                sandbox_log_warning(sandbox, "network %s is not detached as it should be: %s",
                                    attachment->config.network,
                                    error && error->message ? error->message : strerror(-r));
        attachment_set_state(attachment, ATTACHMENT_ABSENT);
        network_look_anew(sandbox);
        network_on_attachment(sandbox);
}

/* ------------------------------------------------------------------ steps */

static void attachment_attach(NetworkAttachment *attachment)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        attachment_set_state(attachment, ATTACHMENT_ATTACHING);
        r = attachment->kind->attach(attachment, &error);
        if (r >= 0)
                return;
        attachment_set_state(attachment, ATTACHMENT_ABSENT);
        attachment_fail(attachment, r, &error);
}

static void attachment_detach(NetworkAttachment *attachment)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        attachment_set_state(attachment, ATTACHMENT_DETACHING);
        r = attachment->kind->detach(attachment, &error);
        if (r >= 0)
                return;
        sandbox_log_warning(attachment->sandbox, "network %s can't be detached: %s",
                            attachment->config.network, error.message ?: strerror(-r));
        attachment_set_state(attachment, ATTACHMENT_ABSENT);
}

/* The guest has its device. One that there is none for after a look will not come. */
static void attachment_settle(NetworkAttachment *attachment)
{
        Sandbox *sandbox = attachment->sandbox;
        const Nic *nic = network_find_nic(sandbox, attachment->config.interface);
        const NetLeft *left = network_find_left(sandbox, attachment->config.interface);
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        if (attachment->goal != ATTACHMENT_NEW || sandbox->network.state != NETWORK_JOINED)
                return;
        if (nic && nic->state == NIC_CONFIGURED) {
                attachment->goal = ATTACHMENT_KEPT;
                sandbox_save(sandbox);
                attachment_answer(attachment);
        } else if (!nic && sandbox->network.look == NETWORK_LOOK_NONE) {
                r = error_set(
                        &error, -ENODEV, ERROR_FAILED,
                        "The network \"%s\" has no interface \"%s\" that a guest can have%s%s.",
                        attachment->config.network, attachment->config.interface, left ? ": " : "",
                        left ? net_reason_to_text(left->reason) : "");
                attachment_fail(attachment, r, &error);
        } else {
                attachment_limit(attachment);
        }
}

/* First the guest gives its device back, then the interface goes: true, the end of the device goes on from here,
 * perhaps has done so, and the attachment may be freed. */
static bool attachment_withdraw(NetworkAttachment *attachment)
{
        Nic *nic = network_find_nic(attachment->sandbox, attachment->config.interface);

        attachment_limit(attachment);
        if (nic)
                nic_update(nic, NULL);
        else
                attachment_detach(attachment);
        return nic;
}

void attachment_continue(NetworkAttachment *attachment)
{
        Sandbox *sandbox = attachment->sandbox;

        if (attachment->state == ATTACHMENT_ABSENT && attachment->goal == ATTACHMENT_NEW &&
            sandbox->network.state == NETWORK_JOINED)
                attachment_attach(attachment);
        if (attachment->state == ATTACHMENT_ATTACHED) {
                attachment_settle(attachment);
                if (attachment->goal == ATTACHMENT_GONE && attachment_withdraw(attachment))
                        return;
        }
        if (attachment->state != ATTACHMENT_ABSENT || attachment->goal != ATTACHMENT_GONE)
                return;
        attachment_free(attachment);
        sandbox_save(sandbox);
}

/* One that fails ends the start. */
void attachments_set_up(Sandbox *sandbox)
{
        for_each_attachment (attachment, &sandbox->network)
                if (sandbox->network.state == NETWORK_ATTACHING &&
                    attachment->state == ATTACHMENT_ABSENT && attachment->goal != ATTACHMENT_GONE)
                        attachment_attach(attachment);
}

bool attachments_are_moving(const Sandbox *sandbox)
{
        for_each_attachment (attachment, &sandbox->network)
                if (attachment->state == ATTACHMENT_ATTACHING)
                        return true;
        return false;
}

static void attachment_take_down(NetworkAttachment *attachment)
{
        if (attachment->state == ATTACHMENT_ATTACHED)
                attachment_detach(attachment);
        if (attachment->goal == ATTACHMENT_NEW) {
                attachment->failure = error_set(&attachment->error, -ECANCELED, ERROR_WRONG_STATE,
                                                "The sandbox ended before the network was there.");
                attachment->goal = ATTACHMENT_GONE;
        }
        if (attachment->state == ATTACHMENT_ABSENT && attachment->goal == ATTACHMENT_GONE)
                attachment_free(attachment);
}

bool attachments_take_down(Sandbox *sandbox)
{
        for_each_attachment (attachment, &sandbox->network)
                attachment_take_down(attachment);
        for_each_attachment (attachment, &sandbox->network)
                if (attachment->state != ATTACHMENT_ABSENT)
                        return true;
        return false;
}

/* ------------------------------------------------------------------ the bus's calls */

static int attachment_check_state(const Sandbox *sandbox, sd_bus_error *error)
{
        switch (sandbox->state) {
        case SANDBOX_CREATED:
        case SANDBOX_STOPPED:
        case SANDBOX_RUNNING:
                return 0;
        case SANDBOX_STARTING:
        case SANDBOX_PAUSED:
        case SANDBOX_STOPPING:
        case SANDBOX_STATE_MAX_:
                break;
        }
        return error_set(error, -EBUSY, ERROR_WRONG_STATE,
                         "The sandbox is %s; networks change while it runs or is stopped.",
                         sandbox_state_to_string(sandbox->state));
}

static unsigned attachments_count(const Sandbox *sandbox)
{
        unsigned n = 0;

        for_each_attachment (attachment, &sandbox->network)
                n++;
        return n;
}

int network_attach(Sandbox *sandbox, NetworkConfig *config, sd_bus_message *call,
                   sd_bus_error *error)
{
        NetworkAttachment *attachment;
        int r = attachment_check_state(sandbox, error);

        if (r >= 0 && attachments_count(sandbox) >= NETWORK_ATTACHMENTS_MAX)
                r = error_set(error, -EMFILE, ERROR_LIMIT_EXCEEDED,
                              "A sandbox has at most %d networks.", NETWORK_ATTACHMENTS_MAX);
        if (r >= 0)
                r = attachment_new(&attachment, sandbox, config, error);
        if (r < 0)
                return r;
        attachment->call = sd_bus_message_ref(call);
        if (sandbox->state != SANDBOX_RUNNING) {
                attachment->goal = ATTACHMENT_KEPT;
                sandbox_save(sandbox);
                attachment_answer(attachment);
                return 0;
        }
        /* Without a namespace yet, all that is attached comes once there is one. */
        r = network_set_up(sandbox, error);
        if (r < 0) {
                attachment->call = sd_bus_message_unref(attachment->call);
                attachment_free(attachment);
                return r;
        }
        network_pass_on(sandbox);
        return 0;
}

int network_detach(Sandbox *sandbox, const char *name, sd_bus_message *call, sd_bus_error *error)
{
        NetworkAttachment *attachment = network_find_attachment(sandbox, name);
        int r = attachment_check_state(sandbox, error);

        if (r < 0)
                return r;
        if (!attachment)
                return error_set(error, -ENOENT, ERROR_NO_SUCH_NETWORK,
                                 "No network was attached to this sandbox as \"%s\".", name);
        if (attachment->goal != ATTACHMENT_KEPT)
                return error_set(error, -EBUSY, ERROR_WRONG_STATE,
                                 "The network \"%s\" is being attached or detached.", name);
        attachment->goal = ATTACHMENT_GONE;
        attachment->call = sd_bus_message_ref(call);
        sandbox_save(sandbox);
        network_pass_on(sandbox);
        return 0;
}
