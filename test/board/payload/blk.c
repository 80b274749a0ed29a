/* Cases about a disk in slot 1: a driver that keeps to the rules, and one for each rule that doesn't. */
#include "virtio.h"

#define SLOT(handoff) ((handoff)->slots_base + (handoff)->slots_stride)

#define ID_BLOCK 2
#define SECTORS  8192 /* of the harness's disk: 4 MiB */

#define FEATURE_FLUSH (1U << 9)

enum { IN = 0, OUT = 1, FLUSH = 4, GET_ID = 8, DISCARD = 11, WRITE_ZEROES = 13 };
enum { OK = 0, IOERR = 1, UNSUPP = 2, NOTHING = 0xaa };

typedef struct Header {
        uint32_t type, reserved;
        uint64_t sector;
} Header;

typedef struct Range {
        uint64_t sector;
        uint32_t n, flags;
} Range;

static Driver driver;
static Header headers[QUEUE_SIZE];
static volatile uint8_t statuses[QUEUE_SIZE];
static uint8_t data[65536] __attribute__((aligned(8)));

static void begin(const HandoffBlock *handoff)
{
        driver_start(&driver, SLOT(handoff), &test_rings, FEATURE_INDIRECT | FEATURE_FLUSH);
}

/* Describes a request whose descriptors begin at @first, and is @first's header and status, too. */
static void describe(unsigned first, uint32_t type, uint64_t sector, void *at, uint32_t size)
{
        uint16_t write = type == IN || type == GET_ID ? DESCRIPTOR_WRITE : 0;

        headers[first] = (Header){.type = type, .sector = sector};
        statuses[first] = NOTHING;
        driver_describe(&driver, first, &headers[first], sizeof(Header), DESCRIPTOR_NEXT,
                        (uint16_t)(size > 0 ? first + 1 : first + 2));
        driver_describe(&driver, first + 1, at, size, DESCRIPTOR_NEXT | write,
                        (uint16_t)(first + 2));
        driver_describe(&driver, first + 2, (void *)&statuses[first], 1, DESCRIPTOR_WRITE, 0);
}

static uint8_t submit(void)
{
        driver_submit(&driver, 0);
        driver_wait(&driver, driver.available);
        return statuses[0];
}

static uint8_t ask(uint32_t type, uint64_t sector, uint32_t size)
{
        describe(0, type, sector, data, size);
        return submit();
}

static uint8_t ask_range(uint32_t type, uint64_t sector, uint32_t n, uint32_t flags)
{
        *(Range *)data = (Range){.sector = sector, .n = n, .flags = flags};
        return ask(type, 0, sizeof(Range));
}

static void check_sector(uint64_t sector, uint8_t value)
{
        const uint64_t *words = (const uint64_t *)data;

        fill(data, 0x55, 512);
        CHECK(ask(IN, sector, 512), OK);
        for (unsigned i = 0; i < 64; i++)
                CHECK(words[i], value * 0x0101010101010101ULL);
}

/* All that a disk is for, whatever is on it. */
static void use(void)
{
        CHECK(ask_range(WRITE_ZEROES, 0, SECTORS, 1), OK);
        fill(data, 0x42, sizeof(data));
        CHECK(ask(OUT, 8, 4096), OK);
        CHECK(ask(OUT, SECTORS - 128, 65536), OK);
        CHECK(ask(FLUSH, 0, 0), OK);
        check_sector(7, 0);
        check_sector(8, 0x42);
        check_sector(15, 0x42);
        check_sector(16, 0);
        check_sector(SECTORS - 1, 0x42);
        CHECK(ask_range(WRITE_ZEROES, 9, 1, 0), OK);
        check_sector(9, 0);
        check_sector(10, 0x42);
        CHECK(ask_range(WRITE_ZEROES, 0, SECTORS, 1), OK);
        check_sector(10, 0);
        check_sector(SECTORS - 1, 0);
        CHECK(ask_range(DISCARD, 0, SECTORS, 0), OK);
}

static void plain(const HandoffBlock *handoff)
{
        uint64_t slot = SLOT(handoff);

        CHECK(mmio_read(slot + R_DEVICE_ID), ID_BLOCK);
        CHECK(mmio_read(slot + R_CONFIG), SECTORS);
        CHECK(mmio_read(slot + R_CONFIG + 4), 0);
        CHECK(mmio_read(slot + R_CONFIG + 20), 512);
        begin(handoff);
        use();
        CHECK(ask(GET_ID, 0, 20), OK);
        CHECK(data[0], 'd');
        CHECK(data[4], '0');
        CHECK(data[5], 0);
        CHECK(data[19], 0);
}

