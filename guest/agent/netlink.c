/* Netlink messages; see netlink.h. */
#include <errno.h>
#include <linux/netlink.h>
#include <string.h>

#include "base/cleanup.h"

#include "agent/netlink.h"

#define ALIGNED(size) (((size) + 3) & ~(size_t)3)

/* Room for @size bytes and what aligns the next. NULL: there is none. */
static uint8_t *reserve(NetlinkRequest *request, size_t size)
{
        uint8_t *at = request->data + request->size;

        if (request->overflow || size > sizeof(request->data) ||
            ALIGNED(size) > sizeof(request->data) - request->size) {
                request->overflow = true;
                return NULL;
        }
        memset(at, 0, ALIGNED(size));
        request->size += ALIGNED(size);
        return at;
}

void netlink_begin(NetlinkRequest *request, uint16_t type, uint16_t flags, const void *body,
                   size_t size)
{
        struct nlmsghdr header = {.nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | flags};
        uint8_t *at;

        request->size = 0;
        request->overflow = false;
        memcpy(reserve(request, sizeof(header)), &header, sizeof(header));
        at = reserve(request, size);
        if (at)
                memcpy(at, body, size);
}

void netlink_put(NetlinkRequest *request, uint16_t type, const void *data, size_t size)
{
        struct nlattr header = {.nla_type = type, .nla_len = (uint16_t)(sizeof(header) + size)};
        uint8_t *at = size < sizeof(request->data) ? reserve(request, sizeof(header) + size) : NULL;

        if (!at) {
                request->overflow = true;
                return;
        }
        memcpy(at, &header, sizeof(header));
        if (size > 0)
                memcpy(at + sizeof(header), data, size);
}

void netlink_put_u32(NetlinkRequest *request, uint16_t type, uint32_t value)
{
        netlink_put(request, type, &value, sizeof(value));
}

void netlink_put_u8(NetlinkRequest *request, uint16_t type, uint8_t value)
{
        netlink_put(request, type, &value, sizeof(value));
}

size_t netlink_nest(NetlinkRequest *request, uint16_t type)
{
        size_t at = request->size;

        netlink_put(request, NLA_F_NESTED | type, NULL, 0);
        return at;
}

void netlink_nest_end(NetlinkRequest *request, size_t nest)
{
        uint16_t size = (uint16_t)(request->size - nest);

        if (!request->overflow)
                memcpy(request->data + nest + offsetof(struct nlattr, nla_len), &size,
                       sizeof(size));
}

size_t netlink_append(NetlinkRequest *request, const void *data, size_t size)
{
        size_t at = request->size;
        uint8_t *place = reserve(request, size);

        if (place)
                memcpy(place, data, size);
        return at;
}

void netlink_patch(NetlinkRequest *request, size_t at, const void *data, size_t size)
{
        if (!request->overflow)
                memcpy(request->data + at, data, size);
}

int netlink_end(NetlinkRequest *request, uint32_t sequence)
{
        uint32_t size = (uint32_t)request->size;

        if (request->overflow)
                return -ENOBUFS;
        memcpy(request->data + offsetof(struct nlmsghdr, nlmsg_len), &size, sizeof(size));
        memcpy(request->data + offsetof(struct nlmsghdr, nlmsg_seq), &sequence, sizeof(sequence));
        return 0;
}

static void advance(NetlinkReader *reader, size_t size)
{
        size = MIN(ALIGNED(size), reader->left);
        reader->at += size;
        reader->left -= size;
}

bool netlink_next(NetlinkReader *reader, NetlinkMessage *ret)
{
        struct nlmsghdr header;

        if (reader->left < sizeof(header))
                return false;
        memcpy(&header, reader->at, sizeof(header));
        if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > reader->left)
                return false;
        *ret = (NetlinkMessage){
                .type = header.nlmsg_type,
                .flags = header.nlmsg_flags,
                .sequence = header.nlmsg_seq,
                .body = reader->at + sizeof(header),
                .size = header.nlmsg_len - sizeof(header),
        };
        advance(reader, header.nlmsg_len);
        return true;
}

bool netlink_next_attribute(NetlinkReader *reader, NetlinkAttribute *ret)
{
        struct nlattr header;

        if (reader->left < sizeof(header))
                return false;
        memcpy(&header, reader->at, sizeof(header));
        if (header.nla_len < sizeof(header) || header.nla_len > reader->left)
                return false;
        *ret = (NetlinkAttribute){
                .type = header.nla_type & NLA_TYPE_MASK,
                .data = reader->at + sizeof(header),
                .size = header.nla_len - sizeof(header),
        };
        advance(reader, header.nla_len);
        return true;
}

int netlink_body(const NetlinkMessage *message, void *body, size_t size,
                 NetlinkReader *ret_attributes)
{
        NetlinkReader reader = netlink_reader(message->body, message->size);

        if (message->size < size)
                return -EBADMSG;
        memcpy(body, message->body, size);
        advance(&reader, size);
        *ret_attributes = reader;
        return 0;
}

bool netlink_find(const NetlinkReader *reader, uint16_t type, NetlinkAttribute *ret)
{
        NetlinkReader copy = *reader;

        while (netlink_next_attribute(&copy, ret))
                if (ret->type == type)
                        return true;
        return false;
}

uint32_t netlink_find_u32(const NetlinkReader *reader, uint16_t type, uint32_t otherwise)
{
        NetlinkAttribute attribute;
        uint32_t value;

        if (!netlink_find(reader, type, &attribute) || attribute.size != sizeof(value))
                return otherwise;
        memcpy(&value, attribute.data, sizeof(value));
        return value;
}
