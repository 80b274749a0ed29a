/* A conversation with the kernel about its network; see rtnetlink.h. */
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

#include "agent/rtnetlink.h"

/* The kernel fills up to this much at once if the reader has room for it (netlink_dump()). */
#define RECEIVE_SIZE 32768
/* A routing table of this size is none that a container comes with. */
#define DUMP_SIZE_MAX (8 * 1024 * 1024)

int rtnetlink_open(Rtnetlink *rtnetlink)
{
        int on = 1;

        *rtnetlink = (Rtnetlink){.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)};
        if (rtnetlink->fd < 0)
                return errno_neg();
        /* Refusals come with a text, and without the request. */
        setsockopt(rtnetlink->fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
        setsockopt(rtnetlink->fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
        return 0;
}

void rtnetlink_close(Rtnetlink *rtnetlink)
{
        rtnetlink->fd = fd_close(rtnetlink->fd);
}

static int rtnetlink_send(Rtnetlink *rtnetlink, NetlinkRequest *request)
{
        struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
        int r = netlink_end(request, ++rtnetlink->sequence);

        if (r < 0)
                return r;
        if (sendto(rtnetlink->fd, request->data, request->size, 0, (struct sockaddr *)&kernel,
                   sizeof(kernel)) < 0)
                return errno_neg();
        return 0;
}

static int rtnetlink_receive(Rtnetlink *rtnetlink, void *data, size_t capacity, size_t *ret_size)
{
        ssize_t n;

        do
                n = recv(rtnetlink->fd, data, capacity, MSG_TRUNC);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno_neg();
        if ((size_t)n > capacity)
                return -EMSGSIZE;
        *ret_size = (size_t)n;
        return 0;
}

/* NLMSG_ERROR, which also says that all is well, and NLMSG_DONE. */
static int rtnetlink_verdict(Rtnetlink *rtnetlink, const NetlinkMessage *message)
{
        int32_t error;
        NetlinkReader attributes;
        NetlinkAttribute text;
        size_t body = message->type == NLMSG_ERROR ? sizeof(struct nlmsgerr) : sizeof(error);

        rtnetlink->text[0] = '\0';
        if (message->size < sizeof(error))
                return message->type == NLMSG_DONE ? 0 : -EBADMSG;
        memcpy(&error, message->body, sizeof(error));
        if (error < 0 && message->size >= body) {
                attributes = netlink_reader(message->body + body, message->size - body);
                if ((message->flags & NLM_F_ACK_TLVS) &&
                    netlink_find(&attributes, NLMSGERR_ATTR_MSG, &text))
                        snprintf(rtnetlink->text, sizeof(rtnetlink->text), "%.*s", (int)text.size,
                                 (const char *)text.data);
        }
        return error > 0 ? -EBADMSG : error;
}

int rtnetlink_request(Rtnetlink *rtnetlink, NetlinkRequest *request)
{
        uint8_t data[NETLINK_REQUEST_MAX * 2];
        NetlinkMessage message;
        NetlinkReader reader;
        size_t size;
        int r = rtnetlink_send(rtnetlink, request);

        while (r == 0) {
                r = rtnetlink_receive(rtnetlink, data, sizeof(data), &size);
                reader = netlink_reader(data, r == 0 ? size : 0);
                while (netlink_next(&reader, &message))
                        if (message.sequence == rtnetlink->sequence && message.type == NLMSG_ERROR)
                                return rtnetlink_verdict(rtnetlink, &message);
        }
        return r;
}

void rtnetlink_dump_done(RtnetlinkDump *dump)
{
        free(dump->data);
        *dump = (RtnetlinkDump){};
}

/* True when the last part has come; *ret_error says how it ended. */
static bool rtnetlink_dump_is_over(Rtnetlink *rtnetlink, const uint8_t *data, size_t size,
                                   int *ret_error)
{
        NetlinkReader reader = netlink_reader(data, size);
        NetlinkMessage message;

        while (netlink_next(&reader, &message))
                if (message.type == NLMSG_DONE || message.type == NLMSG_ERROR) {
                        *ret_error = rtnetlink_verdict(rtnetlink, &message);
                        return true;
                }
        return false;
}

static int rtnetlink_gather(Rtnetlink *rtnetlink, RtnetlinkDump *dump)
{
        int r = 0;

        for (;;) {
                uint8_t *grown = realloc(dump->data, dump->size + RECEIVE_SIZE);
                size_t size;

                if (!grown)
                        return -ENOMEM;
                dump->data = grown;
                r = rtnetlink_receive(rtnetlink, dump->data + dump->size, RECEIVE_SIZE, &size);
                if (r < 0)
                        return r;
                dump->size += size;
                if (rtnetlink_dump_is_over(rtnetlink, dump->data + dump->size - size, size, &r))
                        return r;
                if (dump->size > DUMP_SIZE_MAX)
                        return -EFBIG;
        }
}

int rtnetlink_dump(Rtnetlink *rtnetlink, uint16_t type, uint8_t family, RtnetlinkDump *ret)
{
        struct rtgenmsg body = {.rtgen_family = family};
        RtnetlinkDump dump = {};
        NetlinkRequest request;
        int r;

        netlink_begin(&request, type, NLM_F_DUMP, &body, sizeof(body));
        r = rtnetlink_send(rtnetlink, &request);
        if (r == 0)
                r = rtnetlink_gather(rtnetlink, &dump);
        if (r < 0)
                rtnetlink_dump_done(&dump);
        else
                *ret = dump;
        return r;
}

int rtnetlink_fault(const Rtnetlink *rtnetlink, Fault *fault, int r, const char *format, ...)
{
        char what[FAULT_TEXT_SIZE / 2];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(what, sizeof(what), format, arguments);
        va_end(arguments);
        return fault_set(fault, r, "%s%s%s", what, *rtnetlink->text ? ": " : "", rtnetlink->text);
}
