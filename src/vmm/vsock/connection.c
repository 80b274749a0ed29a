/* One stream between a guest port and a host port; see connection.h. */
#include <assert.h>
#include <limits.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"

#include "vmm/virtio/queue.h"
#include "vmm/vsock/connection.h"

ENUM_TABLE(vsock_state, VsockState, VSOCK_STATE_MAX)
= {
        [VSOCK_CONNECTING] = "connecting",
        [VSOCK_OPEN] = "open",
        [VSOCK_RESETTING] = "resetting",
        [VSOCK_DRAINING] = "draining",
};

static const bool vsock_transitions[VSOCK_STATE_MAX][VSOCK_STATE_MAX] = {
        [VSOCK_CONNECTING] =
                {[VSOCK_OPEN] = true, [VSOCK_RESETTING] = true, [VSOCK_DRAINING] = true},
        [VSOCK_OPEN] = {[VSOCK_RESETTING] = true, [VSOCK_DRAINING] = true},
        [VSOCK_RESETTING] = {[VSOCK_DRAINING] = true},
};

void vsock_connection_set_state(VsockConnection *connection, VsockState state)
{
        assert(vsock_transitions[connection->state][state]);
        log_debug("vsock %u:%u: %s -> %s", connection->guest_port, connection->host_port,
                  vsock_state_to_string(connection->state), vsock_state_to_string(state));
        connection->state = state;
        connection->owed = 0;
        /* Data can have come before the guest's answer. */
        connection->readable = state == VSOCK_OPEN;
        if (state == VSOCK_RESETTING || state == VSOCK_DRAINING) {
                connection->guest_ended = VSOCK_SHUTDOWN_BOTH;
                vsock_connection_flush(connection);
        }
        vsock_connection_watch(connection);
}

void vsock_connection_hear_credit(VsockConnection *connection, const VsockHeader *header)
{
        connection->guest_buffer = header->buffer_size;
        connection->guest_forwarded = header->forwarded;
        connection->credit_asked = false;
}

/* How much the guest can still buffer; a guest that counts wrongly gets nothing. */
static uint32_t vsock_connection_credit(const VsockConnection *connection)
{
        uint32_t in_flight = connection->sent - connection->guest_forwarded;

        return in_flight < connection->guest_buffer ? connection->guest_buffer - in_flight : 0;
}

/* The host reads no more: the guest is told, what it sends all the same goes nowhere. */
static void vsock_connection_lose_reader(VsockConnection *connection)
{
        connection->host_ended |= VSOCK_SHUTDOWN_RECEIVE;
        connection->forwarded += connection->backlog.used;
        vsock_backlog_done(&connection->backlog);
}

