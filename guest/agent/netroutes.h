/* The routes that the kernel has: asked about, added, removed; see netroute.h for one of them. */
#pragma once

#include <stdbool.h>

#include "agent/netroute.h"
#include "agent/rtnetlink.h"

/* Whether @dump, of RTM_GETROUTE, has it. */
bool netroutes_have(const RtnetlinkDump *dump, const NetRoute *wanted);

/* Beside a route of the same metric over another device, not in its place. 0, also if it is there, or
 * the kernel's -errno. */
int netroutes_add(Rtnetlink *rtnetlink, const NetRoute *route);

/* 0, also if it is gone, or the kernel's -errno. */
int netroutes_remove(Rtnetlink *rtnetlink, const NetRoute *route);
