/*
 * What the kernel has killed in the sandbox's cgroup for want of memory: memory.events of cgroup v2,
 * opened while the shim still may.
 */
#pragma once

#include <stdint.h>

/* The file of the calling process's own cgroup, CLOEXEC; FD_NONE if there is none to be had. */
int cgroup_open_memory_events(void);

/* The count "oom_kill" of the file; 0 for FD_NONE or if it can't be read. */
uint64_t cgroup_oom_kills(int fd);