/* Bytes of @spans that the socket took; 0 also when nobody reads it any more. */
static size_t vsock_connection_write(VsockConnection *connection, struct iovec *spans,
                                     unsigned n_spans)
{
        struct msghdr message = {.msg_iov = spans, .msg_iovlen = n_spans};
        ssize_t n;

        do {
                n = sendmsg(connection->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        } while (n < 0 && errno == EINTR);
        if (n >= 0) {
                connection->forwarded += (uint32_t)n;
                return (size_t)n;
        }
        /* ENOBUFS and ENOMEM pass like a full socket: the loop reports it writable. */
        if (errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM)
                vsock_connection_lose_reader(connection);
        return 0;
}

/* Owes a credit update once a quarter of the credit is back and the guest has not heard of it. */
static void vsock_connection_offer_credit(VsockConnection *connection)
{
        uint32_t untold = connection->forwarded - connection->forwarded_told;

        if (connection->state == VSOCK_OPEN && untold >= connection->backlog.size / 4)
                connection->owed |= VSOCK_OWED_CREDIT;
}

int vsock_connection_take(VsockConnection *connection, const struct iovec *spans, unsigned n_spans,
                          size_t offset, uint32_t length)
{
        struct iovec slice[VIRTIO_QUEUE_SIZE_MAX];
        size_t done = 0;
        int r = 0;

        assert(n_spans <= ELEMENTSOF(slice));
        if (connection->guest_ended & VSOCK_SHUTDOWN_SEND)
                return VSOCK_E_ENDED;
        if (length > connection->backlog.size - connection->backlog.used)
                return VSOCK_E_CREDIT;
        if (length == 0)
                return 0;
        if (!(connection->host_ended & VSOCK_SHUTDOWN_RECEIVE) && connection->backlog.used == 0) {
                unsigned n = virtio_spans_slice(spans, n_spans, offset, length, slice);

                done = vsock_connection_write(connection, slice, n);
        }
        if (connection->host_ended & VSOCK_SHUTDOWN_RECEIVE)
                connection->forwarded += length - (uint32_t)done;
        else
                r = vsock_backlog_append(&connection->backlog, spans, n_spans, offset + done,
                                         length - (uint32_t)done);
        vsock_connection_offer_credit(connection);
        vsock_connection_watch(connection);
        return r;
}

void vsock_connection_flush(VsockConnection *connection)
{
        struct iovec spans[2];

        while (connection->backlog.used > 0) {
                unsigned n_spans = vsock_backlog_peek(&connection->backlog, spans);
                size_t n = vsock_connection_write(connection, spans, n_spans);

                if (n == 0)
                        break;
                vsock_backlog_drop(&connection->backlog, (uint32_t)n);
        }
        /* The loop will not say when there is room again. */
        if (connection->backlog.used > 0 && connection->hung_up)
                vsock_connection_lose_reader(connection);
        vsock_connection_offer_credit(connection);
        if (connection->backlog.used == 0 && (connection->guest_ended & VSOCK_SHUTDOWN_SEND) &&
            connection->fd >= 0)
                shutdown(connection->fd, SHUT_WR);
        vsock_connection_watch(connection);
}

void vsock_connection_hear_shutdown(VsockConnection *connection, uint32_t flags)
{
        uint32_t fresh = flags & VSOCK_SHUTDOWN_BOTH & ~connection->guest_ended;

        connection->guest_ended |= fresh;
        if (fresh & VSOCK_SHUTDOWN_RECEIVE) {
                connection->readable = false;
                shutdown(connection->fd, SHUT_RD);
        }
        if (fresh & VSOCK_SHUTDOWN_SEND)
                vsock_connection_flush(connection);
        vsock_connection_watch(connection);
}

bool vsock_connection_is_finished(const VsockConnection *connection)
{
        bool guest_sent_all = (connection->guest_ended & VSOCK_SHUTDOWN_SEND) &&
                              connection->backlog.used == 0;

        if (connection->guest_ended == VSOCK_SHUTDOWN_BOTH)
                return true;
        /* Nobody wants what may be left to read. */
        if (connection->hung_up && (connection->guest_ended & VSOCK_SHUTDOWN_RECEIVE))
                return true;
        if (!(connection->host_ended & VSOCK_SHUTDOWN_SEND))
                return false;
        return connection->hung_up ||
               (guest_sent_all && (connection->host_told & VSOCK_SHUTDOWN_SEND));
}

VsockOp vsock_connection_next_op(const VsockConnection *connection)
{
        if (connection->state == VSOCK_RESETTING)
                return VSOCK_OP_RST;
        if (connection->state == VSOCK_DRAINING)
                return VSOCK_OP_NONE;
        if (connection->state == VSOCK_CONNECTING)
                return connection->owed & VSOCK_OWED_REQUEST ? VSOCK_OP_REQUEST : VSOCK_OP_NONE;
        if (connection->owed & VSOCK_OWED_RESPONSE)
                return VSOCK_OP_RESPONSE;
        if (connection->readable && vsock_connection_credit(connection) > 0)
                return VSOCK_OP_RW;
        if (connection->host_ended & ~connection->host_told)
                return VSOCK_OP_SHUTDOWN;
        if (connection->owed & VSOCK_OWED_CREDIT)
                return VSOCK_OP_CREDIT_UPDATE;
        if (connection->readable && !connection->credit_asked)
                return VSOCK_OP_CREDIT_REQUEST;
        return VSOCK_OP_NONE;
}

uint32_t vsock_connection_give(VsockConnection *connection, struct iovec *spans, unsigned n_spans,
                               uint32_t size)
{
        struct iovec slice[VIRTIO_QUEUE_SIZE_MAX];
        uint32_t limit = MIN(size, MIN(vsock_connection_credit(connection), (uint32_t)INT_MAX));
        struct msghdr message = {.msg_iov = slice};
        ssize_t n;

        assert(limit > 0 && n_spans <= ELEMENTSOF(slice));
        message.msg_iovlen = virtio_spans_slice(spans, n_spans, 0, limit, slice);
        do {
                n = recvmsg(connection->fd, &message, MSG_DONTWAIT);
        } while (n < 0 && errno == EINTR);
        if (n > 0) {
                connection->sent += (uint32_t)n;
                /* All there was; the loop knows when there is more, but not of a peer that is gone.
                 */
                if ((uint32_t)n < limit && !connection->hung_up) {
                        connection->readable = false;
                        vsock_connection_watch(connection);
                }
                return (uint32_t)n;
        }
        connection->readable = false;
        /* A peer that is gone has no "later". */
        if (n == 0 || errno != EAGAIN || connection->hung_up) {
                connection->hung_up |= n < 0;
                connection->host_ended |= VSOCK_SHUTDOWN_SEND;
        }
        vsock_connection_watch(connection);
        return 0;
}

void vsock_connection_fill_header(VsockConnection *connection, VsockHeader *header)
{
        header->src_port = connection->host_port;
        header->dst_port = connection->guest_port;
        header->buffer_size = connection->backlog.size;
        header->forwarded = connection->forwarded;
        connection->forwarded_told = connection->forwarded;
        connection->owed &= ~VSOCK_OWED_CREDIT;
}

void vsock_connection_watch(VsockConnection *connection)
{
        uint32_t events = 0;
        int r;

        if (connection->state == VSOCK_OPEN && !connection->readable &&
            !(connection->guest_ended & VSOCK_SHUTDOWN_RECEIVE) &&
            !(connection->host_ended & VSOCK_SHUTDOWN_SEND))
                events |= EPOLLIN;
        if (connection->backlog.used > 0)
                events |= EPOLLOUT;
        /* EPOLLHUP can't be masked: once it came, the loop is not asked any more. */
        if (connection->hung_up || connection->fd < 0) {
                loop_fd_remove(&connection->source);
                return;
        }
        r = loop_fd_watch(&connection->source, events);
        assert(r == 0);
}
