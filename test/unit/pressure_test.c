/* Pressure files as kernels write them. */
#include <errno.h>

#include "test/unit.h"
#include "uvmd/pressure.h"

static void reads_both_lines(void)
{
        AgentPressure pressure;

        unit_assert_int(pressure_parse("some avg10=1.50 avg60=0.10 avg300=0.00 total=1234567\n"
                                       "full avg10=0.07 avg60=0.00 avg300=0.00 total=89\n",
                                       &pressure),
                        0);
        unit_assert_int(pressure.some_avg10, 150);
        unit_assert_int(pressure.some_usec, 1234567);
        unit_assert_int(pressure.full_avg10, 7);
        unit_assert_int(pressure.full_usec, 89);
}

/* Of the CPU older kernels have no second line. */
static void reads_one_line(void)
{
        AgentPressure pressure;

        unit_assert_int(
                pressure_parse("some avg10=100.00 avg60=0.00 avg300=0.00 total=1\n", &pressure), 0);
        unit_assert_int(pressure.some_avg10, 10000);
        unit_assert_int(pressure.full_usec, 0);
}

static void refuses_the_rest(void)
{
        AgentPressure pressure;

        unit_assert_int(pressure_parse("", &pressure), -EBADMSG);
        unit_assert_int(pressure_parse("some", &pressure), -EBADMSG);
        unit_assert_int(pressure_parse("full avg10=0.00 avg60=0.00 avg300=0.00 total=1", &pressure),
                        -EBADMSG);
        unit_assert_int(pressure_parse("some avg10=x", &pressure), -EBADMSG);
        unit_assert_int(
                pressure_parse("some avg10=101.00 avg60=0.00 avg300=0.00 total=1", &pressure),
                -EBADMSG);
}

UNIT_MAIN(UNIT_TEST(reads_both_lines), UNIT_TEST(reads_one_line), UNIT_TEST(refuses_the_rest))
