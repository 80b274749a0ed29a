/* Pressure stall information as the kernel prints it. */
#include "agent/pressure.h"
#include "test/unit.h"

static void test_both(void)
{
        AgentPressure pressure;

        pressure_parse("some avg10=1.25 avg60=2.00 avg300=3.00 total=12345678901\n"
                       "full avg10=100.00 avg60=0.00 avg300=0.00 total=17\n",
                       &pressure);
        unit_assert_int(pressure.some_avg10, 125);
        unit_assert(pressure.some_usec == UINT64_C(12345678901));
        unit_assert_int(pressure.full_avg10, 10000);
        unit_assert_int(pressure.full_usec, 17);
}

/* A CPU's pressure had one line for long; none is what a kernel has that doesn't measure. */
static void test_less(void)
{
        AgentPressure pressure;

        pressure_parse("some avg10=0.07 avg60=0.00 avg300=0.00 total=5\n", &pressure);
        unit_assert_int(pressure.some_avg10, 7);
        unit_assert_int(pressure.full_usec, 0);
        pressure_parse("", &pressure);
        unit_assert_int(pressure.some_usec, 0);
        pressure_parse("some\nfull \nsome avg10=\nsome avg10=7 total=\nnone total=3", &pressure);
        unit_assert_int(pressure.some_avg10, 700);
        unit_assert_int(pressure.some_usec, 0);
        pressure_parse("some avg10=999.99 total=1", &pressure);
        unit_assert_int(pressure.some_avg10, 10000);
}

/* The other line's total is not this line's. */
static void test_lines(void)
{
        AgentPressure pressure;

        pressure_parse("some avg10=1.00\nfull total=8\n", &pressure);
        unit_assert_int(pressure.some_usec, 0);
        unit_assert_int(pressure.full_usec, 8);
}

UNIT_MAIN(UNIT_TEST(test_both), UNIT_TEST(test_less), UNIT_TEST(test_lines))
