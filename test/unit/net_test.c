/* Packets of the network device: both directions, all kinds of buffers, and resets in between. */
#include "test/unit/net_guest.h"

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

/* The driver wants to hear of the next request that is used. */
static void want_interrupt(unsigned queue)
{
        Driver *driver = &drivers[queue];

        driver_put(driver, RINGS(queue) + 4096 + 4 + 2 * DRIVER_ENTRIES,
                   driver_get(driver, RINGS(queue) + 8192 + 2, 2), 2);
}

static void wait_for_interrupts(uint64_t n)
{
        uint64_t limit = clock_now_usec() + clock_limit_usec(10 * USEC_PER_SEC);

        while (device->counters.interrupts < n) {
                unit_assert(clock_now_usec() < limit);
                unit_assert_int(loop_step(loop, USEC_PER_SEC), 0);
        }
}

/* A few packets that were sent are told of a little later, or with the next that came. */
static void test_interrupt_for_both(void)
{
        begin();
        offer(0, 0, 40);
        driver_kick(&drivers[0]);
        settle();
        guest_sends(1, 0, 60, 1);
        driver_kick(&drivers[1]);
        wait_for_interrupts(1);
        unit_assert_int(driver_used(&drivers[1]), 1);
        want_interrupt(1);
        /* Of this one and the next, which both are there when the loop looks, one interrupt tells. */
        guest_sends(1, 1, 60, 2);
        driver_kick(&drivers[1]);
        host_sends(0, 60, 3);
        wait_for_interrupts(2);
        unit_assert_int(driver_used(&drivers[0]), 1);
        unit_assert_int(driver_used(&drivers[1]), 2);
        run_for(20 * USEC_PER_MSEC);
        unit_assert_int(device->counters.interrupts, 2);
        want_interrupt(1);
        /* Many bytes are told of at once, one packet of them later, and a reset has nothing told. */
        guest_sends(1, 2, 65535, 4);
        driver_kick(&drivers[1]);
        unit_assert_int(loop_step(loop, 0), 0);
        unit_assert_int(device->counters.interrupts, 2);
        guest_sends(1, 20, 65535, 5);
        driver_kick(&drivers[1]);
        settle();
        unit_assert_int(device->counters.interrupts, 3);
        want_interrupt(1);
        guest_sends(1, 30, 60, 5);
        driver_kick(&drivers[1]);
        unit_assert_int(loop_step(loop, 0), 0);
        virtio_device_reset(device);
        run_for(20 * USEC_PER_MSEC);
        unit_assert_int(device->counters.interrupts, 3);
        end();
}

/* Much was sent, and the host has answered when it is told of: one interrupt, whoever was looked at first. */
static void test_interrupt_for_exchange(void)
{
        begin();
        offer(0, 0, 40);
        driver_kick(&drivers[0]);
        settle();
        want_interrupt(0);
        want_interrupt(1);
        guest_sends(1, 0, 65535, 1);
        guest_sends(1, 20, 65535, 2);
        /* As if these came from the host's stack while it took the others. */
        host_sends(0, 60, 3);
        host_sends(0, 60, 4);
        unit_assert_int(virtio_device_notify(device, 1), 0);
        unit_assert_int(device->counters.interrupts, 1);
        unit_assert_int(driver_used(&drivers[1]), 2);
        unit_assert_int(driver_used(&drivers[0]), 2);
        run_for(20 * USEC_PER_MSEC);
        unit_assert_int(device->counters.interrupts, 1);
        end();
}

/* Behind something small the next that comes is taken for its answer; what is more comes as well. */
static void test_answers(void)
{
        begin();
        offer(0, 0, DRIVER_ENTRIES);
        driver_kick(&drivers[0]);
        settle();
        guest_sends(1, 0, 60, 1);
        driver_kick(&drivers[1]);
        settle();
        for (unsigned i = 0; i < 5; i++)
                host_sends(0, i == 2 ? 9000 : 60, (uint8_t)i);
        settle();
        for (unsigned i = 0; i < 5; i++)
                (void)guest_gets(0, i == 2 ? 9000 : 60, (uint8_t)i);
        end();
}

/* One that is sent while the timer of an earlier one runs, which was told of by other means, waits a whole
 * time: and is told of. */
static void test_interrupt_later(void)
{
        begin();
        offer(0, 0, 40);
        driver_kick(&drivers[0]);
        settle();
        for (unsigned i = 0; i < 3; i++) {
                want_interrupt(0);
                guest_sends(1, i, 60, 1);
                driver_kick(&drivers[1]);
                host_sends(0, 60, 2);
                wait_for_interrupts(i + 1);
        }
        want_interrupt(1);
        guest_sends(1, 10, 60, 3);
        driver_kick(&drivers[1]);
        wait_for_interrupts(4);
        unit_assert_int(driver_used(&drivers[1]), 4);
        run_for(20 * USEC_PER_MSEC);
        unit_assert_int(device->counters.interrupts, 4);
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

UNIT_MAIN(UNIT_TEST(test_transmit), UNIT_TEST(test_transmit_nonsense),
          UNIT_TEST(test_transmit_stuck), UNIT_TEST(test_interrupts),
          UNIT_TEST(test_interrupt_for_both), UNIT_TEST(test_interrupt_for_exchange),
          UNIT_TEST(test_answers), UNIT_TEST(test_interrupt_later), UNIT_TEST(test_receive),
          UNIT_TEST(test_receive_starved), UNIT_TEST(test_receive_too_large),
          UNIT_TEST(test_receive_unmergeable), UNIT_TEST(test_receive_many),
          UNIT_TEST(test_malformed), UNIT_TEST(test_reset))
