/* A firmware header survives the round trip; each thing that can be wrong with one is named. */
#include "proto/firmware.h"

#include "test/unit.h"

enum { MIB = 1 << 20 };

/* Stub, kernel with a tail of zeros, initial RAM disk. */
static Firmware example(void)
{
        return (Firmware){
                .image_size = 0x600000,
                .entry = 0x8000,
                .cr3 = 0x9000,
                .stack = 0xe000,
                .handoff = 0x7000,
                .min_memory = 32 * MIB,
                .n_segments = 3,
                .segments = {{.gpa = 0x8000,
                              .offset = 0x1000,
                              .file_size = 0x3000,
                              .memory_size = 0x6000,
                              .kind = FIRMWARE_KIND_STUB},
                             {.gpa = 2 * MIB,
                              .offset = 0x4000,
                              .file_size = 0x500000,
                              .memory_size = 0x5fffff,
                              .kind = FIRMWARE_KIND_KERNEL},
                             {.gpa = 8 * MIB,
                              .offset = 0x5ff000,
                              .file_size = 0xfff,
                              .memory_size = 0xfff,
                              .kind = FIRMWARE_KIND_INITRD}},
                .cmdline = "console=ttyS0 reboot=t",
                .label = "Linux 6.1",
        };
}

/* Encodes the example and writes @value at @at, with the right checksum. */
static int decode_with(size_t at, uint8_t value)
{
        const Firmware original = example();
        uint8_t page[FIRMWARE_HEADER_SIZE];
        Firmware firmware;
        uint32_t crc = UINT32_MAX;

        unit_assert_int(firmware_encode(&original, page), 0);
        page[at] = value;
        memset(page + 16, 0, 4);
        for (size_t i = 0; i < sizeof(page); i++)
                for (unsigned bit = 0; bit < 8; bit++) {
                        uint32_t in = (page[i] >> bit) & 1;
                        crc = (crc >> 1) ^ ((crc & 1) != in ? UINT32_C(0xedb88320) : 0);
                }
        for (unsigned i = 0; i < 4; i++)
                page[16 + i] = (uint8_t)(~crc >> (8 * i));
        return firmware_decode(page, sizeof(page), original.image_size, &firmware);
}

static void test_round_trip(void)
{
        const Firmware original = example();
        uint8_t page[FIRMWARE_HEADER_SIZE];
        Firmware firmware;

        unit_assert_int(firmware_encode(&original, page), 0);
        unit_assert_int(firmware_decode(page, sizeof(page), original.image_size, &firmware), 0);
        unit_assert_int(firmware.entry, 0x8000);
        unit_assert_int(firmware.cr3, 0x9000);
        unit_assert_int(firmware.stack, 0xe000);
        unit_assert_int(firmware.handoff, 0x7000);
        unit_assert_int(firmware.min_memory, 32 * MIB);
        unit_assert_int(firmware.n_segments, 3);
        unit_assert_int(firmware.segments[1].gpa, 2 * MIB);
        unit_assert_int(firmware.segments[1].offset, 0x4000);
        unit_assert_int(firmware.segments[1].file_size, 0x500000);
        unit_assert_int(firmware.segments[1].memory_size, 0x5fffff);
        unit_assert_int(firmware.segments[2].kind, FIRMWARE_KIND_INITRD);
        unit_assert_string(firmware.cmdline, original.cmdline);
        unit_assert_string(firmware.label, original.label);
        unit_assert_int(decode_with(72, 0), 0); /* the test's own checksum is the module's */
}

static void test_longest_texts(void)
{
        Firmware original = example(), firmware;
        uint8_t page[FIRMWARE_HEADER_SIZE];

        memset(original.cmdline, 'c', FIRMWARE_CMDLINE_MAX);
        memset(original.label, 'l', FIRMWARE_LABEL_MAX);
        unit_assert_int(firmware_encode(&original, page), 0);
        unit_assert_int(firmware_decode(page, sizeof(page), original.image_size, &firmware), 0);
        unit_assert_string(firmware.cmdline, original.cmdline);
        unit_assert_string(firmware.label, original.label);
        original.label[3] = '\n';
        unit_assert_int(firmware_encode(&original, page), FIRMWARE_E_TEXT);
}

