/* Hostile packets and rings against the whole virtio socket device. */
#include "test/unit/vsock_peer.h"

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
        uint8_t encoded[VSOCK_HEADER_SIZE] = {};
        VsockHeader decoded;

        vsock_header_encode(&header, encoded);
        unit_assert_bytes(encoded, bytes, sizeof(bytes));
        /* Not compared as they are in memory: nobody writes what is between their members. */
        vsock_header_decode(bytes, &decoded);
        memset(encoded, 0, sizeof(encoded));
        vsock_header_encode(&decoded, encoded);
        unit_assert_bytes(encoded, bytes, sizeof(bytes));
}

UNIT_MAIN(UNIT_TEST(test_header_codec), UNIT_TEST(test_hostile_headers),
          UNIT_TEST(test_hostile_on_a_connection), UNIT_TEST(test_hostile_silence),
          UNIT_TEST(test_hostile_rings))
