/* All streams of one machine; see mux.h. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"

#include "vmm/vsock/mux.h"

static int vsock_mux_handle_socket(LoopFd *source, uint32_t events);

void vsock_mux_init(VsockMux *mux, Loop *loop, uint64_t guest_cid, const VsockMuxOps *ops,
                    void *data)
{
        *mux = (VsockMux){
                .loop = loop,
                .ops = ops,
                .data = data,
                .guest_cid = guest_cid,
                .host_port_next = VSOCK_HOST_PORT_FIRST,
        };
        list_init(&mux->ready);
        list_init(&mux->all);
        for (unsigned i = 0; i < VSOCK_BUCKETS; i++)
                list_init(&mux->buckets[i]);
}

/* --- the table --- */

/* A guest that makes all its ports collide walks a list of VSOCK_CONNECTIONS_MAX at the most. */
static List *vsock_mux_bucket(VsockMux *mux, uint32_t guest_port, uint32_t host_port)
{
        uint32_t hash = guest_port * 0x9e3779b1U ^ host_port * 0x85ebca77U;

        return &mux->buckets[(hash >> 16) % VSOCK_BUCKETS];
}

static VsockConnection *vsock_mux_find(VsockMux *mux, uint32_t guest_port, uint32_t host_port)
{
        list_for_each (item, vsock_mux_bucket(mux, guest_port, host_port)) {
                VsockConnection *connection = LIST_ENTRY(item, VsockConnection, table_link);

                if (connection->guest_port == guest_port && connection->host_port == host_port)
                        return connection;
        }
        return NULL;
}

/* Takes @fd on success. 0, -EMFILE or -errno. */
static int vsock_mux_add(VsockMux *mux, uint32_t guest_port, uint32_t host_port, int fd,
                         VsockState state, VsockConnection **ret)
{
        VsockConnection *connection;
        bool large = mux->n_large < VSOCK_CREDIT_LARGE_MAX;
        int r;

        if (mux->n_connections >= VSOCK_CONNECTIONS_MAX)
                return -EMFILE;
        connection = calloc(1, sizeof(*connection));
        if (!connection)
                return -ENOMEM;
        *connection = (VsockConnection){
                .mux = mux,
                .guest_port = guest_port,
                .host_port = host_port,
                .state = state,
                .fd = fd,
                .backlog.size = large ? VSOCK_CREDIT_LARGE : VSOCK_CREDIT_SMALL,
        };
        r = loop_fd_add(mux->loop, &connection->source, fd, 0, vsock_mux_handle_socket);
        if (r < 0) {
                free(connection);
                return r;
        }
        list_append(vsock_mux_bucket(mux, guest_port, host_port), &connection->table_link);
        list_append(&mux->all, &connection->all_link);
        mux->n_connections++;
        mux->n_large += large;
        *ret = connection;
        return 0;
}

static void vsock_mux_free(VsockConnection *connection)
{
        VsockMux *mux = connection->mux;

        loop_fd_remove(&connection->source);
        connection->fd = fd_close(connection->fd);
        list_remove(&connection->table_link);
        list_remove(&connection->ready_link);
        list_remove(&connection->all_link);
        mux->n_connections--;
        mux->n_large -= connection->backlog.size == VSOCK_CREDIT_LARGE;
        vsock_backlog_done(&connection->backlog);
        free(connection);
}

/* --- the life of a connection --- */

/* A host that waits for the answer gets it, whatever becomes of the connection. */
static void vsock_mux_answer_connect(const VsockConnection *connection, int error)
{
        if (connection->state == VSOCK_CONNECTING)
                connection->mux->ops->connected(connection->mux->data, connection->cookie, error);
}

/* The guest knows nothing of it any more. @connection may be freed. */
static void vsock_mux_drain(VsockConnection *connection)
{
        list_remove(&connection->table_link);
        list_remove(&connection->ready_link);
        if (connection->state != VSOCK_DRAINING)
                vsock_connection_set_state(connection, VSOCK_DRAINING);
        if (connection->backlog.used == 0)
                vsock_mux_free(connection);
}

/* Ends it from this side: RST is owed to the guest. */
static void vsock_mux_break(VsockConnection *connection, int error)
{
        if (connection->state == VSOCK_RESETTING)
                return;
        vsock_mux_answer_connect(connection, error);
        vsock_connection_set_state(connection, VSOCK_RESETTING);
}

