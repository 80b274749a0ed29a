/*
 * Cases of guests that misuse the 9p device in slot 1: what is malformed is answered by an error or
 * costs them the device, and nobody else anything. It exports a directory with a file "hello".
 */
#include "virtio.h"

#define TAG    7
#define NO_FID 0xffffffff

enum {
        RLERROR = 7,
        TSTATFS = 8,
        TLOPEN = 12,
        TGETATTR = 24,
        TREADDIR = 40,
        TVERSION = 100,
        TATTACH = 104,
        TFLUSH = 108,
        TWALK = 110,
        TREAD = 116,
        TWRITE = 118,
        TCLUNK = 120,
};

enum { E_BAD_FID = 9, E_INVALID = 22, E_PROTOCOL = 71, E_TOO_LONG = 90, E_UNKNOWN = 95 };

static Driver driver;
static uint8_t message[4096], answer[4096];
static uint32_t size; /* of the message */

static void put(uint64_t value, unsigned bytes)
{
        for (; bytes > 0; bytes--, value >>= 8)
                message[size++] = (uint8_t)value;
}

static void put_text(const char *text)
{
        uint16_t length = 0;

        while (text[length])
                length++;
        put(length, 2);
        for (; *text; text++)
                put((uint8_t)*text, 1);
}

static uint32_t get32(const uint8_t *at)
{
        return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
               (uint32_t)at[3] << 24;
}

static void begin(uint8_t type)
{
        size = 0;
        put(0, 4);
        put(type, 1);
        put(TAG, 2);
}

static void set_size(uint32_t claimed)
{
        uint32_t end = size;

        size = 0;
        put(claimed, 4);
        size = end;
}

/* The message as it is, with @room for the answer, from descriptor 0 on. */
static void submit(uint32_t room)
{
        fill(answer, 0xee, 16);
        driver_describe(&driver, 0, message, size, room ? DESCRIPTOR_NEXT : 0, 1);
        driver_describe(&driver, 1, answer, room, DESCRIPTOR_WRITE, 0);
        driver_submit(&driver, 0);
}

/* 0, or the error that it was answered by. */
static uint32_t call_with(uint32_t room)
{
        submit(room);
        driver_wait(&driver, driver.available);
        CHECK(get32(answer) <= room, 1);
        CHECK(answer[5] | answer[6] << 8, TAG);
        if (answer[4] == RLERROR)
                return get32(answer + 7);
        CHECK(answer[4], message[4] + 1);
        return 0;
}

static uint32_t call(void)
{
        set_size(size);
        return call_with(sizeof(answer));
}

static uint32_t version(uint32_t msize)
{
        begin(TVERSION);
        put(msize, 4);
        put_text("9P2000.L");
        return call();
}

static uint32_t attach(uint32_t fid)
{
        begin(TATTACH);
        put(fid, 4);
        put(NO_FID, 4);
        put_text("");
        put_text("");
        put(0, 4);
        return call();
}

static uint32_t walk(uint32_t fid, uint32_t new_fid, const char *name)
{
        begin(TWALK);
        put(fid, 4);
        put(new_fid, 4);
        put(*name ? 1 : 0, 2);
        if (*name)
                put_text(name);
        return call();
}

static uint32_t simple(uint8_t type, uint32_t fid)
{
        begin(type);
        put(fid, 4);
        return call();
}

static uint32_t io(uint8_t type, uint32_t fid, uint64_t offset, uint32_t count)
{
        begin(type);
        put(fid, 4);
        put(offset, 8);
        put(count, 4);
        return call();
}

static uint32_t lopen(uint32_t fid)
{
        begin(TLOPEN);
        put(fid, 4);
        put(0, 4);
        return call();
}

/* The device from its reset on, with fid 0 at the root. */
static void start(const HandoffBlock *handoff)
{
        driver_start(&driver, handoff->slots_base + handoff->slots_stride, &test_rings,
                     FEATURE_INDIRECT);
        CHECK(version(8192), 0);
        CHECK(attach(0), 0);
}

