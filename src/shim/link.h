/*
 * The link to uvmd (proto/shim.h): the one that the shim was started with, then whichever came last
 * through the listening socket. What uvmd does not read is queued up to LINK_QUEUE_MAX bytes; then
 * the link ends, and uvmd finds everything in the next link's snapshot.
 *
 * One thread. uvmd is trusted to command, its bytes are checked all the same.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "base/loop.h"

#include "proto/shim.h"

#define LINK_QUEUE_MAX (1024 * 1024)

typedef struct Link Link;

typedef struct LinkOps {
        void (*connected)(Link *link);
        /* Takes from @fds what it wants, leaving FD_NONE. 0, or -EBADMSG: the link ends. */
        int (*message)(Link *link, const ShimMessage *message, int *fds, unsigned n_fds);
        void (*disconnected)(Link *link);
        /* Messages are queued, or no longer. */
        void (*congested)(Link *link, bool on);
} LinkOps;

struct Link {
        Loop *loop;
        const LinkOps *ops;
        uid_t peer; /* who may connect */
        int listener, fd;
        LoopFd listener_source, source;
        List queue;
        size_t queued;
        uint8_t received[SHIM_MESSAGE_MAX];
        uint8_t sent[SHIM_MESSAGE_MAX];
};

void link_init(Link *link, Loop *loop, const LinkOps *ops, uid_t peer);
void link_done(Link *link);

static inline bool link_is_up(const Link *link)
{
        return link->fd >= 0;
}

/* Makes @fd the link, instead of the one before. Takes @fd. 0 or -errno. */
int link_connect(Link *link, int fd);

/* Binds shim.sock in the directory @run_dir (borrowed) and listens. 0 or -errno. */
int link_listen(Link *link, int run_dir);

/* Without a link the message goes nowhere. */
void link_send(Link *link, const ShimMessage *message);
