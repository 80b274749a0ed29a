/* Lists of CPUs: what is one, and that text and mask say the same. */
#include <errno.h>
#include <string.h>

#include "test/unit.h"
#include "uvmd/cpulist.h"

static void check(const char *text, const char *shortest, size_t expected_size)
{
        uint8_t mask[CPULIST_MASK_SIZE];
        char formatted[CPULIST_TEXT_MAX];
        size_t size = 0;

        unit_assert_int(cpulist_parse(text, mask, &size), 0);
        unit_assert_int(size, expected_size);
        cpulist_format(mask, size, formatted);
        unit_assert_string(formatted, shortest);
}

static void reads_and_writes(void)
{
        check("0", "0", 1);
        check("3,1,2", "1-3", 1);
        check("0-3,8", "0-3,8", 2);
        check("0-1,1-2,7-8", "0-2,7-8", 2);
        check("1023", "1023", CPULIST_MASK_SIZE);
        check("0-1023", "0-1023", CPULIST_MASK_SIZE);
}

static void writes_the_longest(void)
{
        uint8_t mask[CPULIST_MASK_SIZE + 1], again[CPULIST_MASK_SIZE];
        char text[CPULIST_TEXT_MAX];
        size_t size;

        memset(mask, 0x55, sizeof(mask));
        cpulist_format(mask, sizeof(mask), text);
        unit_assert(strlen(text) < CPULIST_TEXT_MAX - 1);
        unit_assert_int(cpulist_parse(text, again, &size), 0);
        unit_assert(memcmp(mask, again, sizeof(again)) == 0);
        cpulist_format(mask, 0, text);
        unit_assert_string(text, "");
}

static void refuses_the_rest(void)
{
        static const char *const bad[] = {"",     ",",          "0,",  "-1",   "1-",
                                          "2-1",  "a",          "0 1", "1024", "0-1024",
                                          "0,,1", "4294967296", "0x1", "+1",   "1-2-3"};
        uint8_t mask[CPULIST_MASK_SIZE];
        size_t size;

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                unit_assert_int(cpulist_parse(bad[i], mask, &size), -EINVAL);
        unit_assert(cpulist_is_valid(""));
        unit_assert(cpulist_is_valid("0-1"));
        unit_assert(!cpulist_is_valid("0-"));
}

UNIT_MAIN(UNIT_TEST(reads_and_writes), UNIT_TEST(writes_the_longest), UNIT_TEST(refuses_the_rest))
