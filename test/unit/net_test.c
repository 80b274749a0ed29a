/*
 * The network device with a driver in this process. Its taps are sockets that keep messages apart, as
 * a tap does packets.
 */
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

static void plug_with(unsigned n_pairs, unsigned offloads, uint16_t mtu)
{
        static const uint8_t mac[] = {2, 0, 0, 0, 0, 1};
        int taps[PAIRS];
        const VirtioNetConfig config = {
                .mac = mac,
                .mtu = mtu,
                .n_pairs = n_pairs,
                .taps = taps,
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

static void unplug(void)
{
        unsigned n = device->n_queues;

        for (unsigned i = 1; i < n; i++)
                driver_unplug_queue(&drivers[i]);
        driver_unplug(&drivers[0]);
        for (unsigned i = 0; i < n / 2; i++)
                peers[i] = fd_close(peers[i]);
}

/* Every descriptor of every queue is a buffer of its own. */
static void start(uint64_t features)
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

static void begin_with(unsigned n_pairs, uint64_t features)
{
        unit_assert_int(loop_new(&loop), 0);
        unit_assert_int(guest_memory_init(&memory, DRIVER_MEMORY), 0);
        plug_with(n_pairs, TAP_CSUM | TAP_TSO4 | TAP_TSO6 | TAP_USO, 1500);
        start(features);
}

static void begin(void)
{
        begin_with(1, F_COMMON | F_MERGEABLE | F_CONTROL);
}

static void end(void)
{
        unplug();
        guest_memory_done(&memory);
        loop_free(loop);
}

/* Whatever is to be done at once. */
static void settle(void)
{
        for (unsigned i = 0; i < 8; i++)
                unit_assert_int(loop_step(loop, 0), 0);
}

static void offer(unsigned queue, unsigned first, unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                driver_offer(&drivers[queue], (uint16_t)((first + i) % DRIVER_ENTRIES));
}

/* A packet of @size bytes behind its header, no two alike. */
static void make_packet(uint32_t size, uint8_t seed)
{
        memset(packet, 0, HEADER);
        for (uint32_t i = 0; i < size; i++)
                packet[HEADER + i] = (uint8_t)(seed + i * 7 + (i >> 8));
}

static void host_sends(unsigned pair, uint32_t size, uint8_t seed)
{
        make_packet(size, seed);
        unit_assert_int(send(peers[pair], packet, HEADER + size, 0), HEADER + size);
}

/* The next packet that the guest got is make_packet(size, seed): how many buffers it took. */
static unsigned guest_gets(unsigned queue, uint32_t size, uint8_t seed)
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
static void guest_sends(unsigned queue, unsigned index, uint32_t size, uint8_t seed)
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

static void host_gets(unsigned pair, uint32_t size, uint8_t seed)
{
        make_packet(size, seed);
        unit_assert_int(recv(peers[pair], got, sizeof(got), 0), HEADER + size);
        unit_assert_bytes(got, packet, HEADER + size);
}

static void host_gets_nothing(unsigned pair)
{
        unit_assert_int(recv(peers[pair], got, sizeof(got), 0), -1);
}

/* @is_packet_left: (100, 3) came, and nobody has read it. */
static void check_needs_reset(bool is_packet_left)
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

static void test_config(void)
{
        uint8_t config[12];

        begin_with(PAIRS, F_COMMON);
        device->ops->config_read(device, 0, config, sizeof(config));
        unit_assert_bytes(config, "\2\0\0\0\0\1\1\0\3\0\xdc\5", 12);
        unit_assert_int(device->n_queues, QUEUES);
        unit_assert((device->features & (F_ALL | F_MTU | F_USO | F_CSUM)) ==
                    (F_ALL | F_MTU | F_USO | F_CSUM));
        unplug();
        /* A tap that can do nothing, without an MTU, with one queue: nothing is offered of that. */
        plug_with(1, 0, 0);
        unit_assert_int(device->features & (F_GUEST | F_OFFLOADS | F_MTU | F_MQ | F_USO | F_CSUM),
                        0);
        unit_assert_int(device->n_queues, 3);
        end();
}

static void test_transmit(void)
{
        begin();
        guest_sends(1, 0, 60, 1);
        guest_sends(1, 1, 9000, 2);
        guest_sends(1, 10, 65535, 3);
        driver_kick(&drivers[1]);
        settle();
        host_gets(0, 60, 1);
        host_gets(0, 9000, 2);
        host_gets(0, 65535, 3);
        unit_assert_int(driver_used(&drivers[1]), 3);
        unit_assert_int(device->counters.requests, 3);
        unit_assert_int(device->counters.bytes_from_guest, 60 + 9000 + 65535);
        end();
}

/* What is no packet is lost, and its buffers come back. */
static void test_transmit_nonsense(void)
{
        Driver *driver = &drivers[1];

        begin();
        driver_describe(driver, 0, BUFFER_OF(1, 0), HEADER, 0, 0);
        driver_describe(driver, 1, BUFFER_OF(1, 1), 1, 0, 0);
        driver_describe(driver, 2, BUFFER_OF(1, 2), 4096, DRIVER_WRITE, 0);
        driver_describe(driver, 3, BUFFER_OF(1, 3), 1 << 20, 0, 0);
        offer(1, 0, 4);
        guest_sends(1, 4, 60, 9);
        driver_kick(driver);
        settle();
        host_gets(0, 60, 9);
        host_gets_nothing(0);
        unit_assert_int(driver_used(driver), 5);
        end();
}

/* A tap that takes no more: what is left is sent when it does, in order, and nothing is lost. */
static void test_transmit_stuck(void)
{
        unsigned n = 0;

        begin();
        for (unsigned i = 0; i < 100; i++)
                guest_sends(1, i, 4000, (uint8_t)i);
        driver_kick(&drivers[1]);
        settle();
        unit_assert(driver_used(&drivers[1]) < 100);
        while (n < 100) {
                host_gets(0, 4000, (uint8_t)n++);
                settle();
        }
        unit_assert_int(driver_used(&drivers[1]), 100);
        unit_assert_int(device->counters.requests, 100);
        end();
}

/* One interrupt for a batch, and no kicks wanted while it is taken. */
static void test_interrupts(void)
{
        begin();
        for (unsigned i = 0; i < 20; i++)
                guest_sends(1, i, 60, (uint8_t)i);
        driver_kick(&drivers[1]);
        settle();
        unit_assert_int(device->counters.interrupts, 1);
        unit_assert_int(driver_get(&drivers[1], RINGS(1) + 8192 + 4 + 8 * DRIVER_ENTRIES, 2), 20);
        offer(0, 0, 40);
        driver_kick(&drivers[0]);
        settle();
        for (unsigned i = 0; i < 20; i++)
                host_sends(0, 60, (uint8_t)i);
        settle();
        unit_assert_int(driver_used(&drivers[0]), 20);
        unit_assert_int(device->counters.interrupts, 2);
        end();
}

static void test_receive(void)
{
        begin();
        offer(0, 0, DRIVER_ENTRIES);
        driver_kick(&drivers[0]);
        host_sends(0, 60, 1);
        host_sends(0, BUFFER - HEADER, 2);
        host_sends(0, BUFFER - HEADER + 1, 3);
        host_sends(0, 65535, 4);
        host_sends(0, 1, 5);
        settle();
        unit_assert_int(guest_gets(0, 60, 1), 1);
        unit_assert_int(guest_gets(0, BUFFER - HEADER, 2), 1);
        unit_assert_int(guest_gets(0, BUFFER - HEADER + 1, 3), 2);
        unit_assert_int(guest_gets(0, 65535, 4), 17);
        unit_assert_int(guest_gets(0, 1, 5), 1);
        unit_assert_int(driver_used(&drivers[0]), 0);
        unit_assert_int(device->counters.deliveries, 5);
        unit_assert_int(device->counters.bytes_to_guest, 60 + 2 * (BUFFER - HEADER) + 1 + 65536);
        unit_assert_int(device->counters.drops, 0);
        end();
}

/* Buffers one at a time, each with a kick: a packet is gathered from them, however slowly. */
static void test_receive_starved(void)
{
        begin();
        host_sends(0, 20000, 1);
        host_sends(0, 100, 2);
        settle();
        unit_assert_int(driver_used(&drivers[0]), 0);
        for (unsigned i = 0; i < 5; i++) {
                unit_assert_int(driver_used(&drivers[0]), 0);
                /* A kick is what the device asked for. */
                unit_assert_int(
                        driver_get(&drivers[0], RINGS(0) + 8192 + 4 + 8 * DRIVER_ENTRIES, 2), i);
                offer(0, i, 1);
                driver_kick(&drivers[0]);
                settle();
        }
        unit_assert_int(guest_gets(0, 20000, 1), 5);
        offer(0, 5, 1);
        driver_kick(&drivers[0]);
        settle();
        unit_assert_int(guest_gets(0, 100, 2), 1);
        unit_assert_int(device->counters.deliveries, 2);
        end();
}

/* A ring that can't hold a packet at all: that one is lost, and the next is not. */
static void test_receive_too_large(void)
{
        begin();
        for (unsigned i = 0; i < DRIVER_ENTRIES; i++)
                driver_describe(&drivers[0], i, BUFFER_OF(0, i), 16, DRIVER_WRITE, 0);
        offer(0, 0, DRIVER_ENTRIES);
        driver_kick(&drivers[0]);
        host_sends(0, 20000, 1);
        host_sends(0, 100, 2);
        settle();
        unit_assert_int(guest_gets(0, 100, 2), 7);
        unit_assert_int(device->counters.drops, 1);
        unit_assert_int(device->counters.deliveries, 1);
        end();
}

/* Without MRG_RXBUF each packet has one chain, or none. */
static void test_receive_unmergeable(void)
{
        begin_with(1, F_COMMON);
        for (unsigned i = 0; i < 8; i++)
                driver_describe(&drivers[0], i, BUFFER_OF(0, i), BUFFER,
                                DRIVER_WRITE | (i % 2 == 0 ? DRIVER_NEXT : 0), (uint16_t)(i + 1));
        for (uint16_t i = 0; i < 8; i += 2)
                driver_offer(&drivers[0], i);
        driver_kick(&drivers[0]);
        host_sends(0, 100, 1);
        host_sends(0, 2 * BUFFER - HEADER, 2);
        host_sends(0, 2 * BUFFER - HEADER + 1, 3);
        host_sends(0, 60, 4);
        settle();
        unit_assert_int(driver_used(&drivers[0]), 3);
        unit_assert_int(guest_gets(0, 100, 1), 1);
        make_packet(2 * BUFFER - HEADER, 2);
        packet[HEADER - 2] = 1; /* num_buffers */
        unit_assert_int(driver_reap(&drivers[0], &(uint32_t){0}), 2);
        unit_assert_bytes(driver_at(&drivers[0], BUFFER_OF(0, 2), 2 * BUFFER), packet, 2 * BUFFER);
        unit_assert_int(guest_gets(0, 60, 4), 1);
        unit_assert_int(device->counters.drops, 1);
        end();
}

/* More than a turn, with a guest that gives its buffers back as it goes. */
static void test_receive_many(void)
{
        unsigned sent = 0, received = 0, offered = DRIVER_ENTRIES;

        begin();
        offer(0, 0, DRIVER_ENTRIES);
        driver_kick(&drivers[0]);
        while (received < 1000) {
                while (sent < 1000 && sent - received < 90)
                        host_sends(0, sent % 1400 + 1, (uint8_t)sent), sent++;
                settle();
                while (driver_used(&drivers[0]) > 0) {
                        (void)guest_gets(0, received % 1400 + 1, (uint8_t)received);
                        received++;
                        offer(0, offered++, 1);
                }
                driver_kick(&drivers[0]);
        }
        unit_assert_int(device->counters.drops, 0);
        end();
}

static void test_malformed(void)
{
        begin();
        log_set_level(LOG_ERR);
        /* A buffer that can't be written. */
        driver_describe(&drivers[0], 0, BUFFER_OF(0, 0), BUFFER, 0, 0);
        offer(0, 0, 1);
        driver_kick(&drivers[0]);
        check_needs_reset(false);
        /* Behind a good one: found by the tap's handler, not by a kick. */
        offer(0, 20, 1);
        settle();
        driver_describe(&drivers[0], 21, 1ULL << 40, BUFFER, DRIVER_WRITE, 0);
        offer(0, 21, 1);
        host_sends(0, 100, 3);
        check_needs_reset(true);
        /* Another queue broke: this one is left alone, too. */
        driver_describe(&drivers[1], 0, 1ULL << 40, BUFFER, 0, 0);
        offer(1, 0, 1);
        driver_kick(&drivers[1]);
        settle();
        offer(0, 30, 4);
        host_sends(0, 100, 4);
        settle();
        unit_assert(virtio_device_status(device) & VIRTIO_STATUS_NEEDS_RESET);
        unit_assert_int(driver_used(&drivers[0]), 0);
        /* What came meanwhile is delivered behind the reset. */
        virtio_device_reset(device);
        start(F_COMMON | F_MERGEABLE);
        offer(0, 0, 4);
        driver_kick(&drivers[0]);
        settle();
        (void)guest_gets(0, 100, 4);
        log_set_level(LOG_INFO);
        end();
}

/* A packet that waits for buffers is forgotten by a reset; no buffer from before is touched. */
static void test_reset(void)
{
        begin();
        offer(0, 0, 1);
        driver_kick(&drivers[0]);
        host_sends(0, 9000, 1);
        settle();
        unit_assert(!virtio_device_is_busy(device));
        virtio_device_reset(device);
        memset(driver_at(&drivers[0], BUFFER_OF(0, 0), BUFFER), 0x55, BUFFER);
        host_sends(0, 100, 2);
        settle();
        for (unsigned i = 0; i < BUFFER; i++)
                unit_assert_int(*driver_at(&drivers[0], BUFFER_OF(0, 0) + i, 1), 0x55);
        start(F_COMMON | F_MERGEABLE);
        offer(0, 5, 1);
        driver_kick(&drivers[0]);
        settle();
        unit_assert_int(guest_gets(0, 100, 2), 1);
        end();
}

/* Asks on the control queue: the answer, or 0xaa if there is none. */
static uint8_t command(const void *bytes, uint32_t size)
{
        Driver *control = &drivers[device->n_queues - 1];
        uint64_t at = BUFFERS(device->n_queues - 1);
        uint32_t written = 0;

        if (size > 0)
                memcpy(driver_at(control, at, size), bytes, size);
        driver_put(control, at + 1024, 0xaa, 1);
        driver_describe(control, 0, at, size, DRIVER_NEXT, 1);
        driver_describe(control, 1, at + 1024, 1, DRIVER_WRITE, 0);
        driver_offer(control, size > 0 ? 0 : 1);
        driver_kick(control);
        settle();
        if (driver_used(control) > 0) {
                (void)driver_reap(control, &written);
                unit_assert_int(written, 1);
        }
        return (uint8_t)driver_get(control, at + 1024, 1);
}

static void test_pairs(void)
{
        begin_with(PAIRS, F_ALL);
        for (unsigned i = 0; i < PAIRS; i++) {
                offer(2 * i, 0, 8);
                driver_kick(&drivers[2 * i]);
                host_sends(i, 100, (uint8_t)i);
                guest_sends(2 * i + 1, 0, 100, (uint8_t)(i + 10));
                driver_kick(&drivers[2 * i + 1]);
        }
        settle();
        (void)guest_gets(0, 100, 0);
        host_gets(0, 100, 10);
        unit_assert_int(driver_used(&drivers[2]) + driver_used(&drivers[4]), 0);
        host_gets_nothing(1);
        unit_assert_int(command("\4\0\3\0", 4), 0);
        settle();
        for (unsigned i = 1; i < PAIRS; i++) {
                (void)guest_gets(2 * i, 100, (uint8_t)i);
                host_gets(i, 100, (uint8_t)(i + 10));
        }
        unit_assert_int(command("\4\0\1\0", 4), 0);
        host_sends(2, 100, 77);
        settle();
        unit_assert_int(driver_used(&drivers[4]), 0);
        /* All that may not be. */
        unit_assert_int(command("\4\0\0\0", 4), 1);
        unit_assert_int(command("\4\0\4\0", 4), 1);
        unit_assert_int(command("\4\0\xff\xff", 4), 1);
        unit_assert_int(command("\4\1\1\0", 4), 1);
        unit_assert_int(command("\4\0\1", 3), 1);
        unit_assert_int(command("\4\0\1\0\0", 5), 1);
        unit_assert_int(command("\1\0\2\0\0\0\0\1", 8), 1);
        unit_assert_int(command("", 0), 1);
        unit_assert_int(command("\4", 1), 1);
        unit_assert_int(command("\5\0\x82\1\0\0\0\0\0\0", 10), 0);
        unit_assert_int(command("\5\0\x82\1\0\0\0\0\0\1", 10), 1);
        unit_assert_int(command("\5\0\xff\xff\xff\xff\xff\xff\xff\xff", 10), 1);
        unit_assert_int(command("\5\0\x82", 3), 1);
        end();
}

/* A driver without MQ has the control queue at index 2, and the others don't exist for it. */
static void test_without_mq(void)
{
        begin_with(PAIRS, F_COMMON | F_MERGEABLE | F_CONTROL);
        offer(4, 0, 4);
        driver_kick(&drivers[4]);
        host_sends(2, 100, 1);
        settle();
        unit_assert_int(driver_used(&drivers[4]), 0);
        memcpy(driver_at(&drivers[2], BUFFER_OF(2, 0), 4), "\4\0\2\0", 4);
        driver_put(&drivers[2], BUFFER_OF(2, 1), 0xaa, 1);
        driver_describe(&drivers[2], 0, BUFFER_OF(2, 0), 4, DRIVER_NEXT, 1);
        driver_describe(&drivers[2], 1, BUFFER_OF(2, 1), 1, DRIVER_WRITE, 0);
        offer(2, 0, 1);
        driver_kick(&drivers[2]);
        settle();
        unit_assert_int(driver_used(&drivers[2]), 1);
        unit_assert_int(driver_get(&drivers[2], BUFFER_OF(2, 1), 1), 1);
        end();
}

static void test_control_malformed(void)
{
        begin();
        log_set_level(LOG_ERR);
        driver_describe(&drivers[2], 0, BUFFER_OF(2, 0), 4, 0, 0);
        offer(2, 0, 1);
        driver_kick(&drivers[2]);
        check_needs_reset(false);
        log_set_level(LOG_INFO);
        end();
}

static void test_link(void)
{
        uint8_t status;

        begin();
        offer(0, 0, 8);
        driver_kick(&drivers[0]);
        settle();
        virtio_net_set_link(device, false);
        device->ops->config_read(device, 6, &status, 1);
        unit_assert_int(status, 0);
        unit_assert_int(atomic_load(device->interrupt_status), VIRTIO_INTERRUPT_CONFIG);
        host_sends(0, 100, 1);
        guest_sends(1, 0, 100, 2);
        driver_kick(&drivers[1]);
        settle();
        unit_assert_int(driver_used(&drivers[0]), 0);
        unit_assert_int(driver_used(&drivers[1]), 1);
        host_gets_nothing(0);
        unit_assert_int(device->counters.drops, 1);
        virtio_net_set_link(device, true);
        host_sends(0, 100, 3);
        settle();
        (void)guest_gets(0, 100, 3);
        end();
}

static void set_throttle(ThrottleDirection direction, ThrottleLimits limits)
{
        unit_assert_int(virtio_device_set_throttle(device, direction, &limits), 0);
}

static void run_for(uint64_t usec)
{
        uint64_t limit = clock_now_usec() + usec;

        for (uint64_t now = 0; now < limit; now = clock_now_usec())
                unit_assert_int(loop_step(loop, limit - now), 0);
}

/* Each direction has its own, and none keeps the other. */
static void test_throttle(void)
{
        begin();
        unit_assert_int(
                virtio_device_set_throttle(device, THROTTLE_ALL, &(ThrottleLimits){.ops = 1}),
                -EINVAL);
        offer(0, 0, 100);
        driver_kick(&drivers[0]);
        set_throttle(THROTTLE_RECEIVE, (ThrottleLimits){.ops = 50, .ops_burst = 3});
        for (unsigned i = 0; i < 20; i++) {
                host_sends(0, 100, (uint8_t)i);
                guest_sends(1, i, 100, (uint8_t)i);
        }
        driver_kick(&drivers[1]);
        settle();
        unit_assert_int(driver_used(&drivers[1]), 20);
        unit_assert(driver_used(&drivers[0]) >= 3 && driver_used(&drivers[0]) < 10);
        run_for(100 * USEC_PER_MSEC);
        unit_assert(driver_used(&drivers[0]) >= 5 && driver_used(&drivers[0]) < 20);
        set_throttle(THROTTLE_RECEIVE, (ThrottleLimits){});
        settle();
        unit_assert_int(driver_used(&drivers[0]), 20);
        unit_assert(device->counters.delayed_usec > 10 * USEC_PER_MSEC);
        /* Bytes without their headers; a packet that doesn't fit is sent, and is owed. */
        set_throttle(THROTTLE_TRANSMIT, (ThrottleLimits){.bytes = 10000, .bytes_burst = 1000});
        for (unsigned i = 0; i < 4; i++)
                guest_sends(1, i, 600, 1);
        driver_kick(&drivers[1]);
        settle();
        unit_assert_int(driver_used(&drivers[1]), 22);
        run_for(250 * USEC_PER_MSEC);
        unit_assert_int(driver_used(&drivers[1]), 24);
        end();
}

static void test_reload(void)
{
        uint8_t bytes[1024];
        WireWriter writer = wire_writer(bytes, sizeof(bytes));
        WireReader reader;
        uint16_t available[QUEUES], used[QUEUES];
        size_t size;

        begin_with(PAIRS, F_ALL);
        unit_assert_int(command("\4\0\2\0", 4), 0);
        offer(2, 0, 8);
        driver_kick(&drivers[2]);
        host_sends(1, 100, 1);
        settle();
        (void)guest_gets(2, 100, 1);
        unit_assert_int(virtio_device_save(device, &writer), 0);
        unit_assert_int(wire_writer_end(&writer, &size), 0);
        for (unsigned i = 0; i < QUEUES; i++) {
                available[i] = drivers[i].available;
                used[i] = drivers[i].used;
        }
        unplug();
        plug_with(PAIRS, TAP_CSUM | TAP_TSO4 | TAP_TSO6 | TAP_USO, 1500);
        for (unsigned i = 0; i < QUEUES; i++) {
                drivers[i].available = available[i];
                drivers[i].used = used[i];
        }
        reader = wire_reader(bytes, size);
        unit_assert_int(virtio_device_load(device, &reader), 0);
        host_sends(1, 100, 2);
        settle();
        (void)guest_gets(2, 100, 2);
        /* Another MTU: not the device that the driver knows. */
        unplug();
        plug_with(PAIRS, TAP_CSUM | TAP_TSO4 | TAP_TSO6 | TAP_USO, 9000);
        reader = wire_reader(bytes, size);
        unit_assert_int(virtio_device_load(device, &reader), -EBADMSG);
        end();
}

/* The host's end goes away: the device stays, and sends to nobody. */
static void test_lost(void)
{
        begin();
        log_set_level(LOG_ERR);
        offer(0, 0, 8);
        driver_kick(&drivers[0]);
        settle();
        peers[0] = fd_close(peers[0]);
        settle();
        guest_sends(1, 0, 100, 1);
        driver_kick(&drivers[1]);
        settle();
        unit_assert_int(driver_used(&drivers[1]), 1);
        unit_assert_int(driver_used(&drivers[0]), 0);
        log_set_level(LOG_INFO);
        end();
}

static void test_not_a_tap(void)
{
        const char *problem = NULL;
        unsigned offloads;
        int pair[2];

        unit_assert(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
        unit_assert_int(tap_prepare(pair, 1, &offloads, &problem), -EINVAL);
        unit_assert(problem);
        fd_close_many(pair, 2);
}

UNIT_MAIN(UNIT_TEST(test_config), UNIT_TEST(test_transmit), UNIT_TEST(test_transmit_nonsense),
          UNIT_TEST(test_transmit_stuck), UNIT_TEST(test_interrupts), UNIT_TEST(test_receive),
          UNIT_TEST(test_receive_starved), UNIT_TEST(test_receive_too_large),
          UNIT_TEST(test_receive_unmergeable), UNIT_TEST(test_receive_many),
          UNIT_TEST(test_malformed), UNIT_TEST(test_reset), UNIT_TEST(test_pairs),
          UNIT_TEST(test_without_mq), UNIT_TEST(test_control_malformed), UNIT_TEST(test_link),
          UNIT_TEST(test_throttle), UNIT_TEST(test_reload), UNIT_TEST(test_lost),
          UNIT_TEST(test_not_a_tap))
