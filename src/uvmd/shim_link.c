/* Links to shims; see shim_link.h. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/list.h"
#include "base/log.h"
#include "uvmd/shim_link.h"

/* Requests that wait for the socket: a shim that doesn't read loses the link. */
#define LINK_QUEUE_MAX 256

typedef struct ShimRequest {
        List link;
        uint32_t serial;
        ShimReplyHandler handler;
        void *userdata;
} ShimRequest;

typedef struct ShimPacket {
        List link;
        size_t size;
        int fds[IO_FDS_MAX];
        unsigned n_fds;
        uint8_t data[];
} ShimPacket;

struct ShimLink {
        int fd;
        sd_event_source *source;
        const ShimLinkEvents *events;
        void *userdata;
        uint32_t serial;
        List requests; /* sent or queued, no answer yet */
        List packets;  /* not sent yet */
        unsigned n_packets;
        uint8_t *buffer;
        unsigned n_refs; /* its owner's, and that of a dispatch under way */
};

static ShimPacket *packet_free(ShimPacket *packet)
{
        list_remove(&packet->link);
        fd_close_many(packet->fds, packet->n_fds);
        free(packet);
        return NULL;
}

/* Each handler may forget requests, so that every turn begins anew. */
static void link_fail_requests(ShimLink *link)
{
        while (!list_is_empty(&link->requests)) {
                ShimRequest *request = LIST_ENTRY(list_first(&link->requests), ShimRequest, link);

                list_remove(&request->link);
                if (request->handler)
                        request->handler(request->userdata, -ECONNRESET, NULL);
                free(request);
        }
}

static void link_unref(ShimLink *link)
{
        if (--link->n_refs > 0)
                return;
        free(link->buffer);
        free(link);
}

ShimLink *shim_link_free(ShimLink *link)
{
        if (!link)
                return NULL;
        link_fail_requests(link);
        list_for_each (item, &link->packets)
                packet_free(LIST_ENTRY(item, ShimPacket, link));
        link->source = sd_event_source_disable_unref(link->source);
        link->fd = fd_close(link->fd);
        link_unref(link);
        return NULL;
}
DEFINE_CLEANUP(ShimLink *, shim_link_free)

static void link_watch(ShimLink *link)
{
        uint32_t events = EPOLLIN | (list_is_empty(&link->packets) ? 0 : EPOLLOUT);

        sd_event_source_set_io_events(link->source, events);
}

static void link_end(ShimLink *link, int r)
{
        sd_event_source_set_enabled(link->source, SD_EVENT_OFF);
        link->events->on_end(link->userdata, r);
}

static void link_answer(ShimLink *link, uint32_t serial, const ShimReply *reply)
{
        list_for_each (item, &link->requests) {
                ShimRequest *request = LIST_ENTRY(item, ShimRequest, link);

                if (request->serial != serial)
                        continue;
                list_remove(item);
                if (request->handler)
                        request->handler(request->userdata, MIN(reply->error, 0), reply);
                free(request);
                return;
        }
        /* Its asker has gone and took the request along. */
}

static int link_read(ShimLink *link)
{
        _cleanup_(io_message_done) IoMessage got = {};
        ShimMessage message;
        int r = io_recv(link->fd, link->buffer, SHIM_MESSAGE_MAX, &got);

        if (r < 0)
                return r;
        if (got.size == 0)
                return -ENODATA;
        r = shim_decode(link->buffer, got.size, &message);
        if (r < 0)
                return r;
        if (message.type == SHIM_REPLY)
                link_answer(link, message.serial, &message.reply);
        else
                link->events->on_message(link->userdata, &message);
        return 0;
}

static int link_write(ShimLink *link)
{
        while (!list_is_empty(&link->packets)) {
                ShimPacket *packet = LIST_ENTRY(list_first(&link->packets), ShimPacket, link);
                int r = io_send(link->fd, packet->data, packet->size, packet->fds, packet->n_fds);

                if (r < 0)
                        return r;
                packet_free(packet);
                link->n_packets--;
        }
        return 0;
}

