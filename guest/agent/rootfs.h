/*
 * A container's file systems, made by the child that will be its first process: in a mount
 * namespace of its own, below a root that it then makes its own. Nothing of it outlives the
 * container's processes, but the 9p mounts it shares with others (shares.h).
 *
 * Paths of a container are looked up inside its root, whatever links the image holds.
 */
#pragma once

#include "proto/agent.h"

#include "agent/fault.h"

/*
 * Everything up to and with leaving the machine's root. Call it in the agent's mount namespace;
 * the other namespaces are the container's already. 0 or -errno with @fault filled in.
 */
int rootfs_enter(const char *state, const AgentContainerSpec *spec, Fault *fault);
