/* The tables that the stub leaves for the kernel, built on the host and read as Linux reads them. */
#include "stub/bootparams.h"
#include "stub/cmdline.h"
#include "stub/mptable.h"
#include "test/unit.h"

static HandoffBlock example(void)
{
        return (HandoffBlock){
                .cpus = 1,
                .cpus_max = 3,
                .serial_gsi = 4,
                .ram_low = 0x8000000,
                .slots_base = 0xd0000000,
                .slots_stride = 0x1000,
                .n_slots = 4,
                .slot_gsis = {5, 6, 23, 5},
                .seed = {9, 8, 7},
                .cmdline_length = 5,
                .cmdline = "debug",
        };
}

static uint8_t sum_of(const void *data, size_t size)
{
        const uint8_t *bytes = data;
        uint8_t sum = 0;

        for (size_t i = 0; i < size; i++)
                sum = (uint8_t)(sum + bytes[i]);
        return sum;
}

static void test_mp_floating(void)
{
        MpFloating floating;

        memset(&floating, 0xff, sizeof(floating));
        mpfloating_build(&floating, 0x12340);
        unit_assert_bytes(floating.signature, "_MP_", 4);
        unit_assert_int(floating.table, 0x12340);
        unit_assert_int(floating.length, 1);
        unit_assert_int(floating.revision, 4);
        unit_assert_int(sum_of(&floating, sizeof(floating)), 0);
}

static void test_mp_table(void)
{
        static const uint8_t pins[] = {4, 5, 6, 23};
        HandoffBlock block = example();
        MpTable table;
        const uint8_t *at = table.entries;
        MpCpu cpu;
        MpIoapic ioapic;
        MpInterrupt interrupt;

        memset(&table, 0xff, sizeof(table));
        mptable_build(&table, &block);
        unit_assert_bytes(table.header.signature, "PCMP", 4);
        unit_assert_int(table.header.length, 44 + 3 * 20 + 8 + 8 + 4 * 8);
        unit_assert_int(table.header.n_entries, 3 + 1 + 1 + 4);
        unit_assert_int(sum_of(&table, table.header.length), 0);
        for (unsigned i = 0; i < 3; i++, at += sizeof(cpu)) {
                memcpy(&cpu, at, sizeof(cpu));
                unit_assert_int(cpu.type, 0);
                unit_assert_int(cpu.apic_id, i);
                unit_assert_int(cpu.flags, i == 0 ? 3 : 1); /* all enabled, the first boots */
        }
        unit_assert_bytes(at, "\1\0ISA   ", 8);
        memcpy(&ioapic, at + 8, sizeof(ioapic));
        unit_assert_int(ioapic.type, 2);
        unit_assert_int(ioapic.id, 3);
        at += 16;
        for (unsigned i = 0; i < 4; i++, at += sizeof(interrupt)) {
                memcpy(&interrupt, at, sizeof(interrupt));
                unit_assert_int(interrupt.type, 3);
                unit_assert_int(interrupt.bus_irq, pins[i]);
                unit_assert_int(interrupt.pin, pins[i]);
                unit_assert_int(interrupt.ioapic, 3);
        }
}

static void test_mp_table_longest(void)
{
        HandoffBlock block = {.cpus = 1, .cpus_max = HANDOFF_CPUS_MAX, .serial_gsi = 1};
        MpTable table;

        block.n_slots = HANDOFF_SLOTS_MAX;
        for (unsigned i = 0; i < HANDOFF_SLOTS_MAX; i++)
                block.slot_gsis[i] = (uint8_t)(i % HANDOFF_GSIS);
        mptable_build(&table, &block);
        unit_assert_int(table.header.length, sizeof(table));
}

static void test_cmdline(void)
{
        HandoffBlock block = example();
        char text[HANDOFF_KERNEL_CMDLINE_SIZE];

        unit_assert(cmdline_build(text, sizeof(text), "quiet", &block));
        unit_assert_string(text, "quiet maxcpus=1 virtio_mmio.device=512@0xd0000000:5"
                                 " virtio_mmio.device=512@0xd0001000:6"
                                 " virtio_mmio.device=512@0xd0002000:23"
                                 " virtio_mmio.device=512@0xd0003000:5 debug");
        unit_assert(cmdline_build(text, strlen(text) + 1, "quiet", &block));
        unit_assert(!cmdline_build(text, strlen(text), "quiet", &block));
}

