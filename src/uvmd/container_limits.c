/* Limits inside the guest; see container_limits.h. The agent's answers pass pure decoders. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "uvmd/container_limits.h"
#include "uvmd/errors.h"
#include "uvmd/events.h"
#include "uvmd/record.h"
#include "uvmd/sandbox.h"
#include "uvmd/spec.h"

/* ------------------------------------------------------------------ disks */

/* The serial of what the container has at @place, or NULL. */
static char *disk_serial(Container *container, const char *place, char root[UPPER_SERIAL_SIZE])
{
        Mount *mount;

        if (strcmp(place, "*") == 0)
                return (char *)"";
        if (strcmp(place, "/") == 0) {
                upper_serial(container, root);
                return upper_is_wanted(container) ? root : NULL;
        }
        mount = mount_find(container, place);
        return mount && mount->kind == MOUNT_BLOCK ? mount->tag : NULL;
}

/* Whether it is on its way only: its own arrival sees to its limits. */
static bool disk_is_missing(const Container *container, const char *place)
{
        const Mount *mount = mount_find(container, place);

        return mount && (mount->state < MOUNT_PLUGGED || mount->state > MOUNT_UNMOUNTING);
}

static AgentIoLimit *disk_limit_find(ContainerDisks *disks, const char *serial)
{
        for (uint32_t i = 0; i < disks->n_limits; i++)
                if (strcmp(disks->limits[i].serial, serial) == 0)
                        return &disks->limits[i];
        return NULL;
}

static AgentIoLimit *disk_limit(ContainerDisks *disks, char *serial)
{
        AgentIoLimit *grown = disk_limit_find(disks, serial);

        if (grown)
                return grown;
        grown = reallocarray(disks->limits, disks->n_limits + 1, sizeof(*grown));
        if (!grown)
                return NULL;
        disks->limits = grown;
        grown[disks->n_limits] = (AgentIoLimit){.serial = serial};
        return &grown[disks->n_limits++];
}

/* What is said of a place goes before what is said of all, each kind of limit by itself. */
static void disks_inherit(ContainerDisks *disks)
{
        const AgentIoLimit *all = disk_limit_find(disks, "");

        for (uint32_t i = 0; all && i < disks->n_limits; i++) {
                AgentIoLimit *limit = &disks->limits[i];

                limit->read_bytes = limit->read_bytes ?: all->read_bytes;
                limit->write_bytes = limit->write_bytes ?: all->write_bytes;
                limit->read_ops = limit->read_ops ?: all->read_ops;
                limit->write_ops = limit->write_ops ?: all->write_ops;
        }
}

void container_disks_done(ContainerDisks *disks)
{
        free(disks->limits);
}

int container_disks_find(Container *container, ContainerDisks *ret)
{
        const ContainerLimits *limits = &container->config.limits;
        const struct {
                const OptionList *list;
                size_t offset;
        } kinds[] = {
                {&limits->io_read_bandwidth, offsetof(AgentIoLimit, read_bytes)},
                {&limits->io_write_bandwidth, offsetof(AgentIoLimit, write_bytes)},
                {&limits->io_read_iops, offsetof(AgentIoLimit, read_ops)},
                {&limits->io_write_iops, offsetof(AgentIoLimit, write_ops)},
        };

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                for (size_t j = 0; j < kinds[i].list->n; j++) {
                        const OptionListItem *item = &kinds[i].list->items[j];
                        char *serial = disk_serial(container, item->name, ret->root);
                        AgentIoLimit *limit = NULL;

                        if (serial && disk_is_missing(container, item->name))
                                continue;
                        if (serial)
                                limit = disk_limit(ret, serial);
                        if (serial && !limit)
                                return -ENOMEM;
                        if (limit)
                                *(uint64_t *)((char *)limit + kinds[i].offset) = item->values[0];
                }
        disks_inherit(ret);
        return 0;
}

/* ------------------------------------------------------------------ SetLimits */

typedef struct ContainerLimitsCall {
        Manager *manager;
        char sandbox[ID_SIZE + 1], container[ID_SIZE + 1];
        sd_bus_message *message;
        ContainerLimits before; /* what holds again when the guest refuses */
} ContainerLimitsCall;

static void limits_done_container(ContainerLimits *limits)
{
        options_done(container_limits_options, container_limits_options_n, limits);
}

static ContainerLimitsCall *container_limits_call_free(ContainerLimitsCall *call)
{
        if (!call)
                return NULL;
        sd_bus_message_unref(call->message);
        limits_done_container(&call->before);
        free(call);
        return NULL;
}
DEFINE_CLEANUP(ContainerLimitsCall *, container_limits_call_free)