static void read_only(const HandoffBlock *handoff)
{
        begin(handoff);
        fill(data, 0x42, sizeof(data));
        CHECK(ask(OUT, 8, 4096), IOERR);
        CHECK(ask_range(WRITE_ZEROES, 8, 8, 0), IOERR);
        CHECK(ask_range(DISCARD, 8, 8, 0), IOERR);
        CHECK(ask(FLUSH, 0, 0), OK);
        check_sector(8, 0);
}

/* What can be answered is, with an error, and costs nobody the device. */
static void bad_requests(const HandoffBlock *handoff)
{
        static const uint64_t sectors[] = {SECTORS, SECTORS - 1, UINT64_MAX, UINT64_MAX / 512,
                                           1ULL << 55};

        begin(handoff);
        for (unsigned i = 0; i < sizeof(sectors) / sizeof(sectors[0]); i++) {
                CHECK(ask(IN, sectors[i], 1024), IOERR);
                CHECK(ask(OUT, sectors[i], 1024), IOERR);
                CHECK(ask_range(DISCARD, sectors[i], 2, 0), IOERR);
                CHECK(ask_range(WRITE_ZEROES, sectors[i], 2, 1), IOERR);
        }
        CHECK(ask(IN, 0, 511), IOERR);
        CHECK(ask(OUT, 0, 1), IOERR);
        CHECK(ask(IN, 0, 0), IOERR);
        CHECK(ask(OUT, 0, 0), IOERR);
        CHECK(ask(FLUSH, 0, 512), IOERR);
        CHECK(ask(GET_ID, 0, 19), IOERR);
        CHECK(ask_range(DISCARD, 0, UINT32_MAX, 0), IOERR);
        CHECK(ask_range(DISCARD, 0, 0, 0), IOERR);
        CHECK(ask_range(DISCARD, 0, 8, 1), UNSUPP);
        CHECK(ask_range(WRITE_ZEROES, 0, 8, UINT32_MAX), UNSUPP);
        CHECK(ask(DISCARD, 0, 65536), IOERR);
        CHECK(ask(99, 0, 512), UNSUPP);
        CHECK(ask(UINT32_MAX, 0, 0), UNSUPP);
        use();
}

/* A request for all of memory, by one page that is described again and again. */
static void huge(const HandoffBlock *handoff)
{
        static Descriptor table[256];

        begin(handoff);
        describe(0, IN, 0, data, 512);
        table[0] = test_rings.descriptors[0];
        table[0].next = 1;
        for (unsigned i = 1; i < 255; i++)
                table[i] = (Descriptor){
                        .address = (uint64_t)data,
                        .length = sizeof(data),
                        .flags = DESCRIPTOR_WRITE | DESCRIPTOR_NEXT,
                        .next = (uint16_t)(i + 1),
                };
        table[255] = test_rings.descriptors[2];
        driver_describe(&driver, 0, table, sizeof(table), DESCRIPTOR_INDIRECT, 0);
        CHECK(submit(), IOERR); /* 16 MiB of a disk of 4 */
        for (unsigned i = 1; i < 255; i++)
                table[i].length = 16384;
        statuses[0] = NOTHING;
        CHECK(submit(), OK);
        CHECK(test_rings.used.ring[1].length, 254 * 16384 + 1);
        for (unsigned i = 1; i < 255; i++)
                table[i].flags &= (uint16_t)~DESCRIPTOR_WRITE;
        headers[0].type = OUT;
        statuses[0] = NOTHING;
        CHECK(submit(), OK);
}

/* Data over the header, over the status, over the rings: the device copied what it decides on. */
static void overlapping(const HandoffBlock *handoff)
{
        begin(handoff);
        fill(data, 0x42, sizeof(data));
        CHECK(ask(OUT, 0, 65536), OK);
        describe(0, IN, 8, data, 512);
        headers[0].sector = 8;
        driver_describe(&driver, 0, data, sizeof(Header), DESCRIPTOR_NEXT, 1);
        *(Header *)data = headers[0];
        CHECK(submit(), OK);
        CHECK(data[0], 0x42);
        /* The status inside of the data. */
        describe(0, IN, 8, data, 512);
        driver_describe(&driver, 2, data + 100, 1, DESCRIPTOR_WRITE, 0);
        (void)submit();
        CHECK(data[100], OK);
        CHECK(data[101], 0x42);
        /* All in one place: header, data and status. */
        driver_describe(&driver, 0, data, sizeof(Header), DESCRIPTOR_NEXT, 1);
        driver_describe(&driver, 1, data, 512, DESCRIPTOR_NEXT | DESCRIPTOR_WRITE, 2);
        driver_describe(&driver, 2, data, 1, DESCRIPTOR_WRITE, 0);
        *(Header *)data = (Header){.type = IN, .sector = 16};
        (void)submit();
        CHECK(data[0], OK);
        CHECK(data[511], 0x42);
        /* A read into the ring itself: whatever comes of it, a reset makes it good. */
        describe(0, IN, 8, &test_rings.available, 512);
        driver_submit(&driver, 0);
        for (unsigned i = 0; i < 10000; i++)
                pause();
        begin(handoff);
        use();
}