/* After the crime: the device says so, and works after a reset, with nothing of the session left. */
static void check_reset(const HandoffBlock *handoff)
{
        driver_wait_failed(&driver);
        start(handoff);
        CHECK(simple(TCLUNK, 1), E_BAD_FID);
        CHECK(simple(TSTATFS, 0), 0);
}

static void fids(const HandoffBlock *handoff)
{
        start(handoff);
        CHECK(attach(0), E_INVALID);
        CHECK(attach(NO_FID), E_INVALID);
        CHECK(walk(0, 1, "hello"), 0);
        CHECK(walk(0, 1, ""), E_INVALID);
        CHECK(walk(0, NO_FID, ""), E_INVALID);
        CHECK(walk(5, 6, ""), E_BAD_FID);
        CHECK(walk(0, 2, ".."), E_INVALID);
        CHECK(walk(0, 2, "/"), E_INVALID);
        CHECK(lopen(1), 0);
        CHECK(lopen(1), E_BAD_FID); /* it is open */
        CHECK(walk(1, 1, ""), E_INVALID);
        CHECK(io(TREAD, 1, 0, 100), 0);
        CHECK(get32(answer + 7), 5);
        CHECK(answer[11] == 'h' && answer[15] == 'o', 1);
        CHECK(simple(TCLUNK, 1), 0);
        CHECK(simple(TCLUNK, 1), E_BAD_FID);
        CHECK(io(TREAD, 1, 0, 100), E_BAD_FID);
        /* A session that starts anew has none of the old one's. */
        CHECK(version(8192), 0);
        CHECK(simple(TSTATFS, 0), E_BAD_FID);
        CHECK(version(1), E_TOO_LONG);
        CHECK(attach(0), E_PROTOCOL);
}

/* So many fids that the tables grow, all gone with one message. */
static void many_fids(const HandoffBlock *handoff)
{
        start(handoff);
        for (unsigned i = 1; i < 500; i++)
                CHECK(walk(0, i * 0x10001U, i % 2 ? "hello" : ""), 0);
        CHECK(version(UINT32_MAX), 0);
        CHECK(get32(answer + 7) <= 512000, 1);
        CHECK(attach(0x10001), 0);
}

/* Tags are the guest's business: many requests with one, flushes of what isn't there, no tag. */
static void tags(const HandoffBlock *handoff)
{
        start(handoff);
        begin(TSTATFS);
        put(0, 4);
        set_size(size);
        for (unsigned i = 0; i < QUEUE_SIZE / 2; i++) {
                driver_describe(&driver, 2 * i, message, size, DESCRIPTOR_NEXT,
                                (uint16_t)(2 * i + 1));
                driver_describe(&driver, 2 * i + 1, answer, 100, DESCRIPTOR_WRITE, 0);
                driver_submit(&driver, (uint16_t)(2 * i));
        }
        driver_wait(&driver, driver.available);
        for (unsigned tag = 0; tag <= 0xffff; tag += 0x1111) {
                begin(TFLUSH);
                put(tag, 2);
                CHECK(call(), 0);
        }
        /* Every type there is, and those that there aren't. */
        for (unsigned type = 0; type < 256; type++) {
                begin((uint8_t)type);
                if (type == TFLUSH || type == TVERSION)
                        continue;
                CHECK(call() != 0, 1);
        }
        CHECK(simple(TSTATFS, 0), 0);
}

