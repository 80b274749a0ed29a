/*
 * Limits of a container's cgroup inside the guest: kept with the container, part of what the agent
 * makes it with, and changed while it runs.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "proto/agent.h"
#include "uvmd/container.h"
#include "uvmd/shim_link.h"

/* The limits of disks as the agent has them: by serial. All of it borrows from container and mounts. */
typedef struct ContainerDisks {
        char root[UPPER_SERIAL_SIZE];
        AgentIoLimit *limits;
        uint32_t n_limits;
} ContainerDisks;

void container_disks_done(ContainerDisks *disks);

/* What is known of the guest's disks by now: those of mounts that are gone are left out. 0, -ENOMEM. */
int container_disks_find(Container *container, ContainerDisks *ret);

/* Whether there are limits of disks, which one that comes later needs too. */
bool container_limits_have_disks(const Container *container);

/* Has the agent set all of them, where it has the container; @handler gets its answer. 0 or -errno. */
int container_limits_apply(Container *container, ShimReplyHandler handler, void *userdata);

/*
 * Container.SetLimits: changes what is given and keeps it. @limits is consumed; @call is answered, late
 * where a guest has the container. 0 or -errno with @error.
 */
int container_limits_set(Container *container, ContainerLimits *limits, sd_bus_message *call,
                         sd_bus_error *error);
