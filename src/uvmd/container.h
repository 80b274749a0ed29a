/*
 * A container: a root file system and a process tree in a sandbox. It is described once and set up
 * in each guest that runs: exported, plugged, created by the agent; then it can be started.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "base/parse.h"
#include "proto/throttle.h"
#include "uvmd/configuration.h"
#include "uvmd/image/image.h"
#include "uvmd/mount.h"
#include "uvmd/storage/upper.h"
#include "uvmd/task.h"
#include "uvmd/transfer.h"
#include "uvmd/worker.h"

/* Where it is on its way into the guest that runs. */
typedef enum ContainerStage {
        CONTAINER_ABSENT,
        CONTAINER_EXPORTING, /* a worker makes the detached mount */
        CONTAINER_PLUGGING,  /* the shim was asked for the device */
        CONTAINER_PLUGGED,
        CONTAINER_CREATING, /* the agent was asked */
        CONTAINER_READY,
        CONTAINER_DELETING, /* for a new run or for good: the agent was asked to forget it */
        CONTAINER_STAGE_MAX_,
} ContainerStage;
ENUM_DECLARE(container_stage, ContainerStage);

typedef struct Container {
        Task task;
        char id[ID_SIZE + 1];
        char *name;
        ContainerConfig config;
        Image *image; /* used; NULL: it is gone */
        char image_id[ID_SIZE + 1];
        ContainerStage stage;
        Worker *worker;
        int export_fd;
        uint32_t slot;
        List mounts;              /* of Mount */
        Upper upper;              /* the writable layer */
        ThrottleLimits throttle;  /* of root file system and writable layer, each */
        uint64_t oom_kills;       /* processes killed for want of memory in this run */
        Transfer *transfer;       /* under way */
        sd_bus_message *deletion; /* the call that waits for the end of this container */
        UT_hash_handle hh;
} Container;

/*
 * Adds a container to @sandbox; @config is consumed on success. It is set up at once where the
 * guest runs. 0 or -errno with @error.
 */
int container_new(Container **ret, Sandbox *sandbox, const char *name, ContainerConfig *config,
                  sd_bus_error *error);

/* An empty one for a record to fill. */
int container_new_empty(Container **ret, Sandbox *sandbox, const char *id);

/* Removes it from the sandbox with its processes. */
Container *container_free(Container *container);

/* The setter of the stages; an adopted container is ready at once. */
void container_set_stage(Container *container, ContainerStage stage);

/* Starts the way into the guest. 0 or -errno with @error. */
int container_set_up(Container *container, sd_bus_error *error);

/* A step towards the guest failed: what was made is undone, and with it fails the start of the sandbox
 * or of the container. */
void container_fail(Container *container, int r, const sd_bus_error *error);

/* Takes the next step that is due: the guest got ready for it. It may be freed. */
void container_continue(Container *container);

/* Runs its command; @call is answered late. */
int container_start(Container *container, sd_bus_message *call, sd_bus_error *error);

/* Forgets it, killing it first if @force; @call is answered late. */
int container_delete(Container *container, bool force, sd_bus_message *call, sd_bus_error *error);

/* Its task has exited. */
void container_on_exit(Container *container);

/* The guest's kernel has killed processes of it, @kills by now: more than it may have was wanted. */
void container_on_oom(Container *container, uint64_t kills);

/* The guest is gone, and with it all that was set up there. */
void container_on_guest_gone(Container *container);

int container_stop_signal(const Container *container);
