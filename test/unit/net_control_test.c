/* The network device besides its packets: what it offers, commands, link, throttles, its state. */
#include "test/unit/net_guest.h"

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

#define RATE        20000000U /* bytes/s */
#define RATE_PACKET 4000U

/* The guest has all its buffers in the ring all the time, and the host's end sends or takes what it can. */
static void pump(unsigned queue)
{
        uint32_t written;

        while (driver_used(&drivers[queue]) > 0)
                driver_offer(&drivers[queue], driver_reap(&drivers[queue], &written));
        driver_kick(&drivers[queue]);
        while (queue == 0 ? send(peers[0], packet, HEADER + RATE_PACKET, 0) > 0
                          : recv(peers[0], got, sizeof(got), 0) > 0)
                ;
        unit_assert_int(loop_step(loop, USEC_PER_MSEC), 0);
}

static uint64_t moved(unsigned queue)
{
        return queue == 0 ? device->counters.bytes_to_guest : device->counters.bytes_from_guest;
}

/* What is let through in half a second, in percent of what the rate says. */
static uint64_t measure_rate(unsigned queue)
{
        uint64_t before = moved(queue), began = clock_now_usec(), now = began;

        while (now < began + USEC_PER_SEC / 2) {
                pump(queue);
                now = clock_now_usec();
        }
        return (moved(queue) - before) * 100 / ((now - began) * (RATE / 1000000));
}

/* A limit is held to 5 % once its burst is spent. A machine that lets the test wait for longer than the burst
 * lasts gives it a second chance, and more. */
static void check_rate(unsigned queue)
{
        uint64_t percent = 0;

        begin();
        for (unsigned i = 0; i < 64; i++) {
                if (queue == 1)
                        guest_sends(1, i, RATE_PACKET, 1);
                else
                        offer(0, i, 1);
        }
        make_packet(RATE_PACKET, 1);
        set_throttle(queue == 0 ? THROTTLE_RECEIVE : THROTTLE_TRANSMIT,
                     (ThrottleLimits){.bytes = RATE, .bytes_burst = RATE / 4});
        while (moved(queue) < RATE / 2)
                pump(queue);
        for (unsigned i = 0; i < 10 && (percent < 95 || percent > 105); i++)
                percent = measure_rate(queue);
        if (percent < 95 || percent > 105)
                unit_fail("queue %u: %llu %% of the rate", queue, (unsigned long long)percent);
        end();
}

static void test_throttle_rate(void)
{
        check_rate(0);
        check_rate(1);
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

UNIT_MAIN(UNIT_TEST(test_config), UNIT_TEST(test_pairs), UNIT_TEST(test_without_mq),
          UNIT_TEST(test_control_malformed), UNIT_TEST(test_link), UNIT_TEST(test_throttle),
          UNIT_TEST(test_throttle_rate), UNIT_TEST(test_reload), UNIT_TEST(test_lost),
          UNIT_TEST(test_not_a_tap))
