/*
 * Netlink messages (RFC 3549): written into a request of bounded size, and read out of what the
 * kernel sends. Pure. Bodies and attributes are the kernel's own C structs in the machine's byte
 * order (linux/rtnetlink.h), so they are copied whole. The kernel is trusted; lengths are checked
 * all the same, so that a reader never leaves its bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NETLINK_REQUEST_MAX 2048

typedef struct NetlinkRequest {
        _Alignas(4) uint8_t data[NETLINK_REQUEST_MAX];
        size_t size;
        bool overflow; /* something did not fit: it can't be sent */
} NetlinkRequest;

/* Begins it with the header, of NLM_F_REQUEST and @flags, and the body of the type. */
void netlink_begin(NetlinkRequest *request, uint16_t type, uint16_t flags, const void *body,
                   size_t size);
void netlink_put(NetlinkRequest *request, uint16_t type, const void *data, size_t size);
void netlink_put_u32(NetlinkRequest *request, uint16_t type, uint32_t value);
void netlink_put_u8(NetlinkRequest *request, uint16_t type, uint8_t value);

/* Attributes between the two are inside one of @type. */
size_t netlink_nest(NetlinkRequest *request, uint16_t type);
void netlink_nest_end(NetlinkRequest *request, size_t nest);

/* A struct that is no attribute, aligned as one. Returns where it is, for netlink_patch(), once what
 * belongs to it is behind it. */
size_t netlink_append(NetlinkRequest *request, const void *data, size_t size);
void netlink_patch(NetlinkRequest *request, size_t at, const void *data, size_t size);

/* Completes the header. 0, or -ENOBUFS. */
int netlink_end(NetlinkRequest *request, uint32_t sequence);

typedef struct NetlinkReader {
        const uint8_t *at;
        size_t left;
} NetlinkReader;

typedef struct NetlinkMessage {
        uint16_t type;
        uint16_t flags;
        uint32_t sequence;
        const uint8_t *body; /* borrowed from the reader's bytes */
        size_t size;
} NetlinkMessage;

typedef struct NetlinkAttribute {
        uint16_t type; /* without NLA_F_NESTED and its like */
        const uint8_t *data;
        size_t size;
} NetlinkAttribute;

static inline NetlinkReader netlink_reader(const void *data, size_t size)
{
        return (NetlinkReader){.at = data, .left = size};
}

/* The next one; false at the end, or where the rest is none. */
bool netlink_next(NetlinkReader *reader, NetlinkMessage *ret);
bool netlink_next_attribute(NetlinkReader *reader, NetlinkAttribute *ret);

/* Copies the body, of @size bytes, and leaves *ret_attributes behind it. 0, or -EBADMSG. */
int netlink_body(const NetlinkMessage *message, void *body, size_t size,
                 NetlinkReader *ret_attributes);

/* The first attribute of that type; @reader stays where it is. */
bool netlink_find(const NetlinkReader *reader, uint16_t type, NetlinkAttribute *ret);

/* Its value, or @otherwise if there is none, or not of that size. */
uint32_t netlink_find_u32(const NetlinkReader *reader, uint16_t type, uint32_t otherwise);
