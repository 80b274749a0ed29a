/*
 * One stream between a guest port and a host port: its host socket, its credit in both directions
 * and how far each side has ended it. Knows neither queues nor other connections (mux.h does).
 *
 *               +--> OPEN -----+--> RESETTING --+--> gone
 *   CONNECTING -+              |     (RST owed) |
 *               +--------------+----------------+--> DRAINING --> gone
 *
 * Whoever leaves OPEN has a guest that is done, so its host socket is closed as soon as the backlog
 * is written; DRAINING is what the guest knows nothing of any more.
 *
 * Data moves between guest memory and socket without a copy, but for what the socket does not take
 * at once: that goes to the backlog, which holds no more than the credit the guest was given.
 *
 * Thread: the I/O thread. Header fields and payload are the guest's: hostile.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/enum.h"
#include "base/list.h"
#include "base/loop.h"

#include "vmm/vsock/backlog.h"
#include "vmm/vsock/packet.h"

typedef enum VsockState {
        VSOCK_CONNECTING, /* of the host: REQUEST is owed, or sent and not answered */
        VSOCK_OPEN,
        VSOCK_RESETTING,
        VSOCK_DRAINING,
        VSOCK_STATE_MAX,
} VsockState;
ENUM_DECLARE(vsock_state, VsockState);

/* Packets owed besides those that follow from the other fields. */
#define VSOCK_OWED_REQUEST  1U
#define VSOCK_OWED_RESPONSE 2U
#define VSOCK_OWED_CREDIT   4U

typedef struct VsockMux VsockMux;

typedef struct VsockConnection {
        VsockMux *mux;
        List table_link; /* of a bucket; of none while DRAINING */
        List ready_link; /* of those that have a packet for the guest */
        List all_link;
        uint32_t guest_port, host_port;
        uint32_t cookie; /* of the host's connect */
        VsockState state;
        uint32_t owed; /* VSOCK_OWED_* */

        int fd;
        LoopFd source;
        bool readable; /* the socket may have data, and the loop is not asked about it */
        bool hung_up;  /* the peer is gone, and the loop is not asked about anything */

        uint32_t guest_ended; /* VSOCK_SHUTDOWN_* that the guest said */
        uint32_t host_ended;  /* VSOCK_SHUTDOWN_* that hold for the host socket */
        uint32_t host_told;   /* those of them that the guest was told */

        VsockBacklog backlog;
        uint32_t forwarded;      /* fwd_cnt: bytes of the guest that the socket took */
        uint32_t forwarded_told; /* the last that the guest heard of */
        uint32_t sent;           /* bytes to the guest */
        uint32_t guest_buffer, guest_forwarded; /* from its last header */
        bool credit_asked;                      /* since credit was last there */
} VsockConnection;

enum {
        VSOCK_E_CREDIT = 1, /* the guest sent more than it had credit for */
        VSOCK_E_ENDED = 2,  /* the guest sent after it said it would not */
};

void vsock_connection_set_state(VsockConnection *connection, VsockState state);

/* Takes in the credit that each packet of a guest carries. */
void vsock_connection_hear_credit(VsockConnection *connection, const VsockHeader *header);

/*
 * Takes @length bytes at @offset of the guest's @spans: to the socket, the rest to the backlog.
 * 0, VSOCK_E_CREDIT, VSOCK_E_ENDED, or -ENOMEM.
 */
int vsock_connection_take(VsockConnection *connection, const struct iovec *spans, unsigned n_spans,
                          size_t offset, uint32_t length);

/* Writes what it can of the backlog; ends the socket's sending side behind a guest's last byte. */
void vsock_connection_flush(VsockConnection *connection);

/* The guest said VSOCK_SHUTDOWN_* @flags. */
void vsock_connection_hear_shutdown(VsockConnection *connection, uint32_t flags);

/* Both directions are over, or the peer is gone and all it sent was passed on. */
bool vsock_connection_is_finished(const VsockConnection *connection);

/* What to send to the guest next, VSOCK_OP_NONE if nothing. */
VsockOp vsock_connection_next_op(const VsockConnection *connection);

/*
 * Reads up to @size bytes, and no more than the guest has room for, from the socket into @spans.
 * Returns how many; 0 if there is nothing now or ever again: ask vsock_connection_next_op() anew.
 */
uint32_t vsock_connection_give(VsockConnection *connection, struct iovec *spans, unsigned n_spans,
                               uint32_t size);

/* Fills in what every packet to the guest says about a connection. */
void vsock_connection_fill_header(VsockConnection *connection, VsockHeader *header);

/* Asks the loop for what can be used now. */
void vsock_connection_watch(VsockConnection *connection);
