/*
 * Sandbox.SetLimits and GetLimits; see limits.h. The unit is systemd's: it is asked, and what it says
 * is what counts, whoever set it. By the time it answers the sandbox may be gone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "uvmd/errors.h"
#include "uvmd/events.h"
#include "uvmd/record.h"
#include "uvmd/sandbox.h"

typedef struct LimitsCall {
        Manager *manager;
        char sandbox[ID_SIZE + 1];
        sd_bus_message *message;
        UnitLimits limits; /* to be set */
} LimitsCall;

static LimitsCall *limits_call_free(LimitsCall *call)
{
        if (!call)
                return NULL;
        sd_bus_message_unref(call->message);
        limits_done(&call->limits);
        free(call);
        return NULL;
}
DEFINE_CLEANUP(LimitsCall *, limits_call_free)

static int limits_call_new(LimitsCall **ret, Sandbox *sandbox, sd_bus_message *message)
{
        LimitsCall *call = calloc(1, sizeof(*call));

        if (!call)
                return -ENOMEM;
        call->manager = sandbox->manager;
        strcpy(call->sandbox, sandbox->id);
        call->message = sd_bus_message_ref(message);
        *ret = call;
        return 0;
}

/* They are the sandbox's from now on, also when it starts again. */
static int limits_keep(Sandbox *sandbox, UnitLimits *limits)
{
        int r = options_merge(limits_options, limits_options_n, &sandbox->config.limits, limits);

        event_sandbox_limits(sandbox);
        sandbox_save(sandbox);
        return r;
}

static void limits_on_set(void *userdata, int r, const sd_bus_error *error)
{
        _cleanup_(limits_call_freep) LimitsCall *call = userdata;
        Sandbox *sandbox = manager_find_sandbox(call->manager, call->sandbox);

        if (r >= 0 && sandbox)
                r = limits_keep(sandbox, &call->limits);
        if (r < 0)
                error_reply(call->message, r, error);
        else
                sd_bus_reply_method_return(call->message, NULL);
}

int limits_set(Sandbox *sandbox, UnitLimits *limits, sd_bus_message *message, sd_bus_error *error)
{
        _cleanup_(limits_call_freep) LimitsCall *call = NULL;
        int r;

        switch (sandbox->state) {
        case SANDBOX_CREATED:
        case SANDBOX_STOPPED:
                r = limits_keep(sandbox, limits);
                return r < 0 ? r : sd_bus_reply_method_return(message, NULL);
        case SANDBOX_RUNNING:
        case SANDBOX_PAUSED:
                break;
        case SANDBOX_STARTING:
        case SANDBOX_STOPPING:
        case SANDBOX_STATE_MAX_:
                return error_set(error, -EBUSY, ERROR_WRONG_STATE,
                                 "The sandbox is %s: try again when that is done.",
                                 sandbox_state_to_string(sandbox->state));
        }
        if (!sandbox->unit)
                return error_set(error, -ESRCH, ERROR_WRONG_STATE, "The sandbox has no unit.");
        r = limits_call_new(&call, sandbox, message);
        if (r < 0)
                return r;
        call->limits = *limits;
        *limits = (UnitLimits){};
        r = unit_set_limits(sandbox->unit, &call->limits, limits_on_set, call);
        if (r >= 0)
                TAKE_PTR(call);
        return r;
}

static int limits_reply(sd_bus_message *message, const UnitLimits *limits)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r = sd_bus_message_new_method_return(message, &reply);

        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "{sv}");
        if (r >= 0)
                r = options_append(reply, limits_options, limits_options_n, limits);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static void limits_on_stats(void *userdata, const UnitStats *stats)
{
        _cleanup_(limits_call_freep) LimitsCall *call = userdata;
        int r = limits_reply(call->message, &stats->limits);

        if (r < 0)
                error_reply(call->message, r, NULL);
}

int limits_get(Sandbox *sandbox, sd_bus_message *message, sd_bus_error *error)
{
        _cleanup_(limits_call_freep) LimitsCall *call = NULL;
        int r;

        if (!sandbox->unit)
                return limits_reply(message, &sandbox->config.limits);
        r = limits_call_new(&call, sandbox, message);
        if (r >= 0)
                r = unit_get_stats(sandbox->unit, limits_on_stats, call);
        if (r >= 0)
                TAKE_PTR(call);
        return r;
}
