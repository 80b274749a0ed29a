/* The device nodes of a container, and which devices it may use at all. */
#pragma once

/* Makes the usual nodes and links in @directory: what OCI's runtime specification lists under
 * "Default Devices". 0 or -errno. */
int devices_make_nodes(int directory);

/*
 * Lets the processes of the cgroup at @cgroup_fd use these devices and the terminals only, by a
 * BPF program of type CGROUP_DEVICE. Making nodes of any kind stays allowed, as in podman: without
 * the right to open them they are harmless. 0 or -errno; -ENOSYS: the kernel can't.
 */
int devices_restrict(int cgroup_fd);
