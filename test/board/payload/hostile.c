/* Cases of drivers that break the rules: each must cost them the device and nobody else anything. */
#include "virtio.h"

#define SLOT(handoff) ((handoff)->slots_base)

static Driver driver;

static void begin(const HandoffBlock *handoff)
{
        driver_start(&driver, SLOT(handoff), &test_rings, FEATURE_INDIRECT);
}

/* After the crime: the device says so, ignores more of it, and works after a reset. */
static void end(const HandoffBlock *handoff)
{
        driver_wait_failed(&driver);
        CHECK(test_rings.used.index, 0);
        begin(handoff);
        driver_describe(&driver, 0, test_buffer, 64, DESCRIPTOR_WRITE, 0);
        driver_submit(&driver, 0);
        driver_wait(&driver, 1);
}

static void head_out_of_range(const HandoffBlock *handoff)
{
        begin(handoff);
        driver_submit(&driver, QUEUE_SIZE);
        end(handoff);
}

static void next_out_of_range(const HandoffBlock *handoff)
{
        begin(handoff);
        driver_describe(&driver, 0, test_buffer, 8, DESCRIPTOR_WRITE | DESCRIPTOR_NEXT, 0xffff);
        driver_submit(&driver, 0);
        end(handoff);
}

static void loop(const HandoffBlock *handoff)
{
        begin(handoff);
        driver_describe(&driver, 0, test_buffer, 8, DESCRIPTOR_WRITE | DESCRIPTOR_NEXT, 1);
        driver_describe(&driver, 1, test_buffer, 8, DESCRIPTOR_WRITE | DESCRIPTOR_NEXT, 0);
        driver_submit(&driver, 0);
        end(handoff);
}

static void outside_memory(const HandoffBlock *handoff)
{
        static const struct {
                uint64_t address;
                uint32_t length;
        } bad[] = {
                {0xd0000000, 64},          {UINT64_MAX - 7, 64}, {0x100000, UINT32_MAX},
                {UINT64_MAX, UINT32_MAX},  {1ULL << 40, 1},      {0x100000000, 4096},
                {0xbffffffffULL << 12, 8},
        };

        for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                begin(handoff);
                driver_describe(&driver, 0, (void *)bad[i].address, bad[i].length, DESCRIPTOR_WRITE,
                                0);
                driver_submit(&driver, 0);
                end(handoff);
        }
        /* The last bytes of memory are fine, one more is not. */
        begin(handoff);
        driver_describe(&driver, 0, (void *)(handoff->ram_low - 16), 17, DESCRIPTOR_WRITE, 0);
        driver_submit(&driver, 0);
        end(handoff);
        driver_describe(&driver, 1, (void *)(handoff->ram_low - 16), 16, DESCRIPTOR_WRITE, 0);
        driver_submit(&driver, 1);
        driver_wait(&driver, 2);
}

static void index_leaps(const HandoffBlock *handoff)
{
        begin(handoff);
        driver.available = 0x7000;
        driver_submit(&driver, 0);
        end(handoff);
}

static void empty_buffer(const HandoffBlock *handoff)
{
        begin(handoff);
        driver_describe(&driver, 0, test_buffer, 0, DESCRIPTOR_WRITE, 0);
        driver_submit(&driver, 0);
        end(handoff);
}

static void order(const HandoffBlock *handoff)
{
        begin(handoff);
        driver_describe(&driver, 0, test_buffer, 8, DESCRIPTOR_WRITE | DESCRIPTOR_NEXT, 1);
        driver_describe(&driver, 1, test_buffer, 8, 0, 0);
        driver_submit(&driver, 0);
        end(handoff);
}

/* An indirect table in an indirect table, one with a next descriptor, odd sizes, a huge one. */
static void indirect(const HandoffBlock *handoff)
{
        static Descriptor table[2];

        table[0] = (Descriptor){
                .address = (uint64_t)table,
                .length = sizeof(table),
                .flags = DESCRIPTOR_INDIRECT,
        };
        begin(handoff);
        driver_describe(&driver, 0, table, sizeof(table), DESCRIPTOR_INDIRECT, 0);
        driver_submit(&driver, 0);
        end(handoff);

        begin(handoff);
        driver_describe(&driver, 0, table, sizeof(table), DESCRIPTOR_INDIRECT | DESCRIPTOR_NEXT, 1);
        driver_submit(&driver, 0);
        end(handoff);

        begin(handoff);
        driver_describe(&driver, 0, table, 17, DESCRIPTOR_INDIRECT, 0);
        driver_submit(&driver, 0);
        end(handoff);

        /* A million entries that all say "next": the walk is cut at the longest legal chain. */
        table[0] = (Descriptor){
                .address = (uint64_t)test_buffer,
                .length = 1,
                .flags = DESCRIPTOR_WRITE | DESCRIPTOR_NEXT,
        };
        begin(handoff);
        driver_describe(&driver, 0, table, 16U << 20, DESCRIPTOR_INDIRECT, 0);
        driver_submit(&driver, 0);
        end(handoff);
}