static void test_not_whole(void)
{
        const Firmware original = example();
        uint64_t size = original.image_size;
        uint8_t page[FIRMWARE_HEADER_SIZE];
        Firmware firmware;

        unit_assert_int(firmware_encode(&original, page), 0);
        unit_assert_int(firmware_decode(page, 0, 0, &firmware), FIRMWARE_E_MAGIC);
        unit_assert_int(firmware_decode(page, 7, 7, &firmware), FIRMWARE_E_MAGIC);
        unit_assert_int(firmware_decode(page, 4095, 4095, &firmware), FIRMWARE_E_SHORT);
        unit_assert_int(firmware_decode(page, 4096, 4096, &firmware), FIRMWARE_E_SHORT);
        unit_assert_int(firmware_decode(page, 4096, size - 1, &firmware), FIRMWARE_E_SHORT);
        unit_assert_int(firmware_decode(page, 4096, size + 1, &firmware), FIRMWARE_E_SIZE);
        page[2000] ^= 1;
        unit_assert_int(firmware_decode(page, 4096, size, &firmware), FIRMWARE_E_CHECKSUM);
        page[0] = 0;
        unit_assert_int(firmware_decode(page, 4096, size, &firmware), FIRMWARE_E_MAGIC);
}

static void test_header_fields(void)
{
        unit_assert_int(decode_with(8, 2), FIRMWARE_E_VERSION);
        unit_assert_int(decode_with(12, 183), FIRMWARE_E_ARCH);
        unit_assert_int(decode_with(20, 0), FIRMWARE_E_RESERVED); /* three left in the table */
        unit_assert_int(decode_with(20, 33), FIRMWARE_E_SEGMENTS);
        unit_assert_int(decode_with(20, 4), FIRMWARE_E_MEMORY); /* one of no size */
        unit_assert_int(decode_with(100, 1), FIRMWARE_E_RESERVED);
        unit_assert_int(decode_with(128 + 36, 1), FIRMWARE_E_RESERVED);
        unit_assert_int(decode_with(128 + 40 * 31, 1), FIRMWARE_E_RESERVED);
        unit_assert_int(decode_with(128 + 32, 77), 0); /* an unknown kind loads all the same */
        unit_assert_int(decode_with(1408 + 1, 5), FIRMWARE_E_TEXT);
        unit_assert_int(decode_with(1408, 1), FIRMWARE_E_RESERVED);
        unit_assert_int(decode_with(1412, 7), FIRMWARE_E_TEXT);
        unit_assert_int(decode_with(2436 + 1, 1), FIRMWARE_E_TEXT);
        unit_assert_int(decode_with(2440, 0x80), FIRMWARE_E_TEXT);
        unit_assert_int(decode_with(4095, 1), FIRMWARE_E_RESERVED);
}

static void test_segments(void)
{
        Firmware firmware = example();

        firmware.segments[0].gpa++;
        unit_assert_int(firmware_check(&firmware), FIRMWARE_E_ALIGNMENT);
        firmware = example();
        firmware.segments[0].offset++;
        unit_assert_int(firmware_check(&firmware), FIRMWARE_E_ALIGNMENT);
        firmware = example();
        firmware.segments[0].offset = 0;
        unit_assert_int(firmware_check(&firmware), FIRMWARE_E_FILE);
        firmware.segments[0].offset = UINT64_MAX - 0xfff;
        unit_assert_int(firmware_check(&firmware), FIRMWARE_E_FILE);
        firmware = example();
        firmware.segments[2].file_size = firmware.segments[2].memory_size = 0x1001;
        unit_assert_int(firmware_check(&firmware), FIRMWARE_E_FILE);
        firmware = example();
        firmware.segments[0].file_size = firmware.segments[0].memory_size + 1;
        unit_assert_int(firmware_check(&firmware), FIRMWARE_E_MEMORY);
        firmware = example();
        firmware.segments[0].gpa = UINT64_MAX - 0xfff;
        unit_assert_int(firmware_check(&firmware), FIRMWARE_E_MEMORY);
        firmware = example();
        firmware.segments[0].memory_size = UINT64_MAX;
        unit_assert_int(firmware_check(&firmware), FIRMWARE_E_MEMORY);
        firmware = example();
        firmware.n_segments = 0;
        unit_assert_int(firmware_check(&firmware), FIRMWARE_E_SEGMENTS);
}

