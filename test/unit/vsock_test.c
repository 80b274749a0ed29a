/* Streams through the whole virtio socket device: data, credit, ends, resets, and hostile packets. */
#include <errno.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "test/unit/vsock_guest.h"
#include "vmm/vsock/mux.h"

#define PORT_LISTEN 1024U

/* --- both peers of a stream, kept to the rules --- */

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

static uint8_t pattern(uint64_t at, uint32_t seed)
{
        return (uint8_t)(at * 131 + (at >> 8) + seed);
}

static Peer *peer_find(uint32_t guest_port, uint32_t host_port)
{
        for (unsigned i = 0; i < n_peers; i++)
                if (peers[i].guest_port == guest_port && peers[i].host_port == host_port)
                        return &peers[i];
        return NULL;
}

static Peer *peer_add(void)
{
        unit_assert(n_peers < PEERS_MAX);
        peers[n_peers] = (Peer){.fd = FD_NONE, .connect_error = 1, .buffer = 65536};
        return &peers[n_peers++];
}

static int on_accepted(void *userdata, uint32_t guest_port, uint32_t host_port, int fd)
{
        Peer *peer = peer_find(guest_port, host_port);

        if (refuse_accepts)
                return -ENOBUFS;
        unit_assert(peer && peer->fd < 0);
        unit_assert_int(fd_set_nonblock(fd, true), 0);
        peer->fd = fd;
        return 0;
}

static void on_connected(void *userdata, uint32_t cookie, int error)
{
        many_answers++;
        if (cookie < n_peers)
                peers[cookie].connect_error = error;
}

static const VirtioVsockEvents events = {.accepted = on_accepted, .connected = on_connected};

static VsockHeader peer_header(const Peer *peer, VsockOp op)
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

static void peer_say(const Peer *peer, VsockOp op, uint32_t flags)
{
        VsockHeader header = peer_header(peer, op);

        header.flags = flags;
        while (!guest_can_send(&guest))
                guest_step(&guest);
        guest_send_raw(&guest, &header, NULL, 0);
}

static void on_packet(Guest *at, const VsockHeader *header, const uint8_t *payload)
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

static uint32_t peer_credit(const Peer *peer)
{
        return peer->device_buffer - (peer->sent - peer->device_forwarded);
}

/* Sends up to @n bytes of the guest's stream; returns how many there was room for. */
static uint32_t peer_guest_send(Peer *peer, uint32_t n)
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
static void peer_overrun(const Peer *peer, uint32_t n)
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
static void peer_guest_read(Peer *peer)
{
        if (peer->forwarded == (uint32_t)peer->guest_received || !guest_can_send(&guest))
                return;
        peer->forwarded = (uint32_t)peer->guest_received;
        if (peer->open)
                peer_say(peer, VSOCK_OP_CREDIT_UPDATE, 0);
}

static uint32_t peer_host_send(Peer *peer, uint32_t n)
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
static int peer_host_read(Peer *peer, uint32_t n)
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

static void begin(void)
{
        n_peers = 0;
        refuse_accepts = false;
        guest_init(&guest, &events);
        guest.receive = on_packet;
        unit_assert_int(virtio_vsock_listen(guest.device, PORT_LISTEN), 0);
}

static void end(void)
{
        for (unsigned i = 0; i < n_peers; i++)
                peers[i].fd = fd_close(peers[i].fd);
        guest_done(&guest);
}

/* The guest connects to the listener. */
static Peer *peer_connect_guest(uint32_t guest_port)
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
static Peer *peer_connect_host(uint32_t guest_port)
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

static void wait_reset(Peer *peer)
{
        for (unsigned i = 0; i < 10000 && !peer->reset; i++)
                guest_step(&guest);
        unit_assert(peer->reset);
}

/* --- tests --- */

static void test_connect(void)
{
        Peer *in, *out;

        begin();
        in = peer_connect_guest(5000);
        unit_assert(in->open && in->fd >= 0);
        out = peer_connect_host(77);
        guest_settle(&guest);
        unit_assert(out->open);
        unit_assert_int(out->connect_error, 0);
        unit_assert_int(guest.last.src_cid, VSOCK_CID_HOST);
        end();
}