/* proto/handoff.c foretells the length of what cmdline_build() makes. */
static void test_cmdline_foretold(void)
{
        Handoff handoff = {
                .cpus = 12,
                .cpus_max = 12,
                .ram_low = 0x1000000,
                .slots_base = 0xd0000000,
                .slots_stride = 0x1000,
                .n_slots = HANDOFF_SLOTS_MAX,
                .cmdline = "debug",
        };
        char base[HANDOFF_KERNEL_CMDLINE_SIZE] = "", text[HANDOFF_KERNEL_CMDLINE_SIZE];
        uint8_t page[HANDOFF_SIZE];
        HandoffBlock block;
        size_t room;

        for (unsigned i = 0; i < HANDOFF_SLOTS_MAX; i++)
                handoff.slot_gsis[i] = (uint8_t)(5 + i % 19);
        unit_assert_int(handoff_encode(&handoff, base, page), 0);
        memcpy(&block, page, sizeof(block));
        unit_assert(cmdline_build(text, sizeof(text), base, &block));
        room = sizeof(text) - 1 - strlen(text);
        memset(base, 'b', room);
        unit_assert_int(handoff_encode(&handoff, base, page), 0);
        unit_assert(cmdline_build(text, sizeof(text), base, &block));
        unit_assert_int(strlen(text), sizeof(text) - 1);
        base[room] = 'b';
        unit_assert(handoff_encode(&handoff, base, page) < 0);
        unit_assert(!cmdline_build(text, sizeof(text), base, &block));
}

static void assert_e820(const struct boot_params *params, unsigned i, uint64_t start, uint64_t end)
{
        struct boot_e820_entry entry = params->e820_table[i];

        unit_assert_int(entry.addr, start);
        unit_assert_int(entry.addr + entry.size, end);
        unit_assert_int(entry.type, 1);
}

static void test_boot_params(void)
{
        HandoffBlock block = example();
        StubImage image = {.initrd = 0x1300000, .initrd_size = 0x54321};
        struct boot_params params;

        memset(&params, 0xff, sizeof(params));
        bootparams_build(&params, &block, &image, 0x5000, 0x6000);
        unit_assert_int(params.hdr.boot_flag, 0xaa55);
        unit_assert_bytes(&params.hdr.header, "HdrS", 4);
        unit_assert_int(params.hdr.cmd_line_ptr, 0x5000);
        unit_assert_int(params.hdr.setup_data, 0x6000);
        unit_assert_int(params.hdr.ramdisk_image, 0x1300000);
        unit_assert_int(params.hdr.ramdisk_size, 0x54321);
        unit_assert_int(params.sentinel, 0); /* else Linux distrusts the rest */
        unit_assert_int(params.e820_entries, 2);
        assert_e820(&params, 0, 0, 0xa0000);
        assert_e820(&params, 1, 0x100000, 0x8000000);
}

static void test_memory_maps(void)
{
        HandoffBlock block = example();
        StubImage image = {};
        struct boot_params params;

        block.ram_low = HANDOFF_LOW_MAX;
        block.ram_high = 0x40000000;
        bootparams_build(&params, &block, &image, 0, 0);
        unit_assert_int(params.e820_entries, 3);
        assert_e820(&params, 1, 0x100000, 0xc0000000);
        assert_e820(&params, 2, 0x100000000, 0x140000000);
        block.ram_low = 0x9000;
        block.ram_high = 0;
        bootparams_build(&params, &block, &image, 0, 0);
        unit_assert_int(params.e820_entries, 1);
        assert_e820(&params, 0, 0, 0x9000);
}

static void test_seed(void)
{
        HandoffBlock block = example();
        SeedData data;

        seed_build(&data, &block);
        unit_assert_int(data.next, 0);
        unit_assert_int(data.type, 9);
        unit_assert_int(data.length, 32);
        unit_assert_int(data.seed[2], 7);
        unit_assert_int(block.seed[2], 0);
}

UNIT_MAIN(UNIT_TEST(test_mp_floating), UNIT_TEST(test_mp_table), UNIT_TEST(test_mp_table_longest),
          UNIT_TEST(test_cmdline), UNIT_TEST(test_cmdline_foretold), UNIT_TEST(test_boot_params),
          UNIT_TEST(test_memory_maps), UNIT_TEST(test_seed))
