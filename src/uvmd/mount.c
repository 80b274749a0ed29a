/*
 * Mounts as objects: made, found, attached, detached; see mount.h. Their way into a guest is
 * mount_guest.c's.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "uvmd/errors.h"
#include "uvmd/events.h"
#include "uvmd/journal.h"
#include "uvmd/mount.h"
#include "uvmd/mount_guest.h"
#include "uvmd/sandbox.h"
#include "uvmd/strv.h"
#include "uvmd/volume.h"

ENUM_TABLE(mount_state, MountState, MOUNT_STATE_MAX_)
= {
        [MOUNT_ABSENT] = "absent",         [MOUNT_PROBING] = "probing",
        [MOUNT_WAITING] = "waiting",       [MOUNT_FILLING] = "filling",
        [MOUNT_EXPORTING] = "exporting",   [MOUNT_EXPORTED] = "exported",
        [MOUNT_PLUGGING] = "plugging",     [MOUNT_PLUGGED] = "plugged",
        [MOUNT_MOUNTING] = "mounting",     [MOUNT_MOUNTED] = "mounted",
        [MOUNT_UNMOUNTING] = "unmounting", [MOUNT_UNPLUGGING] = "unplugging",
};

ENUM_TABLE(mount_goal, MountGoal, MOUNT_GOAL_MAX_)
= {
        [MOUNT_NEW] = "new",
        [MOUNT_KEPT] = "kept",
        [MOUNT_GONE] = "gone",
};

ENUM_TABLE(mount_route, MountRoute, MOUNT_ROUTE_MAX_)
= {
        [MOUNT_ROUTE_NONE] = "none",
        [MOUNT_ROUTE_DEVICE] = "device",
        [MOUNT_ROUTE_BINDS] = "binds",
};

#define TO(state) (1U << MOUNT_##state)

/* Every state may fall back to absent: the guest is gone, or the step failed. */
static const unsigned transitions[MOUNT_STATE_MAX_] = {
        [MOUNT_ABSENT] = TO(PROBING) | TO(WAITING) | TO(FILLING) | TO(EXPORTING) |
                         TO(PLUGGED), /* a tmpfs needs no device */
        [MOUNT_PROBING] = 0,
        [MOUNT_WAITING] = 0,
        [MOUNT_FILLING] = TO(EXPORTING),
        [MOUNT_EXPORTING] = TO(EXPORTED),
        [MOUNT_EXPORTED] = TO(PLUGGING),
        [MOUNT_PLUGGING] = TO(PLUGGED),
        [MOUNT_PLUGGED] = TO(MOUNTING) | TO(UNPLUGGING),
        [MOUNT_MOUNTING] = TO(MOUNTED) | TO(PLUGGED),
        [MOUNT_MOUNTED] = TO(UNMOUNTING) | TO(PLUGGED),
        [MOUNT_UNMOUNTING] = TO(MOUNTED) | TO(PLUGGED),
        [MOUNT_UNPLUGGING] = 0,
};

void mount_set_state(Mount *mount, MountState state)
{
        assert(state == MOUNT_ABSENT || transitions[mount->state] & (1U << state));
        container_log_debug(mount->container, "mount %s: %s → %s", mount->config.target,
                            mount_state_to_string(mount->state), mount_state_to_string(state));
        if (state == MOUNT_ABSENT && mount_holds(mount))
                volume_release(mount->volume, mount->cache);
        if (state == MOUNT_ABSENT)
                mount->fd = fd_close(mount->fd);
        if (state == MOUNT_MOUNTED && mount->state == MOUNT_MOUNTING)
                event_mount(mount);
        if (state == MOUNT_PLUGGED && mount->state == MOUNT_UNMOUNTING)
                event_unmount(mount);
        mount->state = state;
}

int mount_new_empty(Mount **ret, Container *container)
{
        Mount *mount = calloc(1, sizeof(*mount));

        if (!mount)
                return -ENOMEM;
        mount_config_init(&mount->config);
        mount->container = container;
        mount->fd = mount->tree = FD_NONE;
        list_append(&container->mounts, &mount->link);
        *ret = mount;
        return 0;
}

void mount_answer(Mount *mount)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *call = TAKE_PTR(mount->call);

        mount->limit = sd_event_source_disable_unref(mount->limit);
        if (!call)
                return;
        if (mount->failure == 0 && mount->goal == MOUNT_NEW)
                mount->failure = error_set(&error, -ESRCH, ERROR_WRONG_STATE,
                                           "The container was removed.");
        if (mount->failure < 0)
                error_reply(call, mount->failure,
                            sd_bus_error_is_set(&mount->error) ? &mount->error : &error);
        else
                sd_bus_reply_method_return(call, NULL);
        sd_bus_message_unref(call);
}

Mount *mount_free(Mount *mount)
{
        if (!mount)
                return NULL;
        mount_answer(mount);
        list_remove(&mount->link);
        worker_free(mount->worker);
        shim_link_forget(mount->container->task.sandbox->link, mount);
        if (mount_holds(mount))
                volume_release(mount->volume, mount->cache);
        if (mount->volume)
                volume_unuse(mount->volume);
        fd_close(mount->fd);
        fd_close(mount->tree);
        mount_config_done(&mount->config);
        sd_bus_error_free(&mount->error);
        free(mount);
        return NULL;
}

