/* Limits of a container's cgroup (Documentation/admin-guide/cgroup-v2.rst of Linux). */
#pragma once

#include <stdbool.h>

#include "proto/agent.h"

#include "agent/container.h"
#include "agent/fault.h"

/* Sets all but those of disks. @fresh: of a group that has none yet; else what is 0 or empty goes back
 * to none. 0 or -errno with @fault filled in. */
int limits_set(int cgroup, const AgentLimits *limits, bool fresh, Fault *fault);

/*
 * Those of disks. One with a serial of its own counts more than that of all disks; a serial that no disk
 * has is -ENODEV. Disks that come later have no limit until the next time. Asks the disks, so only a
 * child may.
 */
int limits_set_io(int cgroup, const AgentLimits *limits, bool fresh, Fault *fault);

/* The request UPDATE: sets both, in a worker: a group that has to give memory back takes its time.
 * Takes what @update owns. */
void limits_update(Container *container, uint32_t request, AgentUpdate *update);
