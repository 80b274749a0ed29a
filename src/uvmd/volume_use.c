/* Who has a volume, and who waits for it; see volume.h. */
#include <assert.h>
#include <errno.h>

#include "uvmd/bus/hold.h"
#include "uvmd/errors.h"
#include "uvmd/sandbox.h"
#include "uvmd/volume.h"

/* Containers that don't run forget it: their next start says that it is gone. */
static void volume_drop(const Volume *volume)
{
        Sandbox *sandbox, *next_sandbox;
        Container *container, *next_container;

        HASH_ITER (hh, volume->manager->sandboxes, sandbox, next_sandbox)
                HASH_ITER (hh, sandbox->containers, container, next_container)
                        mounts_drop_volume(container, volume);
}

int volume_take_away(Volume *volume, bool force, sd_bus_message *call, sd_bus_error *error)
{
        List calls = LIST_INIT(calls);
        int r;

        if (volume->n_users > 0 && mounts_volume_is_leaving(volume)) {
                bus_hold_call(&volume->removals, call);
                return 0;
        }
        if (volume->n_loose + volume->n_coherent > 0)
                return error_set(error, -EBUSY, ERROR_VOLUME_IN_USE,
                                 "A running container has the volume \"%s\": stop the container or "
                                 "detach the volume first.",
                                 volume->name);
        if (volume->n_users > 0 && !force)
                return error_set(error, -EBUSY, ERROR_VOLUME_IN_USE,
                                 "%u containers are to have the volume \"%s\"; remove them first, "
                                 "or force its removal.",
                                 volume->n_users, volume->name);
        bus_move_calls(&calls, &volume->removals);
        bus_hold_call(&calls, call);
        volume_drop(volume);
        r = volume_remove(volume);
        bus_answer_all(&calls, r, NULL);
        return 0;
}

/* Those that wait to remove it try again; one that can't learns why. */
static void volume_wake(Volume *volume)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        if (list_is_empty(&volume->removals) ||
            (volume->n_users > 0 && mounts_volume_is_leaving(volume)))
                return;
        r = volume_take_away(volume, false, NULL, &error);
        if (r < 0)
                bus_answer_all(&volume->removals, r, &error);
}

static int volume_on_wake(sd_event_source *source, void *userdata)
{
        Manager *manager = userdata;
        Volume *volume, *next;

        manager->volume_wake = sd_event_source_disable_unref(manager->volume_wake);
        mounts_wake(manager);
        HASH_ITER (hh, manager->volumes, volume, next)
                volume_wake(volume);
        return 0;
}

/* Not at once: who gives it back is in the middle of something. */
static void volume_wake_later(Manager *manager)
{
        if (!manager->volume_wake && manager->event)
                sd_event_add_defer(manager->event, &manager->volume_wake, volume_on_wake, manager);
}

/* ------------------------------------------------------------------ cache modes */

static unsigned *volume_holders(Volume *volume, AgentCache mode)
{
        return mode == AGENT_CACHE_LOOSE ? &volume->n_loose : &volume->n_coherent;
}

int volume_hold(Volume *volume, const char *cache, AgentCache *ret, sd_bus_error *error)
{
        bool used = volume->n_loose + volume->n_coherent > 0;
        AgentCache mode = used ? AGENT_CACHE_MMAP : AGENT_CACHE_LOOSE;

        if (cache)
                mode = (AgentCache)agent_cache_from_string(cache);
        if (volume->n_loose > 0)
                return error_set(error, -EBUSY, ERROR_VOLUME_IN_USE,
                                 "A running container has the volume \"%s\" with the cache mode "
                                 "\"loose\", which only one can have. To share it give all its "
                                 "containers the cache mode \"mmap\" (-v %s:DIRECTORY:cache=mmap).",
                                 volume->name, volume->name);
        if (mode == AGENT_CACHE_LOOSE && used)
                return error_set(error, -EBUSY, ERROR_VOLUME_IN_USE,
                                 "Other running containers have the volume \"%s\": only one can "
                                 "have it with the cache mode \"loose\".",
                                 volume->name);
        ++*volume_holders(volume, mode);
        *ret = mode;
        return 0;
}

void volume_hold_otherwise(Volume *volume, AgentCache from, AgentCache to)
{
        ++*volume_holders(volume, to);
        volume_release(volume, from);
}

void volume_release(Volume *volume, AgentCache cache)
{
        unsigned *holders = volume_holders(volume, cache);

        assert(*holders > 0);
        --*holders;
        volume_wake_later(volume->manager);
}

void volume_unuse(Volume *volume)
{
        volume->n_users--;
        volume_wake_later(volume->manager);
}
