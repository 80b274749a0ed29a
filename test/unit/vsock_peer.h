/*
 * Both peers of streams through the whole virtio socket device, kept to the rules: what the tests of
 * it have in common. Everything is static: each test is one file.
 */
#pragma once

#include <errno.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "test/unit/vsock_guest.h"
#include "vmm/vsock/mux.h"

#define PORT_LISTEN 1024U

typedef struct Peer {
        uint32_t guest_port, host_port;
        int fd; /* the host's end */
        uint32_t cookie;
        int connect_error; /* 1: no answer yet */
        bool open, reset;
        uint32_t shutdown; /* VSOCK_SHUTDOWN_* that the device said */

        uint32_t device_buffer, device_forwarded; /* credit that the guest has */
        uint32_t sent, forwarded;                 /* guest → host, and what the guest read */
        uint32_t buffer;                          /* buf_alloc of the guest */
        uint64_t guest_received, host_received, host_sent;
} Peer;

#define PEERS_MAX 256
static Peer peers[PEERS_MAX];
static unsigned n_peers;
static Guest guest;
static bool refuse_accepts;
static unsigned many_answers;

static inline uint8_t pattern(uint64_t at, uint32_t seed)
{
        return (uint8_t)(at * 131 + (at >> 8) + seed);
}

static inline Peer *peer_find(uint32_t guest_port, uint32_t host_port)
{
        for (unsigned i = 0; i < n_peers; i++)
                if (peers[i].guest_port == guest_port && peers[i].host_port == host_port)
                        return &peers[i];
        return NULL;
}

static inline Peer *peer_add(void)
{
        unit_assert(n_peers < PEERS_MAX);
        peers[n_peers] = (Peer){.fd = FD_NONE, .connect_error = 1, .buffer = 65536};
        return &peers[n_peers++];
}

static inline int on_accepted(void *userdata, uint32_t guest_port, uint32_t host_port, int fd)
{
        Peer *peer = peer_find(guest_port, host_port);

        if (refuse_accepts)
                return -ENOBUFS;
        unit_assert(peer && peer->fd < 0);
        unit_assert_int(fd_set_nonblock(fd, true), 0);
        peer->fd = fd;
        return 0;
}

static inline void on_connected(void *userdata, uint32_t cookie, int error)
{
        many_answers++;
        if (cookie < n_peers)
                peers[cookie].connect_error = error;
}

static const VirtioVsockEvents events = {.accepted = on_accepted, .connected = on_connected};

static inline VsockHeader peer_header(const Peer *peer, VsockOp op)
{
        return (VsockHeader){
                .src_cid = GUEST_CID,
                .dst_cid = VSOCK_CID_HOST,
                .src_port = peer->guest_port,
                .dst_port = peer->host_port,
                .type = VSOCK_TYPE_STREAM,
                .op = (uint16_t)op,
                .buffer_size = peer->buffer,
                .forwarded = peer->forwarded,
        };
}

static inline void peer_say(const Peer *peer, VsockOp op, uint32_t flags)
{
        VsockHeader header = peer_header(peer, op);

        header.flags = flags;
        while (!guest_can_send(&guest))
                guest_step(&guest);
        guest_send_raw(&guest, &header, NULL, 0);
}

static inline void on_packet(Guest *at, const VsockHeader *header, const uint8_t *payload)
{
        Peer *peer = peer_find(header->dst_port, header->src_port);

        if (header->op == VSOCK_OP_REQUEST) {
                /* The first of the host's connections that has no port yet. */
                for (unsigned i = 0; i < n_peers && !peer; i++)
                        if (peers[i].guest_port == header->dst_port && !peers[i].host_port)
                                peer = &peers[i];
                unit_assert(peer);
                peer->host_port = header->src_port;
        }
        if (!peer)
                return;
        peer->device_buffer = header->buffer_size;
        peer->device_forwarded = header->forwarded;
        switch (header->op) {
        case VSOCK_OP_REQUEST:
                peer->open = true;
                peer_say(peer, VSOCK_OP_RESPONSE, 0);
                break;
        case VSOCK_OP_RESPONSE:
                unit_assert(!peer->open);
                peer->open = true;
                break;
        case VSOCK_OP_RW:
                unit_assert(peer->open && !(peer->shutdown & VSOCK_SHUTDOWN_SEND));
                for (uint32_t i = 0; i < header->length; i++)
                        unit_assert(payload[i] == pattern(peer->guest_received + i, 1));
                peer->guest_received += header->length;
                unit_assert((uint32_t)peer->guest_received - peer->forwarded <= peer->buffer);
                break;
        case VSOCK_OP_SHUTDOWN:
                peer->shutdown |= header->flags;
                break;
        case VSOCK_OP_RST:
                unit_assert(!peer->reset);
                peer->reset = true;
                peer->open = false;
                break;
        case VSOCK_OP_CREDIT_REQUEST:
                peer_say(peer, VSOCK_OP_CREDIT_UPDATE, 0);
                break;
        }
}

