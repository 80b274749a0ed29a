/* The mounts of a container, made below its root before it is entered; see rootfs.h. */
#pragma once

#include "proto/agent.h"

#include "agent/fault.h"

/* All: @root is the container's root directory; 0 or -errno with @fault filled in. */
int mounts_add(const char *state, int root, const AgentMount *mount, Fault *fault);

/* Covers a file with /dev/null and a directory with an empty read-only one. */
int mounts_mask(int root, const char *path, Fault *fault);

/* Makes what lies at @path read-only, with all below. */
int mounts_make_readonly(int root, const char *path, Fault *fault);
