/*
 * Named volumes: directories that outlive containers, under STATEDIR/volumes:
 *
 *      UID/NAME/_data/         what containers see, ids as in the containers
 *      UID/NAME/volume.json    when it was made, labels
 *
 * Nobody but root can get at them on the host. A volume belongs to one user, and names are unique among
 * that user's; root's sandboxes may use those of others, named "UID/NAME".
 */
#pragma once

#include <systemd/sd-bus.h>

#include "base/list.h"
#include "proto/agent.h"
#include "uvmd/hash.h"
#include "uvmd/manager.h"
#include "uvmd/worker.h"

#define VOLUMES_MAX 1024 /* of one user */

typedef struct Volume {
        Manager *manager;
        char *key; /* "UID/NAME" */
        const char *name;
        uint32_t owner;
        uint64_t created; /* CLOCK_REALTIME µs */
        char **labels;
        bool anonymous;   /* made for a mount that named none: removed with an AutoRemove sandbox */
        unsigned n_users; /* mounts, of whatever container */
        unsigned n_loose, n_coherent; /* those that are in a guest, by cache mode */
        List removals; /* RemoveVolume calls that wait for the end of machines that have it */
        UT_hash_handle hh;
} Volume;

/* Loads what is in @manager's state directory. 0 or -errno. */
int volumes_load(Manager *manager);
void volumes_free(Manager *manager);

/* By the name that @uid gives it; NULL: there is none, or it is not theirs. */
Volume *volume_find(Manager *manager, uint32_t uid, const char *name);

/* Makes one; @labels are copied, NULL: none. @name NULL: an anonymous one, which gets a name of its
 * own. 0 or -errno with @error. */
int volume_new(Volume **ret, Manager *manager, uint32_t owner, const char *name,
               char *const *labels, sd_bus_error *error);

/* Forgets it, and has a worker remove its files. Nothing may use it: volume_take_away() sees to that.
 * 0 or -errno. */
int volume_remove(Volume *volume);

/* Its directory, O_PATH. 0 or -errno. */
int volume_open(const Volume *volume, int *ret);

/*
 * A mount comes into a guest. @cache: what was asked for (NULL: loose where nobody else has it, else
 * mmap). 0, or -EBUSY with @error: what is cached loosely must not be had twice. Given back with
 * volume_release().
 */
int volume_hold(Volume *volume, const char *cache, AgentCache *ret, sd_bus_error *error);
void volume_release(Volume *volume, AgentCache cache);

/* Who holds it with the cache mode @from has it with @to from now on. */
void volume_hold_otherwise(Volume *volume, AgentCache from, AgentCache to);

/* A mount of it is forgotten. */
void volume_unuse(Volume *volume);

/* Removes it and answers @call, now or when the machines that have it and are ending have ended. 0 or
 * -errno with @error: something is to keep it. */
int volume_take_away(Volume *volume, bool force, sd_bus_message *call, sd_bus_error *error);
