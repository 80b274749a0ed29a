/* The encoded block reads back through the stub's struct; out-of-range machines are refused. */
#include <errno.h>

#include "proto/handoff.h"
#include "test/unit.h"

static Handoff example(void)
{
        return (Handoff){
                .cpus = 2,
                .cpus_max = 4,
                .serial_gsi = 4,
                .ram_low = HANDOFF_LOW_MAX,
                .ram_high = 0x40000000,
                .slots_base = 0xd0000000,
                .slots_stride = 0x1000,
                .n_slots = 3,
                .slot_gsis = {5, 6, 7},
                .seed = {1, 2, 3},
                .cmdline = "quiet",
        };
}

static void test_layout(void)
{
        const Handoff handoff = example();
        uint8_t page[HANDOFF_SIZE];
        HandoffBlock block;

        memset(page, 0xff, sizeof(page));
        unit_assert_int(handoff_encode(&handoff, "", page), 0);
        memcpy(&block, page, sizeof(block));
        unit_assert_bytes(block.magic, HANDOFF_MAGIC, 8);
        unit_assert_int(block.version, HANDOFF_VERSION);
        unit_assert_int(block.cpus, 2);
        unit_assert_int(block.cpus_max, 4);
        unit_assert_int(block.serial_gsi, 4);
        unit_assert_int(block.ram_low, HANDOFF_LOW_MAX);
        unit_assert_int(block.ram_high, 0x40000000);
        unit_assert_int(block.slots_base, 0xd0000000);
        unit_assert_int(block.slots_stride, 0x1000);
        unit_assert_int(block.n_slots, 3);
        unit_assert_int(block.slot_gsis[2], 7);
        unit_assert_int(block.slot_gsis[3], 0);
        unit_assert_bytes(block.seed, handoff.seed, HANDOFF_SEED_SIZE);
        unit_assert_int(block.cmdline_length, 5);
        unit_assert_string(block.cmdline, "quiet");
        unit_assert_int(page[HANDOFF_SIZE - 1], 0);
}

static void assert_refused(const Handoff *handoff)
{
        uint8_t page[HANDOFF_SIZE];

        unit_assert_int(handoff_encode(handoff, "", page), -EINVAL);
}

static void test_ranges(void)
{
        Handoff handoff;

        handoff = example(), handoff.cpus = 0, assert_refused(&handoff);
        handoff = example(), handoff.cpus = 5, assert_refused(&handoff);
        handoff = example(), handoff.cpus_max = HANDOFF_CPUS_MAX + 1, assert_refused(&handoff);
        handoff = example(), handoff.serial_gsi = 24, assert_refused(&handoff);
        handoff = example(), handoff.ram_low = 0, assert_refused(&handoff);
        handoff = example(), handoff.ram_low += 4096, assert_refused(&handoff);
        handoff = example(), handoff.ram_low -= 1, assert_refused(&handoff);
        handoff = example(), handoff.ram_high += 1, assert_refused(&handoff);
        handoff = example(), handoff.n_slots = 33, assert_refused(&handoff);
        handoff = example(), handoff.slot_gsis[1] = 24, assert_refused(&handoff);
        handoff = example(), handoff.slot_gsis[1] = 0, assert_refused(&handoff);
        handoff = example(), handoff.slots_stride = 256, assert_refused(&handoff);
        handoff = example(), handoff.slots_stride = 0x20000000, assert_refused(&handoff);
        handoff = example(), handoff.slots_base = 0x1000, assert_refused(&handoff);
        handoff = example(), handoff.slots_base = UINT64_MAX - 0xfff, assert_refused(&handoff);
}

static void test_no_extras(void)
{
        const Handoff handoff = {.cpus = 1, .cpus_max = 1, .ram_low = 4096};
        uint8_t page[HANDOFF_SIZE];
        HandoffBlock block;

        unit_assert_int(handoff_encode(&handoff, "", page), 0);
        memcpy(&block, page, sizeof(block));
        unit_assert_int(block.n_slots, 0);
        unit_assert_int(block.serial_gsi, 0);
        unit_assert_string(block.cmdline, "");
}

static void test_cmdline_length(void)
{
        /* " maxcpus=2", " quiet" and three of " virtio_mmio.device=512@0xd0000000:5". */
        const size_t others = 10 + 6 + 3 * 36, most = HANDOFF_KERNEL_CMDLINE_SIZE - 1 - others;
        char base[HANDOFF_KERNEL_CMDLINE_SIZE], extra[HANDOFF_CMDLINE_MAX + 2];
        Handoff handoff = example();
        uint8_t page[HANDOFF_SIZE];

        memset(base, 'b', sizeof(base));
        base[most] = '\0';
        unit_assert_int(handoff_encode(&handoff, base, page), 0);
        base[most] = 'b';
        base[most + 1] = '\0';
        unit_assert_int(handoff_encode(&handoff, base, page), -E2BIG);

        memset(extra, 'x', sizeof(extra));
        extra[HANDOFF_CMDLINE_MAX + 1] = '\0';
        handoff.cmdline = extra;
        unit_assert_int(handoff_encode(&handoff, "", page), -E2BIG);
        extra[HANDOFF_CMDLINE_MAX] = '\0';
        unit_assert_int(handoff_encode(&handoff, "", page), 0);
}

UNIT_MAIN(UNIT_TEST(test_layout), UNIT_TEST(test_ranges), UNIT_TEST(test_no_extras),
          UNIT_TEST(test_cmdline_length))