static inline uint32_t peer_credit(const Peer *peer)
{
        return peer->device_buffer - (peer->sent - peer->device_forwarded);
}

/* Sends up to @n bytes of the guest's stream; returns how many there was room for. */
static inline uint32_t peer_guest_send(Peer *peer, uint32_t n)
{
        static uint8_t bytes[GUEST_PAYLOAD];
        VsockHeader header = peer_header(peer, VSOCK_OP_RW);

        n = MIN(MIN(n, peer_credit(peer)), GUEST_PAYLOAD);
        if (n == 0 || !guest_can_send(&guest))
                return 0;
        for (uint32_t i = 0; i < n; i++)
                bytes[i] = pattern(peer->sent + i, 2);
        header.length = n;
        guest_send_raw(&guest, &header, bytes, n);
        peer->sent += n;
        return n;
}

/* One packet of @n bytes, whatever the credit: its payload runs over the buffers of other chains. */
static inline void peer_overrun(const Peer *peer, uint32_t n)
{
        GuestRing *ring = &guest.rings[GUEST_TX];
        VsockHeader header = peer_header(peer, VSOCK_OP_RW);

        unit_assert(guest_can_send(&guest) && !ring->busy[0]);
        header.length = n;
        vsock_header_encode(&header, ring->buffers);
        guest_offer(ring, 0, VSOCK_HEADER_SIZE, n);
        guest_kick(&guest, GUEST_TX);
}

/* The guest's program reads all that came. */
static inline void peer_guest_read(Peer *peer)
{
        if (peer->forwarded == (uint32_t)peer->guest_received || !guest_can_send(&guest))
                return;
        peer->forwarded = (uint32_t)peer->guest_received;
        if (peer->open)
                peer_say(peer, VSOCK_OP_CREDIT_UPDATE, 0);
}

static inline uint32_t peer_host_send(Peer *peer, uint32_t n)
{
        static uint8_t bytes[16384];
        ssize_t done;

        n = MIN(n, (uint32_t)sizeof(bytes));
        for (uint32_t i = 0; i < n; i++)
                bytes[i] = pattern(peer->host_sent + i, 1);
        done = send(peer->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (done < 0)
                return 0;
        peer->host_sent += (uint64_t)done;
        return (uint32_t)done;
}

/* Reads at most @n bytes; 0 is "nothing now", -1 the end. */
static inline int peer_host_read(Peer *peer, uint32_t n)
{
        static uint8_t bytes[16384];
        ssize_t done = recv(peer->fd, bytes, MIN(n, (uint32_t)sizeof(bytes)), MSG_DONTWAIT);

        if (done < 0)
                unit_assert(errno == EAGAIN || errno == ECONNRESET);
        if (done == 0 || (done < 0 && errno == ECONNRESET))
                return -1;
        for (ssize_t i = 0; i < done; i++)
                unit_assert(bytes[i] == pattern(peer->host_received + (uint64_t)i, 2));
        peer->host_received += done > 0 ? (uint64_t)done : 0;
        return (int)MAX(done, 0);
}

static inline void begin(void)
{
        n_peers = 0;
        refuse_accepts = false;
        guest_init(&guest, &events);
        guest.receive = on_packet;
        unit_assert_int(virtio_vsock_listen(guest.device, PORT_LISTEN), 0);
}

static inline void end(void)
{
        for (unsigned i = 0; i < n_peers; i++)
                peers[i].fd = fd_close(peers[i].fd);
        guest_done(&guest);
}

/* The guest connects to the listener. */
static inline Peer *peer_connect_guest(uint32_t guest_port)
{
        Peer *peer = peer_add();

        peer->guest_port = guest_port;
        peer->host_port = PORT_LISTEN;
        peer_say(peer, VSOCK_OP_REQUEST, 0);
        for (unsigned i = 0; i < 1000 && !peer->open && !peer->reset; i++)
                guest_step(&guest);
        return peer;
}

/* The host connects to the guest. */
static inline Peer *peer_connect_host(uint32_t guest_port)
{
        Peer *peer = peer_add();
        int ends[2];

        unit_assert_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        peer->guest_port = guest_port;
        peer->cookie = (uint32_t)(peer - peers);
        peer->fd = ends[0];
        unit_assert_int(virtio_vsock_connect(guest.device, guest_port, ends[1], peer->cookie), 0);
        return peer;
}

static inline void wait_reset(Peer *peer)
{
        for (unsigned i = 0; i < 10000 && !peer->reset; i++)
                guest_step(&guest);
        unit_assert(peer->reset);
}