/* Rings where there is no memory, a size that is no power of two: refused at DRIVER_OK. */
static void bad_rings(const HandoffBlock *handoff)
{
        static const struct {
                uint64_t address;
                uint32_t size;
        } bad[] = {
                {0xd0000000, QUEUE_SIZE},
                {0x100001, QUEUE_SIZE},
                {UINT64_MAX & ~15ULL, QUEUE_SIZE},
                {0x100000, 3},
                {0x100000, 0},
                {0x100000, 128},
                {0x100000, 0x10008},
        };

        for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                uint64_t slot = SLOT(handoff);

                begin(handoff);
                mmio_write(slot + R_STATUS, 0);
                mmio_write(slot + R_DRIVER_FEATURES_SELECT, 1);
                mmio_write(slot + R_DRIVER_FEATURES, 1);
                mmio_write(slot + R_STATUS, 11);
                mmio_write(slot + R_QUEUE_SIZE, bad[i].size);
                mmio_write(slot + R_DESCRIPTORS, (uint32_t)bad[i].address);
                mmio_write(slot + R_DESCRIPTORS + 4, (uint32_t)(bad[i].address >> 32));
                mmio_write(slot + R_AVAILABLE, (uint32_t)(uint64_t)&test_rings.available);
                mmio_write(slot + R_USED, (uint32_t)(uint64_t)&test_rings.used);
                mmio_write(slot + R_QUEUE_READY, 1);
                mmio_write(slot + R_STATUS, 15);
                mmio_write(slot + R_QUEUE_NOTIFY, 0);
                end(handoff);
        }
}

/* A queue that is stopped, moved and grown while the device runs: never used again before a reset. */
static void moving_queue(const HandoffBlock *handoff)
{
        uint64_t slot = SLOT(handoff);

        begin(handoff);
        mmio_write(slot + R_QUEUE_READY, 0);
        CHECK(mmio_read(slot + R_QUEUE_READY), 0);
        mmio_write(slot + R_QUEUE_SIZE, 64);
        mmio_write(slot + R_DESCRIPTORS, (uint32_t)handoff->ram_low - 16);
        mmio_write(slot + R_QUEUE_READY, 1);
        driver_submit(&driver, 0);
        begin(handoff);
        driver_describe(&driver, 0, test_buffer, 64, DESCRIPTOR_WRITE, 0);
        driver_submit(&driver, 0);
        driver_wait(&driver, 1);
}

/* Kicks of queues that exist and that don't, with and without work. */
static void storm(const HandoffBlock *handoff)
{
        begin(handoff);
        for (unsigned i = 0; i < 2000; i++)
                mmio_write(SLOT(handoff) + R_QUEUE_NOTIFY, i % 3 == 0 ? 0 : i * 2654435761U);
        driver_describe(&driver, 0, test_buffer, 64, DESCRIPTOR_WRITE, 0);
        driver_submit(&driver, 0);
        driver_wait(&driver, 1);
        /* A ring that is refilled for ever, without a look at what was used. */
        for (unsigned i = 0; i < 2000; i++) {
                test_rings.available.ring[driver.available % QUEUE_SIZE] = 0;
                test_rings.available.index = ++driver.available;
                if (i % 4 == 0)
                        mmio_write(SLOT(handoff) + R_QUEUE_NOTIFY, 0);
                while ((uint16_t)(driver.available - test_rings.used.index) >= QUEUE_SIZE)
                        pause();
        }
        mmio_write(SLOT(handoff) + R_QUEUE_NOTIFY, 0);
        driver_wait(&driver, driver.available);
}

const Case cases_hostile[] = {
        {"head", head_out_of_range},
        {"next", next_out_of_range},
        {"loop", loop},
        {"outside", outside_memory},
        {"leap", index_leaps},
        {"empty-buffer", empty_buffer},
        {"order", order},
        {"indirect", indirect},
        {"bad-rings", bad_rings},
        {"moving-queue", moving_queue},
        {"storm", storm},
        {},
};