static void test_overlaps(void)
{
        Firmware firmware = example();

        /* The kernel's last byte but one page shares its page with the next segment. */
        firmware.segments[1].memory_size = 0x600001;
        unit_assert_int(firmware_check(&firmware), FIRMWARE_E_OVERLAP);
        firmware = example();
        firmware.segments[2].gpa = firmware.segments[0].gpa;
        unit_assert_int(firmware_check(&firmware), FIRMWARE_E_OVERLAP);
        firmware = example();
        firmware.handoff = 0x8000;
        unit_assert_int(firmware_check(&firmware), FIRMWARE_E_OVERLAP);
        firmware.handoff = 0xd000;
        unit_assert_int(firmware_check(&firmware), FIRMWARE_E_OVERLAP);
        firmware.handoff = 0xe000;
        unit_assert_int(firmware_check(&firmware), 0);
}

static void test_start(void)
{
        Firmware firmware = example();

        firmware.entry = 0x7fff;
        unit_assert_int(firmware_check(&firmware), FIRMWARE_E_START);
        firmware = example();
        firmware.cr3 = 0x8001;
        unit_assert_int(firmware_check(&firmware), FIRMWARE_E_ALIGNMENT);
        firmware.cr3 = 0xe000;
        unit_assert_int(firmware_check(&firmware), FIRMWARE_E_START);
        firmware = example();
        firmware.stack = 0;
        unit_assert_int(firmware_check(&firmware), FIRMWARE_E_START);
        firmware.stack = 8;
        unit_assert_int(firmware_check(&firmware), FIRMWARE_E_ALIGNMENT);
        firmware = example();
        firmware.handoff = UINT64_MAX - 0xfff;
        unit_assert_int(firmware_check(&firmware), FIRMWARE_E_MEMORY);
        firmware.handoff = 0x7001;
        unit_assert_int(firmware_check(&firmware), FIRMWARE_E_ALIGNMENT);
}

static void test_min_memory(void)
{
        Firmware firmware = example();

        firmware.min_memory = 8 * MIB + 0x1000;
        unit_assert_int(firmware_check(&firmware), 0);
        firmware.min_memory--;
        unit_assert_int(firmware_check(&firmware), FIRMWARE_E_NEEDS);
}

static void test_names(void)
{
        for (int i = 1; i < FIRMWARE_E_MAX_; i++)
                unit_assert(strcmp(firmware_strerror(i), "unknown error") != 0);
        unit_assert_string(firmware_strerror(0), "unknown error");
        unit_assert_string(firmware_strerror(-5), "unknown error");
        unit_assert_string(firmware_strerror(FIRMWARE_E_MAX_), "unknown error");
        unit_assert_string(firmware_kind_to_string(FIRMWARE_KIND_KERNEL), "kernel");
        unit_assert_string(firmware_kind_to_string((FirmwareKind)99), "other");
}

UNIT_MAIN(UNIT_TEST(test_round_trip), UNIT_TEST(test_longest_texts), UNIT_TEST(test_not_whole),
          UNIT_TEST(test_header_fields), UNIT_TEST(test_segments), UNIT_TEST(test_overlaps),
          UNIT_TEST(test_start), UNIT_TEST(test_min_memory), UNIT_TEST(test_names))