/* Counts and lengths beyond all that is there: an error, or as much as there is room for. */
static void counts(const HandoffBlock *handoff)
{
        start(handoff);
        CHECK(walk(0, 1, "hello"), 0);
        CHECK(lopen(1), 0);
        CHECK(walk(0, 2, ""), 0);
        CHECK(lopen(2), 0);
        CHECK(io(TREAD, 1, 0, UINT32_MAX), 0);
        CHECK(get32(answer + 7), 5);
        CHECK(io(TREAD, 1, UINT64_MAX, 1), E_INVALID);
        CHECK(io(TREADDIR, 2, 0, UINT32_MAX), 0);
        CHECK(io(TREADDIR, 2, UINT64_MAX, UINT32_MAX), E_INVALID);
        CHECK(io(TREADDIR, 2, 0, 0), E_INVALID);
        CHECK(io(TWRITE, 1, 0, UINT32_MAX), E_INVALID);
        CHECK(io(TWRITE, 1, 0, 1), E_INVALID);
        begin(TWALK);
        put(0, 4);
        put(9, 4);
        put(0xffff, 2);
        CHECK(call(), E_INVALID);
        begin(TWALK);
        put(0, 4);
        put(9, 4);
        put(1, 2);
        put(0xffff, 2);
        CHECK(call(), E_INVALID);
        begin(TWALK); /* 16 names of which none is there */
        put(0, 4);
        put(9, 4);
        put(16, 2);
        CHECK(call(), E_INVALID);
        /* An answer for which there is no room. */
        begin(TGETATTR);
        put(0, 4);
        put(~0ULL, 8);
        set_size(size);
        CHECK(call_with(20), E_TOO_LONG);
        CHECK(call_with(11), E_TOO_LONG);
}

/* Frames with nothing to answer to, or nowhere: the device needs reset. */
static void frames(const HandoffBlock *handoff)
{
        static const uint32_t claims[] = {0, 1, 6, 12, 4096, 0x7fffffff, UINT32_MAX};

        for (unsigned i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
                start(handoff);
                CHECK(walk(0, 1, ""), 0);
                begin(TSTATFS);
                put(0, 4);
                set_size(claims[i]);
                if (claims[i] == 12)
                        size = 10;
                submit(sizeof(answer));
                check_reset(handoff);
        }
        for (uint32_t room = 0; room < 11; room += 5) {
                begin(TSTATFS);
                put(0, 4);
                set_size(size);
                submit(room);
                check_reset(handoff);
        }
        /* Nothing but room. */
        driver_describe(&driver, 0, answer, 100, DESCRIPTOR_WRITE, 0);
        driver_submit(&driver, 0);
        check_reset(handoff);
}

/* The answer goes where the message is, and where the rings are. */
static void overlaps(const HandoffBlock *handoff)
{
        start(handoff);
        begin(TGETATTR);
        put(0, 4);
        put(~0ULL, 8);
        set_size(size);
        driver_describe(&driver, 0, message, size, DESCRIPTOR_NEXT, 1);
        driver_describe(&driver, 1, message, sizeof(message), DESCRIPTOR_WRITE, 0);
        driver_submit(&driver, 0);
        driver_wait(&driver, driver.available);
        CHECK(message[4], TGETATTR + 1);
        begin(TGETATTR);
        put(0, 4);
        put(~0ULL, 8);
        set_size(size);
        driver_describe(&driver, 0, message, size, DESCRIPTOR_NEXT, 1);
        driver_describe(&driver, 1, test_rings.descriptors, sizeof(test_rings.descriptors),
                        DESCRIPTOR_WRITE, 0);
        driver_submit(&driver, 0);
        driver_wait(&driver, driver.available);
        /* The available ring, and then the used one: what becomes of it is the guest's own doing. */
        driver_describe(&driver, 0, message, size, DESCRIPTOR_NEXT, 1);
        driver_describe(&driver, 1, (void *)&test_rings.available, 200, DESCRIPTOR_WRITE, 0);
        driver_submit(&driver, 0);
        start(handoff);
        driver_describe(&driver, 0, message, size, DESCRIPTOR_NEXT, 1);
        driver_describe(&driver, 1, (void *)&test_rings.used, 200, DESCRIPTOR_WRITE, 0);
        driver_submit(&driver, 0);
        start(handoff);
        CHECK(simple(TSTATFS, 0), 0);
}

const Case cases_p9_hostile[] = {
        {"p9-fids", fids},
        {"p9-many-fids", many_fids},
        {"p9-tags", tags},
        {"p9-counts", counts},
        {"p9-frames", frames},
        {"p9-overlaps", overlaps},
        {},
};