/* A volume that somebody else named in the meantime stays, as does one that was there before. */
void mount_free_with_volume(Mount *mount)
{
        Volume *volume = mount->volume;
        bool alone = volume && mount->origin.anonymous && volume->n_users == 1;

        mount_free(mount);
        if (alone)
                volume_take_away(volume, false, NULL, NULL);
}

void mount_settle(Mount *mount)
{
        mount->goal = MOUNT_KEPT;
        sandbox_save(mount->container->task.sandbox);
        mount_answer(mount);
}

void mount_finish(Mount *mount)
{
        Container *container = mount->container;

        container_log_info(container, "mount %s: %s", mount->config.target,
                           mount->failure < 0 ? "failed" : "detached");
        if (mount->failure < 0)
                mount_free_with_volume(mount);
        else
                mount_free(mount);
        sandbox_save(container->task.sandbox);
}

Mount *mount_find(const Container *container, const char *target)
{
        list_for_each (item, (List *)&container->mounts) {
                Mount *mount = LIST_ENTRY(item, Mount, link);

                if (!mount_is_dead(mount) && strcmp(mount->config.target, target) == 0)
                        return mount;
        }
        return NULL;
}

static void mount_insert(Mount *mount)
{
        List *head = &mount->container->mounts;

        list_remove(&mount->link);
        list_for_each (item, head)
                if (strcmp(LIST_ENTRY(item, Mount, link)->config.target, mount->config.target) >
                    0) {
                        list_append(item, &mount->link); /* before @item */
                        return;
                }
        list_append(head, &mount->link);
}

void mount_find_volume(Mount *mount)
{
        Manager *manager = mount->container->task.sandbox->manager;

        mount->volume = volume_find(manager, mount->origin.uid, mount->config.volume);
        if (mount->volume)
                mount->volume->n_users++;
}

int mount_restore(Mount *mount, MountState state)
{
        const Container *container = mount->container;

        mount->kind = mount_config_kind(&mount->config);
        if (mount->kind == MOUNT_VOLUME)
                mount_find_volume(mount);
        snprintf(mount->tag, sizeof(mount->tag), "%c%u",
                 mount->route == MOUNT_ROUTE_BINDS ? 'b' : 'm', mount->id);
        if (mount->kind == MOUNT_BLOCK)
                mount_name_disk(mount);
        /* What no guest has heard of went with the uvmd that was at it. */
        if (container->stage != CONTAINER_READY || state < MOUNT_PLUGGED) {
                if (mount->goal == MOUNT_NEW)
                        mount->goal = MOUNT_GONE;
                return 0;
        }
        /* Whether the agent has done what it was asked nobody knows: it is asked again. */
        if (state == MOUNT_MOUNTING || state == MOUNT_UNMOUNTING || mount->goal == MOUNT_NEW)
                state = MOUNT_MOUNTED;
        if (state == MOUNT_UNPLUGGING)
                state = MOUNT_PLUGGED;
        mount->state = state;
        if (mount->volume && mount->cache == AGENT_CACHE_LOOSE)
                mount->volume->n_loose++;
        else if (mount->volume)
                mount->volume->n_coherent++;
        return 0;
}

void mounts_sort(Container *container)
{
        List unsorted = LIST_INIT(unsorted);

        list_for_each (item, &container->mounts) {
                list_remove(item);
                list_append(&unsorted, item);
        }
        list_for_each (item, &unsorted)
                mount_insert(LIST_ENTRY(item, Mount, link));
}

/* ------------------------------------------------------------------ calls */

static unsigned mount_count(const Container *container)
{
        unsigned n = 0;

        list_for_each (item, (List *)&container->mounts)
                n++;
        return n;
}

static int mount_check_target(const Container *container, const char *target, sd_bus_error *error)
{
        if (mount_find(container, target) || strv_map_get(container->config.tmpfs, target))
                return error_set(error, -EEXIST, ERROR_MOUNT_EXISTS,
                                 "Something is mounted at %s in this container already; detach it "
                                 "first.",
                                 target);
        if (mount_count(container) >= MOUNTS_MAX)
                return error_set(error, -EMFILE, ERROR_LIMIT_EXCEEDED,
                                 "A container has at most %d mounts.", MOUNTS_MAX);
        return 0;
}

static int mount_check_state(const Container *container, sd_bus_error *error)
{
        const Sandbox *sandbox = container->task.sandbox;

        switch (sandbox->state) {
        case SANDBOX_CREATED:
        case SANDBOX_STOPPED:
        case SANDBOX_STARTING:
        case SANDBOX_RUNNING:
                break;
        case SANDBOX_PAUSED:
        case SANDBOX_STOPPING:
        case SANDBOX_STATE_MAX_:
                return error_set(error, -EBUSY, ERROR_WRONG_STATE,
                                 "The sandbox is %s; mounts change while it runs or is stopped.",
                                 sandbox_state_to_string(sandbox->state));
        }
        return container->deletion ? error_set(error, -EBUSY, ERROR_WRONG_STATE,
                                               "The container is being removed.")
                                   : 0;
}