/* After anything that happened to it: moves it on, queues it if it has a packet for the guest. */
static void vsock_mux_settle(VsockConnection *connection)
{
        if (connection->state == VSOCK_DRAINING) {
                vsock_mux_drain(connection);
                return;
        }
        if (connection->state == VSOCK_OPEN && vsock_connection_is_finished(connection))
                vsock_connection_set_state(connection, VSOCK_RESETTING);
        /* The host need not wait for the guest to hear of the end. */
        if (connection->state == VSOCK_RESETTING && connection->backlog.used == 0) {
                loop_fd_remove(&connection->source);
                connection->fd = fd_close(connection->fd);
        }
        if (vsock_connection_next_op(connection) == VSOCK_OP_NONE)
                list_remove(&connection->ready_link);
        else if (list_is_empty(&connection->ready_link))
                list_append(&connection->mux->ready, &connection->ready_link);
}

static int vsock_mux_handle_socket(LoopFd *source, uint32_t events)
{
        VsockConnection *connection = CONTAINER_OF(source, VsockConnection, source);
        VsockMux *mux = connection->mux;

        if (events & (EPOLLHUP | EPOLLERR))
                connection->hung_up = true;
        if ((events & EPOLLIN) || connection->hung_up)
                connection->readable = connection->state == VSOCK_OPEN &&
                                       !(connection->host_ended & VSOCK_SHUTDOWN_SEND) &&
                                       !(connection->guest_ended & VSOCK_SHUTDOWN_RECEIVE);
        if ((events & EPOLLOUT) || connection->hung_up)
                vsock_connection_flush(connection);
        vsock_connection_watch(connection);
        vsock_mux_settle(connection);
        if (vsock_mux_has_packet(mux))
                mux->ops->wake(mux->data);
        return 0;
}

void vsock_mux_reset(VsockMux *mux)
{
        list_for_each (item, &mux->all) {
                VsockConnection *connection = LIST_ENTRY(item, VsockConnection, all_link);

                if (connection->owed & VSOCK_OWED_REQUEST)
                        continue;
                vsock_mux_answer_connect(connection, -ECONNRESET);
                vsock_mux_drain(connection);
        }
        mux->n_resets = 0;
}

void vsock_mux_done(VsockMux *mux)
{
        list_for_each (item, &mux->all) {
                VsockConnection *connection = LIST_ENTRY(item, VsockConnection, all_link);

                vsock_mux_answer_connect(connection, -ECONNRESET);
                vsock_mux_free(connection);
        }
}

/* --- the host's side --- */

static unsigned vsock_mux_find_listener(const VsockMux *mux, uint32_t host_port)
{
        unsigned i = 0;

        while (i < mux->n_listeners && mux->listeners[i] != host_port)
                i++;
        return i;
}

int vsock_mux_listen(VsockMux *mux, uint32_t host_port)
{
        if (vsock_mux_find_listener(mux, host_port) < mux->n_listeners)
                return -EEXIST;
        if (mux->n_listeners == VSOCK_LISTENERS_MAX)
                return -ENOSPC;
        mux->listeners[mux->n_listeners++] = host_port;
        return 0;
}

int vsock_mux_unlisten(VsockMux *mux, uint32_t host_port)
{
        unsigned i = vsock_mux_find_listener(mux, host_port);

        if (i == mux->n_listeners)
                return -ENOENT;
        mux->listeners[i] = mux->listeners[--mux->n_listeners];
        return 0;
}

static int vsock_mux_check_stream(int fd)
{
        socklen_t size = sizeof(int);
        int type;

        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
                return errno_neg();
        return type == SOCK_STREAM ? 0 : -EPROTOTYPE;
}

int vsock_mux_connect(VsockMux *mux, uint32_t guest_port, int fd, uint32_t cookie)
{
        VsockConnection *connection;
        int r;

        r = vsock_mux_check_stream(fd);
        if (r < 0)
                return r;
        /* Ends: there are more ports than connections. */
        while (vsock_mux_find(mux, guest_port, mux->host_port_next) ||
               vsock_mux_find_listener(mux, mux->host_port_next) < mux->n_listeners)
                mux->host_port_next = MAX(mux->host_port_next + 1, VSOCK_HOST_PORT_FIRST);
        r = vsock_mux_add(mux, guest_port, mux->host_port_next, fd, VSOCK_CONNECTING, &connection);
        if (r < 0)
                return r;
        mux->host_port_next = MAX(mux->host_port_next + 1, VSOCK_HOST_PORT_FIRST);
        connection->cookie = cookie;
        connection->owed = VSOCK_OWED_REQUEST;
        vsock_mux_settle(connection);
        mux->ops->wake(mux->data);
        return 0;
}

