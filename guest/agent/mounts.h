/* The mounts of a container, made below its root: before it is entered (rootfs.h), or while it is
 * in use (attach.h). */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "proto/agent.h"

#include "agent/fault.h"

/* A mount before it has a place: made in the agent's mount namespace, attached in a container's. */
typedef struct MountSource {
        int fd;       /* a detached mount; FD_NONE: a device node it is */
        dev_t device; /* its number */
} MountSource;

/* All: @root is the container's root directory; 0 or -errno with @fault filled in. */

/* @root is where the source of a bind mount is looked up, in the mount namespace that the caller is
 * in then; others need none. */
int mounts_open(const char *state, int root, const AgentMount *mount, MountSource *ret,
                Fault *fault);
void mounts_close(MountSource *source);
/* Puts it at its target, which is made if it is missing. */
int mounts_attach(int root, const AgentMount *mount, const MountSource *source, Fault *fault);

/* Both at once. */
int mounts_add(const char *state, int root, const AgentMount *mount, Fault *fault);

/* Makes what is missing of @path, component by component, each looked up in the root again: a symbolic
 * link on the way leads where it leads in the container. 0 or -errno; no fault is filled in. */
int mounts_make_place(int root, const char *path, bool directory);

/* Covers a file with /dev/null and a directory with an empty read-only one. */
int mounts_mask(int root, const char *path, Fault *fault);

/* Makes what lies at @path read-only, with all below. */
int mounts_make_readonly(int root, const char *path, Fault *fault);
