/*
 * The way of a container into a guest and out of it; see container.h. The stages are walked one
 * answer at a time.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "uvmd/boot.h"
#include "uvmd/container_guest.h"
#include "uvmd/container_limits.h"
#include "uvmd/errors.h"
#include "uvmd/events.h"
#include "uvmd/export.h"
#include "uvmd/journal.h"
#include "uvmd/sandbox.h"
#include "uvmd/spec.h"

static void container_unplug(Container *container)
{
        Sandbox *sandbox = container->task.sandbox;
        ShimMessage message = {
                .type = SHIM_REMOVE_DEVICE,
                .remove_device = {.slot = container->slot},
        };

        if (sandbox->link && sandbox->state == SANDBOX_RUNNING)
                shim_link_request(sandbox->link, &message, NULL, 0, NULL, NULL);
}

/* What an answer is still to come for stays as it is: the next start finds it. */
static void container_undo(Container *container)
{
        switch (container->stage) {
        case CONTAINER_EXPORTING:
                container->worker = worker_free(container->worker);
                container->export_fd = fd_close(container->export_fd);
                container_set_stage(container, CONTAINER_ABSENT);
                break;
        case CONTAINER_PLUGGED:
                container_unplug(container);
                container_set_stage(container, CONTAINER_ABSENT);
                break;
        case CONTAINER_ABSENT:
        case CONTAINER_PLUGGING:
                break;
        case CONTAINER_CREATING:
        case CONTAINER_READY:
        case CONTAINER_DELETING:
        case CONTAINER_STAGE_MAX_:
                return; /* the agent has it, with its mounts */
        }
        mounts_undo(container);
        upper_undo(container);
}

/* A step failed: the start of the sandbox fails with it, or the start of this container. */
void container_fail(Container *container, int r, const sd_bus_error *error)
{
        Sandbox *sandbox = container->task.sandbox;

        if (sandbox->state == SANDBOX_STARTING && sandbox->boot < SANDBOX_BOOT_BOOTED) {
                sandbox_fail(sandbox, r, error);
                return;
        }
        container_undo(container);
        transfer_on_failure(container, r, error);
        container_log_warning(container, "%s",
                              error && error->message ? error->message : strerror(-r));
        if (container->task.start) {
                task_answer_start(&container->task, r, error);
                task_exit(&container->task, 125, false, 0);
        }
}

static void container_tag(const Container *container, char tag[SHIM_TAG_MAX + 1])
{
        snprintf(tag, SHIM_TAG_MAX + 1, "c%s", container->id);
}

static void container_on_plugged(void *userdata, int r, const ShimReply *reply)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        Container *container = userdata;
        Sandbox *sandbox = container->task.sandbox;

        if (!reply || r == -ECANCELED)
                return; /* link or guest have ended: on_guest_gone or an adoption follows */
        if (r < 0) {
                error_set(&error, r, ERROR_FAILED, "The root file system can't be plugged in: %s",
                          reply->text[0] ? reply->text : strerror(-r));
                container_set_stage(container, CONTAINER_ABSENT);
                container_fail(container, r, &error);
                return;
        }
        container->slot = reply->value;
        container_set_stage(container, CONTAINER_PLUGGED);
        container_continue(container);
        boot_continue(sandbox);
}

static int container_plug(Container *container)
{
        ShimMessage message = {
                .type = SHIM_ADD_DEVICE,
                .add_device =
                        {
                                .kind = SHIM_DEVICE_P9,
                                .flags = SHIM_DEVICE_READ_ONLY,
                                .throttle = container->throttle,
                        },
        };
        _cleanup_(fd_closep) int fd = TAKE_FD(container->export_fd);

        container_tag(container, message.add_device.tag);
        container_set_stage(container, CONTAINER_PLUGGING);
        return shim_link_request(container->task.sandbox->link, &message, &fd, 1,
                                 container_on_plugged, container);
}

static void container_on_export(void *userdata, int r, const sd_bus_error *error,
                                const uint8_t *payload, size_t size, IoMessage *message)
{
        Container *container = userdata;

        container->worker = NULL;
        if (r >= 0 && message->n_fds != 1)
                r = -EBADMSG;
        if (r < 0) {
                container_fail(container, r, error);
                return;
        }
        container->export_fd = TAKE_FD(message->fds[0]);
        container_continue(container);
}

