/* Containers as objects: made, started, deleted; see container.h. Their way into a guest is
 * container_guest.c's. */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "uvmd/bus/emit.h"
#include "uvmd/container_guest.h"
#include "uvmd/errors.h"
#include "uvmd/events.h"
#include "uvmd/journal.h"
#include "uvmd/sandbox.h"
#include "uvmd/spec.h"
#include "uvmd/storage/layer.h"
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
        container_log_debug(container, "%s → %s", container_stage_to_string(container->stage),
                            container_stage_to_string(stage));
        container->stage = stage;
}

int container_new_empty(Container **ret, Sandbox *sandbox, const char *id)
{
        Container *container = calloc(1, sizeof(*container));

        if (!container)
                return -ENOMEM;
        strcpy(container->id, id);
        container->export_fd = FD_NONE;
        upper_init(&container->upper);
        list_init(&container->mounts);
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
        if (!container->config.storage)
                container->config.storage = strdup(
                        container->task.sandbox->config.auto_remove ? "memory" : "disk");
        if (!container->config.storage)
                return -ENOMEM;
        if (!container->config.storage_size && upper_is_wanted(container))
                container->config.storage_size = LAYER_SIZE_DEFAULT;
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
        if (r >= 0)
                r = mounts_add_image_volumes(container, error);
        if (r >= 0 && (sandbox->state == SANDBOX_STARTING || sandbox->state == SANDBOX_RUNNING))
                r = container_set_up(container, error);
        if (r < 0) {
                mounts_free_with_volumes(container);
                container_free(container);
                return r;
        }
        event_task_new(&container->task);
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
        transfer_free(container->transfer, -ESRCH, NULL);
        upper_done(&container->upper);
        list_for_each (item, &container->mounts)
                mount_free(LIST_ENTRY(item, Mount, link));
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

/* ------------------------------------------------------------------ calls */

/* Makes an exited container one that can be started again. */
static int container_renew(Container *container)
{
        Task *task = &container->task;

        task->state = TASK_CREATED;
        task->code = -1;
        task->oom = false;
        container->oom_kills = 0;
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
        if (task->state == TASK_EXITED && container->transfer)
                return error_set(error, -EBUSY, ERROR_WRONG_STATE,
                                 "Files of this container are being copied; start it when that is "
                                 "done.");
        if (task->state == TASK_EXITED)
                r = container_renew(container);
        if (r >= 0 && container->stage != CONTAINER_READY && container->stage != CONTAINER_CREATING)
                r = container_set_up(container, error);
        if (r < 0)
                return r;
        task_hold_start(task, call);
        container_continue(container);
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
                container_remove(container);
        if (main)
                sandbox_on_main_exit(sandbox);
}

void container_on_oom(Container *container, uint64_t kills)
{
        if (kills == container->oom_kills)
                return;
        container->oom_kills = kills;
        container_log_warning(container, "%s ran out of memory, %llu processes killed so far",
                              container->name, (unsigned long long)kills);
        event_container_oom(container);
        bus_emit_container_oom(container);
}

void container_on_guest_gone(Container *container)
{
        Sandbox *sandbox = container->task.sandbox;
        Process *process, *next;

        container->worker = worker_free(container->worker);
        container->export_fd = fd_close(container->export_fd);
        if (container->stage != CONTAINER_ABSENT)
                container_set_stage(container, CONTAINER_ABSENT);
        mounts_on_guest_gone(container);
        upper_on_guest_gone(container);
        transfer_on_guest_gone(container);
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
