/* Cursors never pass the end, and stay bad once they were. */
#include <errno.h>

#include "base/wire.h"
#include "test/unit.h"

static void test_round_trip(void)
{
        uint8_t space[64];
        WireWriter writer = wire_writer(space, sizeof(space));
        WireReader reader;
        size_t size;
        char *string;

        wire_put_u8(&writer, 0xab);
        wire_put_u16(&writer, 0x1234);
        wire_put_u32(&writer, 0xdeadbeef);
        wire_put_u64(&writer, 0x0123456789abcdefULL);
        wire_put_string(&writer, "top");
        unit_assert_int(wire_writer_end(&writer, &size), 0);
        unit_assert_int(size, 1 + 2 + 4 + 8 + 4 + 3);
        unit_assert_int(space[1], 0x34);

        reader = wire_reader(space, size);
        unit_assert_int(wire_get_u8(&reader), 0xab);
        unit_assert_int(wire_get_u16(&reader), 0x1234);
        unit_assert_int(wire_get_u32(&reader), 0xdeadbeef);
        unit_assert(wire_get_u64(&reader) == 0x0123456789abcdefULL);
        string = wire_get_string(&reader, 16);
        unit_assert_string(string, "top");
        free(string);
        unit_assert_int(wire_reader_end(&reader), 0);
}

static void test_short_input(void)
{
        static const uint8_t input[] = {1, 2, 3};
        WireReader reader = wire_reader(input, sizeof(input));

        unit_assert_int(wire_get_u32(&reader), 0);
        unit_assert_int(wire_get_u8(&reader), 0);
        unit_assert_int(wire_reader_end(&reader), -EBADMSG);
}

static void test_string_limits(void)
{
        static const uint8_t with_nul[] = {2, 0, 0, 0, 'a', 0};
        static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 'a'};
        WireReader reader = wire_reader(with_nul, sizeof(with_nul));

        unit_assert(!wire_get_string(&reader, 16));
        unit_assert_int(wire_reader_end(&reader), -EBADMSG);
        reader = wire_reader(huge, sizeof(huge));
        unit_assert(!wire_get_string(&reader, SIZE_MAX));
        unit_assert_int(wire_reader_end(&reader), -EBADMSG);
}

static void test_writer_full(void)
{
        uint8_t space[3];
        WireWriter writer = wire_writer(space, sizeof(space));
        size_t size;

        wire_put_u32(&writer, 1);
        wire_put_u8(&writer, 1);
        unit_assert_int(wire_writer_end(&writer, &size), -ENOBUFS);
}

UNIT_MAIN(UNIT_TEST(test_round_trip), UNIT_TEST(test_short_input), UNIT_TEST(test_string_limits),
          UNIT_TEST(test_writer_full))
