/* Containers; see container.h. The stages are walked one answer at a time. */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "uvmd/boot.h"
#include "uvmd/bus/emit.h"
#include "uvmd/container.h"
#include "uvmd/errors.h"
#include "uvmd/export.h"
#include "uvmd/sandbox.h"
#include "uvmd/spec.h"
#include "uvmd/strv.h"

ENUM_TABLE(container_stage, ContainerStage, CONTAINER_STAGE_MAX_)
= {
        [CONTAINER_ABSENT] = "absent",     [CONTAINER_EXPORTING] = "exporting",
        [CONTAINER_PLUGGING] = "plugging", [CONTAINER_PLUGGED] = "plugged",
        [CONTAINER_CREATING] = "creating", [CONTAINER_READY] = "ready",
        [CONTAINER_DELETING] = "deleting",
};

#define TO(stage) (1U << CONTAINER_##stage)

/* Every stage may fall back to absent: the guest is gone, or the step failed. */
static const unsigned transitions[CONTAINER_STAGE_MAX_] = {
        [CONTAINER_ABSENT] = TO(EXPORTING) | TO(READY), /* ready at once: adopted */
        [CONTAINER_EXPORTING] = TO(PLUGGING) | TO(EXPORTING),
        [CONTAINER_PLUGGING] = TO(PLUGGED),
        [CONTAINER_PLUGGED] = TO(CREATING),
        [CONTAINER_CREATING] = TO(READY) | TO(PLUGGED),
        [CONTAINER_READY] = TO(DELETING),
        [CONTAINER_DELETING] = TO(PLUGGED),
};

void container_set_stage(Container *container, ContainerStage stage)
{
        assert(stage == CONTAINER_ABSENT || transitions[container->stage] & (1U << stage));
        log_debug("Container %s: %s → %s", container->id,
                  container_stage_to_string(container->stage), container_stage_to_string(stage));
        container->stage = stage;
}

int container_new_empty(Container **ret, Sandbox *sandbox, const char *id)
{
        Container *container = calloc(1, sizeof(*container));

        if (!container)
                return -ENOMEM;
        strcpy(container->id, id);
        container->export_fd = FD_NONE;
        task_init(&container->task, TASK_CONTAINER, sandbox);
        HASH_ADD_STR(sandbox->containers, id, container);
        *ret = container;
        return 0;
}

static int container_fill(Container *container, const char *name, Image *image, sd_bus_error *error)
{
        container->name = strdup(name[0] ? name : container->id);
        container->task.command = spec_command(&container->config, &image->config);
        if (!container->name || !container->task.command)
                return -ENOMEM;
        if (!container->task.command[0])
                return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                 "The image \"%s\" has no command of its own: give one.",
                                 container->config.image);
        container->image = image;
        image_use(image);
        strcpy(container->image_id, image->id);
        return 0;
}

int container_new(Container **ret, Sandbox *sandbox, const char *name, ContainerConfig *config,
                  sd_bus_error *error)
{
        Image *image = image_store_find(sandbox->manager->images, config->image);
        char id[ID_SIZE + 1];
        Container *container;
        int r;

        if (!image)
                return error_set(error, -ENOENT, ERROR_NO_SUCH_IMAGE,
                                 "There is no image \"%s\"; import it first.", config->image);
        /* The main container and its sandbox are one thing to people, under one name. */
        if (!name[0] && config->main && !sandbox_find_container(sandbox, sandbox->name))
                name = sandbox->name;
        r = id_generate(id);
        if (r >= 0)
                r = container_new_empty(&container, sandbox, id);
        if (r < 0)
                return r;
        container->config = *config;
        *config = (ContainerConfig){};
        r = container_fill(container, name, image, error);
        if (r >= 0 && (sandbox->state == SANDBOX_STARTING || sandbox->state == SANDBOX_RUNNING))
                r = container_set_up(container, error);
        if (r < 0) {
                container_free(container);
                return r;
        }
        sandbox_save(sandbox);
        bus_emit_task_new(&container->task);
        *ret = container;
        return 0;
}

Container *container_free(Container *container)
{
        Sandbox *sandbox;
        Process *process, *next;

        if (!container)
                return NULL;
        sandbox = container->task.sandbox;
        HASH_ITER (hh, sandbox->processes, process, next)
                if (process->container == container)
                        process_free(process);
        bus_emit_task_removed(&container->task);
        HASH_DEL(sandbox->containers, container);
        task_done(&container->task);
        shim_link_forget(sandbox->link, container);
        worker_free(container->worker);
        fd_close(container->export_fd);
        if (container->image)
                image_unuse(container->image);
        if (container->deletion)
                sd_bus_reply_method_return(container->deletion, NULL);
        sd_bus_message_unref(container->deletion);
        container_config_done(&container->config);
        free(container->name);
        free(container);
        return NULL;
}

