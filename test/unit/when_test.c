/* Points in time as people write them. */
#include <errno.h>

#include "base/clock.h"
#include "client/when.h"
#include "test/unit.h"

#define NOW (1000000ULL * USEC_PER_SEC)

static void check(const char *text, uint64_t expected)
{
        uint64_t usec = 1;

        unit_assert_int(when_parse(text, NOW, &usec), 0);
        unit_assert(usec == expected);
}

static void test_ago(void)
{
        check("0s", NOW);
        check("90s", NOW - 90 * USEC_PER_SEC);
        check("10m", NOW - 600 * USEC_PER_SEC);
        check("2h", NOW - 7200 * USEC_PER_SEC);
        check("3d", NOW - 3 * 86400 * USEC_PER_SEC);
        check("365d", 0);
        check("18446744073708s", 0);
}

static void test_dates(void)
{
        check("1970-01-01T00:00:01", USEC_PER_SEC);
        check("1970-01-01T00:00:01Z", USEC_PER_SEC);
        check("1970-01-01T01:00:01.25+01:00", USEC_PER_SEC + 250000);
        check("1969-12-31T22:30:00-0130", 0);
        check("2026-01-31T12:00:00.000001Z", 1769860800000001ULL);
        check("1769860800", 1769860800000000ULL);
        check("1769860800.5", 1769860800500000ULL);
        check("1.0000019", 1000001);
}

static void test_nonsense(void)
{
        static const char *const texts[] = {
                "",
                "x",
                "-1s",
                "10y",
                "10m ",
                "1.5h",
                "T",
                "now",
                "0x10s",
                "2026-01-31",
                "2026-01-31T12:00",
                "1.2.3",
                "1970-01-01T00:00:00+1",
                "1970-01-01T00:00:00+25:00",
                "1970-01-01T00:00:00+0:100",
                "99999999999999999999s",
                "1969-12-31T00:00:00Z",
                "1970-01-01T00:00:00Zx",
        };
        uint64_t usec;

        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
                unit_assert_int(when_parse(texts[i], NOW, &usec), -EINVAL);
}

UNIT_MAIN(UNIT_TEST(test_ago), UNIT_TEST(test_dates), UNIT_TEST(test_nonsense))
