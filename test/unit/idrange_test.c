/* Blocks of host ids: no block twice, none outside the range. */
#include <errno.h>

#include "test/unit.h"
#include "uvmd/idrange.h"

#define BASE  0x70000000U
#define COUNT 4

static void gives_each_block_once(void)
{
        IdRanges *ranges;
        uint32_t bases[COUNT], extra;

        unit_assert_int(idranges_new(&ranges, BASE, COUNT), 0);
        for (int i = 0; i < COUNT; i++) {
                unit_assert_int(idranges_take(ranges, &bases[i]), 0);
                unit_assert_int(bases[i], BASE + (uint32_t)i * IDRANGE_SIZE);
        }
        unit_assert_int(idranges_take(ranges, &extra), -EUSERS);
        idranges_release(ranges, bases[2]);
        unit_assert_int(idranges_take(ranges, &extra), 0);
        unit_assert_int(extra, bases[2]);
        idranges_free(ranges);
}

static void lets_a_block_rest(void)
{
        IdRanges *ranges;
        uint32_t first, second;

        unit_assert_int(idranges_new(&ranges, BASE, COUNT), 0);
        unit_assert_int(idranges_take(ranges, &first), 0);
        idranges_release(ranges, first);
        unit_assert_int(idranges_take(ranges, &second), 0);
        unit_assert(second != first);
        idranges_free(ranges);
}

static void adopts(void)
{
        IdRanges *ranges;
        uint32_t base;

        unit_assert_int(idranges_new(&ranges, BASE, 2), 0);
        unit_assert_int(idranges_take_base(ranges, BASE), 0);
        unit_assert_int(idranges_take_base(ranges, BASE), -EEXIST);
        unit_assert_int(idranges_take_base(ranges, BASE + 1), -ERANGE);
        unit_assert_int(idranges_take_base(ranges, BASE + 2 * IDRANGE_SIZE), -ERANGE);
        unit_assert_int(idranges_take_base(ranges, 0), -ERANGE);
        unit_assert_int(idranges_take(ranges, &base), 0);
        unit_assert_int(base, BASE + IDRANGE_SIZE);
        idranges_release(ranges, 0);
        idranges_release(ranges, BASE + 5);
        unit_assert_int(idranges_take(ranges, &base), -EUSERS);
        idranges_free(ranges);
}

static void refuses_the_hosts_own_ids(void)
{
        IdRanges *ranges;

        unit_assert_int(idranges_new(&ranges, 0, 1), -ERANGE);
        unit_assert_int(idranges_new(&ranges, 1000, 1), -ERANGE);
        unit_assert_int(idranges_new(&ranges, BASE, 0), -ERANGE);
        unit_assert_int(idranges_new(&ranges, 0x7fff0000, 2), -ERANGE);
        unit_assert_int(idranges_new(&ranges, BASE, UINT32_MAX), -ERANGE);
}

UNIT_MAIN(UNIT_TEST(gives_each_block_once), UNIT_TEST(lets_a_block_rest), UNIT_TEST(adopts),
          UNIT_TEST(refuses_the_hosts_own_ids))
