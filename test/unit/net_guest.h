/*
 * A network device with a driver in this process, for tests. Its taps are sockets that keep messages
 * apart, as a tap does packets.
 */
#pragma once

#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "test/unit/driver.h"
#include "vmm/net/tap.h"
#include "vmm/virtio/net.h"

#define PAIRS  3
#define QUEUES (2 * PAIRS + 1)

/* Each queue's rings, and its buffers of BUFFER bytes, one a descriptor. */
#define RINGS(queue)    (0x10000 + 0x4000ULL * (queue))
#define BUFFERS(queue)  (0x100000 + 0x100000ULL * (queue))
#define BUFFER          4096U
#define BUFFER_OF(q, i) (BUFFERS(q) + (uint64_t)BUFFER * (i))
#define HEADER          TAP_HEADER_SIZE

#define F_CSUM      (1ULL << 0)
#define F_GUEST     (1ULL << 1 | 1ULL << 7 | 1ULL << 8)
#define F_OFFLOADS  (1ULL << 2)
#define F_MTU       (1ULL << 3)
#define F_MERGEABLE (1ULL << 15)
#define F_CONTROL   (1ULL << 17)
#define F_MQ        (1ULL << 22)
#define F_USO       (1ULL << 54 | 1ULL << 55 | 1ULL << 56)
#define F_COMMON    (VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC)
#define F_ALL       (F_COMMON | F_GUEST | F_OFFLOADS | F_MERGEABLE | F_CONTROL | F_MQ)

static Loop *loop;
static GuestMemory memory;
static VirtioDevice *device;
static Driver drivers[QUEUES];
static int peers[PAIRS]; /* the host's ends */
static uint8_t packet[TAP_PACKET_MAX], got[TAP_PACKET_MAX];

/* @vhosts: NULL, or one for each pair. */
static inline void plug_vhost(unsigned n_pairs, unsigned offloads, uint16_t mtu, int *vhosts)
{
        static const uint8_t mac[] = {2, 0, 0, 0, 0, 1};
        int taps[PAIRS];
        const VirtioNetConfig config = {
                .mac = mac,
                .mtu = mtu,
                .n_pairs = n_pairs,
                .taps = taps,
                .vhosts = vhosts,
                .offloads = offloads,
        };
        int buffer = 1 << 20;

        for (unsigned i = 0; i < n_pairs; i++) {
                int pair[2];

                unit_assert(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                                       pair) == 0);
                unit_assert(setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer)) ==
                            0);
                taps[i] = pair[0];
                peers[i] = pair[1];
        }
        unit_assert_int(virtio_net_new(loop, &memory, &config, &device), 0);
        driver_plug(&drivers[0], &memory, RINGS(0), device);
        for (unsigned i = 1; i < 2 * n_pairs + 1; i++)
                driver_plug_queue(&drivers[i], &drivers[0], RINGS(i), i);
}

static inline void plug_with(unsigned n_pairs, unsigned offloads, uint16_t mtu)
{
        plug_vhost(n_pairs, offloads, mtu, NULL);
}

static inline void unplug(void)
{
        unsigned n = device->n_queues;

        for (unsigned i = 1; i < n; i++)
                driver_unplug_queue(&drivers[i]);
        driver_unplug(&drivers[0]);
        for (unsigned i = 0; i < n / 2; i++)
                peers[i] = fd_close(peers[i]);
}

/* Every descriptor of every queue is a buffer of its own. */
static inline void start(uint64_t features)
{
        for (unsigned i = 1; i < device->n_queues; i++)
                driver_prepare(&drivers[i]);
        driver_start(&drivers[0], features);
        for (unsigned q = 0; q < device->n_queues; q++)
                for (unsigned i = 0; i < DRIVER_ENTRIES; i++)
                        driver_describe(&drivers[q], i, BUFFER_OF(q, i), BUFFER,
                                        q % 2 == 0 && q < device->n_queues - 1 ? DRIVER_WRITE : 0,
                                        0);
}

