/*
 * The guest's memory as the supervisor changes it: RESIZE of the balloon and the memory device, and the
 * news of what the guest did (MEMORY). News are sent at once, then at most ten times a second, and the
 * last word is always sent: a guest that changes its mind all the time fills no socket.
 *
 * Thread: the I/O thread, which both devices live on.
 */
#pragma once

#include "vmm/link.h"

void resize_init(Link *link);
void resize_done(Link *link);

/* Makes a device of the kind. 0; -EEXIST: there is one already; -EINVAL: the machine's memory has no room
 * to grow; or -errno. */
int resize_make_balloon(Link *link, VirtioDevice **ret);
int resize_make_mem(Link *link, VirtioDevice **ret);

/* The device that was made sits in a slot now; the one in a slot leaves. Others are ignored. */
void resize_plugged(Link *link, VirtioDevice *device, uint32_t slot);
bool resize_is_in_use(Link *link,
                      uint32_t slot); /* memory is plugged by it, so that it can't leave */
void resize_unplugged(Link *link, uint32_t slot);

/* Answers a RESIZE; returns as the requests of plug.h. */
int resize_request(Link *link, const ControlMessage *message);
