/* What people type: sizes, counts, names. */
#include <errno.h>
#include <signal.h>

#include "base/clock.h"
#include "base/parse.h"
#include "base/signals.h"
#include "test/unit.h"

static uint64_t bytes(const char *text)
{
        uint64_t value = 0;

        unit_assert_int(parse_bytes(text, &value), 0);
        return value;
}

static void test_bytes(void)
{
        uint64_t value;

        unit_assert_int(bytes("4096"), 4096);
        unit_assert_int(bytes("64k"), 65536);
        unit_assert_int(bytes("128M"), 128 << 20);
        unit_assert_int(bytes("128MiB"), 128 << 20);
        unit_assert_int(bytes("1.5g"), 1536LL << 20);
        unit_assert_int(bytes("10b"), 10);
        unit_assert_int(parse_bytes("", &value), -EINVAL);
        unit_assert_int(parse_bytes("-1", &value), -EINVAL);
        unit_assert_int(parse_bytes("1.", &value), -EINVAL);
        unit_assert_int(parse_bytes("1q", &value), -EINVAL);
        unit_assert_int(parse_bytes("1bb", &value), -EINVAL);
        unit_assert_int(parse_bytes("99999999999999999999", &value), -ERANGE);
        unit_assert_int(parse_bytes("18000000000t", &value), -ERANGE);
}

static void test_milli(void)
{
        uint64_t value;

        unit_assert_int(parse_milli("0.5", 32000, &value), 0);
        unit_assert_int(value, 500);
        unit_assert_int(parse_milli("2", 32000, &value), 0);
        unit_assert_int(value, 2000);
        unit_assert_int(parse_milli("0", 32000, &value), -ERANGE);
        unit_assert_int(parse_milli("33", 32000, &value), -ERANGE);
        unit_assert_int(parse_milli("1x", 32000, &value), -EINVAL);
}

static void test_u64(void)
{
        uint64_t value;

        unit_assert_int(parse_u64("18446744073709551615", 0, UINT64_MAX, &value), 0);
        unit_assert_int(parse_u64("18446744073709551616", 0, UINT64_MAX, &value), -ERANGE);
        unit_assert_int(parse_u64(" 1", 0, 9, &value), -EINVAL);
        unit_assert_int(parse_u64("10", 0, 9, &value), -ERANGE);
}

static void test_names(void)
{
        unit_assert(name_is_valid("web-1.example_x"));
        unit_assert(!name_is_valid(""));
        unit_assert(!name_is_valid(".."));
        unit_assert(!name_is_valid("a/b"));
        unit_assert(!name_is_valid(
                "0123456789012345678901234567890123456789012345678901234567890123x"));
        unit_assert(id_is_valid("0123456789abcdef"));
        unit_assert(!id_is_valid("0123456789ABCDEF"));
        unit_assert(!id_is_valid("0123456789abcdef0"));
}

static void test_time_scale(void)
{
        setenv("UVM_TIME_SCALE", "10", 1);
        unit_assert_int(clock_limit_usec(5), 50);
        setenv("UVM_TIME_SCALE", "1000", 1);
        unit_assert_int(clock_limit_usec(5), 5);
        unsetenv("UVM_TIME_SCALE");
        unit_assert_int(clock_limit_usec(5), 5);
}

static void test_signals(void)
{
        unit_assert_int(signal_parse("TERM"), SIGTERM);
        unit_assert_int(signal_parse("sigkill"), SIGKILL);
        unit_assert_int(signal_parse("15"), SIGTERM);
        unit_assert_int(signal_parse("SIGRTMIN+4"), SIGRTMIN + 4);
        unit_assert_int(signal_parse("RTMIN+99"), -EINVAL);
        unit_assert_int(signal_parse("0"), -EINVAL);
        unit_assert_int(signal_parse("NOPE"), -EINVAL);
}

UNIT_MAIN(UNIT_TEST(test_bytes), UNIT_TEST(test_milli), UNIT_TEST(test_u64), UNIT_TEST(test_names),
          UNIT_TEST(test_time_scale), UNIT_TEST(test_signals))
