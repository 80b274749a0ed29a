/* The device nodes of a container, and which devices it may use at all. */
#pragma once

#include <stdint.h>

#include "proto/agent.h"

/* Makes the usual nodes and links in @directory: what OCI's runtime specification lists under
 * "Default Devices". 0 or -errno. */
int devices_make_nodes(int directory);

/*
 * Lets the processes of the cgroup at @cgroup_fd use these devices, the terminals and the disks among
 * @mounts only, by a BPF program of type CGROUP_DEVICE, which takes the place of an earlier one.
 * Making nodes of any kind stays allowed, as in podman: without the right to open them they are
 * harmless. 0 or -errno; -ENOSYS: the kernel can't; -E2BIG: too many disks.
 */
int devices_restrict(int cgroup_fd, const AgentMount *mounts, uint32_t n_mounts);