/* --- packets of the guest --- */

bool vsock_mux_can_receive(const VsockMux *mux)
{
        return mux->n_resets < VSOCK_RESETS_MAX;
}

/* The answer to a packet that belongs to no connection; never to an RST (§5.10.6.3.2). */
static void vsock_mux_refuse(VsockMux *mux, const VsockHeader *header)
{
        unsigned i = (mux->reset_head + mux->n_resets) % VSOCK_RESETS_MAX;

        if (header->op == VSOCK_OP_RST || !vsock_mux_can_receive(mux))
                return;
        mux->resets[i] = (VsockReset){
                .src_cid = header->dst_cid,
                .src_port = header->dst_port,
                .dst_port = header->src_port,
                .type = header->type,
        };
        mux->n_resets++;
}

/* The guest connects. 0, or -errno if it is to be refused. */
static int vsock_mux_accept(VsockMux *mux, const VsockHeader *header)
{
        _cleanup_(fd_closep) int inner = FD_NONE;
        _cleanup_(fd_closep) int outer = FD_NONE;
        VsockConnection *connection;
        int ends[2], r;

        if (vsock_mux_find_listener(mux, header->dst_port) == mux->n_listeners)
                return -ECONNREFUSED;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
                return errno_neg();
        inner = ends[0];
        outer = ends[1];
        r = vsock_mux_add(mux, header->src_port, header->dst_port, inner, VSOCK_OPEN, &connection);
        if (r < 0)
                return r;
        TAKE_FD(inner);
        r = mux->ops->accepted(mux->data, header->src_port, header->dst_port, outer);
        if (r < 0) {
                vsock_mux_free(connection);
                return r;
        }
        TAKE_FD(outer);
        connection->owed = VSOCK_OWED_RESPONSE;
        vsock_connection_hear_credit(connection, header);
        vsock_connection_watch(connection);
        vsock_mux_settle(connection);
        return 0;
}

static void vsock_mux_receive_first(VsockMux *mux, const VsockHeader *header)
{
        int r = -ENOTCONN;

        if (header->op == VSOCK_OP_REQUEST)
                r = vsock_mux_accept(mux, header);
        if (r < 0) {
                log_debug("vsock %u:%u: refused (op %u): %s", header->src_port, header->dst_port,
                          header->op, strerror(-r));
                vsock_mux_refuse(mux, header);
        }
}

/* The guest's answer to REQUEST. */
static void vsock_mux_receive_answer(VsockConnection *connection, const VsockHeader *header)
{
        bool asked = !(connection->owed & VSOCK_OWED_REQUEST);

        if (header->op != VSOCK_OP_RESPONSE || !asked) {
                vsock_mux_break(connection, -ECONNREFUSED);
                return;
        }
        vsock_mux_answer_connect(connection, 0);
        vsock_connection_set_state(connection, VSOCK_OPEN);
}

static void vsock_mux_receive_open(VsockConnection *connection, const VsockHeader *header,
                                   const struct iovec *spans, unsigned n_spans, size_t offset)
{
        int r = 0;

        switch (header->op) {
        case VSOCK_OP_RW:
                r = vsock_connection_take(connection, spans, n_spans, offset, header->length);
                break;
        case VSOCK_OP_SHUTDOWN:
                vsock_connection_hear_shutdown(connection, header->flags);
                break;
        case VSOCK_OP_CREDIT_UPDATE:
                break;
        case VSOCK_OP_CREDIT_REQUEST:
                connection->owed |= VSOCK_OWED_CREDIT;
                break;
        default: /* not an enum: any 16 bits of a guest */
                r = -EPROTO;
                break;
        }
        if (r != 0)
                vsock_mux_break(connection, -EPROTO);
}