static int link_dispatch(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        ShimLink *link = userdata;
        int r = 0;

        link->n_refs++;
        if (events & EPOLLOUT)
                r = link_write(link);
        /* What a shim said before it hung up is read first. One packet a turn keeps the loop fair. */
        if ((r >= 0 || error_is_transient(r)) && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
                r = link_read(link);
        /* What was read may have led to the end of the link. */
        if (link->source && r < 0 && !error_is_transient(r))
                link_end(link, r);
        else if (link->source)
                link_watch(link);
        link_unref(link);
        return 0;
}

int shim_link_new(ShimLink **ret, sd_event *event, int fd, const ShimLinkEvents *events,
                  void *userdata)
{
        _cleanup_(shim_link_freep) ShimLink *link = calloc(1, sizeof(*link));
        int buffer = SHIM_SOCKET_BUFFER, r;

        if (!link) {
                fd_close(fd);
                return -ENOMEM;
        }
        list_init(&link->requests);
        list_init(&link->packets);
        link->n_refs = 1;
        link->fd = fd;
        link->events = events;
        link->userdata = userdata;
        link->buffer = malloc(SHIM_MESSAGE_MAX);
        if (!link->buffer)
                return -ENOMEM;
        r = fd_set_nonblock(fd, true);
        if (r >= 0 && setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer)) < 0)
                r = errno_neg();
        if (r >= 0)
                r = sd_event_add_io(event, &link->source, fd, EPOLLIN, link_dispatch, link);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(link);
        return 0;
}

int shim_link_connect(ShimLink **ret, sd_event *event, const char *path,
                      const ShimLinkEvents *events, void *userdata)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        _cleanup_(fd_closep) int fd = FD_NONE;

        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        strcpy(address.sun_path, path);
        /* Non-blocking: a shim with a full backlog is as good as gone. */
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return errno_neg();
        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
                return errno_neg();
        return shim_link_new(ret, event, TAKE_FD(fd), events, userdata);
}

/* Keeps a packet, with fds of its own, for when the socket takes it. */
static int link_queue(ShimLink *link, const uint8_t *data, size_t size, const int *fds,
                      unsigned n_fds)
{
        ShimPacket *packet;

        if (link->n_packets >= LINK_QUEUE_MAX)
                return -ENOBUFS;
        packet = calloc(1, sizeof(*packet) + size);
        if (!packet)
                return -ENOMEM;
        memcpy(packet->data, data, size);
        packet->size = size;
        for (; packet->n_fds < n_fds; packet->n_fds++) {
                int fd = fcntl(fds[packet->n_fds], F_DUPFD_CLOEXEC, 3);

                if (fd < 0) {
                        int r = errno_neg();

                        packet_free(packet);
                        return r;
                }
                packet->fds[packet->n_fds] = fd;
        }
        list_append(&link->packets, &packet->link);
        link->n_packets++;
        link_watch(link);
        return 0;
}

int shim_link_request(ShimLink *link, ShimMessage *message, const int *fds, unsigned n_fds,
                      ShimReplyHandler handler, void *userdata)
{
        _cleanup_(freep) ShimRequest *request = calloc(1, sizeof(*request));
        _cleanup_(freep) uint8_t *buffer = malloc(SHIM_MESSAGE_MAX);
        size_t size;
        int r;

        assert(n_fds <= IO_FDS_MAX);
        if (!request || !buffer)
                return -ENOMEM;
        if (++link->serial == 0)
                link->serial = 1;
        message->serial = link->serial;
        r = shim_encode(message, buffer, SHIM_MESSAGE_MAX, &size);
        if (r < 0)
                return r;
        r = list_is_empty(&link->packets) ? io_send(link->fd, buffer, size, fds, n_fds) : -EAGAIN;
        if (r == -EAGAIN)
                r = link_queue(link, buffer, size, fds, n_fds);
        if (r < 0)
                return r;
        request->serial = message->serial;
        request->handler = handler;
        request->userdata = userdata;
        list_append(&link->requests, &TAKE_PTR(request)->link);
        return 0;
}

void shim_link_forget(ShimLink *link, const void *userdata)
{
        if (!link)
                return;
        list_for_each (item, &link->requests) {
                ShimRequest *request = LIST_ENTRY(item, ShimRequest, link);

                if (request->userdata == userdata)
                        request->handler = NULL;
        }
}

int shim_link_pid(ShimLink *link, pid_t *ret)
{
        return io_peer_pid(link->fd, ret);
}
