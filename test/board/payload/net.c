/*
 * Cases about a network device in slot 1, whose other side sends every frame back: a driver that keeps
 * to the rules, and some that don't.
 */
#include "virtio.h"

#define SLOT(handoff) ((handoff)->slots_base + (handoff)->slots_stride)

#define ID_NET 1

#define FEATURE_MRG_RXBUF (1U << 15)
#define FEATURE_CTRL_VQ   (1U << 17)
#define FEATURE_MQ        (1U << 22)

#define HEADER       12
#define FRAME_HEADER 14
#define BUFFER       4096

enum { RX, TX, QUEUES_MAX = 5 };

static Rings rings[QUEUES_MAX];
static Driver queues[QUEUES_MAX];
static uint8_t rx_buffers[QUEUE_SIZE][BUFFER] __attribute__((aligned(8)));
static uint8_t tx_buffer[32768] __attribute__((aligned(8)));
static uint16_t rx_seen; /* of the used ring of RX */

static void begin_empty(const HandoffBlock *handoff, unsigned n, uint32_t features)
{
        driver_begin(SLOT(handoff), features);
        for (unsigned i = 0; i < n; i++)
                driver_add(&queues[i], SLOT(handoff), i, &rings[i]);
        driver_end(SLOT(handoff));
        rx_seen = 0;
}

/* All of the first pair's buffers are on offer to the device. */
static void begin_with(const HandoffBlock *handoff, unsigned n, uint32_t features)
{
        begin_empty(handoff, n, features);
        for (uint16_t i = 0; i < QUEUE_SIZE; i++) {
                driver_describe(&queues[RX], i, rx_buffers[i], BUFFER, DESCRIPTOR_WRITE, 0);
                driver_submit(&queues[RX], i);
        }
}

static void begin(const HandoffBlock *handoff)
{
        begin_with(handoff, 3, FEATURE_MRG_RXBUF | FEATURE_CTRL_VQ | FEATURE_INDIRECT);
}

/* A frame of @size bytes behind an empty header, in tx_buffer. */
static void make_frame(uint32_t size, uint8_t seed)
{
        static const uint8_t head[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,
                                       0,    0,    0,    0,    1,    0x88, 0xb5};

        fill(tx_buffer, 0, HEADER);
        fill(tx_buffer + HEADER, seed, size);
        for (unsigned i = 0; i < sizeof(head); i++)
                tx_buffer[HEADER + i] = head[i];
}

static void send(uint32_t size, uint8_t seed)
{
        Driver *driver = &queues[TX];

        make_frame(size, seed);
        driver_describe(driver, 0, tx_buffer, HEADER, DESCRIPTOR_NEXT, 1);
        driver_describe(driver, 1, tx_buffer + HEADER, size, 0, 0);
        driver_submit(driver, 0);
        driver_wait(driver, driver->available);
}

/* Takes the next frame and gives its buffers back: how many it had. */
static unsigned get_any(uint32_t *ret_size, uint8_t *ret_seed, bool *ret_is_ours)
{
        Rings *ring = &rings[RX];
        const uint8_t *first;
        unsigned n;

        for (unsigned i = 0; ring->used.index == rx_seen; i++) {
                if (i > 400000)
                        fail("no frame comes", rx_seen);
                pause();
        }
        first = rx_buffers[ring->used.ring[rx_seen % QUEUE_SIZE].id];
        n = first[HEADER - 2];
        *ret_seed = first[HEADER + FRAME_HEADER];
        *ret_is_ours = first[HEADER + 12] == 0x88 && first[HEADER + 13] == 0xb5;
        *ret_size = 0;
        /* All of a frame's buffers came at once. */
        CHECK((uint16_t)(ring->used.index - rx_seen) >= n, 1);
        for (unsigned i = 0; i < n; i++) {
                uint32_t at = rx_seen++ % QUEUE_SIZE;

                *ret_size += ring->used.ring[at].length;
                driver_submit(&queues[RX], (uint16_t)ring->used.ring[at].id);
        }
        *ret_size -= HEADER;
        return n;
}

