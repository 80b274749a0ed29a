/*
 * Mounts of a container that is there already: the requests MOUNT and UNMOUNT.
 *
 * The mount is made in a mount namespace of the worker's own, beside the shares, and attached in the
 * container's, where its target is looked up below the container's root as at creation. A container
 * that is hostile to its own paths only hurts itself: what is taken off is what its path leads to,
 * and a device counts as released when the kernel says that nobody has it mounted any more.
 */
#pragma once

#include "agent/container.h"

/* Each answers request @request, now or later. Takes the mount of @add. */
void attach_mount(Container *container, uint32_t request, AgentAddMount *add);
void attach_unmount(Container *container, uint32_t request, const AgentRemoveMount *remove);
