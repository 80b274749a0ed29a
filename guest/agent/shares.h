/*
 * 9p devices of the machine. Linux mounts a tag once (net/9p/trans_virtio.c, p9_virtio_create), so
 * each tag is mounted once in the agent's mount namespace, at <state>/shares/TAG, and containers
 * get bind mounts of it or of what lies below.
 *
 * A share is mounted by the child that sets up the first container to use it (a mount may block),
 * and unmounted when the last has been deleted (by a worker, for the same reason).
 */
#pragma once

#include <stdint.h>

#include "base/list.h"
#include "proto/agent.h"

#include "agent/fault.h"

typedef struct Shares {
        List tags;
} Shares;

void shares_init(Shares *shares);
void shares_done(Shares *shares);

/* Counts the tags that @spec uses. All or none: 0 or -ENOMEM. */
int shares_take(Shares *shares, const AgentContainerSpec *spec);

/*
 * Gives them back. Those that nobody uses any more are named in @ret_unused (free with
 * codec-style loops by shares_names_free()); they are forgotten here.
 */
void shares_give_back(Shares *shares, const AgentContainerSpec *spec, CodecStrings *ret_unused);
void shares_names_free(CodecStrings *names);

/* In a child that may block, in the agent's mount namespace: mounts the tag unless it is. Several
 * children may try at once. 0 or -errno with @fault filled in. */
int shares_mount(const char *state, const char *tag, AgentCache cache, uint32_t msize,
                 Fault *fault);

/* In a worker: unmounts. 0 or -errno. */
int shares_unmount(const char *state, const char *tag);

/* A path of the share's mount point in @buffer. 0 or -ENAMETOOLONG; -EINVAL: not a legal tag. */
int shares_path(const char *state, const char *tag, char *buffer, unsigned size);
