/*
 * Cases of a 9p client whose requests wait for the host. Slot 1 holds an export with a file "local" and
 * a file "slow" in a directory "fuse", of which reads aren't answered for as long as the harness
 * wants. Slot 0 holds an rng.
 */
#include "virtio.h"

#define SLOT(handoff, i) ((handoff)->slots_base + (i) * (handoff)->slots_stride)
#define N_CHAINS         (QUEUE_SIZE / 2)
#define NO_FID           0xffffffffU

/* Types of T-messages; the answer's is one more. */
enum {
        LOPEN = 12,
        GETATTR = 24,
        FSYNC = 50,
        VERSION = 100,
        ATTACH = 104,
        FLUSH = 108,
        WALK = 110,
        READ = 116,
        CLUNK = 120
};

static Driver driver;
static uint16_t n_used;
static uint8_t requests[N_CHAINS][128], replies[N_CHAINS][8192];
static uint8_t *at; /* where the message at hand goes on */

static void put(uint64_t value, unsigned size)
{
        for (; size > 0; size--, value >>= 8)
                *at++ = (uint8_t)value;
}

static void put_text(const char *text)
{
        uint8_t *length = at;

        at += 2;
        for (; *text; text++)
                *at++ = (uint8_t)*text;
        length[0] = (uint8_t)(at - length - 2);
        length[1] = 0;
}

static void message(unsigned chain, uint8_t type, uint16_t tag)
{
        at = requests[chain] + 4;
        put(type, 1);
        put(tag, 2);
}

static void send(unsigned chain)
{
        uint32_t size = (uint32_t)(at - requests[chain]);

        at = requests[chain];
        put(size, 4);
        driver_describe(&driver, 2 * chain, requests[chain], size, DESCRIPTOR_NEXT,
                        (uint16_t)(2 * chain + 1));
        driver_describe(&driver, 2 * chain + 1, replies[chain], sizeof(replies[chain]),
                        DESCRIPTOR_WRITE, 0);
        driver_submit(&driver, (uint16_t)(2 * chain));
}

/* Sends, and waits for one answer more. The type of this chain's answer. */
static uint8_t call(unsigned chain)
{
        send(chain);
        driver_wait(&driver, ++n_used);
        return replies[chain][4];
}

static uint8_t session(void)
{
        message(3, VERSION, 0xffff);
        put(16384, 4);
        put_text("9P2000.L");
        CHECK(call(3), VERSION + 1);
        message(3, ATTACH, 1);
        put(0, 4);
        put(NO_FID, 4);
        put_text("");
        put_text("");
        put(NO_FID, 4);
        return call(3);
}

static void open(uint32_t fid, const char *first, const char *second)
{
        message(3, WALK, 2);
        put(0, 4);
        put(fid, 4);
        put(second ? 2 : 1, 2);
        put_text(first);
        if (second)
                put_text(second);
        CHECK(call(3), WALK + 1);
        message(3, LOPEN, 3);
        put(fid, 4);
        put(0, 4);
        CHECK(call(3), LOPEN + 1);
}

static void read_message(unsigned chain, uint32_t fid, uint16_t tag)
{
        message(chain, READ, tag);
        put(fid, 4);
        put(0, 8);
        put(4096, 4);
}

static void check_read(unsigned chain, uint32_t fid, uint8_t first)
{
        read_message(chain, fid, 20);
        CHECK(call(chain), READ + 1);
        CHECK(replies[chain][7] | replies[chain][8] << 8, 4096);
        CHECK(replies[chain][11], first);
}

static void begin(const HandoffBlock *handoff)
{
        driver_start(&driver, SLOT(handoff, 1), &test_rings, 0);
        n_used = 0;
        CHECK(session(), ATTACH + 1);
        open(1, "local", NULL);
        open(2, "fuse", "slow");
}

/* By slot 0, in the real program: what goes to the pool is allowed in its jail. */
static void jailed(const HandoffBlock *handoff)
{
        driver_start(&driver, SLOT(handoff, 0), &test_rings, 0);
        CHECK(session(), ATTACH + 1);
        open(1, "local", NULL);
        for (unsigned i = 0; i < 100; i++) {
                check_read(0, 1, 'l');
                message(1, FSYNC, 10);
                put(1, 4);
                put(0, 4);
                CHECK(call(1), FSYNC + 1);
        }
}

/* The harness answers a tell() that the guest has to wait for by turning slot 3 over. */
static void ask(const HandoffBlock *handoff, uint8_t phase)
{
        uint32_t before = mmio_read(SLOT(handoff, 3) + R_DEVICE_ID);

        tell(phase);
        while (mmio_read(SLOT(handoff, 3) + R_DEVICE_ID) == before)
                pause();
}