/* A copy by way of JSON, which knows all of the table. */
static int limits_copy(const ContainerLimits *from, ContainerLimits *into)
{
        json_object *json = options_to_json(container_limits_options, container_limits_options_n,
                                            from);
        int r = json ? options_from_json(container_limits_options, container_limits_options_n, into,
                                         json)
                     : -ENOMEM;

        json_object_put(json);
        return r;
}

int container_limits_apply(Container *container, ShimReplyHandler handler, void *userdata)
{
        _cleanup_(container_disks_done) ContainerDisks disks = {};
        _cleanup_(freep) uint8_t *payload = malloc(SHIM_PAYLOAD_MAX);
        AgentUpdate update = {.container = container->id};
        size_t size;
        int r = container_disks_find(container, &disks);

        if (!payload)
                return -ENOMEM;
        update.limits = spec_limits(&container->config.limits, disks.limits, disks.n_limits);
        if (r >= 0)
                r = agent_update_encode(&update, payload, SHIM_PAYLOAD_MAX, &size);
        if (r >= 0)
                r = sandbox_ask_agent(container->task.sandbox, AGENT_REQUEST_UPDATE, 0, payload,
                                      size, handler, userdata);
        return r;
}

bool container_limits_have_disks(const Container *container)
{
        const ContainerLimits *limits = &container->config.limits;

        return limits->io_read_bandwidth.n + limits->io_write_bandwidth.n + limits->io_read_iops.n +
                       limits->io_write_iops.n >
               0;
}

static void container_on_limits(void *userdata, int r, const ShimReply *reply)
{
        _cleanup_(container_limits_call_freep) ContainerLimitsCall *call = userdata;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        Sandbox *sandbox = manager_find_sandbox(call->manager, call->sandbox);
        Container *container = sandbox ? sandbox_find_container(sandbox, call->container) : NULL;
        uint8_t code;

        if (r < 0)
                error_set(&error, r, ERROR_FAILED, "The guest ended, or can't be reached.");
        else
                r = task_read_answer(reply, "The limits", &code, &error);
        if (r >= 0) {
                sd_bus_reply_method_return(call->message, NULL);
                return;
        }
        error_reply(call->message, r, &error);
        if (!container)
                return;
        limits_done_container(&container->config.limits);
        container->config.limits = call->before;
        call->before = (ContainerLimits){};
        sandbox_save(sandbox);
        /* It may have done part of it. */
        if (sandbox->state == SANDBOX_RUNNING && container->stage == CONTAINER_READY)
                container_limits_apply(container, NULL, NULL);
}

static int container_limits_check(Container *container, const ContainerLimits *limits,
                                  sd_bus_error *error)
{
        const OptionList *const lists[] = {&limits->io_read_bandwidth, &limits->io_write_bandwidth,
                                           &limits->io_read_iops, &limits->io_write_iops};
        char root[UPPER_SERIAL_SIZE];

        for (size_t i = 0; i < ELEMENTSOF(lists); i++)
                for (size_t j = 0; j < lists[i]->n; j++)
                        if (!disk_serial(container, lists[i]->items[j].name, root))
                                return error_set(error, -ENOENT, ERROR_NO_SUCH_MOUNT,
                                                 "The container has no disk at \"%s\"; limits of "
                                                 "directories are SetThrottle's.",
                                                 lists[i]->items[j].name);
        if (container->stage == CONTAINER_CREATING)
                return error_set(error, -EBUSY, ERROR_WRONG_STATE,
                                 "The container is being set up: try again when it runs.");
        return 0;
}

int container_limits_set(Container *container, ContainerLimits *limits, sd_bus_message *message,
                         sd_bus_error *error)
{
        _cleanup_(container_limits_call_freep) ContainerLimitsCall *call = calloc(1, sizeof(*call));
        Sandbox *sandbox = container->task.sandbox;
        int r = container_limits_check(container, limits, error);

        if (!call)
                return -ENOMEM;
        if (r < 0)
                return r;
        call->manager = sandbox->manager;
        strcpy(call->sandbox, sandbox->id);
        strcpy(call->container, container->id);
        call->message = sd_bus_message_ref(message);
        r = limits_copy(&container->config.limits, &call->before);
        if (r >= 0)
                r = options_merge(container_limits_options, container_limits_options_n,
                                  &container->config.limits, limits);
        /* "No limit" is what a container has that was given none. */
        options_tidy(container_limits_options, container_limits_options_n,
                     &container->config.limits);
        event_container_limits(container);
        sandbox_save(sandbox);
        if (r < 0)
                return r;
        if (container->stage != CONTAINER_READY || sandbox->state != SANDBOX_RUNNING)
                return sd_bus_reply_method_return(message, NULL);
        r = container_limits_apply(container, container_on_limits, call);
        if (r >= 0)
                TAKE_PTR(call);
        return r;
}
