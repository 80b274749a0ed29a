/* The link to uvmd; see link.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/log.h"

#include "shim/link.h"

#define LINK_SOCKET  "shim.sock"
#define LINK_BACKLOG 4

typedef struct LinkPacket {
        List link;
        size_t size;
        uint8_t data[];
} LinkPacket;

void link_init(Link *link, Loop *loop, const LinkOps *ops, uid_t peer)
{
        link->loop = loop;
        link->ops = ops;
        link->peer = peer;
        link->listener = link->fd = FD_NONE;
        list_init(&link->queue);
}

static void link_drop_queue(Link *link)
{
        List *item;

        while ((item = list_first(&link->queue))) {
                list_remove(item);
                free(LIST_ENTRY(item, LinkPacket, link));
        }
        link->queued = 0;
}

static void link_disconnect(Link *link)
{
        if (link->fd < 0)
                return;
        loop_fd_remove(&link->source);
        link->fd = fd_close(link->fd);
        link_drop_queue(link);
        link->ops->congested(link, false);
        link->ops->disconnected(link);
}

void link_done(Link *link)
{
        if (!link->loop)
                return;
        loop_fd_remove(&link->source);
        loop_fd_remove(&link->listener_source);
        link->fd = fd_close(link->fd);
        link->listener = fd_close(link->listener);
        link_drop_queue(link);
}

/* Sends what is queued. 0, -EAGAIN: there is more, or another -errno. */
static int link_flush(Link *link)
{
        List *item;

        while ((item = list_first(&link->queue))) {
                LinkPacket *packet = LIST_ENTRY(item, LinkPacket, link);
                int r = io_send(link->fd, packet->data, packet->size, NULL, 0);

                if (r < 0)
                        return r;
                link->queued -= packet->size;
                list_remove(item);
                free(packet);
        }
        return 0;
}

static int link_receive(Link *link)
{
        ShimMessage message;
        IoMessage io;
        int r;

        r = io_recv(link->fd, link->received, sizeof(link->received), &io);
        if (r < 0)
                return r;
        if (io.size == 0)
                return -ENODATA;
        r = shim_decode(link->received, io.size, &message);
        if (r == 0 && (message.serial == 0 || message.type >= SHIM_REPLY))
                r = -EBADMSG;
        if (r == 0)
                r = link->ops->message(link, &message, io.fds, io.n_fds);
        io_message_done(&io);
        return r;
}

static int link_on_ready(LoopFd *source, uint32_t events)
{
        Link *link = CONTAINER_OF(source, Link, source);
        int r = 0;

        if (events & EPOLLOUT) {
                r = link_flush(link);
                if (r == 0) {
                        loop_fd_watch(source, EPOLLIN);
                        link->ops->congested(link, false);
                }
        }
        /* Who heard of the free queue may have sent, and ended the link over it. */
        if (!source->loop)
                return 0;
        if ((r == 0 || r == -EAGAIN) && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
                r = link_receive(link);
        if (r >= 0 || error_is_transient(r))
                return 0;
        if (r != -ENODATA && !error_is_disconnect(r))
                log_error_errno(r, "The link to uvmd is given up");
        link_disconnect(link);
        return 0;
}

int link_connect(Link *link, int fd)
{
        static const int size = SHIM_SOCKET_BUFFER;
        int r;

        link_disconnect(link);
        r = fd_set_nonblock(fd, true);
        if (r >= 0 && setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) < 0)
                r = errno_neg();
        if (r >= 0)
                r = loop_fd_add(link->loop, &link->source, fd, EPOLLIN, link_on_ready);
        if (r < 0) {
                fd_close(fd);
                return r;
        }
        link->fd = fd;
        link->ops->connected(link);
        return 0;
}

static int link_accept(Link *link)
{
        _cleanup_(fd_closep) int fd = FD_NONE;
        struct ucred peer;
        socklen_t size = sizeof(peer);

        fd = accept4(link->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                return errno_neg();
        if (peer.uid != link->peer)
                return -EPERM;
        return link_connect(link, TAKE_FD(fd));
}

static int link_on_connection(LoopFd *source, uint32_t events)
{
        int r = link_accept(CONTAINER_OF(source, Link, listener_source));

        if (r < 0 && !error_is_transient(r))
                log_warning_errno(r, "A connection is refused");
        return 0;
}

int link_listen(Link *link, int run_dir)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        _cleanup_(fd_closep) int fd = FD_NONE;
        mode_t mask;
        int r;

        if (unlinkat(run_dir, LINK_SOCKET, 0) < 0 && errno != ENOENT)
                return errno_neg();
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return errno_neg();
        /* There is no bindat(): this names the directory whatever its path is. */
        snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/" LINK_SOCKET,
                 run_dir);
        mask = umask(0177);
        r = bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? errno_neg() : 0;
        umask(mask);
        if (r < 0)
                return r;
        if (listen(fd, LINK_BACKLOG) < 0)
                return errno_neg();
        r = loop_fd_add(link->loop, &link->listener_source, fd, EPOLLIN, link_on_connection);
        if (r < 0)
                return r;
        link->listener = TAKE_FD(fd);
        return 0;
}

static int link_enqueue(Link *link, const uint8_t *data, size_t size)
{
        LinkPacket *packet;

        if (link->queued + size > LINK_QUEUE_MAX)
                return -ENOBUFS;
        packet = malloc(sizeof(*packet) + size);
        if (!packet)
                return -ENOMEM;
        packet->size = size;
        memcpy(packet->data, data, size);
        packet->link = (List){};
        list_append(&link->queue, &packet->link);
        link->queued += size;
        return 0;
}

void link_send(Link *link, const ShimMessage *message)
{
        size_t size;
        int r;

        if (link->fd < 0)
                return;
        r = shim_encode(message, link->sent, sizeof(link->sent), &size);
        if (r >= 0)
                r = list_is_empty(&link->queue) ? io_send(link->fd, link->sent, size, NULL, 0)
                                                : -EAGAIN;
        if (r == -EAGAIN) {
                r = link_enqueue(link, link->sent, size);
                if (r >= 0)
                        r = loop_fd_watch(&link->source, EPOLLIN | EPOLLOUT);
                if (r >= 0)
                        link->ops->congested(link, true);
        }
        if (r >= 0)
                return;
        if (!error_is_disconnect(r))
                log_error_errno(r, "The link to uvmd is given up");
        link_disconnect(link);
}
