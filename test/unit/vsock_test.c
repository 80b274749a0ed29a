/* Streams through the whole virtio socket device: data, credit, ends, resets, limits. */
#include "test/unit/vsock_peer.h"

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

UNIT_MAIN(UNIT_TEST(test_connect), UNIT_TEST(test_refused), UNIT_TEST(test_transfer),
          UNIT_TEST(test_transfer_small_buffers), UNIT_TEST(test_credit_of_the_guest),
          UNIT_TEST(test_credit_of_the_host), UNIT_TEST(test_half_close_by_guest),
          UNIT_TEST(test_half_close_by_host), UNIT_TEST(test_host_stops_reading),
          UNIT_TEST(test_guest_stops_reading), UNIT_TEST(test_host_goes_away),
          UNIT_TEST(test_host_is_quick), UNIT_TEST(test_guest_is_quick), UNIT_TEST(test_many),
          UNIT_TEST(test_fairness), UNIT_TEST(test_limit), UNIT_TEST(test_reset_in_flight),
          UNIT_TEST(test_unplug), UNIT_TEST(test_save_and_load))
