/*
 * The writable layer of a container: an overlay over its root file system, whose upper side lies in
 * the guest's memory or on a disk of its own. Part of rootfs.h.
 *
 * On a disk, an ext4 file system, the directories "upper" and "work" are made the first time and
 * kept: the overlay empties "work" itself when it is mounted, also after the power was cut. Nothing
 * that would make the layer more than files and whiteouts is used (redirect_dir, metacopy, index
 * are off): what diff and commit read is the truth, and a directory of the lower side can't be
 * renamed but by copying (EXDEV), as in other engines. Errors of the disk are the container's.
 */
#pragma once

#include "proto/agent.h"

#include "agent/fault.h"
#include "agent/rootfs.h"

/* All in a mount namespace of one's own. @lower is a detached mount; 0 or -errno with @fault filled
 * in. */
int overlay_make(const char *state, const AgentRoot *root, int lower, Layers *ret_layers,
                 int *ret_fd, Fault *fault);

/* Attaches @mount at <state>/@name so that paths can lead there. */
int overlay_attach_at(const char *state, const char *name, int mount, Fault *fault);