/* The next that isn't the host's own talk. */
static unsigned get(uint32_t *ret_size, uint8_t *ret_seed)
{
        bool is_ours;
        unsigned n;

        do
                n = get_any(ret_size, ret_seed, &is_ours);
        while (!is_ours);
        return n;
}

static void expect(uint32_t size, uint8_t seed, unsigned n_buffers)
{
        uint32_t got_size;
        uint8_t got_seed;

        CHECK(get(&got_size, &got_seed), n_buffers);
        CHECK(got_size, size);
        CHECK(got_seed, seed);
}

static void use(void)
{
        for (uint8_t i = 1; i < 12; i++) {
                send(60 + 100U * i, i);
                expect(60 + 100U * i, i, 1);
        }
}

static void plain(const HandoffBlock *handoff)
{
        uint64_t slot = SLOT(handoff);

        CHECK(mmio_read(slot + R_DEVICE_ID), ID_NET);
        CHECK(mmio_read(slot + R_CONFIG), 2);
        CHECK(mmio_read(slot + R_CONFIG + 4), 1U << 8 | 1U << 16);
        CHECK(mmio_read(slot + R_CONFIG + 8), 1 | 1500U << 16);
        begin(handoff);
        use();
        begin_with(handoff, 2, FEATURE_EVENT_IDX);
        use();
}

/* In buffers of a page each, also where they run out in between. */
static void large(const HandoffBlock *handoff)
{
        begin(handoff);
        send(20000, 7);
        expect(20000, 7, 5);
        send(4096 - HEADER, 8);
        expect(4096 - HEADER, 8, 1);
        send(4096 - HEADER + 1, 9);
        expect(4096 - HEADER + 1, 9, 2);
        for (uint8_t i = 0; i < 4; i++)
                send(20000, i);
        for (uint8_t i = 0; i < 4; i++)
                expect(20000, i, 5);
}

static uint8_t command(Driver *control, const char *bytes, uint32_t size)
{
        static volatile uint8_t ack;

        ack = 0xaa;
        driver_describe(control, 0, bytes, size, DESCRIPTOR_NEXT, 1);
        driver_describe(control, 1, (void *)&ack, 1, DESCRIPTOR_WRITE, 0);
        driver_submit(control, size > 0 ? 0 : 1);
        driver_wait(control, control->available);
        return ack;
}

/* The harness's device has two pairs. */
static void control(const HandoffBlock *handoff)
{
        Driver *control = &queues[4];

        begin_with(handoff, 5, FEATURE_MRG_RXBUF | FEATURE_CTRL_VQ | FEATURE_MQ);
        CHECK(mmio_read(SLOT(handoff) + R_QUEUE_SIZE_MAX), 256);
        mmio_write(SLOT(handoff) + R_QUEUE_SELECT, 5);
        CHECK(mmio_read(SLOT(handoff) + R_QUEUE_SIZE_MAX), 0);
        use();
        CHECK(command(control, "\4\0\0\0", 4), 1);
        CHECK(command(control, "\4\0\3\0", 4), 1);
        CHECK(command(control, "\4\0\xff\xff", 4), 1);
        CHECK(command(control, "\4\0\2", 3), 1);
        CHECK(command(control, "\4\0\2\0\0", 5), 1);
        CHECK(command(control, "\4\1\2\0", 4), 1);
        CHECK(command(control, "\5\0\0\0\0\0\0\0\0\0", 10), 1); /* not taken */
        CHECK(command(control, "\0\0\1", 3), 1);
        CHECK(command(control, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12), 1);
        CHECK(command(control, "", 0), 1);
        use();
        CHECK(command(control, "\4\0\2\0", 4), 0);
        CHECK(command(control, "\4\0\2\0", 4), 0);
        CHECK(command(control, "\4\0\1\0", 4), 0);
        use();
        /* Without a place for the answer. */
        driver_describe(control, 0, "\4\0\1\0", 4, 0, 0);
        driver_submit(control, 0);
        driver_wait_failed(control);
        begin(handoff);
        use();
}

