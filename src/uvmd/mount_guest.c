/*
 * The way of a mount into a guest and out of it, one answer at a time; see mount.h. Workers, shim and
 * agent answer whenever they like: what is due next follows from state and goal alone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "uvmd/boot.h"
#include "uvmd/container_limits.h"
#include "uvmd/errors.h"
#include "uvmd/journal.h"
#include "uvmd/mount.h"
#include "uvmd/mount_guest.h"
#include "uvmd/sandbox.h"

#define MOUNT_LIMIT_USEC (20 * USEC_PER_SEC) /* for a guest's answer to a caller who waits */

static Sandbox *mount_sandbox(const Mount *mount)
{
        return mount->container->task.sandbox;
}

void mount_fail(Mount *mount, int r, const sd_bus_error *error)
{
        if (mount->failure == 0) {
                mount->failure = r;
                sd_bus_error_copy(&mount->error, error);
        }
        switch (mount->goal) {
        case MOUNT_NEW:
                mount->goal = MOUNT_GONE;
                mount_continue(mount);
                break;
        case MOUNT_KEPT:
                mount->failure = 0;
                sd_bus_error_free(&mount->error);
                container_fail(mount->container, r, error);
                break;
        case MOUNT_GONE:
                mount_continue(mount);
                break;
        case MOUNT_GOAL_MAX_:
                break;
        }
}

void mount_pass_on(Container *container)
{
        Sandbox *sandbox = container->task.sandbox;

        container_continue(container);
        boot_continue(sandbox);
}

/* ------------------------------------------------------------------ plugging */

static void mount_on_plugged(void *userdata, int r, const ShimReply *reply)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        Mount *mount = userdata;
        Container *container = mount->container;

        if (!reply || r == -ECANCELED)
                return; /* link or guest have ended: on_guest_gone or an adoption follows */
        if (r < 0) {
                error_set(&error, r, ERROR_FAILED, "%s can't be plugged in: %s",
                          mount->config.target, reply->text[0] ? reply->text : strerror(-r));
                mount_set_state(mount, MOUNT_ABSENT);
                mount_fail(mount, r, &error);
                mount_pass_on(container);
                return;
        }
        mount->slot = reply->value;
        mount_set_state(mount, MOUNT_PLUGGED);
        /* Before the guest hears of it: what isn't recorded was never mounted. */
        if (mount_sandbox(mount)->state == SANDBOX_RUNNING)
                sandbox_save(mount_sandbox(mount));
        mount_continue(mount);
        mount_pass_on(container);
}

static int mount_plug_device(Mount *mount)
{
        ShimMessage message = {
                .type = SHIM_ADD_DEVICE,
                .add_device =
                        {
                                .kind = mount->kind == MOUNT_BLOCK ? SHIM_DEVICE_BLOCK
                                                                   : SHIM_DEVICE_P9,
                                .flags = mount->config.read_only ? SHIM_DEVICE_READ_ONLY : 0,
                                .throttle = mount_config_throttle(&mount->config),
                        },
        };

        memcpy(message.add_device.tag, mount->tag, sizeof(mount->tag));
        return shim_link_request(mount_sandbox(mount)->link, &message, &mount->fd, 1,
                                 mount_on_plugged, mount);
}

static int mount_plug_bind(Mount *mount)
{
        ShimMessage message = {
                .type = SHIM_ADD_BIND,
                .add_bind =
                        {
                                .slot = mount_sandbox(mount)->binds.slot,
                                .flags = mount->config.read_only ? SHIM_BIND_READ_ONLY : 0,
                        },
        };

        memcpy(message.add_bind.name, mount->tag, sizeof(mount->tag));
        return shim_link_request(mount_sandbox(mount)->link, &message, &mount->fd, 1,
                                 mount_on_plugged, mount);
}

