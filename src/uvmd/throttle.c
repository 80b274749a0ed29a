/* Limits of devices; see throttle.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "uvmd/errors.h"
#include "uvmd/mount.h"
#include "uvmd/sandbox.h"
#include "uvmd/throttle.h"

#define LIMIT(key_, member_)                                                                    \
        {                                                                                       \
                .key = (key_), .type = OPTION_U64, .offset = offsetof(ThrottleLimits, member_), \
                .max = THROTTLE_MAX                                                             \
        }

const Option throttle_options[] = {
        LIMIT("BytesPerSecond", bytes),
        LIMIT("BytesBurst", bytes_burst),
        LIMIT("OperationsPerSecond", ops),
        LIMIT("OperationsBurst", ops_burst),
};
const size_t throttle_options_n = ELEMENTSOF(throttle_options);

/* A call that waits for the devices it changes. */
typedef struct ThrottleCall {
        sd_bus_message *message;
        unsigned n_pending;
        int failure;
        sd_bus_error error;
} ThrottleCall;

static void throttle_answered(ThrottleCall *call)
{
        if (--call->n_pending > 0)
                return;
        if (call->failure < 0)
                error_reply(call->message, call->failure, &call->error);
        else
                sd_bus_reply_method_return(call->message, NULL);
        sd_bus_message_unref(call->message);
        sd_bus_error_free(&call->error);
        free(call);
}

static void throttle_on_reply(void *userdata, int r, const ShimReply *reply)
{
        ThrottleCall *call = userdata;

        if (r < 0 && call->failure >= 0)
                call->failure = error_set(&call->error, r, ERROR_FAILED,
                                          "The device's limit can't be changed: %s",
                                          reply && reply->text[0] ? reply->text : strerror(-r));
        throttle_answered(call);
}

static int throttle_send(Sandbox *sandbox, uint32_t slot, const ThrottleLimits *limits,
                         ThrottleCall *call)
{
        ShimMessage message = {
                .type = SHIM_SET_THROTTLE,
                .set_throttle = {.slot = slot, .limits = *limits},
        };
        int r;

        if (!sandbox->link)
                return 0; /* the next guest has it from the start */
        r = shim_link_request(sandbox->link, &message, NULL, 0, throttle_on_reply, call);
        if (r >= 0)
                call->n_pending++;
        return r;
}

static int throttle_set_root(Container *container, const ThrottleLimits *limits, ThrottleCall *call)
{
        Sandbox *sandbox = container->task.sandbox;
        int r = 0;

        container->throttle = *limits;
        if (container->stage == CONTAINER_PLUGGED || container->stage >= CONTAINER_CREATING)
                r = throttle_send(sandbox, container->slot, limits, call);
        if (r >= 0 && container->upper.state == UPPER_PLUGGED)
                r = throttle_send(sandbox, container->upper.slot, limits, call);
        return r;
}

static int throttle_set_mount(Mount *mount, const ThrottleLimits *limits, ThrottleCall *call)
{
        mount->config.bytes = limits->bytes;
        mount->config.bytes_burst = limits->bytes_burst;
        mount->config.ops = limits->ops;
        mount->config.ops_burst = limits->ops_burst;
        if (mount->state < MOUNT_PLUGGED)
                return 0;
        return throttle_send(mount->container->task.sandbox, mount->slot, limits, call);
}

static int throttle_check(const Mount *mount, const char *target, sd_bus_error *error)
{
        if (!mount)
                return error_set(error, -ENOENT, ERROR_NO_SUCH_MOUNT,
                                 "Nothing was attached at \"%s\" in this container; \"/\" is its "
                                 "root file system.",
                                 target);
        if (mount->kind == MOUNT_TMPFS)
                return error_set(error, -EOPNOTSUPP, ERROR_NOT_SUPPORTED,
                                 "%s is in the guest's memory: it has no limit.", target);
        if (mount->route == MOUNT_ROUTE_BINDS)
                return error_set(error, -EOPNOTSUPP, ERROR_NOT_SUPPORTED,
                                 "%s shares a device with other files: it has no limit of its own.",
                                 target);
        return 0;
}

int throttle_set(Container *container, const char *target, const ThrottleLimits *limits,
                 sd_bus_message *message, sd_bus_error *error)
{
        bool root = strcmp(target, "/") == 0;
        Mount *mount = root ? NULL : mount_find(container, target);
        ThrottleCall *call;
        int r = root ? 0 : throttle_check(mount, target, error);

        if (r < 0)
                return r;
        call = calloc(1, sizeof(*call));
        if (!call)
                return -ENOMEM;
        call->message = sd_bus_message_ref(message);
        call->n_pending = 1; /* ourselves, until all are asked */
        call->failure = root ? throttle_set_root(container, limits, call)
                             : throttle_set_mount(mount, limits, call);
        sandbox_save(container->task.sandbox);
        throttle_answered(call);
        return 0;
}
