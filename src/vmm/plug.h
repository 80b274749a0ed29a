/*
 * Requests about devices: makes what is asked for, puts it into a slot, takes it out; its throttle;
 * the streams of the vsock device, the binds of a p9 device. Each answers its request by itself; the
 * return value is the link's.
 */
#pragma once

#include "vmm/link.h"

/* Takes what it needs of @fds (TAKE_FD); the caller closes the rest. */
int plug_add(Link *link, const ControlMessage *message, int *fds);
int plug_remove(Link *link, const ControlMessage *message);
int plug_bind(Link *link, const ControlMessage *message, int *fds);
int plug_set_throttle(Link *link, const ControlMessage *message);
int plug_set_link(Link *link, const ControlMessage *message);
int plug_vsock(Link *link, const ControlMessage *message, int *fds);
