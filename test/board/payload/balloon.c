/*
 * Cases about a balloon in slot 1: a driver that keeps to the rules, one that gives what isn't its own,
 * one that gives its own rings, and one that never stops.
 */
#include "virtio.h"

#define SLOT(handoff) ((handoff)->slots_base + (handoff)->slots_stride)

#define ID_BALLOON        5
#define FEATURE_REPORTING (1U << 5)

enum { INFLATE, DEFLATE, REPORTING, QUEUES };

#define PATTERN 0x1234567890abcdefULL
#define PAGES   0x800000UL  /* 8 MiB */
#define FREED   0x1000000UL /* 16 MiB */

static Rings rings[QUEUES];
static Driver drivers[QUEUES];
static uint32_t pfns[256];

static void begin(const HandoffBlock *handoff)
{
        driver_begin(SLOT(handoff), FEATURE_REPORTING);
        for (unsigned i = 0; i < QUEUES; i++)
                driver_add(&drivers[i], SLOT(handoff), i, &rings[i]);
        driver_end(SLOT(handoff));
}

static volatile uint64_t *word_at(uint64_t address)
{
        return (volatile uint64_t *)address;
}

static void submit(unsigned queue, unsigned n)
{
        driver_describe(&drivers[queue], 0, pfns, 4 * n, 0, 0);
        driver_submit(&drivers[queue], 0);
}

static void give(uint64_t address, unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                pfns[i] = (uint32_t)(address / 4096 + i);
        submit(INFLATE, n);
}

static void plain(const HandoffBlock *handoff)
{
        CHECK(mmio_read(SLOT(handoff) + R_DEVICE_ID), ID_BALLOON);
        begin(handoff);
        for (unsigned i = 0; i < 5; i++)
                *word_at(PAGES + i * 4096) = PATTERN;
        give(PAGES, 4);
        driver_wait(&drivers[INFLATE], 1);
        for (unsigned i = 0; i < 4; i++)
                CHECK(*word_at(PAGES + i * 4096), 0);
        CHECK(*word_at(PAGES + 4 * 4096), PATTERN);
        mmio_write(SLOT(handoff) + R_CONFIG + 4, 4);
        CHECK(mmio_read(SLOT(handoff) + R_CONFIG + 4), 4);
        submit(DEFLATE, 4);
        driver_wait(&drivers[DEFLATE], 1);
        *word_at(FREED) = *word_at(FREED + (2 << 20) - 8) = *word_at(FREED + (2 << 20)) = PATTERN;
        driver_describe(&drivers[REPORTING], 0, (void *)FREED, 2 << 20, DESCRIPTOR_WRITE, 0);
        driver_submit(&drivers[REPORTING], 0);
        driver_wait(&drivers[REPORTING], 1);
        CHECK(*word_at(FREED), 0);
        CHECK(*word_at(FREED + (2 << 20) - 8), 0);
        CHECK(*word_at(FREED + (2 << 20)), PATTERN);
        /* The harness asks for 1 MiB at phase 40. */
        CHECK(mmio_read(SLOT(handoff) + R_CONFIG), 0);
        tell(40);
        while (mmio_read(SLOT(handoff) + R_CONFIG) != 256)
                pause();
        CHECK(mmio_read(SLOT(handoff) + R_INTERRUPT_STATUS) & 2, 2);
}

static void outside(const HandoffBlock *handoff)
{
        static const uint64_t bad[] = {0xc0000000, 0xd0001000, 0xfee00000, 0xffffffff000};

        for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                begin(handoff);
                *word_at(PAGES) = PATTERN;
                give(bad[i], 1);
                driver_wait_failed(&drivers[INFLATE]);
                give(PAGES, 1);
                for (unsigned k = 0; k < 1000; k++)
                        pause();
                CHECK(*word_at(PAGES), PATTERN);
        }
        begin(handoff);
        driver_describe(&drivers[REPORTING], 0, (void *)(handoff->ram_low - 4096), 8192,
                        DESCRIPTOR_WRITE, 0);
        driver_submit(&drivers[REPORTING], 0);
        driver_wait_failed(&drivers[REPORTING]);
        begin(handoff);
        driver_describe(&drivers[INFLATE], 0, (void *)PAGES, 1 << 20, 0, 0);
        driver_submit(&drivers[INFLATE], 0);
        driver_wait_failed(&drivers[INFLATE]);
        plain(handoff);
}

/* The device finds zeros where its rings were, and says so when it looks there next. */
static void own_rings(const HandoffBlock *handoff)
{
        begin(handoff);
        give((uint64_t)&rings[INFLATE], sizeof(rings[INFLATE]) / 4096);
        mmio_write(SLOT(handoff) + R_QUEUE_NOTIFY, INFLATE);
        driver_wait_failed(&drivers[INFLATE]);
        begin(handoff);
        driver_describe(&drivers[REPORTING], 0, rings, sizeof(rings), DESCRIPTOR_WRITE, 0);
        driver_submit(&drivers[REPORTING], 0);
        mmio_write(SLOT(handoff) + R_QUEUE_NOTIFY, REPORTING);
        driver_wait_failed(&drivers[REPORTING]);
        plain(handoff);
}

static void flood(const HandoffBlock *handoff)
{
        begin(handoff);
        for (unsigned i = 0; i < 256; i++)
                pfns[i] = (uint32_t)(PAGES / 4096 + i / 2);
        driver_describe(&drivers[REPORTING], 0, (void *)FREED, 4 << 20,
                        DESCRIPTOR_WRITE | DESCRIPTOR_NEXT, 1);
        driver_describe(&drivers[REPORTING], 1, (void *)FREED, 4 << 20, DESCRIPTOR_WRITE, 0);
        for (uint32_t i = 0; i < 300; i++) {
                submit(i % 2, 256);
                driver_submit(&drivers[REPORTING], 0);
                mmio_write(SLOT(handoff) + R_CONFIG + 4, i);
                mmio_write(SLOT(handoff) + R_CONFIG, i);
        }
        plain(handoff);
}

const Case cases_balloon[] = {
        {"balloon", plain},
        {"balloon-outside", outside},
        {"balloon-own-rings", own_rings},
        {"balloon-flood", flood},
        {},
};
