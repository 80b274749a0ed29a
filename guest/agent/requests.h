/* The host's requests: each is decoded here, handed to its object, and answered exactly once. */
#pragma once

#include "agent/guest.h"

/*
 * Link.request: @frame is borrowed.
 *
 * Requests that mount shares wait while shares are being unmounted, and UNMOUNT also waits for those
 * that are being mounted: so that none finds what is about to go, and a device that was unmounted
 * is not held by a child that has yet to leave the agent's mounts. They keep their order.
 */
void requests_handle(Link *link, const Frame *frame);

/* The counters of guest->shares have gone down. */
void requests_resume(Guest *guest);
