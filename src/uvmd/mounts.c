/* What a container does with all of its mounts; see mount.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "uvmd/errors.h"
#include "uvmd/mount.h"
#include "uvmd/mount_guest.h"
#include "uvmd/sandbox.h"
#include "uvmd/volume.h"

#define for_each_mount(mount, container)                   \
        list_for_each (item, (List *)&(container)->mounts) \
                for (Mount *mount = LIST_ENTRY(item, Mount, link); mount; mount = NULL)

void mounts_collect(Container *container)
{
        for_each_mount(mount, container) if (mount_is_dead(mount)) mount_free(mount);
}

int mounts_set_up(Container *container, sd_bus_error *error)
{
        int r = 0;

        mounts_collect(container);
        for_each_mount(mount, container) if (r >= 0) r = mount_set_up(mount, error);
        return r;
}

void mounts_continue(Container *container)
{
        for_each_mount(mount, container) mount_continue(mount);
}

bool mounts_are_moving(const Container *container)
{
        for_each_mount(mount, container) if (mount->state > MOUNT_ABSENT &&
                                             mount->state < MOUNT_PLUGGED) return true;
        return false;
}

bool mounts_are_ready(const Container *container)
{
        for_each_mount(mount, container) if (mount->goal != MOUNT_GONE &&
                                             mount->state != MOUNT_PLUGGED) return false;
        return true;
}

bool mounts_need_identity(const Container *container)
{
        for_each_mount(mount, container) if (mount->origin.identity) return true;
        return false;
}

unsigned mounts_count_slots(const Container *container)
{
        unsigned n = 0;

        for_each_mount(mount, container)
                n += mount->route == MOUNT_ROUTE_DEVICE && mount->state >= MOUNT_EXPORTED;
        return n;
}

unsigned mounts_count_directories(const Container *container)
{
        unsigned n = 0;

        for_each_mount(mount, container) n += mount->origin.directory || mount->kind == MOUNT_BLOCK;
        return n;
}

void mounts_on_creating(Container *container)
{
        for_each_mount(mount, container) if (mount->state == MOUNT_PLUGGED)
                mount_set_state(mount, MOUNT_MOUNTING);
}

void mounts_on_created(Container *container, bool done)
{
        for_each_mount(mount, container) if (mount->state == MOUNT_MOUNTING)
                mount_set_state(mount, done ? MOUNT_MOUNTED : MOUNT_PLUGGED);
}

void mounts_on_deleted(Container *container)
{
        for_each_mount(mount, container) if (mount->state == MOUNT_MOUNTED)
                mount_set_state(mount, MOUNT_PLUGGED);
}

void mounts_unplug(Container *container)
{
        for_each_mount(mount, container)
        {
                if (mount->state >= MOUNT_PLUGGED && mount->state != MOUNT_UNPLUGGING)
                        mount_unplug(mount, NULL, NULL);
                mount->worker = worker_free(mount->worker);
                if (mount->state != MOUNT_ABSENT)
                        mount_set_state(mount, MOUNT_ABSENT);
        }
}

void mounts_undo(Container *container)
{
        for_each_mount(mount, container)
        {
                if (mount->state == MOUNT_PLUGGED)
                        mount_unplug(mount, NULL, NULL);
                else if (mount->state < MOUNT_WAITING || mount->state > MOUNT_EXPORTED)
                        continue;
                mount->worker = worker_free(mount->worker);
                mount_set_state(mount, MOUNT_ABSENT);
        }
}

bool mounts_are_asking(const Container *container)
{
        for_each_mount(mount, container) if (mount->state == MOUNT_PLUGGING ||
                                             mount->state == MOUNT_MOUNTING ||
                                             mount->state == MOUNT_UNMOUNTING ||
                                             mount->state == MOUNT_UNPLUGGING) return true;
        return false;
}

/* The caller passes on. */
void mounts_on_binds(Container *container, int r, const char *text)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        if (r < 0)
                error_set(&error, r, ERROR_FAILED, "The device for files can't be plugged in: %s",
                          text[0] ? text : strerror(-r));
        for_each_mount(mount, container)
        {
                if (mount->state != MOUNT_EXPORTED || mount->route != MOUNT_ROUTE_BINDS)
                        continue;
                if (r >= 0) {
                        mount_continue(mount);
                        continue;
                }
                mount_set_state(mount, MOUNT_ABSENT);
                mount_fail(mount, r, &error);
        }
}