static void test_refused(void)
{
        VsockHeader answer;
        Peer *peer;
        int ends[2], file = eventfd(0, EFD_CLOEXEC);

        begin();
        /* The guest, where nobody listens; and where the owner has no room. */
        peer = peer_add();
        peer->guest_port = 5000;
        peer->host_port = PORT_LISTEN + 1;
        peer_say(peer, VSOCK_OP_REQUEST, 0);
        wait_reset(peer);
        refuse_accepts = true;
        unit_assert(peer_connect_guest(5001)->reset);
        unit_assert_int(virtio_vsock_unlisten(guest.device, PORT_LISTEN), 0);
        unit_assert_int(virtio_vsock_unlisten(guest.device, PORT_LISTEN), -ENOENT);
        unit_assert(peer_connect_guest(5002)->reset);

        /* The host, where nobody listens in the guest. */
        guest.receive = NULL;
        unit_assert_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        peer = peer_add();
        peer->guest_port = 99;
        peer->fd = ends[0];
        unit_assert_int(virtio_vsock_connect(guest.device, 99, ends[1], n_peers - 1), 0);
        guest_settle(&guest);
        answer = guest.last;
        unit_assert_int(answer.op, VSOCK_OP_REQUEST);
        peer->host_port = answer.src_port;
        peer_say(peer, VSOCK_OP_RST, 0);
        guest_settle(&guest);
        unit_assert_int(peer->connect_error, -ECONNREFUSED);
        unit_assert_int(peer_host_read(peer, 1), -1);

        unit_assert_int(virtio_vsock_connect(guest.device, 99, file, 0), -ENOTSOCK);
        fd_close(file);
        unit_assert_int(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
        unit_assert_int(virtio_vsock_connect(guest.device, 99, ends[1], 0), -EPROTOTYPE);
        fd_close_many(ends, 2);
        end();
}

/* @total bytes each way at once, through rx buffers of @payload bytes. */
static void transfer(uint64_t total, uint32_t payload, uint32_t chunk)
{
        Peer *peer;

        begin();
        guest.rx_payload = payload;
        virtio_device_reset(guest.device);
        guest_start_driver(&guest);
        peer = peer_connect_guest(5000);
        while (peer->guest_received < total || peer->host_received < total) {
                uint64_t rest;

                while ((rest = total - peer->host_sent) > 0 &&
                       peer_host_send(peer, (uint32_t)MIN(rest, chunk)) > 0)
                        ;
                while ((rest = total - peer->sent) > 0 &&
                       peer_guest_send(peer, (uint32_t)MIN(rest, chunk)) > 0)
                        ;
                guest_step(&guest);
                peer_guest_read(peer);
                while (peer_host_read(peer, 16384) > 0)
                        ;
        }
        peer_say(peer, VSOCK_OP_SHUTDOWN, VSOCK_SHUTDOWN_BOTH);
        wait_reset(peer);
        unit_assert_int(peer_host_read(peer, 1), -1);
        end();
}

static void test_transfer(void)
{
        transfer(100 << 20, 4096, 16384);
}

static void test_transfer_small_buffers(void)
{
        transfer(1 << 20, 61, 13);
        transfer(1 << 20, 1, 1024);
}

/* A host that doesn't read: the guest gets no more credit than it was promised, and all arrives. */
static void test_credit_of_the_guest(void)
{
        uint32_t n;
        Peer *peer;

        begin();
        peer = peer_connect_guest(5000);
        for (unsigned idle = 0; idle < 50; idle++) {
                if (peer_guest_send(peer, GUEST_PAYLOAD) > 0)
                        idle = 0;
                guest_step(&guest);
        }
        unit_assert_int(peer_credit(peer), 0);
        /* What is behind the credit (of which a quarter may be back unsaid) is answered by RST; what
         * was within arrives all the same. */
        n = peer->sent;
        peer_overrun(peer, VSOCK_CREDIT_LARGE / 4);
        wait_reset(peer);
        while (peer->host_received < n) {
                unit_assert(peer_host_read(peer, 1000) >= 0);
                guest_step(&guest);
        }
        guest_settle(&guest);
        unit_assert_int(peer_host_read(peer, 1), -1);
        end();
}

/* A guest that doesn't read: no byte more than its buffer is sent, and all goes on later. */
static void test_credit_of_the_host(void)
{
        const uint64_t total = 300000;
        Peer *peer, *other;

        begin();
        peer = peer_connect_guest(5000);
        other = peer_connect_guest(5001);
        for (unsigned i = 0; i < 200; i++) {
                peer_host_send(peer, (uint32_t)MIN(total - peer->host_sent, 4096));
                guest_step(&guest);
        }
        unit_assert_int(peer->guest_received, peer->buffer);
        /* The other connection doesn't suffer. */
        unit_assert_int(peer_host_send(other, 1000), 1000);
        guest_settle(&guest);
        unit_assert_int(other->guest_received, 1000);
        while (peer->guest_received < total) {
                peer_guest_read(peer);
                peer_host_send(peer, (uint32_t)MIN(total - peer->host_sent, 4096));
                guest_step(&guest);
        }
        /* A guest whose count is beyond what was sent gets nothing, and breaks nothing. */
        peer->forwarded = (uint32_t)peer->guest_received + 1;
        peer_say(peer, VSOCK_OP_CREDIT_UPDATE, 0);
        peer_host_send(peer, 100);
        guest_settle(&guest);
        unit_assert_int(peer->guest_received, total);
        end();
}

static void test_half_close_by_guest(void)
{
        Peer *peer;

        begin();
        peer = peer_connect_guest(5000);
        unit_assert_int(peer_guest_send(peer, 5000), 5000);
        peer_say(peer, VSOCK_OP_SHUTDOWN, VSOCK_SHUTDOWN_SEND);
        guest_settle(&guest);
        while (peer_host_read(peer, 16384) > 0)
                ;
        unit_assert_int(peer->host_received, 5000);
        unit_assert_int(peer_host_read(peer, 1), -1);
        /* The other direction goes on. */
        unit_assert_int(peer_host_send(peer, 700), 700);
        guest_settle(&guest);
        unit_assert_int(peer->guest_received, 700);
        unit_assert(!peer->reset);
        /* And its end is the end. */
        shutdown(peer->fd, SHUT_WR);
        wait_reset(peer);
        unit_assert_int(peer->shutdown & VSOCK_SHUTDOWN_SEND,
                        peer->reset && peer->shutdown ? VSOCK_SHUTDOWN_SEND : 0);
        end();
}

static void test_half_close_by_host(void)
{
        Peer *peer;

        begin();
        peer = peer_connect_guest(5000);
        unit_assert_int(peer_host_send(peer, 9000), 9000);
        shutdown(peer->fd, SHUT_WR);
        guest_settle(&guest);
        unit_assert_int(peer->guest_received, 9000);
        unit_assert_int(peer->shutdown, VSOCK_SHUTDOWN_SEND);
        unit_assert(!peer->reset);
        unit_assert_int(peer_guest_send(peer, 800), 800);
        guest_settle(&guest);
        unit_assert_int(peer_host_read(peer, 16384), 800);
        peer_say(peer, VSOCK_OP_SHUTDOWN, VSOCK_SHUTDOWN_BOTH);
        wait_reset(peer);
        unit_assert_int(peer_host_read(peer, 1), -1);
        end();
}

/* The host reads no more: the guest hears it; what it sends on is thrown away. */
static void test_host_stops_reading(void)
{
        Peer *peer;

        begin();
        peer = peer_connect_guest(5000);
        shutdown(peer->fd, SHUT_RD);
        for (unsigned i = 0; i < 100; i++) {
                peer_guest_send(peer, GUEST_PAYLOAD);
                guest_step(&guest);
        }
        unit_assert(peer->shutdown & VSOCK_SHUTDOWN_RECEIVE);
        unit_assert(peer->sent > VSOCK_CREDIT_LARGE);
        unit_assert_int(peer_host_send(peer, 5), 5);
        guest_settle(&guest);
        unit_assert_int(peer->guest_received, 5);
        end();
}

static void test_guest_stops_reading(void)
{
        Peer *peer;

        begin();
        peer = peer_connect_guest(5000);
        peer_say(peer, VSOCK_OP_SHUTDOWN, VSOCK_SHUTDOWN_RECEIVE);
        guest_settle(&guest);
        unit_assert_int(send(peer->fd, "x", 1, MSG_NOSIGNAL), -1);
        unit_assert_int(errno, EPIPE);
        unit_assert_int(peer_guest_send(peer, 10), 10);
        guest_settle(&guest);
        unit_assert_int(peer_host_read(peer, 100), 10);
        /* A peer that goes away then is noticed, though nothing is read any more. */
        peer->fd = fd_close(peer->fd);
        wait_reset(peer);
        end();
}

/* All the host sent before it went away arrives, however slowly the guest reads; then RST. */
static void test_host_goes_away(void)
{
        const uint64_t total = 150000;
        Peer *peer;

        begin();
        peer = peer_connect_guest(5000);
        while (peer->host_sent < total)
                peer_host_send(peer, (uint32_t)(total - peer->host_sent));
        peer->fd = fd_close(peer->fd);
        guest_settle(&guest);
        unit_assert(!peer->reset && peer->guest_received <= peer->buffer);
        while (peer->guest_received < total) {
                unit_assert(!peer->reset);
                peer_guest_read(peer);
                guest_step(&guest);
        }
        wait_reset(peer);
        end();
}

/* Written and closed before the guest even answered. */
static void test_host_is_quick(void)
{
        Peer *peer;

        begin();
        peer = peer_connect_host(77);
        unit_assert_int(peer_host_send(peer, 3000), 3000);
        peer->fd = fd_close(peer->fd);
        wait_reset(peer);
        unit_assert_int(peer->connect_error, 0);
        unit_assert_int(peer->guest_received, 3000);
        end();
}

/* All the guest sent before it was done arrives, though the host has not begun to read. */
static void test_guest_is_quick(void)
{
        Peer *peer;

        begin();
        peer = peer_connect_guest(5000);
        for (unsigned idle = 0; idle < 50; idle++) {
                if (peer_guest_send(peer, GUEST_PAYLOAD) > 0)
                        idle = 0;
                guest_step(&guest);
        }
        peer_say(peer, VSOCK_OP_SHUTDOWN, VSOCK_SHUTDOWN_BOTH);
        wait_reset(peer);
        /* The same ports again, while the first stream still drains. */
        unit_assert(peer->sent > VSOCK_CREDIT_LARGE);
        while (peer->host_received < peer->sent) {
                unit_assert(peer_host_read(peer, 16384) >= 0);
                guest_step(&guest);
        }
        guest_settle(&guest);
        unit_assert_int(peer_host_read(peer, 1), -1);
        end();
}

static void test_many(void)
{
        enum { MANY = 200 };
        const uint32_t total = 20000;
        unsigned done = 0;

        begin();
        for (unsigned i = 0; i < MANY; i++)
                if (i % 2)
                        unit_assert(peer_connect_guest(5000 + i)->open);
                else
                        peer_connect_host(9000);
        guest_settle(&guest);
        for (unsigned i = 0; i < MANY; i++)
                unit_assert(peers[i].open);
        while (done < MANY) {
                done = 0;
                for (unsigned i = 0; i < MANY; i++) {
                        Peer *peer = &peers[i];

                        if (peer->host_sent < total)
                                peer_host_send(peer, MIN(total - (uint32_t)peer->host_sent, 999));
                        if (peer->sent < total)
                                peer_guest_send(peer, MIN(total - peer->sent, 777));
                        if (i % 8 == 0)
                                guest_step(&guest);
                        peer_guest_read(peer);
                        peer_host_read(peer, 16384);
                        done += peer->guest_received == total && peer->host_received == total;
                }
        }
        for (unsigned i = 0; i < MANY; i++)
                if (i % 3)
                        peers[i].fd = fd_close(peers[i].fd);
                else
                        peer_say(&peers[i], VSOCK_OP_SHUTDOWN, VSOCK_SHUTDOWN_BOTH);
        for (unsigned i = 0; i < MANY; i++)
                wait_reset(&peers[i]);
        end();
}

/* One that always has data doesn't keep another from its turn. */
static void test_fairness(void)
{
        Peer *loud, *quiet;
        unsigned at;

        begin();
        loud = peer_connect_guest(5000);
        quiet = peer_connect_guest(5001);
        guest.rx_held = true;
        guest_settle(&guest);
        while (peer_host_send(loud, 16384) > 0)
                guest_step(&guest);
        guest.rx_held = false;
        unit_assert_int(peer_host_send(quiet, 10), 10);
        loud->buffer = UINT32_MAX;
        peer_say(loud, VSOCK_OP_CREDIT_UPDATE, 0);
        at = guest.n_received;
        while (quiet->guest_received == 0) {
                peer_host_send(loud, 16384);
                guest_step(&guest);
        }
        unit_assert(guest.n_received - at < 4 * GUEST_CHAINS);
        end();
}

/* So many and no more; and not for ever. */
static void test_limit(void)
{
        struct rlimit files;
        int ends[2];

        unit_assert_int(getrlimit(RLIMIT_NOFILE, &files), 0);
        if (files.rlim_max < VSOCK_CONNECTIONS_MAX + 64) {
                printf("# needs more files than this process may open\n");
                return;
        }
        files.rlim_cur = files.rlim_max;
        unit_assert_int(setrlimit(RLIMIT_NOFILE, &files), 0);
        begin();
        guest.receive = NULL; /* never answers */
        for (unsigned i = 0; i <= VSOCK_CONNECTIONS_MAX; i++) {
                int r;

                unit_assert_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
                fd_close(ends[0]);
                r = virtio_vsock_connect(guest.device, 77, ends[1], 0);
                unit_assert_int(r, i < VSOCK_CONNECTIONS_MAX ? 0 : -EMFILE);
                guest_step(&guest);
        }
        fd_close(ends[1]);
        guest.receive = on_packet;
        unit_assert(peer_connect_guest(5000)->reset);
        many_answers = 0;
        virtio_device_reset(guest.device);
        unit_assert_int(many_answers, VSOCK_CONNECTIONS_MAX);
        guest_start_driver(&guest);
        unit_assert(peer_connect_guest(5001)->open);
        end();
}

static void test_reset_in_flight(void)
{
        Peer *peer, *waiting;

        begin();
        peer = peer_connect_guest(5000);
        for (unsigned idle = 0; idle < 50; idle++) {
                if (peer_guest_send(peer, GUEST_PAYLOAD) > 0)
                        idle = 0;
                guest_step(&guest);
        }
        peer_host_send(peer, 100);
        /* One that was asked and has not answered, one that the driver never heard of. */
        guest.receive = NULL;
        peer_connect_host(7);
        guest_settle(&guest);
        virtio_device_reset(guest.device);
        waiting = peer_connect_host(8);
        unit_assert_int(peers[1].connect_error, -ECONNRESET);
        unit_assert_int(waiting->connect_error, 1);
        while (peer->host_received < peer->sent) {
                unit_assert(peer_host_read(peer, 16384) >= 0);
                unit_assert_int(loop_step(guest.loop, 0), 0);
        }
        unit_assert_int(loop_step(guest.loop, 0), 0);
        unit_assert_int(peer_host_read(peer, 1), -1);
        guest.receive = on_packet;
        guest_start_driver(&guest);
        guest_settle(&guest);
        unit_assert_int(waiting->connect_error, 0);
        unit_assert(peer_connect_guest(5001)->open);
        end();
}

/* A device that goes away answers those who wait. */
static void test_unplug(void)
{
        begin();
        guest.receive = NULL;
        peer_connect_host(7);
        guest_settle(&guest);
        end();
        unit_assert_int(peers[0].connect_error, -ECONNRESET);
}

static void test_save_and_load(void)
{
        uint8_t bytes[512];
        WireWriter writer = wire_writer(bytes, sizeof(bytes));
        WireReader reader;
        uint64_t cid = 0;
        size_t size;
        Peer *peer;

        begin();
        peer = peer_connect_guest(5000);
        unit_assert_int(virtio_device_save(guest.device, &writer), 0);
        unit_assert_int(wire_writer_end(&writer, &size), 0);
        guest_unplug(&guest);
        unit_assert_int(peer_host_read(peer, 1), -1);

        guest_plug(&guest, &events);
        unit_assert_int(virtio_vsock_listen(guest.device, PORT_LISTEN), 0);
        reader = wire_reader(bytes, size);
        unit_assert_int(virtio_device_load(guest.device, &reader), 0);
        guest.device->ops->config_read(guest.device, 0, &cid, sizeof(cid));
        unit_assert_int(cid, GUEST_CID);
        guest_settle(&guest);
        unit_assert_int(guest.events, 0);
        /* A buffer too small for the event is no use; the next one is. */
        guest_offer(&guest.rings[GUEST_EVENT], 0, 4, 0);
        guest_kick(&guest, GUEST_EVENT);
        guest_settle(&guest);
        unit_assert_int(guest.events, 1);
        guest_offer(&guest.rings[GUEST_EVENT], 1, 4, 0);
        guest_kick(&guest, GUEST_EVENT);
        guest_settle(&guest);
        unit_assert_int(guest.events, 1);
        /* The old connection is unknown, a new one works. */
        peer_say(peer, VSOCK_OP_CREDIT_UPDATE, 0);
        wait_reset(peer);
        unit_assert(peer_connect_guest(5001)->open);

        reader = wire_reader(bytes, size - 1);
        unit_assert_int(virtio_device_load(guest.device, &reader), -EBADMSG);
        end();
}

/* --- hostile packets --- */

static void expect_answer(const VsockHeader *header, const void *data, uint32_t n, bool answer)
{
        unsigned before = guest.n_received;

        guest_send_raw(&guest, header, data, n);
        guest_settle(&guest);
        unit_assert_int(guest.n_received - before, answer ? 1 : 0);
        if (!answer)
                return;
        unit_assert_int(guest.last.op, VSOCK_OP_RST);
        unit_assert_int(guest.last.src_port, header->dst_port);
        unit_assert_int(guest.last.dst_port, header->src_port);
        unit_assert_int(guest.last.type, header->type);
        unit_assert_int(guest.last.src_cid, header->dst_cid);
}

static void test_hostile_headers(void)
{
        const Peer nobody = {.guest_port = 1, .host_port = 2};
        VsockHeader header;

        begin();
        for (unsigned op = 0; op < 300; op++) {
                header = peer_header(&nobody, (VsockOp)op);
                expect_answer(&header, NULL, 0, op != VSOCK_OP_RST);
        }
        header = peer_header(&nobody, VSOCK_OP_REQUEST);
        header.src_cid = 4;
        expect_answer(&header, NULL, 0, false);
        header = peer_header(&nobody, VSOCK_OP_REQUEST);
        header.dst_cid = 7;
        expect_answer(&header, NULL, 0, true);
        header = peer_header(&nobody, VSOCK_OP_REQUEST);
        header.dst_port = PORT_LISTEN;
        header.type = 2;
        expect_answer(&header, NULL, 0, true);
        header = peer_header(&nobody, VSOCK_OP_RW);
        header.length = UINT32_MAX;
        expect_answer(&header, "xyz", 3, true);
        unit_assert(virtio_device_is_active(guest.device));
        end();
}

/* Each breaks a connection that stands. */
static void test_hostile_on_a_connection(void)
{
        static const struct {
                uint16_t op;
                uint32_t length, flags;
        } wrongs[] = {
                {VSOCK_OP_NONE, 0, 0},
                {VSOCK_OP_REQUEST, 0, 0},
                {VSOCK_OP_RESPONSE, 0, 0},
                {8, 0, 0},
                {0xffff, 0, 0},
                {VSOCK_OP_RW, 100, 0}, /* more than there is */
        };

        begin();
        for (unsigned i = 0; i < ELEMENTSOF(wrongs); i++) {
                Peer *peer = peer_connect_guest(5000 + i);
                VsockHeader header = peer_header(peer, (VsockOp)wrongs[i].op);

                header.length = wrongs[i].length;
                header.flags = wrongs[i].flags;
                guest_send_raw(&guest, &header, "abc", 3);
                wait_reset(peer);
                unit_assert_int(peer_host_read(peer, 1), -1);
        }
        /* Data after the end of the guest's own stream. */
        Peer *peer = peer_connect_guest(6000);
        VsockHeader header = peer_header(peer, VSOCK_OP_RW);

        peer_say(peer, VSOCK_OP_SHUTDOWN, 0xfffffffe);
        header.length = 3;
        guest_send_raw(&guest, &header, "abc", 3);
        wait_reset(peer);
        unit_assert_int(peer_host_read(peer, 1), -1);
        end();
}

/* A guest that never takes answers is not served, and nothing grows. */
static void test_hostile_silence(void)
{
        const Peer nobody = {.guest_port = 1, .host_port = 2};
        VsockHeader header;
        unsigned sent = 0;

        begin();
        guest.rx_held = true;
        for (unsigned i = 0; i < 2000; i++) {
                if (guest_can_send(&guest)) {
                        header = peer_header(&nobody, VSOCK_OP_RW);
                        guest_send_raw(&guest, &header, NULL, 0);
                        sent++;
                }
                guest_step(&guest);
        }
        /* Answered, waiting to be answered, not looked at. */
        unit_assert_int(sent, GUEST_CHAINS + VSOCK_RESETS_MAX + GUEST_CHAINS);
        guest.rx_held = false;
        guest_settle(&guest);
        unit_assert_int(guest.n_received, sent);
        end();
}

static void test_hostile_rings(void)
{
        begin();
        /* Too short for a header, either way: dropped and given back. */
        guest_offer(&guest.rings[GUEST_TX], 0, 10, 0);
        guest_kick(&guest, GUEST_TX);
        guest_settle(&guest);
        unit_assert(guest_can_send(&guest));
        unit_assert(virtio_device_is_active(guest.device));
        /* A leap of the index: the device needs a reset, and works after one. */
        peer_connect_guest(5000);
        guest_put(guest.rings[GUEST_RX].available + 2, 0x7fff, 2);
        peer_host_send(&peers[0], 10);
        guest_settle(&guest);
        unit_assert(!virtio_device_is_active(guest.device));
        virtio_device_reset(guest.device);
        guest_start_driver(&guest);
        unit_assert(peer_connect_guest(5001)->open);
        end();
}

static void test_header_codec(void)
{
        const VsockHeader header = {0x0102030405060708, 2, 3, 4, 5, 6, 7, 8, 9, 10};
        static const uint8_t bytes[VSOCK_HEADER_SIZE] = {
                8, 7, 6, 5, 4, 3, 2, 1, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0,  0, 4, 0,
                0, 0, 5, 0, 0, 0, 6, 0, 7, 0, 8, 0, 0, 0, 9, 0, 0, 0, 10, 0, 0, 0,
        };
        uint8_t encoded[VSOCK_HEADER_SIZE];
        VsockHeader decoded;

        vsock_header_encode(&header, encoded);
        unit_assert_bytes(encoded, bytes, sizeof(bytes));
        memset(&decoded, 0, sizeof(decoded));
        vsock_header_decode(bytes, &decoded);
        unit_assert_bytes(&decoded, &header, sizeof(header));
}

UNIT_MAIN(UNIT_TEST(test_header_codec), UNIT_TEST(test_connect), UNIT_TEST(test_refused),
          UNIT_TEST(test_transfer), UNIT_TEST(test_transfer_small_buffers),
          UNIT_TEST(test_credit_of_the_guest), UNIT_TEST(test_credit_of_the_host),
          UNIT_TEST(test_half_close_by_guest), UNIT_TEST(test_half_close_by_host),
          UNIT_TEST(test_host_stops_reading), UNIT_TEST(test_guest_stops_reading),
          UNIT_TEST(test_host_goes_away), UNIT_TEST(test_host_is_quick),
          UNIT_TEST(test_guest_is_quick), UNIT_TEST(test_many), UNIT_TEST(test_fairness),
          UNIT_TEST(test_limit), UNIT_TEST(test_reset_in_flight), UNIT_TEST(test_unplug),
          UNIT_TEST(test_save_and_load), UNIT_TEST(test_hostile_headers),
          UNIT_TEST(test_hostile_on_a_connection), UNIT_TEST(test_hostile_silence),
          UNIT_TEST(test_hostile_rings))
