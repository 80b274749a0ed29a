/*
 * Control groups (version 2): one for each container, directly below the machine's root, where the
 * agent itself stays. Where there is no cgroup2, as on test machines, a Cgroup without an fd stands
 * for "no limits": everything here then does nothing and says so once at the start.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/loop.h"
#include "proto/agent.h"

#include "agent/fault.h"

#define CGROUP_ROOT "/sys/fs/cgroup"

typedef struct Cgroup Cgroup;

struct Cgroup {
        int fd;        /* its directory; FD_NONE: none */
        int events_fd; /* memory.events */
        LoopFd events;
        uint64_t oom_kills; /* as last seen */
        void (*oom)(Cgroup *cgroup);
};

/* Opens the root and hands all controllers down. 0; -ENODEV: no cgroup2 here; another -errno. */
int cgroup_open_root(int *ret_fd);

/* Makes the group @name below @root_fd (FD_NONE: none is made) with its limits. @oom is called
 * when a process was killed for lack of memory. 0 or -errno with @fault filled in. */
int cgroup_create(Cgroup *cgroup, Loop *loop, int root_fd, const char *name,
                  const AgentLimits *limits, void (*oom)(Cgroup *cgroup), Fault *fault);

/* Opens the group @name. 0 or -errno. */
int cgroup_open(const char *name, int *ret_fd);

/* Opens the group that the process @pid is in. 0 or -errno. */
int cgroup_open_of(pid_t pid, int *ret_fd);

/* Closes it; the group itself stays. Harmless on an all-zero object. */
void cgroup_done(Cgroup *cgroup);

/* Sends SIGKILL to every process in it and below. 0 or -errno. */
int cgroup_kill(const Cgroup *cgroup);

/* Sends @signal to every process in it and below. 0 or -errno. */
int cgroup_signal(const Cgroup *cgroup, int signal);

/* Processes killed for lack of memory so far, read anew. */
uint64_t cgroup_oom_kills(Cgroup *cgroup);

/* Removes the group @name with all below it; waits until it is empty, so only a worker may ask. */
int cgroup_remove(const char *name);

/* Fills in what belongs to the group; limits are UINT64_MAX where there are none. */
void cgroup_stats(int fd, AgentStats *stats);