static inline void begin_with(unsigned n_pairs, uint64_t features)
{
        unit_assert_int(loop_new(&loop), 0);
        unit_assert_int(guest_memory_init(&memory, DRIVER_MEMORY), 0);
        plug_with(n_pairs, TAP_CSUM | TAP_TSO4 | TAP_TSO6 | TAP_USO, 1500);
        start(features);
}

static inline void begin(void)
{
        begin_with(1, F_COMMON | F_MERGEABLE | F_CONTROL);
}

static inline void end(void)
{
        unplug();
        guest_memory_done(&memory);
        loop_free(loop);
}

/* Whatever is to be done at once. */
static inline void settle(void)
{
        for (unsigned i = 0; i < 8; i++)
                unit_assert_int(loop_step(loop, 0), 0);
}

static inline void run_for(uint64_t usec)
{
        uint64_t limit = clock_now_usec() + usec;

        for (uint64_t now = clock_now_usec(); now < limit; now = clock_now_usec())
                unit_assert_int(loop_step(loop, limit - now), 0);
}

static inline void offer(unsigned queue, unsigned first, unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                driver_offer(&drivers[queue], (uint16_t)((first + i) % DRIVER_ENTRIES));
}

/* A packet of @size bytes behind its header, no two alike. */
static inline void make_packet(uint32_t size, uint8_t seed)
{
        memset(packet, 0, HEADER);
        for (uint32_t i = 0; i < size; i++)
                packet[HEADER + i] = (uint8_t)(seed + i * 7 + (i >> 8));
}

static inline void host_sends(unsigned pair, uint32_t size, uint8_t seed)
{
        make_packet(size, seed);
        unit_assert_int(send(peers[pair], packet, HEADER + size, 0), HEADER + size);
}

/* The next packet that the guest got is make_packet(size, seed): how many buffers it took. */
static inline unsigned guest_gets(unsigned queue, uint32_t size, uint8_t seed)
{
        Driver *driver = &drivers[queue];
        uint32_t at = 0, total = HEADER + size, written;
        unsigned n = 0;

        make_packet(size, seed);
        while (at < total) {
                uint16_t head;

                unit_assert(driver_used(driver) > 0);
                head = driver_reap(driver, &written);
                unit_assert(written > 0 && written <= total - at);
                memcpy(got + at, driver_at(driver, BUFFER_OF(queue, head), written), written);
                at += written;
                n++;
        }
        unit_assert_int(got[HEADER - 2] | got[HEADER - 1] << 8, n);
        unit_assert_bytes(got + HEADER, packet + HEADER, size);
        return n;
}

/* The guest sends from descriptor @index on, in @n of them. */
static inline void guest_sends(unsigned queue, unsigned index, uint32_t size, uint8_t seed)
{
        Driver *driver = &drivers[queue];
        uint32_t total = HEADER + size, at = 0;
        unsigned i = index;

        make_packet(size, seed);
        for (; at < total; i++) {
                uint32_t part = MIN(total - at, BUFFER);

                memcpy(driver_at(driver, BUFFER_OF(queue, i), part), packet + at, part);
                at += part;
                driver_describe(driver, i, BUFFER_OF(queue, i), part, at < total ? DRIVER_NEXT : 0,
                                (uint16_t)(i + 1));
        }
        driver_offer(driver, (uint16_t)index);
}

static inline void host_gets(unsigned pair, uint32_t size, uint8_t seed)
{
        make_packet(size, seed);
        unit_assert_int(recv(peers[pair], got, sizeof(got), 0), HEADER + size);
        unit_assert_bytes(got, packet, HEADER + size);
}

static inline void host_gets_nothing(unsigned pair)
{
        unit_assert_int(recv(peers[pair], got, sizeof(got), 0), -1);
}

/* @is_packet_left: (100, 3) came, and nobody has read it. */
static inline void check_needs_reset(bool is_packet_left)
{
        settle();
        unit_assert(virtio_device_status(device) & VIRTIO_STATUS_NEEDS_RESET);
        virtio_device_reset(device);
        start(F_COMMON | F_MERGEABLE | F_CONTROL);
        offer(0, 0, 8);
        host_sends(0, 100, 1);
        settle();
        if (is_packet_left)
                (void)guest_gets(0, 100, 3);
        (void)guest_gets(0, 100, 1);
}