static void use_rng(const HandoffBlock *handoff)
{
        static Rings rings;
        Driver rng;

        driver_start(&rng, SLOT(handoff, 0), &rings, 0);
        driver_describe(&rng, 0, test_buffer, 64, DESCRIPTOR_WRITE, 0);
        for (uint16_t n = 1; n < 5; n++) {
                driver_submit(&rng, 0);
                driver_wait(&rng, n);
        }
}

/* A reset takes as long as the read that it waits for; others don't. */
static void reset_in_flight(const HandoffBlock *handoff)
{
        begin(handoff);
        read_message(0, 2, 10);
        send(0);
        for (unsigned i = 0; i < 8; i++)
                check_read(1, 1, 'l');
        use_rng(handoff);
        ask(handoff, 211);
        mmio_write(driver.registers + R_STATUS, 0);
        CHECK(mmio_read(driver.registers + R_STATUS), 0);
        /* It was answered before, and nothing is behind. */
        CHECK(test_rings.used.index, n_used + 1);
        CHECK(replies[0][4], READ + 1);
        begin(handoff);
        check_read(0, 2, 's');
        check_read(0, 1, 'l');
}

/* What waits for a file's attributes keeps its export, and nothing else. */
static void reset_in_metadata(const HandoffBlock *handoff)
{
        begin(handoff);
        ask(handoff, 212);
        message(0, GETATTR, 10);
        put(2, 4);
        put(0x7ff, 8);
        send(0);
        ask(handoff, 213);
        use_rng(handoff);
        mmio_write(driver.registers + R_STATUS, 0);
        CHECK(mmio_read(driver.registers + R_STATUS), 0);
        begin(handoff);
        check_read(0, 1, 'l');
}

/* The harness lets it wait for ever: the machine ends in this reset. */
static void reset_stuck(const HandoffBlock *handoff)
{
        begin(handoff);
        read_message(0, 2, 10);
        send(0);
        ask(handoff, 211);
        mmio_write(driver.registers + R_STATUS, 0);
        fail("the reset came back", 0);
}

/* It ends with a request in flight, by the board's own reset. */
static void end_in_flight(const HandoffBlock *handoff)
{
        begin(handoff);
        read_message(0, 2, 10);
        send(0);
        ask(handoff, 211);
}

/* One tag and one fid for all, given up while they are in use; reads end by signals here. */
static void reuse(const HandoffBlock *handoff)
{
        begin(handoff);
        for (unsigned i = 0; i < 3; i++) {
                read_message(i, 2, 10);
                send(i);
        }
        ask(handoff, 214);
        message(3, CLUNK, 10);
        put(2, 4);
        CHECK(call(3), CLUNK + 1);
        open(2, "local", NULL);
        check_read(3, 2, 'l');
        CHECK(session(), ATTACH + 1);
        CHECK(session(), ATTACH + 1);
        open(2, "fuse", "slow");
        /* A flush, by the tag of all three, is answered behind one of them. */
        message(3, FLUSH, 10);
        put(10, 2);
        n_used++;
        CHECK(call(3), FLUSH + 1);
        /* The queue goes away below the others. */
        mmio_write(driver.registers + R_QUEUE_READY, 0);
        mmio_write(driver.registers + R_QUEUE_READY, 1);
        mmio_write(driver.registers + R_QUEUE_NOTIFY, 0);
        mmio_write(driver.registers + R_STATUS, 0);
        CHECK(mmio_read(driver.registers + R_STATUS), 0);
        begin(handoff);
        check_read(0, 1, 'l');
}

/* The queue breaks while requests are in flight, and the device works after a reset. */
static void break_in_flight(const HandoffBlock *handoff)
{
        begin(handoff);
        read_message(0, 2, 10);
        send(0);
        ask(handoff, 214);
        message(1, CLUNK, 11);
        requests[1][0] = 3; /* less than a header */
        driver_describe(&driver, 2, requests[1], 7, DESCRIPTOR_NEXT, 3);
        driver_describe(&driver, 3, replies[1], 64, DESCRIPTOR_WRITE, 0);
        driver_submit(&driver, 2);
        driver_wait_failed(&driver);
        begin(handoff);
        check_read(0, 1, 'l');
}

const Case cases_p9[] = {
        {"p9-reset", reset_in_flight}, {"p9-metadata", reset_in_metadata},
        {"p9-stuck", reset_stuck},     {"p9-end", end_in_flight},
        {"p9-reuse", reuse},           {"p9-break", break_in_flight},
        {"p9-jailed", jailed},         {},
};