static void mount_on_guest_gone(Mount *mount)
{
        if (mount->state == MOUNT_PROBING)
                return;
        mount->worker = worker_free(mount->worker);
        if (mount->state != MOUNT_ABSENT)
                mount_set_state(mount, MOUNT_ABSENT);
        mount->limit = sd_event_source_disable_unref(mount->limit);
        if (mount->goal == MOUNT_NEW) {
                mount->failure = error_set(&mount->error, -ECANCELED, ERROR_WRONG_STATE,
                                           "The sandbox ended before the mount was there.");
                mount->goal = MOUNT_GONE;
        }
        /* It is freed when nobody walks the list. */
        mount_answer(mount);
}

void mounts_on_guest_gone(Container *container)
{
        for_each_mount(mount, container) mount_on_guest_gone(mount);
}

/* A half-made one is taken back; whoever asked for it has got no answer. */
static void mount_adopt(Mount *mount)
{
        if (mount->goal == MOUNT_NEW)
                mount->goal = MOUNT_GONE;
        if (mount->goal == MOUNT_GONE)
                mount_continue(mount);
}

void mounts_adopt(Container *container)
{
        for_each_mount(mount, container) mount_adopt(mount);
}

AgentMount *mounts_to_agent(const Container *container, uint32_t *ret_n)
{
        AgentMount *mounts = calloc(MOUNTS_MAX, sizeof(*mounts));
        uint32_t n = 0;

        if (!mounts)
                return NULL;
        for_each_mount(mount, container) if (mount->state == MOUNT_PLUGGED && n < MOUNTS_MAX)
                mount_fill(mount, &mounts[n++]);
        *ret_n = n;
        return mounts;
}

void mounts_drop_volume(Container *container, const Volume *volume)
{
        for_each_mount(mount, container) if (mount->volume == volume) mount->volume = NULL;
}

/* Calls @visit for each mount of the volume, until one says no. */
static bool mounts_all_of(const Volume *volume, bool (*visit)(const Mount *mount))
{
        Sandbox *sandbox, *next_sandbox;
        Container *container, *next_container;

        HASH_ITER (hh, volume->manager->sandboxes, sandbox, next_sandbox)
                HASH_ITER (hh, sandbox->containers, container, next_container)
                        for_each_mount(mount, container) if (mount->volume == volume &&
                                                             !visit(mount)) return false;
        return true;
}

static bool mount_is_ending(const Mount *mount)
{
        return !mount_holds(mount) || mount->container->task.sandbox->state == SANDBOX_STOPPING;
}

bool mounts_volume_is_ending(const Volume *volume)
{
        return mounts_all_of(volume, mount_is_ending);
}

static bool mount_is_leaving(const Mount *mount)
{
        const Sandbox *sandbox = mount->container->task.sandbox;

        return sandbox->state == SANDBOX_STOPPING &&
               (sandbox->config.auto_remove || sandbox->next == SANDBOX_DELETE);
}

bool mounts_volume_is_leaving(const Volume *volume)
{
        return mounts_all_of(volume, mount_is_leaving);
}

static void mount_wake(Mount *mount)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        mount_set_state(mount, MOUNT_ABSENT);
        r = mount_set_up(mount, &error);
        if (r < 0)
                mount_fail(mount, r, &error);
}

void mounts_wake(Manager *manager)
{
        Sandbox *sandbox, *next_sandbox;
        Container *container, *next_container;

        HASH_ITER (hh, manager->sandboxes, sandbox, next_sandbox)
                HASH_ITER (hh, sandbox->containers, container, next_container) {
                        bool woken = false;

                        for_each_mount(mount, container)
                        {
                                if (mount->state != MOUNT_WAITING)
                                        continue;
                                mount_wake(mount);
                                woken = true;
                        }
                        if (woken)
                                mount_pass_on(container);
                }
}