void mount_name_disk(Mount *mount)
{
        if (mount->config.serial)
                snprintf(mount->tag, sizeof(mount->tag), "%s", mount->config.serial);
        else
                snprintf(mount->tag, sizeof(mount->tag), "disk%u", mount->id);
}

/* The guest tells its disks apart by their serials. */
static int mount_check_serial(const Mount *mount, sd_bus_error *error)
{
        Container *container, *next;

        if (!mount->config.serial)
                return 0;
        if (strncmp(mount->config.serial, "root-", 5) == 0 ||
            strncmp(mount->config.serial, "disk", 4) == 0)
                return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                 "Serials that begin with \"disk\" and \"root-\" are given by "
                                 "uVM; take another.");
        HASH_ITER (hh, mount->container->task.sandbox->containers, container, next)
                list_for_each (item, &container->mounts) {
                        const Mount *other = LIST_ENTRY(item, Mount, link);

                        if (other != mount && other->config.serial &&
                            strcmp(other->config.serial, mount->config.serial) == 0)
                                return error_set(error, -EEXIST, ERROR_MOUNT_EXISTS,
                                                 "A disk of this sandbox has the serial \"%s\" "
                                                 "already.",
                                                 mount->config.serial);
                }
        return 0;
}

static int mount_take_volume(Mount *mount, sd_bus_error *error)
{
        Manager *manager = mount->container->task.sandbox->manager;
        Volume *volume;
        int r;

        if (mount->kind != MOUNT_VOLUME)
                return 0;
        if (mount->config.volume)
                mount_find_volume(mount);
        if (mount->volume)
                return 0;
        r = volume_new(&volume, manager, mount->origin.uid, mount->config.volume, NULL, error);
        if (r < 0)
                return r;
        mount->origin.anonymous = !mount->config.volume;
        if (!mount->config.volume)
                mount->config.volume = strdup(volume->name);
        if (!mount->config.volume) {
                volume_remove(volume);
                return -ENOMEM;
        }
        mount_find_volume(mount);
        return 0;
}

/* In a guest that runs: on its way at once. Else it is enough to know what it is. */
static int mount_begin(Mount *mount, const MountCaller *caller, sd_bus_error *error)
{
        bool present = mount->container->stage != CONTAINER_ABSENT;

        switch (mount->kind) {
        case MOUNT_BIND:
        case MOUNT_BLOCK:
                if (mount->config.source < 0)
                        return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                         "Source is required for a mount of type %s.",
                                         mount->config.type);
                return present ? mount_export(mount, caller, error)
                               : mount_probe(mount, caller, error);
        case MOUNT_VOLUME:
                if (present)
                        return mount_export(mount, NULL, error);
                break;
        case MOUNT_TMPFS:
                if (present)
                        mount_set_state(mount, MOUNT_PLUGGED);
                break;
        case MOUNT_KIND_MAX_:
                return -EINVAL;
        }
        return 0;
}

int mount_attach(Container *container, MountConfig *config, const MountCaller *caller,
                 sd_bus_message *call, sd_bus_error *error)
{
        Sandbox *sandbox = container->task.sandbox;
        Mount *mount;
        int r = mount_check_state(container, error);

        mounts_collect(container);
        if (r >= 0)
                r = mount_check_target(container, config->target, error);
        if (r >= 0)
                r = mount_new_empty(&mount, container);
        if (r < 0)
                return r;
        mount->config = *config;
        mount_config_init(config);
        mount->kind = mount_config_kind(&mount->config);
        mount->id = sandbox->next_mount++;
        mount->origin.uid = caller->uid;
        mount->origin.directory = mount->kind == MOUNT_VOLUME;
        mount->goal = MOUNT_NEW;
        mount_insert(mount);
        r = mount_take_volume(mount, error);
        if (r >= 0)
                r = mount_check_serial(mount, error);
        if (r >= 0)
                r = mount_begin(mount, caller, error);
        if (r < 0) {
                mount_free_with_volume(mount);
                return r;
        }
        mount->call = sd_bus_message_ref(call);
        if (mount->state == MOUNT_ABSENT)
                mount_settle(mount);
        else
                mount_continue(mount);
        return 0;
}

int mount_detach(Mount *mount, sd_bus_message *call, sd_bus_error *error)
{
        Container *container = mount->container;
        int r = mount_check_state(container, error);

        if (r < 0)
                return r;
        if (mount->goal != MOUNT_KEPT)
                return error_set(error, -EBUSY, ERROR_WRONG_STATE,
                                 "The mount at %s is being attached or detached.",
                                 mount->config.target);
        mount->goal = MOUNT_GONE;
        mount->call = sd_bus_message_ref(call);
        /* A kill from here on finds what is to be done. */
        sandbox_save(container->task.sandbox);
        mount_continue(mount);
        mount_pass_on(container);
        return 0;
}