static void check_lost(const HandoffBlock *handoff)
{
        driver_wait_failed(&driver);
        begin(handoff);
        use();
}

/* What can't be answered costs the device, until the reset. */
static void unanswerable(const HandoffBlock *handoff)
{
        begin(handoff);
        describe(0, OUT, 0, data, 512);
        driver_describe(&driver, 2, (void *)&statuses[0], 1, 0,
                        0); /* a status that can't be written */
        driver_submit(&driver, 0);
        check_lost(handoff);

        describe(0, OUT, 0, data, 512);
        driver_describe(&driver, 1, data, 512, 0, 0); /* none at all */
        driver_submit(&driver, 0);
        check_lost(handoff);

        describe(0, FLUSH, 0, data, 0);
        driver_describe(&driver, 0, &headers[0], 15, DESCRIPTOR_NEXT, 2);
        driver_submit(&driver, 0);
        check_lost(handoff);

        describe(0, IN, 0, data, 512);
        driver_describe(&driver, 2, (void *)&statuses[0], 0, DESCRIPTOR_WRITE,
                        0); /* of no length */
        driver_submit(&driver, 0);
        check_lost(handoff);

        describe(0, IN, 0, data, 512);
        driver_describe(&driver, 2, (void *)&statuses[0], 1, DESCRIPTOR_WRITE | DESCRIPTOR_NEXT, 1);
        driver_submit(&driver, 0); /* a loop */
        check_lost(handoff);
}

/* Resets with all that fits into the ring in flight, at once and a little later. */
static void reset_in_flight(const HandoffBlock *handoff)
{
        for (unsigned round = 0; round < 30; round++) {
                begin(handoff);
                fill(data, (uint8_t)round, 512);
                describe(0, round % 2 ? OUT : IN, 0, data, 65536);
                describe(3, FLUSH, 0, data, 0);
                for (unsigned i = 0; i < QUEUE_SIZE; i++)
                        driver_submit(&driver, i % 3 ? 0 : 3);
                for (unsigned i = 0; i < round * 100; i++)
                        pause();
                mmio_write(SLOT(handoff) + R_STATUS, 0);
                CHECK(mmio_read(SLOT(handoff) + R_STATUS), 0);
        }
        begin(handoff);
        use();
}

/* The harness plugs a disk at each even phase from 40 on and pulls it at the odd one behind. */
static void plug(const HandoffBlock *handoff)
{
        uint64_t slot = SLOT(handoff);

        for (uint8_t round = 0; round < 20; round++) {
                CHECK(mmio_read(slot + R_DEVICE_ID), 0);
                tell((uint8_t)(40 + 2 * round));
                for (unsigned i = 0; i < 100000 && mmio_read(slot + R_DEVICE_ID) == 0; i++)
                        pause();
                CHECK(mmio_read(slot + R_DEVICE_ID), ID_BLOCK);
                begin(handoff);
                check_sector(100, round);
                fill(data, round + 1, 512);
                CHECK(ask(OUT, 100, 512), OK);
                CHECK(ask(FLUSH, 0, 0), OK);
                tell((uint8_t)(41 + 2 * round));
                for (unsigned i = 0; i < 100000 && mmio_read(slot + R_DEVICE_ID) != 0; i++)
                        pause();
        }
        CHECK(mmio_read(slot + R_DEVICE_ID), 0);
}

const Case cases_blk[] = {
        {"blk", plain},
        {"blk-read-only", read_only},
        {"blk-bad-requests", bad_requests},
        {"blk-huge", huge},
        {"blk-overlapping", overlapping},
        {"blk-unanswerable", unanswerable},
        {"blk-reset-in-flight", reset_in_flight},
        {"blk-plug", plug},
        {},
};
