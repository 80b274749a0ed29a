/*
 * A conversation with the kernel about its network (rtnetlink(7)), of the calling process's network
 * namespace. It waits for the kernel, which may wait for a device: only a worker may ask.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "agent/fault.h"
#include "agent/netlink.h"

#define RTNETLINK_TEXT_SIZE 128

typedef struct Rtnetlink {
        int fd;
        uint32_t sequence;
        char text[RTNETLINK_TEXT_SIZE]; /* the kernel's words for the last refusal, or "" */
} Rtnetlink;

/* 0 or -errno. */
int rtnetlink_open(Rtnetlink *rtnetlink);
void rtnetlink_close(Rtnetlink *rtnetlink);

/* Sends @request, which netlink_begin() has begun, and waits for its acknowledgement. 0 or the
 * kernel's -errno. */
int rtnetlink_request(Rtnetlink *rtnetlink, NetlinkRequest *request);

/* Messages, one behind the other: what netlink_next() reads. */
typedef struct RtnetlinkDump {
        uint8_t *data;
        size_t size;
} RtnetlinkDump;

void rtnetlink_dump_done(RtnetlinkDump *dump);

/* All that there is of one kind: @type is RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE or RTM_GETNEIGH,
 * @family that of the address, AF_UNSPEC for all. 0 or -errno: -EFBIG: far too much. */
int rtnetlink_dump(Rtnetlink *rtnetlink, uint16_t type, uint8_t family, RtnetlinkDump *ret);

/* Fills in @fault with what could not be done, and the kernel's words for it. Returns @r. */
int rtnetlink_fault(const Rtnetlink *rtnetlink, Fault *fault, int r, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
