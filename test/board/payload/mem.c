/*
 * Cases about a memory device in slot 1, whose region begins at 4 GiB: a driver that keeps to the rules,
 * one that asks for what it can't have, and three that use what they don't have. The harness asks for
 * 8 MiB to be plugged, of 16 that may be.
 */
#include "virtio.h"

#define SLOT(handoff) ((handoff)->slots_base + (handoff)->slots_stride)

#define ID_MEM  24
#define REGION  0x100000000UL
#define BLOCK   0x200000UL
#define PATTERN 0x1234567890abcdefULL

enum { PLUG, UNPLUG, UNPLUG_ALL, STATE };
enum { ACK, NACK, BUSY, ERROR };
enum { PLUGGED, UNPLUGGED, MIXED };

typedef struct Request {
        uint16_t type, padding[3];
        uint64_t address;
        uint16_t n, more_padding[3];
} Request;

typedef struct Answer {
        volatile uint16_t result, padding[3], state;
} Answer;

static Driver driver;
static Request request;
static Answer answer;

static volatile uint64_t *word_at(uint64_t address)
{
        return (volatile uint64_t *)address;
}

/* The harness maps 4 GiB: one more, one to one. */
static void map_region(void)
{
        static uint64_t table[512] __attribute__((aligned(4096)));
        uint64_t page_tables;

        __asm__ volatile("mov %%cr3, %0" : "=r"(page_tables));
        for (uint64_t i = 0; i < 512; i++)
                table[i] = (REGION + i * BLOCK) | 0x83; /* present, writable, large */
        uint64_t *third = (uint64_t *)(((uint64_t *)page_tables)[0] & ~0xfffUL);

        third[4] = (uint64_t)table | 3;
        __asm__ volatile("mov %0, %%cr3" : : "r"(page_tables) : "memory");
}

static unsigned ask(uint16_t type, uint64_t address, uint16_t n)
{
        request = (Request){.type = type, .address = address, .n = n};
        answer.result = answer.state = 0xffff;
        driver_describe(&driver, 0, &request, sizeof(request), DESCRIPTOR_NEXT, 1);
        driver_describe(&driver, 1, &answer, 10, DESCRIPTOR_WRITE, 0);
        driver_submit(&driver, 0);
        driver_wait(&driver, driver.available);
        return answer.result;
}

static void begin(const HandoffBlock *handoff)
{
        map_region();
        driver_start(&driver, SLOT(handoff), &test_rings, 2);
}

static void plain(const HandoffBlock *handoff)
{
        uint64_t config = SLOT(handoff) + R_CONFIG;

        CHECK(mmio_read(SLOT(handoff) + R_DEVICE_ID), ID_MEM);
        begin(handoff);
        CHECK(*word_at(config), BLOCK);
        CHECK(*word_at(config + 16), REGION);
        CHECK(*word_at(config + 48), 4 * BLOCK);
        for (unsigned i = 0; i < 20; i++) {
                CHECK(ask(PLUG, REGION, 4), ACK);
                CHECK(*word_at(config + 40), 4 * BLOCK);
                CHECK(*word_at(REGION), 0);
                CHECK(*word_at(REGION + 4 * BLOCK - 8), 0);
                *word_at(REGION) = *word_at(REGION + 4 * BLOCK - 8) = PATTERN;
                CHECK(ask(UNPLUG, REGION, 2), ACK);
                CHECK(ask(STATE, REGION, 4), ACK);
                CHECK(answer.state, MIXED);
                CHECK(*word_at(REGION + 4 * BLOCK - 8), PATTERN);
                CHECK(ask(UNPLUG_ALL, 0, 0), ACK);
                CHECK(*word_at(config + 40), 0);
        }
        /* Memory like any other: a device works on it. */
        CHECK(ask(PLUG, REGION + 5 * BLOCK, 1), ACK);
        driver_start(&driver, handoff->slots_base, (Rings *)(REGION + 5 * BLOCK), 0);
        driver_describe(&driver, 0, (void *)(REGION + 5 * BLOCK + 65536), 64, DESCRIPTOR_WRITE, 0);
        driver_submit(&driver, 0);
        driver_wait(&driver, 1);
}

static void refused(const HandoffBlock *handoff)
{
        begin(handoff);
        CHECK(ask(PLUG, REGION, 5), NACK);
        CHECK(ask(PLUG, 0, 1), ERROR);
        CHECK(ask(PLUG, REGION - BLOCK, 2), ERROR);
        CHECK(ask(PLUG, REGION + 64 * BLOCK, 1), ERROR);
        CHECK(ask(PLUG, REGION + 4096, 1), ERROR);
        CHECK(ask(UNPLUG, REGION, 1), ERROR);
        CHECK(ask(17, REGION, 1), ERROR);
        CHECK(ask(PLUG, REGION, 1), ACK);
        CHECK(ask(PLUG, REGION, 1), ERROR);
        /* No device takes what isn't there for memory. */
        driver_begin(handoff->slots_base, 0);
        driver_place(handoff->slots_base, 0, (Rings *)(REGION + BLOCK));
        driver_end(handoff->slots_base);
        driver.registers = handoff->slots_base;
        driver_wait_failed(&driver);
        driver_start(&driver, handoff->slots_base, &test_rings, 0);
        driver_describe(&driver, 0, (void *)(REGION + BLOCK - 32), 64, DESCRIPTOR_WRITE, 0);
        driver_submit(&driver, 0);
        driver_wait_failed(&driver);
}

static void touch(const HandoffBlock *handoff)
{
        begin(handoff);
        CHECK(ask(PLUG, REGION, 1), ACK);
        *word_at(REGION) = PATTERN;
        *word_at(REGION + BLOCK) = PATTERN;
        fail("memory that isn't there was written", *word_at(REGION + BLOCK));
}

static void touch_again(const HandoffBlock *handoff)
{
        begin(handoff);
        CHECK(ask(PLUG, REGION, 2), ACK);
        *word_at(REGION + BLOCK) = PATTERN;
        CHECK(ask(UNPLUG, REGION + BLOCK, 1), ACK);
        fail("memory that is gone was read", *word_at(REGION + BLOCK));
}

/* The rng's rings are taken away under it. */
static void pull_rings(const HandoffBlock *handoff)
{
        Rings *rings = (Rings *)REGION;
        Driver rng;

        begin(handoff);
        CHECK(ask(PLUG, REGION, 1), ACK);
        driver_start(&rng, handoff->slots_base, rings, 0);
        CHECK(ask(UNPLUG, REGION, 1), ACK);
        mmio_write(handoff->slots_base + R_QUEUE_NOTIFY, 0);
        for (;;)
                pause();
}

const Case cases_mem[] = {
        {"mem", plain},
        {"mem-refused", refused},
        {"mem-touch", touch},
        {"mem-touch-again", touch_again},
        {"mem-pull-rings", pull_rings},
        {},
};