int container_set_up(Container *container, sd_bus_error *error)
{
        Sandbox *sandbox = container->task.sandbox;
        _cleanup_(fd_closep) int root = FD_NONE;
        ExportOptions options = {
                .path = "the image store",
                .map = sandbox->identity ? EXPORT_MAP_IDENTITY : EXPORT_MAP_RANGE,
                .range_base = sandbox->range_base,
                .read_only = true,
        };
        int r;

        r = upper_set_up(container, error);
        if (r < 0)
                return r;
        if (container->stage != CONTAINER_ABSENT)
                return mounts_set_up(container, error);
        if (!container->image)
                return error_set(error, -ENOENT, ERROR_NO_SUCH_IMAGE,
                                 "The image of container \"%s\" is gone.", container->name);
        r = image_open_root(container->image, &root);
        options.source = root;
        if (r >= 0)
                r = export_start(&container->worker, sandbox->manager->event, &options,
                                 container_on_export, container);
        if (r < 0)
                return r;
        container_set_stage(container, CONTAINER_EXPORTING);
        r = mounts_set_up(container, error);
        if (r < 0)
                container_undo(container);
        return r;
}

/* The agent says no: whoever waits for the start gets the reason, the task the shell's code for it.
 * Without a start under way nothing is lost: Start tries again. */
static void container_refuse(Container *container, int r, uint8_t code, const sd_bus_error *error)
{
        container_log_info(container, "%s", error->message ?: strerror(-r));
        transfer_on_failure(container, r, error);
        if (!container->task.start)
                return;
        task_answer_start(&container->task, r, error);
        task_exit(&container->task, code ?: 125, false, 0);
}

/* The agent has made it, or not. */
static void container_on_created(void *userdata, int r, const ShimReply *reply)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        Container *container = userdata;
        uint8_t code = 125;

        if (!reply)
                return;
        if (r < 0)
                error_set(&error, r, ERROR_FAILED, "The guest ended: %s", reply->text);
        else
                r = task_read_answer(reply, container->task.command[0], &code, &error);
        mounts_on_created(container, r >= 0);
        if (r >= 0) {
                container_set_stage(container, CONTAINER_READY);
                mounts_continue(container);
                if (!container->task.start)
                        sandbox_save(container->task.sandbox);
                container_continue(container);
                return;
        }
        container_set_stage(container, CONTAINER_PLUGGED);
        container_refuse(container, r, code, &error);
}

static int container_create(Container *container)
{
        Sandbox *sandbox = container->task.sandbox;
        _cleanup_(freep) uint8_t *buffer = malloc(SHIM_PAYLOAD_MAX);
        _cleanup_(container_disks_done) ContainerDisks disks = {};
        _cleanup_(freep) AgentMount *mounts = NULL;
        char tag[SHIM_TAG_MAX + 1], serial[UPPER_SERIAL_SIZE];
        SpecContainer spec = {
                .id = container->id,
                .tag = tag,
                .hostname = container->config.hostname ?: sandbox_hostname(sandbox),
                .config = &container->config,
                .image = &container->image->config,
        };
        size_t size;
        int r;

        mounts = mounts_to_agent(container, &spec.n_mounts);
        if (!buffer || !mounts || container_disks_find(container, &disks) < 0)
                return -ENOMEM;
        spec.mounts = mounts;
        spec.disks = disks.limits;
        spec.n_disks = disks.n_limits;
        if (upper_is_wanted(container)) {
                upper_serial(container, serial);
                spec.upper = serial;
        }
        container_tag(container, tag);
        container->task.token = spec.token = sandbox->next_token++;
        r = spec_encode_create(&spec, buffer, SHIM_PAYLOAD_MAX, &size);
        if (r >= 0)
                r = task_add(&container->task);
        if (r >= 0)
                r = sandbox_ask_agent(sandbox, AGENT_REQUEST_CREATE, 0, buffer, size,
                                      container_on_created, container);
        if (r < 0)
                return r;
        container_set_stage(container, CONTAINER_CREATING);
        mounts_on_creating(container);
        return 0;
}

static void container_on_started(void *userdata, int r, const ShimReply *reply)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        Container *container = userdata;
        uint8_t code = 125;

        if (!reply)
                return;
        if (r < 0)
                error_set(&error, r, ERROR_FAILED, "The guest ended: %s", reply->text);
        else
                r = task_read_answer(reply, container->task.command[0], &code, &error);
        if (r < 0)
                container_refuse(container, r, code, &error);
        else
                task_run(&container->task, 0);
}

