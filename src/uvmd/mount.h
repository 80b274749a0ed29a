/*
 * A mount of a container: a directory or file of the host, a named volume, a tmpfs. It belongs to the
 * container's description and is brought into each guest that runs it:
 *
 *      absent → [waiting, filling →] exporting → exported → plugging → plugged → mounting → mounted
 *
 * and back by unmounting and unplugging. What it is to become is its goal; each answer of a worker,
 * the shim or the agent takes the next step towards it. A mount that is new is undone when a step
 * fails; one that is kept makes the container's start fail.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "base/enum.h"
#include "base/list.h"
#include "proto/agent.h"
#include "proto/shim.h"
#include "uvmd/export.h"
#include "uvmd/mount_config.h"
#include "uvmd/worker.h"

#define MOUNTS_MAX 64 /* of a container */

typedef struct Container Container;
typedef struct Manager Manager;
typedef struct Sandbox Sandbox;
typedef struct Volume Volume;

typedef enum MountState {
        MOUNT_ABSENT,     /* nothing of it is in the guest */
        MOUNT_PROBING,    /* a worker looks at the source; nothing is made */
        MOUNT_WAITING,    /* for the end of a machine that has its volume */
        MOUNT_FILLING,    /* a worker puts the image's files into an empty volume */
        MOUNT_EXPORTING,  /* a worker makes the detached mount */
        MOUNT_EXPORTED,   /* waits for the guest's monitor, or for the binds device */
        MOUNT_PLUGGING,   /* the shim was asked */
        MOUNT_PLUGGED,    /* the container can be made with it */
        MOUNT_MOUNTING,   /* the agent was asked */
        MOUNT_MOUNTED,    /* in the container */
        MOUNT_UNMOUNTING, /* the agent was asked */
        MOUNT_UNPLUGGING, /* the shim was asked */
        MOUNT_STATE_MAX_,
} MountState;
ENUM_DECLARE(mount_state, MountState);

typedef enum MountGoal {
        MOUNT_NEW,  /* to be kept once it is there */
        MOUNT_KEPT, /* part of the container */
        MOUNT_GONE, /* to be forgotten */
        MOUNT_GOAL_MAX_,
} MountGoal;
ENUM_DECLARE(mount_goal, MountGoal);

/* How it comes into the guest. */
typedef enum MountRoute {
        MOUNT_ROUTE_NONE,   /* the guest makes it by itself */
        MOUNT_ROUTE_DEVICE, /* a device of its own */
        MOUNT_ROUTE_BINDS,  /* an entry of the sandbox's binds device */
        MOUNT_ROUTE_MAX_,
} MountRoute;
ENUM_DECLARE(mount_route, MountRoute);

typedef struct Mount {
        List link; /* in the container's, sorted by target: what is below comes behind */
        Container *container;
        uint32_t id; /* unique in the sandbox; names device and entry */
        MountKind kind;
        MountConfig config;
        MountOrigin origin;
        MountState state;
        MountGoal goal;
        MountRoute route; /* from EXPORTED on */
        uint32_t slot;    /* PLUGGED and later, where it has a device of its own */
        Volume *volume;   /* borrowed; held from FILLING on */
        AgentCache cache; /* from FILLING on */
        bool endless;     /* while it is routed: its file system may never answer */
        char tag[SHIM_TAG_MAX + 1];

        Worker *worker;
        int fd;               /* the export, until it is plugged in */
        int tree;             /* from a probe: what the caller handed in, for the first start */
        sd_bus_message *call; /* AttachVolume or DetachVolume, waiting */
        sd_event_source *limit;
        int failure; /* why a new one goes: 0 or -errno, with @error */
        sd_bus_error error;
} Mount;

/* Who calls: for whose files may be reached. */
typedef struct MountCaller {
        uint32_t uid;
        pid_t pid;
} MountCaller;

/* Adds a mount; @config is consumed on success, @call is answered when it is there. 0 or -errno. */
int mount_attach(Container *container, MountConfig *config, const MountCaller *caller,
                 sd_bus_message *call, sd_bus_error *error);

/* Takes it away; @call is answered when it is gone. 0 or -errno. */
int mount_detach(Mount *mount, sd_bus_message *call, sd_bus_error *error);

/* For a record: an empty one at the end of the list; mounts_sort() when all are filled. */
int mount_new_empty(Mount **ret, Container *container);
void mounts_sort(Container *container);

/* Once configuration and origin are filled: what @state is now that an earlier uvmd has ended. */
int mount_restore(Mount *mount, MountState state);

/* Forgets it; answers who waits. What is in the guest stays there. */
Mount *mount_free(Mount *mount);

/* The same, and an anonymous volume that is its alone goes with it. No guest has it. */
void mount_free_with_volume(Mount *mount);

/* By target; NULL: there is none. */
Mount *mount_find(const Container *container, const char *target);

/* The setter of the states. */
void mount_set_state(Mount *mount, MountState state);

/* Takes the next step towards its goal, if one is due. The mount may be freed. */
void mount_continue(Mount *mount);

/* ------------------------------------------------------------------ all of a container's */

/* Brings them on their way into the guest. 0 or -errno with @error. */
int mounts_set_up(Container *container, sd_bus_error *error);
void mounts_continue(Container *container);

/* Whether one is on its way to being plugged; whether all are plugged. */
bool mounts_are_moving(const Container *container);
bool mounts_are_ready(const Container *container);

/* Frees those that have gone with a guest. */
void mounts_collect(Container *container);

/* Whether one can only be had by a monitor that maps all ids to themselves. */
bool mounts_need_identity(const Container *container);

/* How many slots they take now, and how many want one of their own. */
unsigned mounts_count_slots(const Container *container);
unsigned mounts_count_directories(const Container *container);

/* The agent was asked to make the container with all that are plugged; then: it has, or not. */
void mounts_on_creating(Container *container);
void mounts_on_created(Container *container, bool done);

/* The agent has forgotten the container, and unmounted what it had. */
void mounts_on_deleted(Container *container);

/* Takes their devices away; nobody waits for that. All are absent then. */
void mounts_unplug(Container *container);

/* The same for those that no answer is still to come for: a start failed. */
void mounts_undo(Container *container);

/* Whether the shim or the agent is to answer about one. */
bool mounts_are_asking(const Container *container);

/* The binds device is there, or can't be. */
void mounts_on_binds(Container *container, int r, const char *text);

void mounts_on_guest_gone(Container *container);

/* An earlier uvmd was killed; what it had begun is undone. The container is ready. */
void mounts_adopt(Container *container);

/* Those that are to be in the container's specification, borrowed. NULL: -ENOMEM. */
AgentMount *mounts_to_agent(const Container *container, uint32_t *ret_n);

/* Whether all that have it, or are to have it, are ending machines: the wait is short. */
bool mounts_volume_is_ending(const Volume *volume);
bool mounts_volume_is_leaving(const Volume *volume);

/* A volume was given back: those that wait for one try again. */
void mounts_wake(Manager *manager);

/* Adds the mounts that its image asks for (VOLUME), but where the configuration says that another
 * comes. The container is new. 0 or -errno with @error. */
int mounts_add_image_volumes(Container *container, sd_bus_error *error);

/* Frees all mounts, with the anonymous volumes that are theirs alone. No guest has them. */
void mounts_free_with_volumes(Container *container);

/* The volume is being removed; no guest has it. */
void mounts_drop_volume(Container *container, const Volume *volume);
