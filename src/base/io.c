/* Whole reads and writes, and messages that carry fds over unix sockets; see io.h. */
#include <assert.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/io.h"

int io_read_full(int fd, void *buffer, size_t size)
{
        uint8_t *at = buffer;

        while (size > 0) {
                ssize_t n = read(fd, at, size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno_neg();
                if (n == 0)
                        return -ENODATA;
                at += n;
                size -= (size_t)n;
        }
        return 0;
}

int io_write_full(int fd, const void *buffer, size_t size)
{
        const uint8_t *at = buffer;

        while (size > 0) {
                ssize_t n = write(fd, at, size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno_neg();
                at += n;
                size -= (size_t)n;
        }
        return 0;
}

int io_send(int socket, const void *data, size_t size, const int *fds, unsigned n_fds)
{
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int) * IO_FDS_MAX)];
        } control = {};
        struct iovec iov = {.iov_base = (void *)data, .iov_len = size};
        struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
        ssize_t n;

        assert(n_fds <= IO_FDS_MAX);
        if (n_fds > 0) {
                message.msg_control = &control;
                message.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
                control.header.cmsg_level = SOL_SOCKET;
                control.header.cmsg_type = SCM_RIGHTS;
                control.header.cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
                memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * n_fds);
        }
        do {
                n = sendmsg(socket, &message, MSG_NOSIGNAL);
        } while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno_neg();
        return (size_t)n == size ? 0 : -EMSGSIZE;
}

static void io_collect_fds(struct msghdr *message, IoMessage *ret)
{
        for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
                size_t n;

                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                for (size_t i = 0; i < n; i++) {
                        int fd;

                        memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
                        if (ret->n_fds < IO_FDS_MAX)
                                ret->fds[ret->n_fds++] = fd;
                        else
                                fd_close(fd);
                }
        }
}

int io_recv(int socket, void *buffer, size_t size, IoMessage *ret)
{
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int) * IO_FDS_MAX)];
        } control;
        struct iovec iov = {.iov_base = buffer, .iov_len = size};
        struct msghdr message = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };
        IoMessage got = {};
        ssize_t n;

        for (unsigned i = 0; i < IO_FDS_MAX; i++)
                got.fds[i] = FD_NONE;
        do {
                n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
        } while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno_neg();
        io_collect_fds(&message, &got);
        if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
                io_message_done(&got);
                return -EMSGSIZE;
        }
        got.size = (size_t)n;
        *ret = got;
        return 0;
}

void io_message_done(IoMessage *message)
{
        fd_close_many(message->fds, message->n_fds);
        message->n_fds = 0;
}

int io_peer_pid(int socket, pid_t *ret)
{
        struct ucred credentials;
        socklen_t size = sizeof(credentials);

        if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
                return errno_neg();
        *ret = credentials.pid;
        return 0;
}