int container_stop_signal(const Container *container)
{
        if (container->config.stop_signal)
                return container->config.stop_signal;
        if (container->image && container->image->config.stop_signal)
                return container->image->config.stop_signal;
        return SIGTERM;
}

/* ------------------------------------------------------------------ the way into the guest */

/* A step failed: the start of the sandbox fails with it, or the start of this container. */
static void container_fail(Container *container, int r, const sd_bus_error *error)
{
        Sandbox *sandbox = container->task.sandbox;

        container_set_stage(container, CONTAINER_ABSENT);
        container->export_fd = fd_close(container->export_fd);
        if (sandbox->state == SANDBOX_STARTING && !sandbox->booted) {
                sandbox_fail(sandbox, r, error);
                return;
        }
        log_warning("Container %s: %s", container->id,
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

        if (!reply || r == -ECANCELED)
                return; /* link or guest have ended: on_guest_gone or an adoption follows */
        if (r < 0) {
                error_set(&error, r, ERROR_FAILED, "The root file system can't be plugged in: %s",
                          reply->text[0] ? reply->text : strerror(-r));
                container_fail(container, r, &error);
                return;
        }
        container->slot = reply->value;
        container_set_stage(container, CONTAINER_PLUGGED);
        boot_continue(container->task.sandbox);
        container_continue(container);
}

static int container_plug(Container *container)
{
        ShimMessage message = {
                .type = SHIM_ADD_DEVICE,
                .add_device = {.kind = SHIM_DEVICE_P9, .flags = SHIM_DEVICE_READ_ONLY},
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
        int r;

        if (!container->image)
                return error_set(error, -ENOENT, ERROR_NO_SUCH_IMAGE,
                                 "The image of container \"%s\" is gone.", container->name);
        r = image_open_root(container->image, &root);
        if (r >= 0)
                r = export_start(&container->worker, sandbox->manager->event, root,
                                 sandbox->range_base, IDRANGE_SIZE, container_on_export, container);
        if (r >= 0)
                container_set_stage(container, CONTAINER_EXPORTING);
        return r;
}

/* The agent says no: whoever waits for the start gets the reason, the task the shell's code for it.
 * Without a start under way nothing is lost: Start tries again. */
static void container_refuse(Container *container, int r, uint8_t code, const sd_bus_error *error)
{
        log_info("Container %s: %s", container->id, error->message ?: strerror(-r));
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
        if (r >= 0) {
                container_set_stage(container, CONTAINER_READY);
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
        char tag[SHIM_TAG_MAX + 1];
        SpecContainer spec = {
                .id = container->id,
                .tag = tag,
                .hostname = container->config.hostname ?: sandbox_hostname(sandbox),
                .config = &container->config,
                .image = &container->image->config,
        };
        size_t size;
        int r;

        if (!buffer)
                return -ENOMEM;
        container_tag(container, tag);
        container->task.token = spec.token = sandbox->next_token++;
        r = spec_encode_create(&spec, buffer, SHIM_PAYLOAD_MAX, &size);
        if (r >= 0)
                r = task_add(&container->task);
        if (r >= 0)
                r = sandbox_ask_agent(sandbox, AGENT_REQUEST_CREATE, 0, buffer, size,
                                      container_on_created, container);
        if (r >= 0)
                container_set_stage(container, CONTAINER_CREATING);
        return r;
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

static int container_run(Container *container)
{
        int r;

        if (container->task.state != TASK_CREATED)
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

        switch (container->stage) {
        case CONTAINER_EXPORTING:
                if (container->export_fd >= 0 && sandbox->launched)
                        r = container_plug(container);
                break;
        case CONTAINER_PLUGGED:
                if (sandbox->booted && container->task.state != TASK_EXITED)
                        r = container_create(container);
                break;
        case CONTAINER_READY:
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

/* ------------------------------------------------------------------ calls */

/* The agent has forgotten the container of the last run: the next one can be made. */
static void container_on_cleared(void *userdata, int r, const ShimReply *reply)
{
        Container *container = userdata;

        if (!reply)
                return;
        container_set_stage(container, CONTAINER_PLUGGED);
        container_continue(container);
}

static int container_clear(Container *container, ShimReplyHandler handler)
{
        int r = container_ask(container, AGENT_REQUEST_DELETE, 0, handler, container);

        if (r >= 0)
                container_set_stage(container, CONTAINER_DELETING);
        return r;
}

/* Makes an exited container one that can be started again. */
static int container_renew(Container *container)
{
        Task *task = &container->task;

        task->state = TASK_CREATED;
        task->code = -1;
        task->oom = false;
        task->started = task->finished = 0;
        bus_emit_task_changed(task);
        return container->stage == CONTAINER_READY
                       ? container_clear(container, container_on_cleared)
                       : 0;
}

int container_start(Container *container, sd_bus_message *call, sd_bus_error *error)
{
        Sandbox *sandbox = container->task.sandbox;
        Task *task = &container->task;
        int r = 0;

        if (sandbox->state != SANDBOX_STARTING && sandbox->state != SANDBOX_RUNNING)
                return error_set(error, -EBUSY, ERROR_WRONG_STATE,
                                 "The sandbox is %s; start it first.",
                                 sandbox_state_to_string(sandbox->state));
        if (task->start || task_is_live(task) || container->deletion)
                return error_set(error, -EBUSY, ERROR_WRONG_STATE,
                                 "The container is being started, or runs already.");
        if (task->state == TASK_EXITED)
                r = container_renew(container);
        if (r >= 0 && container->stage == CONTAINER_ABSENT)
                r = container_set_up(container, error);
        if (r < 0)
                return r;
        task_hold_start(task, call);
        container_continue(container);
        return 0;
}

/* The last step of a deletion: the device goes, and nobody waits for that. */
static void container_unplug(Container *container)
{
        Sandbox *sandbox = container->task.sandbox;
        ShimMessage message = {
                .type = SHIM_REMOVE_DEVICE,
                .remove_device = {.slot = container->slot},
        };
        bool plugged = container->stage != CONTAINER_ABSENT &&
                       container->stage != CONTAINER_EXPORTING &&
                       container->stage != CONTAINER_PLUGGING;

        if (plugged && sandbox->link && sandbox->state == SANDBOX_RUNNING)
                shim_link_request(sandbox->link, &message, NULL, 0, NULL, NULL);
        container_free(container);
        sandbox_save(sandbox);
}

static void container_on_deleted(void *userdata, int r, const ShimReply *reply)
{
        if (reply)
                container_unplug(userdata);
}

/* The task doesn't run: what the guest has of it is taken down. */
static int container_take_down(Container *container)
{
        if (container->stage == CONTAINER_READY && container->task.sandbox->link)
                return container_clear(container, container_on_deleted);
        container_unplug(container);
        return 0;
}

int container_delete(Container *container, bool force, sd_bus_message *call, sd_bus_error *error)
{
        Task *task = &container->task;

        if (container->deletion)
                return error_set(error, -EALREADY, ERROR_WRONG_STATE,
                                 "The container is being deleted already.");
        if (container->stage == CONTAINER_CREATING || container->stage == CONTAINER_DELETING ||
            task->state == TASK_STARTING)
                return error_set(error, -EBUSY, ERROR_WRONG_STATE,
                                 "The container is being started; try again when it runs.");
        if (task->state != TASK_RUNNING) {
                container->deletion = sd_bus_message_ref(call);
                return container_take_down(container);
        }
        if (!force)
                return error_set(error, -EBUSY, ERROR_WRONG_STATE,
                                 "The container is running; stop it first, or force its "
                                 "removal.");
        container->deletion = sd_bus_message_ref(call);
        return task_signal(task, SIGKILL, NULL, error);
}

/* ------------------------------------------------------------------ events */

static void container_end_processes(Container *container)
{
        Process *process, *next;

        HASH_ITER (hh, container->task.sandbox->processes, process, next)
                if (process->container == container && process->task.state != TASK_EXITED &&
                    !process->task.known)
                        task_exit(&process->task, 137, false, 0);
}

void container_on_exit(Container *container)
{
        Sandbox *sandbox = container->task.sandbox;
        /* The shim ends the machine behind a main container that has run; one that never did is
         * ours to notice. */
        bool main = container->config.main && !container->task.started;

        container_end_processes(container);
        if (container->deletion && container_take_down(container) < 0)
                container_unplug(container);
        if (main)
                sandbox_on_main_exit(sandbox);
}

void container_on_guest_gone(Container *container)
{
        Sandbox *sandbox = container->task.sandbox;
        Process *process, *next;

        container->worker = worker_free(container->worker);
        container->export_fd = fd_close(container->export_fd);
        if (container->stage != CONTAINER_ABSENT)
                container_set_stage(container, CONTAINER_ABSENT);
        HASH_ITER (hh, sandbox->processes, process, next)
                if (process->container == container && process->task.state != TASK_EXITED)
                        task_exit(&process->task, 137, false, 0);
        container->task.known = false;
        if (task_is_live(&container->task)) {
                task_exit(&container->task, 137, false, 0);
        } else if (container->task.start) {
                _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

                error_set(&error, -ECANCELED, ERROR_WRONG_STATE,
                          "The sandbox ended before the container ran.");
                task_answer_start(&container->task, -ECANCELED, &error);
        }
}
