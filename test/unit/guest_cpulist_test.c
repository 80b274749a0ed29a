/* Lists of CPUs as the kernel prints them. */
#include "agent/cpulist.h"
#include "test/unit.h"

static void test_lists(void)
{
        unit_assert_int(cpulist_count("0\n"), 1);
        unit_assert_int(cpulist_count("0-3\n"), 4);
        unit_assert_int(cpulist_count("0,2-3,7-7\n"), 4);
        unit_assert_int(cpulist_count("0-65535"), 65536);
}

static void test_no_lists(void)
{
        static const char *const texts[] = {"",
                                            "\n",
                                            "-1",
                                            "1-",
                                            "3-2",
                                            "0,",
                                            ",0",
                                            "0 1",
                                            "0-1-2",
                                            "65536",
                                            "0-99999999999999999999"};

        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
                unit_assert_int(cpulist_count(texts[i]), 0);
}

UNIT_MAIN(UNIT_TEST(test_lists), UNIT_TEST(test_no_lists))
