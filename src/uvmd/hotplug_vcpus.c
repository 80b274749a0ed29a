/* Changes of the number of a guest's vCPUs; see hotplug.h. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "uvmd/admission.h"
#include "uvmd/bus/emit.h"
#include "uvmd/errors.h"
#include "uvmd/events.h"
#include "uvmd/journal.h"
#include "uvmd/sandbox.h"

/* The shim gives a guest less than that: this is for a machine that stands still as a whole. */
#define VCPUS_LIMIT_USEC (15 * USEC_PER_SEC)

/* What is there now is what is wanted from now on, whether the guest did all of it or not. */
static void vcpus_keep(Sandbox *sandbox, uint32_t vcpus)
{
        if (vcpus >= 1 && vcpus <= SANDBOX_VCPUS_MAX)
                sandbox->config.vcpus = vcpus;
        event_sandbox_resized(sandbox);
        sandbox_save(sandbox);
        bus_emit_sandbox_resized(sandbox);
}

static void vcpus_explain(sd_bus_error *error, int r, const ShimReply *reply)
{
        const char *name = ERROR_FAILED,
                   *why = reply && reply->text[0] ? reply->text : strerror(-r);

        if (r == -EOPNOTSUPP)
                name = ERROR_NOT_SUPPORTED;
        else if (r == -ETIMEDOUT)
                name = ERROR_TIMEOUT;
        if (reply && reply->value)
                error_set(error, r, name,
                          "The guest's vCPUs can't be changed as asked; there are %u now: %s",
                          reply->value, why);
        else
                error_set(error, r, name, "The guest's vCPUs can't be changed: %s", why);
}

static void vcpus_on_set(void *userdata, int r, const ShimReply *reply)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        Sandbox *sandbox = userdata;
        _cleanup_(sd_bus_message_unrefp)
                sd_bus_message *call = TAKE_PTR(sandbox->hotplug.vcpus_call);

        sandbox->hotplug.vcpus_asked = false;
        sandbox->hotplug.vcpus_limit = sd_event_source_disable_unref(sandbox->hotplug.vcpus_limit);
        if (reply)
                vcpus_keep(sandbox, reply->value);
        if (!call)
                return;
        if (r >= 0) {
                sd_bus_reply_method_return(call, "u", reply->value);
                return;
        }
        vcpus_explain(&error, r, reply);
        error_reply(call, r, &error);
}

void hotplug_on_vcpus(Sandbox *sandbox, uint32_t online)
{
        sandbox_log_info(sandbox, "the guest has answered late: %u vCPUs", online);
        vcpus_keep(sandbox, online);
}

static int vcpus_on_limit(sd_event_source *source, uint64_t usec, void *userdata)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        Sandbox *sandbox = userdata;
        _cleanup_(sd_bus_message_unrefp)
                sd_bus_message *call = TAKE_PTR(sandbox->hotplug.vcpus_call);

        error_set(&error, -ETIMEDOUT, ERROR_TIMEOUT,
                  "The virtual machine doesn't answer; VCPUs will be what there are when it does.");
        error_reply(call, -ETIMEDOUT, &error);
        return 0;
}

static int vcpus_check(const Sandbox *sandbox, uint32_t vcpus, sd_bus_error *error)
{
        bool settled = sandbox->state == SANDBOX_CREATED || sandbox->state == SANDBOX_STOPPED;
        uint32_t max = hotplug_vcpus_max(sandbox);

        if (vcpus < 1 || vcpus > SANDBOX_VCPUS_MAX)
                return error_set(error, -ERANGE, ERROR_INVALID_ARGUMENT,
                                 "VCPUs is out of range: 1 to %d is allowed.", SANDBOX_VCPUS_MAX);
        if (!settled && (sandbox->state != SANDBOX_RUNNING || !sandbox->link))
                return error_set(error, -EBUSY, ERROR_WRONG_STATE, "The sandbox is %s.",
                                 sandbox_state_to_string(sandbox->state));
        if (vcpus > max && (!settled || sandbox->config.vcpus_max))
                return error_set(error, -ERANGE, ERROR_LIMIT_EXCEEDED,
                                 "The sandbox may have %u vCPUs, not %u; its VCPUsMax is set when "
                                 "it is made.",
                                 max, vcpus);
        return admission_check(sandbox->manager, sandbox, sandbox->config.memory, vcpus, error);
}

int hotplug_set_vcpus(Sandbox *sandbox, uint32_t vcpus, sd_bus_message *call, sd_bus_error *error)
{
        ShimMessage message = {.type = SHIM_SET_VCPUS, .set_vcpus = {.vcpus = vcpus}};
        int r = vcpus_check(sandbox, vcpus, error);

        if (r < 0)
                return r;
        if (sandbox->state != SANDBOX_RUNNING) {
                vcpus_keep(sandbox, vcpus);
                return sd_bus_reply_method_return(call, "u", vcpus);
        }
        if (sandbox->hotplug.vcpus_asked)
                return error_set(error, -EBUSY, ERROR_WRONG_STATE,
                                 "The vCPUs are being changed already.");
        sandbox_log_info(sandbox, "vCPUs %u → %u", sandbox->config.vcpus, vcpus);
        r = sd_event_add_time_relative(sandbox->manager->event, &sandbox->hotplug.vcpus_limit,
                                       CLOCK_MONOTONIC, clock_limit_usec(VCPUS_LIMIT_USEC), 0,
                                       vcpus_on_limit, sandbox);
        if (r >= 0)
                r = shim_link_request(sandbox->link, &message, NULL, 0, vcpus_on_set, sandbox);
        if (r < 0) {
                sandbox->hotplug.vcpus_limit = sd_event_source_disable_unref(
                        sandbox->hotplug.vcpus_limit);
                return r;
        }
        sandbox->hotplug.vcpus_asked = true;
        sandbox->hotplug.vcpus_call = sd_bus_message_ref(call);
        return 0;
}
