/* The steps of a mount, for the files that make it up: mount.c, mounts.c, mount_export.c and
 * mount_guest.c. */
#pragma once

#include "uvmd/mount.h"
#include "uvmd/shim_link.h"

/* Looks at the source of a new one, for a container that is in no guest. 0 or -errno with @error. */
int mount_probe(Mount *mount, const MountCaller *caller, sd_bus_error *error);

/* Makes the export; @caller is whose fd the source is, NULL: it is opened again. The same. */
int mount_export(Mount *mount, const MountCaller *caller, sd_bus_error *error);

/* A step failed: a new one goes, a kept one takes its container's start with it. */
void mount_fail(Mount *mount, int r, const sd_bus_error *error);

/* The new one is there: its call is answered. */
void mount_settle(Mount *mount);

/* The last step of one that goes: answers, frees, records. */
void mount_finish(Mount *mount);

/* Answers who waits, by the failure if there is one. */
void mount_answer(Mount *mount);

/* From absent on its way. 0 or -errno with @error. */
int mount_set_up(Mount *mount, sd_bus_error *error);

/* Asks the shim to take it out; NULL: nobody cares when. 0, 1: nothing is to be waited for, -errno. */
int mount_unplug(Mount *mount, ShimReplyHandler handler, void *userdata);

/* As the agent gets it; borrowed. */
void mount_fill(const Mount *mount, AgentMount *ret);

/* Gives a disk its tag, which is its serial: the configured one, or one of ours. */
void mount_name_disk(Mount *mount);

/* Another user's than root: it has the caller's one id. */
bool mount_is_single(const Mount *mount);

/* Whether a guest has its volume, or is about to. */
static inline bool mount_holds(const Mount *mount)
{
        return mount->volume && mount->state > MOUNT_WAITING;
}

/* Nothing is left of it but the object. */
static inline bool mount_is_dead(const Mount *mount)
{
        return mount->goal == MOUNT_GONE && mount->state == MOUNT_ABSENT && !mount->worker;
}

/* What an answer about a mount means for its container and the sandbox's boot; the last step of each
 * handler: the container may be freed. */
void mount_pass_on(Container *container);

/* Looks its volume up by name; it stays NULL where there is none. */
void mount_find_volume(Mount *mount);
