/*
 * A container's file systems, made by the child that will be its first process: in a mount
 * namespace of its own, below a root that it then makes its own. Nothing of it outlives the
 * container's processes, but what is mounted once for the machine (shares.h).
 *
 * Paths of a container are looked up inside its root, whatever links the image holds.
 */
#pragma once

#include "proto/agent.h"

#include "agent/fault.h"

/* The two sides of a container's overlay, for who wants to know what has been changed. */
typedef struct Layers {
        int upper, lower; /* directories; FD_NONE: it has no overlay */
} Layers;

/*
 * Everything up to and with leaving the machine's root. Call it in the agent's mount namespace;
 * the other namespaces are the container's already. @cgroup is the container's, or FD_NONE: the
 * devices it may use are restricted at the end. 0 or -errno with @fault filled in.
 */
int rootfs_enter(const char *state, const char *id, const AgentContainerSpec *spec, int cgroup,
                 Layers *ret_layers, Fault *fault);