void vsock_mux_receive(VsockMux *mux, const VsockHeader *header, const struct iovec *spans,
                       unsigned n_spans, size_t offset)
{
        VsockConnection *connection;

        /* Nobody else's packets come this way: no address to answer to. */
        if (header->src_cid != mux->guest_cid)
                return;
        if (header->dst_cid != VSOCK_CID_HOST || header->type != VSOCK_TYPE_STREAM) {
                vsock_mux_refuse(mux, header);
                return;
        }
        connection = vsock_mux_find(mux, header->src_port, header->dst_port);
        if (!connection) {
                vsock_mux_receive_first(mux, header);
                return;
        }
        if (header->op == VSOCK_OP_RST) {
                vsock_mux_answer_connect(connection, -ECONNREFUSED);
                vsock_mux_drain(connection);
                return;
        }
        vsock_connection_hear_credit(connection, header);
        if (connection->state == VSOCK_CONNECTING)
                vsock_mux_receive_answer(connection, header);
        else if (connection->state == VSOCK_OPEN)
                vsock_mux_receive_open(connection, header, spans, n_spans, offset);
        vsock_mux_settle(connection);
}

/* --- packets for the guest --- */

bool vsock_mux_has_packet(const VsockMux *mux)
{
        return mux->n_resets > 0 || !list_is_empty(&mux->ready);
}

static void vsock_mux_send_reset(VsockMux *mux, VsockHeader *ret)
{
        const VsockReset *reset = &mux->resets[mux->reset_head];

        *ret = (VsockHeader){
                .src_cid = reset->src_cid,
                .dst_cid = mux->guest_cid,
                .src_port = reset->src_port,
                .dst_port = reset->dst_port,
                .type = reset->type,
                .op = VSOCK_OP_RST,
        };
        mux->reset_head = (mux->reset_head + 1) % VSOCK_RESETS_MAX;
        mux->n_resets--;
}

/* What saying @op changes. @connection may be freed. */
static void vsock_mux_sent(VsockConnection *connection, VsockOp op)
{
        switch (op) {
        case VSOCK_OP_RST:
                vsock_mux_drain(connection);
                return;
        case VSOCK_OP_REQUEST:
                connection->owed &= ~VSOCK_OWED_REQUEST;
                break;
        case VSOCK_OP_RESPONSE:
                connection->owed &= ~VSOCK_OWED_RESPONSE;
                break;
        case VSOCK_OP_SHUTDOWN:
                connection->host_told = connection->host_ended;
                break;
        case VSOCK_OP_CREDIT_REQUEST:
                connection->credit_asked = true;
                break;
        case VSOCK_OP_NONE:
        case VSOCK_OP_RW:
        case VSOCK_OP_CREDIT_UPDATE:
                break;
        }
        /* To the end of the line. */
        list_remove(&connection->ready_link);
        vsock_mux_settle(connection);
}

/* Lets @connection say its next packet. Whether it had one. */
static bool vsock_mux_send_one(VsockConnection *connection, struct iovec *spans, unsigned n_spans,
                               uint32_t size, VsockHeader *ret)
{
        VsockOp op = vsock_connection_next_op(connection);
        VsockHeader header = {
                .src_cid = VSOCK_CID_HOST,
                .dst_cid = connection->mux->guest_cid,
                .type = VSOCK_TYPE_STREAM,
                .op = (uint16_t)op,
        };

        if (op == VSOCK_OP_RW) {
                header.length = vsock_connection_give(connection, spans, n_spans, size);
                if (header.length == 0) {
                        vsock_mux_settle(connection);
                        return false;
                }
        }
        if (op == VSOCK_OP_SHUTDOWN)
                header.flags = connection->host_ended;
        vsock_connection_fill_header(connection, &header);
        vsock_mux_sent(connection, op);
        *ret = header;
        return true;
}

bool vsock_mux_send(VsockMux *mux, struct iovec *spans, unsigned n_spans, uint32_t size,
                    VsockHeader *ret)
{
        List *first;

        assert(size > 0);
        if (mux->n_resets > 0) {
                vsock_mux_send_reset(mux, ret);
                return true;
        }
        while ((first = list_first(&mux->ready))) {
                VsockConnection *connection = LIST_ENTRY(first, VsockConnection, ready_link);

                if (vsock_mux_send_one(connection, spans, n_spans, size, ret))
                        return true;
        }
        return false;
}