static int mount_plug(Mount *mount)
{
        Sandbox *sandbox = mount_sandbox(mount);
        int r;

        if (sandbox->boot < SANDBOX_BOOT_PLUGGING)
                return 0;
        if (mount->route == MOUNT_ROUTE_BINDS && sandbox->binds.state != BINDS_PLUGGED)
                return binds_want(sandbox);
        r = mount->route == MOUNT_ROUTE_BINDS ? mount_plug_bind(mount) : mount_plug_device(mount);
        if (r < 0)
                return r;
        mount->fd = fd_close(mount->fd);
        mount_set_state(mount, MOUNT_PLUGGING);
        return 0;
}

static void mount_on_unplugged(void *userdata, int r, const ShimReply *reply)
{
        Mount *mount = userdata;
        Container *container = mount->container;

        if (!reply)
                return;
        if (r < 0)
                container_log_warning(container, "the device of %s can't be removed: %s",
                                      mount->config.target, reply->text);
        mount_set_state(mount, MOUNT_ABSENT);
        mount_finish(mount);
        mount_pass_on(container);
}

int mount_unplug(Mount *mount, ShimReplyHandler handler, void *userdata)
{
        Sandbox *sandbox = mount_sandbox(mount);
        ShimMessage message = {
                .type = SHIM_REMOVE_DEVICE,
                .remove_device = {.slot = mount->slot},
        };
        int r;

        if (mount->route == MOUNT_ROUTE_NONE || !sandbox->link || sandbox->state != SANDBOX_RUNNING)
                return 1;
        if (mount->route == MOUNT_ROUTE_BINDS) {
                message = (ShimMessage){
                        .type = SHIM_REMOVE_BIND,
                        .remove_bind = {.slot = sandbox->binds.slot},
                };
                memcpy(message.remove_bind.name, mount->tag, sizeof(mount->tag));
        }
        r = shim_link_request(sandbox->link, &message, NULL, 0, handler, userdata);
        return r < 0 ? r : 0;
}

/* ------------------------------------------------------------------ the agent */

void mount_fill(const Mount *mount, AgentMount *ret)
{
        const MountConfig *config = &mount->config;
        /* What belongs to others than root is not to lend anybody rights; device nodes of the host
         * are others inside. */
        bool quiet = mount_is_single(mount);

        *ret = (AgentMount){
                .target = config->target,
                .flags = AGENT_MOUNT_NODEV | (config->read_only ? AGENT_MOUNT_READ_ONLY : 0) |
                         (config->nosuid || quiet ? AGENT_MOUNT_NOSUID : 0) |
                         (config->noexec ? AGENT_MOUNT_NOEXEC : 0),
        };
        if (mount->route == MOUNT_ROUTE_NONE) {
                ret->type = AGENT_MOUNT_TMPFS;
                ret->options = config->options;
                ret->flags |= AGENT_MOUNT_NOSUID;
                return;
        }
        if (mount->kind == MOUNT_BLOCK) {
                ret->type = config->file_system ? AGENT_MOUNT_BLOCK : AGENT_MOUNT_DEVICE;
                ret->source = (char *)mount->tag;
                ret->fs = config->file_system;
                ret->options = config->options;
                if (!config->file_system)
                        ret->flags = config->read_only ? AGENT_MOUNT_READ_ONLY : 0;
                return;
        }
        ret->type = AGENT_MOUNT_9P;
        ret->cache = mount->cache;
        ret->source = (char *)mount->tag;
        if (mount->route == MOUNT_ROUTE_BINDS) {
                ret->source = (char *)BINDS_TAG;
                ret->subpath = (char *)mount->tag;
                ret->cache = AGENT_CACHE_MMAP; /* one mount of it serves all */
        }
}