static int container_ask(Container *container, uint32_t type, uint64_t process,
                         ShimReplyHandler handler, void *userdata)
{
        AgentContainer request = {.container = container->id};
        uint8_t payload[64];
        size_t size;
        int r = agent_container_encode(&request, payload, sizeof(payload), &size);

        if (r < 0)
                return r;
        return sandbox_ask_agent(container->task.sandbox, type, process, payload, size, handler,
                                 userdata);
}

/* Not before the guest has its network. */
static int container_run(Container *container)
{
        const Sandbox *sandbox = container->task.sandbox;
        int r;

        if (container->task.state != TASK_CREATED ||
            (sandbox->state == SANDBOX_STARTING && !network_is_ready(sandbox)))
                return 0;
        r = container_ask(container, AGENT_REQUEST_START, container->task.token,
                          container_on_started, container);
        if (r >= 0)
                container->task.state = TASK_STARTING;
        return r;
}

void container_continue(Container *container)
{
        Sandbox *sandbox = container->task.sandbox;
        int r = 0;

        if (container->deletion && !task_is_live(&container->task)) {
                container_take_down(container);
                return;
        }
        switch (container->stage) {
        case CONTAINER_EXPORTING:
                if (container->export_fd >= 0 && sandbox->boot >= SANDBOX_BOOT_PLUGGING)
                        r = container_plug(container);
                break;
        case CONTAINER_PLUGGED:
                if (sandbox->boot >= SANDBOX_BOOT_BOOTED &&
                    (container->task.state != TASK_EXITED || container->transfer) &&
                    mounts_are_ready(container) && upper_is_ready(container))
                        r = container_create(container);
                break;
        case CONTAINER_READY:
                transfer_on_ready(container);
                if (container->task.start)
                        r = container_run(container);
                break;
        case CONTAINER_ABSENT:
        case CONTAINER_PLUGGING:
        case CONTAINER_CREATING:
        case CONTAINER_DELETING:
        case CONTAINER_STAGE_MAX_:
                break;
        }
        if (r < 0)
                container_fail(container, r, NULL);
}

/* ------------------------------------------------------------------ the way out */

/* The agent has forgotten the container of the last run: the next one can be made. */
void container_on_cleared(void *userdata, int r, const ShimReply *reply)
{
        Container *container = userdata;

        if (!reply)
                return;
        container_set_stage(container, CONTAINER_PLUGGED);
        mounts_on_deleted(container);
        container_continue(container);
}

int container_clear(Container *container, ShimReplyHandler handler)
{
        int r = container_ask(container, AGENT_REQUEST_DELETE, 0, handler, container);

        if (r >= 0)
                container_set_stage(container, CONTAINER_DELETING);
        return r;
}

void container_remove(Container *container)
{
        Sandbox *sandbox = container->task.sandbox;

        mounts_unplug(container);
        upper_unplug(container);
        if (container->stage == CONTAINER_PLUGGED || container->stage == CONTAINER_DELETING)
                container_unplug(container);
        upper_remove(container);
        if (sandbox->config.auto_remove)
                mounts_free_with_volumes(container);
        event_container_removed(container);
        container_free(container);
        sandbox_save(sandbox);
}

static void container_on_deleted(void *userdata, int r, const ShimReply *reply)
{
        Container *container = userdata;

        if (!reply)
                return;
        container_set_stage(container, CONTAINER_PLUGGED);
        mounts_on_deleted(container);
        container_take_down(container);
}

int container_take_down(Container *container)
{
        switch (container->stage) {
        case CONTAINER_READY:
                if (container->task.sandbox->link && !mounts_are_asking(container) &&
                    !container->transfer)
                        return container_clear(container, container_on_deleted);
                return 0;
        case CONTAINER_PLUGGING:
        case CONTAINER_CREATING:
        case CONTAINER_DELETING:
                return 0;
        case CONTAINER_ABSENT:
        case CONTAINER_EXPORTING:
        case CONTAINER_PLUGGED:
        case CONTAINER_STAGE_MAX_:
                break;
        }
        if (!mounts_are_asking(container))
                container_remove(container);
        return 0;
}
