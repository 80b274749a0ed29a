/* Limits of network devices, by name and direction; see network.h. They are the sandbox's: a device
 * that comes has them from the start. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "uvmd/errors.h"
#include "uvmd/net/network.h"
#include "uvmd/net/network_guest.h"
#include "uvmd/sandbox.h"

#define THROTTLES_MAX 32

const NetworkThrottle *network_find_throttle(const Sandbox *sandbox, const char *name)
{
        list_for_each (item, (List *)&sandbox->network.throttles) {
                const NetworkThrottle *throttle = LIST_ENTRY(item, NetworkThrottle, link);

                if (strcmp(throttle->name, name) == 0)
                        return throttle;
        }
        return NULL;
}

int network_make_throttle(NetworkThrottle **ret, Sandbox *sandbox, const char *name)
{
        NetworkThrottle *throttle = (NetworkThrottle *)network_find_throttle(sandbox, name);
        unsigned n = 0;

        list_for_each (item, &sandbox->network.throttles)
                n++;
        if (!throttle && n >= THROTTLES_MAX)
                return -EMFILE;
        if (!throttle) {
                throttle = calloc(1, sizeof(*throttle));
                if (!throttle)
                        return -ENOMEM;
                snprintf(throttle->name, sizeof(throttle->name), "%s", name);
                list_append(&sandbox->network.throttles, &throttle->link);
        }
        *ret = throttle;
        return 0;
}

static void throttle_on_reply(void *userdata, int r, const ShimReply *reply)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *call = userdata;

        if (r < 0) {
                error_set(&error, r, ERROR_FAILED, "The device's limit can't be changed: %s",
                          reply && reply->text[0] ? reply->text : strerror(-r));
                error_reply(call, r, &error);
        } else {
                sd_bus_reply_method_return(call, NULL);
        }
        sd_bus_message_unref(call);
}

static int throttle_send(const Nic *nic, ThrottleDirection direction, const ThrottleLimits *limits,
                         sd_bus_message *call)
{
        ShimMessage message = {
                .type = SHIM_SET_THROTTLE,
                .set_throttle = {.slot = nic->slot, .direction = direction, .limits = *limits},
        };
        int r = shim_link_request(nic->sandbox->link, &message, NULL, 0, throttle_on_reply, call);

        if (r >= 0)
                sd_bus_message_ref(call);
        return r;
}

int network_set_throttle(Sandbox *sandbox, const char *name, const char *direction,
                         const ThrottleLimits *limits, sd_bus_message *call, sd_bus_error *error)
{
        bool transmit = strcmp(direction, "transmit") == 0;
        const Nic *nic = network_find_nic(sandbox, name);
        NetworkThrottle *throttle;
        int r;

        if (!transmit && strcmp(direction, "receive") != 0)
                return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                 "The direction must be \"transmit\" (what the guest sends) or "
                                 "\"receive\".");
        /* What comes into a caller's namespace isn't known before. */
        if (!nic && !network_find_attachment(sandbox, name) &&
            !(sandbox->network.given && agent_interface_name_is_valid(name)))
                return error_set(error, -ENOENT, ERROR_NO_SUCH_NETWORK,
                                 "This sandbox has no network interface \"%s\".", name);
        r = network_make_throttle(&throttle, sandbox, name);
        if (r < 0)
                return r;
        *(transmit ? &throttle->transmit : &throttle->receive) = *limits;
        sandbox_save(sandbox);
        if (nic && nic_is_plugged(nic) && sandbox->link)
                return throttle_send(nic, transmit ? THROTTLE_TRANSMIT : THROTTLE_RECEIVE, limits,
                                     call);
        return sd_bus_reply_method_return(call, NULL);
}
