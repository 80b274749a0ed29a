/*
 * All streams of one machine: which packet belongs to which, what the guest hears next, who may
 * connect where. Between the queues (virtio/vsock.h) and the connections; knows no rings.
 *
 * Credit: each side tells the other the size of its buffer (buf_alloc) and how much left it
 * (fwd_cnt); a sender never has more in flight. Few connections get VSOCK_CREDIT_LARGE, a crowd
 * VSOCK_CREDIT_SMALL each, so that a guest's claim on host memory is bounded by about 46 MiB
 * whatever it does, and is zero while host sockets are read.
 *
 * Fairness: connections with something to send take turns, one packet each.
 *
 * Thread: the I/O thread. Headers and payload come from the guest: hostile. What is wrong with a
 * packet ends its connection by RST, or is dropped where an answer would have no addressee.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/list.h"
#include "base/loop.h"

#include "vmm/vsock/connection.h"
#include "vmm/vsock/packet.h"

#define VSOCK_CONNECTIONS_MAX  1024 /* draining ones count */
#define VSOCK_LISTENERS_MAX    64
#define VSOCK_RESETS_MAX       64 /* answers to packets of no connection, waiting to be sent */
#define VSOCK_BUCKETS          256
#define VSOCK_CREDIT_LARGE     (256U << 10)
#define VSOCK_CREDIT_SMALL     (32U << 10)
#define VSOCK_CREDIT_LARGE_MAX 64 /* connections that get it */

/* Where ports of the host's own connections start; listeners are usually below. */
#define VSOCK_HOST_PORT_FIRST 0x40000000U

typedef struct VsockMuxOps {
        /* The guest connected to @host_port: @fd is the other end. Takes @fd if it returns 0; else
         * the guest is refused. */
        int (*accepted)(void *data, uint32_t guest_port, uint32_t host_port, int fd);

        /* The end of vsock_mux_connect() with @cookie: 0, -ECONNREFUSED (nobody listens there) or
         * -ECONNRESET (driver or mux went away). */
        void (*connected)(void *data, uint32_t cookie, int error);

        /* vsock_mux_has_packet() became true by itself: not called during vsock_mux_receive(). */
        void (*wake)(void *data);
} VsockMuxOps;

typedef struct VsockReset {
        uint64_t src_cid;
        uint32_t src_port, dst_port;
        uint16_t type;
} VsockReset;

struct VsockMux {
        Loop *loop;
        const VsockMuxOps *ops;
        void *data;
        uint64_t guest_cid;

        List buckets[VSOCK_BUCKETS];
        List ready, all;
        unsigned n_connections, n_large;
        uint32_t host_port_next;
        uint32_t listeners[VSOCK_LISTENERS_MAX];
        unsigned n_listeners;
        VsockReset resets[VSOCK_RESETS_MAX]; /* a ring */
        unsigned reset_head, n_resets;
};

void vsock_mux_init(VsockMux *mux, Loop *loop, uint64_t guest_cid, const VsockMuxOps *ops,
                    void *data);

/* Closes all, at once, after the answers to those who wait for one. */
void vsock_mux_done(VsockMux *mux);

/*
 * The driver is gone: ends every connection that it knows of, but writes what the guest sent before.
 * Those it did not hear of yet wait for the next driver (one that starts resets the device first).
 */
void vsock_mux_reset(VsockMux *mux);

/* Lets the guest connect to @host_port. 0, -EEXIST or -ENOSPC; unlisten: 0 or -ENOENT. */
int vsock_mux_listen(VsockMux *mux, uint32_t host_port);
int vsock_mux_unlisten(VsockMux *mux, uint32_t host_port);

/*
 * Connects @fd, a stream socket, with the guest's listener on @guest_port; ops->connected says how
 * it ended. Takes @fd if it returns 0; else -ENOTSOCK, -EPROTOTYPE (no stream), -EMFILE (too many
 * connections), -ENOMEM.
 */
int vsock_mux_connect(VsockMux *mux, uint32_t guest_port, int fd, uint32_t cookie);

/* Whether a packet of the guest can be taken now: not while too many answers wait. */
bool vsock_mux_can_receive(const VsockMux *mux);

/* A packet of the guest: a header, and @spans whose payload begins at @offset. */
void vsock_mux_receive(VsockMux *mux, const VsockHeader *header, const struct iovec *spans,
                       unsigned n_spans, size_t offset);

bool vsock_mux_has_packet(const VsockMux *mux);

/*
 * The next packet for the guest: its header, and its payload (at most @size bytes) in @spans.
 * Whether there is one.
 */
bool vsock_mux_send(VsockMux *mux, struct iovec *spans, unsigned n_spans, uint32_t size,
                    VsockHeader *ret);