/* What is no packet is lost, and costs nobody the device. */
static void nonsense(const HandoffBlock *handoff)
{
        static Descriptor table[256];
        Driver *driver = &queues[TX];

        begin(handoff);
        make_frame(100, 1);
        driver_describe(driver, 0, tx_buffer, 1, 0, 0);
        driver_describe(driver, 1, tx_buffer, HEADER, 0, 0);
        driver_describe(driver, 2, tx_buffer, HEADER + 1, 0, 0);
        driver_describe(driver, 3, tx_buffer, BUFFER, DESCRIPTOR_WRITE, 0);
        for (uint16_t i = 0; i < 4; i++)
                driver_submit(driver, i);
        driver_wait(driver, 4);
        /* 16 MiB, by one page that is described again and again. */
        for (unsigned i = 0; i < 256; i++)
                table[i] = (Descriptor){
                        .address = (uint64_t)tx_buffer,
                        .length = sizeof(tx_buffer),
                        .flags = i < 255 ? DESCRIPTOR_NEXT : 0,
                        .next = (uint16_t)(i + 1),
                };
        driver_describe(driver, 0, table, sizeof(table), DESCRIPTOR_INDIRECT, 0);
        driver_submit(driver, 0);
        driver_wait(driver, 5);
        /* As many pieces as there may be, of a byte each. */
        for (unsigned i = 0; i < 256; i++) {
                table[i].address += i;
                table[i].length = 1;
        }
        driver_submit(driver, 0);
        driver_wait(driver, 6);
        expect(256 - HEADER, 1, 1);
        /* Headers that make no sense: checksums and segments where there are none. */
        for (unsigned i = 0; i < HEADER - 2; i++) {
                make_frame(1000, 2);
                tx_buffer[i] = 0xff;
                driver_describe(driver, 1, tx_buffer, 1000 + HEADER, 0, 0);
                driver_submit(driver, 1);
                driver_wait(driver, driver->available);
        }
        /* Some of them may have passed. */
        begin(handoff);
        send(60, 99);
        for (uint8_t seed = 0; seed != 99;) {
                uint32_t size;

                (void)get(&size, &seed);
        }
        use();
}

static void check_lost(const HandoffBlock *handoff)
{
        driver_wait_failed(&queues[0]);
        begin(handoff);
        use();
}

static void hostile(const HandoffBlock *handoff)
{
        static Descriptor table[2];

        /* Buffers to receive into that can't be written, lie nowhere, or are empty. */
        begin_empty(handoff, 2, FEATURE_MRG_RXBUF);
        driver_describe(&queues[RX], 0, rx_buffers, BUFFER, 0, 0);
        driver_submit(&queues[RX], 0);
        check_lost(handoff);

        begin_empty(handoff, 2, FEATURE_MRG_RXBUF);
        driver_describe(&queues[RX], 0, (void *)(1ULL << 40), BUFFER, DESCRIPTOR_WRITE, 0);
        driver_submit(&queues[RX], 0);
        check_lost(handoff);

        begin_empty(handoff, 2, FEATURE_MRG_RXBUF);
        driver_describe(&queues[RX], 0, rx_buffers, 0, DESCRIPTOR_WRITE, 0);
        driver_submit(&queues[RX], 0);
        check_lost(handoff);

        driver_describe(&queues[TX], 0, tx_buffer, 100, DESCRIPTOR_NEXT, 1);
        driver_describe(&queues[TX], 1, tx_buffer, 100, DESCRIPTOR_NEXT, 0);
        driver_submit(&queues[TX], 0);
        check_lost(handoff);

        table[0] = (Descriptor){
                .address = (uint64_t)table,
                .length = sizeof(table),
                .flags = DESCRIPTOR_INDIRECT,
        };
        driver_describe(&queues[TX], 0, table, sizeof(table), DESCRIPTOR_INDIRECT, 0);
        driver_submit(&queues[TX], 0);
        check_lost(handoff);

        driver_describe(&queues[TX], 0, tx_buffer, 0, 0, 0);
        driver_submit(&queues[TX], 0);
        check_lost(handoff);

        driver_submit(&queues[TX], QUEUE_SIZE);
        check_lost(handoff);

        queues[TX].available = 0x7000;
        driver_submit(&queues[TX], 0);
        check_lost(handoff);
}

