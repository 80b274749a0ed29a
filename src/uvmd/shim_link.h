/*
 * uvmd's end of a sandbox's link (src/proto/shim.h): requests go out in order and are answered by
 * handlers, events go to the sandbox. Nothing blocks: what the socket doesn't take waits here with
 * its fds. What the shim sends is hostile; a bad message ends the link.
 */
#pragma once

#include <sys/types.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "proto/shim.h"

typedef struct ShimLink ShimLink;

/* What comes without being asked; @userdata is the one of shim_link_new(). */
typedef struct ShimLinkEvents {
        void (*on_message)(void *userdata, const ShimMessage *message);
        /* The link is over (@r -ENODATA: the shim closed it). The owner frees it in here. */
        void (*on_end)(void *userdata, int r);
} ShimLinkEvents;

/* The answer to one request. @r: 0, the shim's negative error, or -ECONNRESET without @reply. */
typedef void (*ShimReplyHandler)(void *userdata, int r, const ShimReply *reply);

/* Consumes @fd, a connected SEQPACKET socket, also when it fails. 0 or -errno. */
int shim_link_new(ShimLink **ret, sd_event *event, int fd, const ShimLinkEvents *events,
                  void *userdata);

/* Connects to @path, a shim's socket. 0 or -errno: -ECONNREFUSED, -ENOENT: no shim. */
int shim_link_connect(ShimLink **ret, sd_event *event, const char *path,
                      const ShimLinkEvents *events, void *userdata);

/* Requests under way are answered with -ECONNRESET; their handlers must not use the link. */
ShimLink *shim_link_free(ShimLink *link);

/*
 * Sends a request; its serial is the link's business. @fds are borrowed. @handler may be NULL.
 * 0 or -errno; the handler is not called when this fails.
 */
int shim_link_request(ShimLink *link, ShimMessage *message, const int *fds, unsigned n_fds,
                      ShimReplyHandler handler, void *userdata);

/* Forgets the handlers of @userdata, an object that goes away. Accepts NULL. */
void shim_link_forget(ShimLink *link, const void *userdata);

/* The shim's pid, by the socket. 0 or -errno. */
int shim_link_pid(ShimLink *link, pid_t *ret);
