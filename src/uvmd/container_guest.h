/* The steps of a container's way, for container.c and container_guest.c. */
#pragma once

#include "uvmd/container.h"
#include "uvmd/shim_link.h"

/* Asks the agent to forget it. 0 or -errno. */
int container_clear(Container *container, ShimReplyHandler handler);
void container_on_cleared(void *userdata, int r, const ShimReply *reply);

/*
 * The task doesn't run: what the guest has of it is taken down, then it is freed. Where answers are
 * still to come it waits for them: container_continue() goes on. 0 or -errno.
 */
int container_take_down(Container *container);

/* The last step of a deletion: its devices go, and nobody waits for that. */
void container_remove(Container *container);