static int mount_ask(Mount *mount, uint32_t type, ShimReplyHandler handler)
{
        _cleanup_(freep) uint8_t *buffer = malloc(SHIM_PAYLOAD_MAX);
        size_t size;
        int r;

        if (!buffer)
                return -ENOMEM;
        if (type == AGENT_REQUEST_MOUNT) {
                AgentAddMount request = {.container = mount->container->id};

                mount_fill(mount, &request.mount);
                r = agent_add_mount_encode(&request, buffer, SHIM_PAYLOAD_MAX, &size);
        } else {
                AgentRemoveMount request = {
                        .container = mount->container->id,
                        .target = mount->config.target,
                };

                r = agent_remove_mount_encode(&request, buffer, SHIM_PAYLOAD_MAX, &size);
        }
        if (r < 0)
                return r;
        return sandbox_ask_agent(mount_sandbox(mount), type, 0, buffer, size, handler, mount);
}

static void mount_on_mounted(void *userdata, int r, const ShimReply *reply)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        Mount *mount = userdata;
        Container *container = mount->container;
        uint8_t code;

        if (!reply || r == -ECANCELED)
                return;
        if (r >= 0)
                r = task_read_answer(reply, mount->config.target, &code, &error);
        mount_set_state(mount, r < 0 ? MOUNT_PLUGGED : MOUNT_MOUNTED);
        if (r < 0)
                mount_fail(mount, r, &error);
        else
                mount_continue(mount);
        mount_pass_on(container);
}

/* A disk's limits hold before the container sees it. */
static void mount_on_limited(void *userdata, int r, const ShimReply *reply)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        Mount *mount = userdata;
        uint8_t code;

        if (!reply || r == -ECANCELED)
                return;
        if (r >= 0)
                r = task_read_answer(reply, "The limits of the disk", &code, &error);
        if (r >= 0)
                r = mount_ask(mount, AGENT_REQUEST_MOUNT, mount_on_mounted);
        if (r >= 0)
                return;
        mount_set_state(mount, MOUNT_PLUGGED);
        mount_fail(mount, r, &error);
        mount_pass_on(mount->container);
}

/* It stays: the guest doesn't let it go. */
static void mount_keep(Mount *mount, int r, sd_bus_error *error)
{
        if (r == -EBUSY) {
                sd_bus_error_free(error);
                error_set(error, r, ERROR_MOUNT_BUSY,
                          "Something in the container uses %s: a process works in it or has a file "
                          "open. End it, then detach again.",
                          mount->config.target);
        }
        mount_set_state(mount, MOUNT_MOUNTED);
        mount->failure = r;
        sd_bus_error_move(&mount->error, error);
        mount_settle(mount);
        mount->failure = 0;
        sd_bus_error_free(&mount->error);
}

static void mount_on_unmounted(void *userdata, int r, const ShimReply *reply)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        Mount *mount = userdata;
        Container *container = mount->container;
        uint8_t code;

        if (!reply || r == -ECANCELED)
                return;
        if (r >= 0)
                r = task_read_answer(reply, mount->config.target, &code, &error);
        /* Nothing of it is there, or its whole container has gone: that is what was wanted. */
        if (r >= 0 || r == -ENOENT) {
                mount_set_state(mount, MOUNT_PLUGGED);
                mount_continue(mount);
        } else {
                mount_keep(mount, r, &error);
        }
        mount_pass_on(container);
}

/* ------------------------------------------------------------------ steps */

static int mount_on_limit(sd_event_source *source, uint64_t usec, void *userdata)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        Mount *mount = userdata;
        Container *container = mount->container;
        int failure = error_set(&error, -ETIMEDOUT, ERROR_TIMEOUT,
                                "The guest doesn't answer. The mount at %s is taken away when it "
                                "does, or when the sandbox stops.",
                                mount->config.target);

        mount->limit = sd_event_source_disable_unref(mount->limit);
        mount->goal = MOUNT_GONE;
        error_reply(mount->call, failure, &error);
        mount->call = sd_bus_message_unref(mount->call);
        sandbox_save(mount_sandbox(mount));
        mount_continue(mount);
        mount_pass_on(container);
        return 0;
}

