/*
 * Network namespaces of sandboxes: each is held by a bind mount at RUNDIR/netns/ID, so it outlives
 * uvmd and has a path for tools. One that uvmd makes lives from the sandbox's start to its end, one
 * that a caller gave from CreateSandbox until the sandbox is removed.
 */
#pragma once

#include <stdbool.h>

#include "uvmd/worker.h"

/* RUNDIR/netns/ID; free() it. NULL: out of memory. */
char *netns_path(const char *run_dir, const char *id);

typedef struct NetnsOptions {
        const char *run_dir, *id;
        int given; /* a caller's, borrowed; FD_NONE: a new one */
} NetnsOptions;

/*
 * Has a worker make a namespace, or take the given one, and hold it. What was held under that name is
 * let go before. The handler gets one fd, the namespace's.
 */
int netns_hold(Worker **ret, sd_event *event, const NetnsOptions *options, WorkerHandler handler,
               void *userdata);

/* Opens one that is held. 0 or -errno. */
int netns_open(const char *run_dir, const char *id, int *ret);

/* Lets it go: what nobody else holds ends with all that is in it, some moments later. Harmless where
 * there is none; failures are logged. */
void netns_drop(const char *run_dir, const char *id);

/* Lets go all that @is_known doesn't know. */
void netns_sweep(const char *run_dir, bool (*is_known)(void *userdata, const char *id),
                 void *userdata);