/* Resets with frames on their way in both directions, and with the second pair in use. */
static void reset_in_flight(const HandoffBlock *handoff)
{
        uint8_t seed = 0;

        for (unsigned round = 0; round < 20; round++) {
                begin_with(handoff, 5, FEATURE_MRG_RXBUF | FEATURE_CTRL_VQ | FEATURE_MQ);
                CHECK(command(&queues[4], "\4\0\2\0", 4), 0);
                make_frame(5000, 1);
                driver_describe(&queues[TX], 0, tx_buffer, HEADER + 5000, 0, 0);
                for (unsigned i = 0; i < QUEUE_SIZE; i++)
                        driver_submit(&queues[TX], 0);
                for (unsigned i = 0; i < round * 50; i++)
                        pause();
                mmio_write(SLOT(handoff) + R_STATUS, 0);
                CHECK(mmio_read(SLOT(handoff) + R_STATUS), 0);
        }
        begin(handoff);
        send(60, 99);
        for (uint32_t size; seed != 99;)
                (void)get(&size, &seed);
        use();
}

static void wait_for_status(const HandoffBlock *handoff, uint32_t status)
{
        for (unsigned i = 0; i < 100000; i++) {
                if (mmio_read(SLOT(handoff) + R_CONFIG + 4) >> 16 == status)
                        return;
                pause();
        }
        fail("the link's state stays", status);
}

/* The harness takes the link down at phase 90 and up at 91. */
static void link(const HandoffBlock *handoff)
{
        uint64_t slot = SLOT(handoff);
        uint32_t generation;

        begin(handoff);
        use();
        mmio_write(slot + R_INTERRUPT_ACK, 3);
        generation = mmio_read(slot + R_CONFIG_GENERATION);
        tell(90);
        wait_for_status(handoff, 0);
        for (unsigned i = 0; i < 10000 && !(mmio_read(slot + R_INTERRUPT_STATUS) & 2); i++)
                pause();
        CHECK(mmio_read(slot + R_INTERRUPT_STATUS) & 2, 2);
        CHECK(mmio_read(slot + R_CONFIG_GENERATION) != generation, 1);
        send(60, 1); /* to nobody */
        tell(91);
        wait_for_status(handoff, 1);
        use();
}

/* Nobody is on the other side; whoever reads the console takes the link down and up. */
static void alone(const HandoffBlock *handoff)
{
        begin(handoff);
        for (uint8_t i = 0; i < 3 * QUEUE_SIZE; i++)
                send(100U * i + 60, i);
        print("DOWN PLEASE\n");
        wait_for_status(handoff, 0);
        send(60, 1);
        print("UP PLEASE\n");
        wait_for_status(handoff, 1);
        send(60, 2);
}

/* The harness plugs a device at each even phase from 40 on and pulls it at the odd one behind. */
static void plug(const HandoffBlock *handoff)
{
        uint64_t slot = SLOT(handoff);

        for (uint8_t round = 0; round < 20; round++) {
                CHECK(mmio_read(slot + R_DEVICE_ID), 0);
                tell((uint8_t)(40 + 2 * round));
                for (unsigned i = 0; i < 100000 && mmio_read(slot + R_DEVICE_ID) == 0; i++)
                        pause();
                CHECK(mmio_read(slot + R_DEVICE_ID), ID_NET);
                begin_with(handoff, 2, FEATURE_MRG_RXBUF);
                send(1000, round);
                send(1000, round);
                tell((uint8_t)(41 + 2 * round));
                for (unsigned i = 0; i < 100000 && mmio_read(slot + R_DEVICE_ID) != 0; i++)
                        pause();
        }
        CHECK(mmio_read(slot + R_DEVICE_ID), 0);
}

const Case cases_net[] = {
        {"net", plain},           {"net-large", large},
        {"net-control", control}, {"net-nonsense", nonsense},
        {"net-hostile", hostile}, {"net-reset", reset_in_flight},
        {"net-link", link},       {"net-plug", plug},
        {"net-alone", alone},     {},
};