/* A caller waits for the guest, but not for ever. */
static void mount_limit(Mount *mount)
{
        if (!mount->call || mount->limit || mount_sandbox(mount)->state != SANDBOX_RUNNING)
                return;
        sd_event_add_time_relative(mount_sandbox(mount)->manager->event, &mount->limit,
                                   CLOCK_MONOTONIC, clock_limit_usec(MOUNT_LIMIT_USEC), 0,
                                   mount_on_limit, mount);
}

/* Into the container that is there, or with the next one that is made. */
static int mount_enter(Mount *mount)
{
        const Container *container = mount->container;
        int r;

        if (container->stage == CONTAINER_CREATING)
                return 0;
        if (container->stage == CONTAINER_READY && container->task.state != TASK_EXITED) {
                if (mount->kind == MOUNT_BLOCK && container_limits_have_disks(container))
                        r = container_limits_apply(mount->container, mount_on_limited, mount);
                else
                        r = mount_ask(mount, AGENT_REQUEST_MOUNT, mount_on_mounted);
                if (r >= 0)
                        mount_set_state(mount, MOUNT_MOUNTING);
                return r;
        }
        if (mount->goal == MOUNT_NEW)
                mount_settle(mount);
        return 0;
}

int mount_set_up(Mount *mount, sd_bus_error *error)
{
        if (mount->goal == MOUNT_GONE || mount->state != MOUNT_ABSENT)
                return 0;
        if (mount->kind == MOUNT_TMPFS) {
                mount_set_state(mount, MOUNT_PLUGGED);
                return 0;
        }
        return mount_export(mount, NULL, error);
}

static int mount_advance(Mount *mount, sd_bus_error *error)
{
        int r = 0;

        switch (mount->state) {
        case MOUNT_ABSENT:
                if (mount->goal == MOUNT_NEW)
                        mount_settle(mount);
                /* While its source was looked at the container may have come on its way. */
                if (mount->container->stage != CONTAINER_ABSENT)
                        r = mount_set_up(mount, error);
                break;
        case MOUNT_EXPORTED:
                r = mount_plug(mount);
                break;
        case MOUNT_PLUGGED:
                r = mount_enter(mount);
                break;
        case MOUNT_MOUNTED:
                if (mount->goal == MOUNT_NEW)
                        mount_settle(mount);
                break;
        case MOUNT_PROBING:
        case MOUNT_WAITING:
        case MOUNT_FILLING:
        case MOUNT_EXPORTING:
        case MOUNT_PLUGGING:
        case MOUNT_MOUNTING:
        case MOUNT_UNMOUNTING:
        case MOUNT_UNPLUGGING:
        case MOUNT_STATE_MAX_:
                break;
        }
        return r;
}

/* 1: it is gone. */
static int mount_withdraw(Mount *mount)
{
        int r = 0;

        switch (mount->state) {
        case MOUNT_ABSENT:
        case MOUNT_PROBING:
        case MOUNT_WAITING:
        case MOUNT_FILLING:
        case MOUNT_EXPORTING:
        case MOUNT_EXPORTED:
                return 1;
        case MOUNT_PLUGGED:
                r = mount_unplug(mount, mount_on_unplugged, mount);
                if (r == 0)
                        mount_set_state(mount, MOUNT_UNPLUGGING);
                break;
        case MOUNT_MOUNTED:
                r = mount_ask(mount, AGENT_REQUEST_UNMOUNT, mount_on_unmounted);
                if (r >= 0)
                        mount_set_state(mount, MOUNT_UNMOUNTING);
                break;
        case MOUNT_PLUGGING:
        case MOUNT_MOUNTING:
        case MOUNT_UNMOUNTING:
        case MOUNT_UNPLUGGING:
        case MOUNT_STATE_MAX_:
                break;
        }
        return r;
}

void mount_continue(Mount *mount)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = mount->goal == MOUNT_GONE ? mount_withdraw(mount) : mount_advance(mount, &error);

        if (r > 0)
                mount_finish(mount);
        else if (r < 0 && mount->goal != MOUNT_GONE)
                mount_fail(mount, r, &error);
        else
                mount_limit(mount);
}
