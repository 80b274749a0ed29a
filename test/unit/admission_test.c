/* Admission: the ratio is a limit that may be reached and not passed, and no figure overflows. */
#include <errno.h>

#include "base/cleanup.h"
#include "test/unit.h"
#include "uvmd/admission.h"

#define GIB (1ULL << 30)

static int decide(uint64_t memory_milli, uint64_t memory, uint64_t cpu_milli, uint64_t vcpus)
{
        Admission admission = {.memory_milli = memory_milli, .cpu_milli = cpu_milli};
        AdmissionSum sum = {.memory = memory, .vcpus = vcpus, .machines = 3};

        return admission_decide(&admission, &sum, 2 * GIB, 4, NULL);
}

static void keeps_to_the_ratio(void)
{
        unit_assert_int(decide(1500, 3 * GIB, 0, 1000), 0);
        unit_assert_int(decide(1500, 3 * GIB + 1, 0, 1), -ENOSPC);
        unit_assert_int(decide(0, UINT64_MAX, 500, 2), 0);
        unit_assert_int(decide(0, 0, 500, 3), -ENOSPC);
        unit_assert_int(decide(UINT64_MAX, UINT64_MAX - 1, UINT64_MAX, 32), 0);
}

static void says_the_figures(void)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        Admission admission = {.memory_milli = 1500};
        AdmissionSum sum = {.memory = 4 * GIB, .machines = 3};

        unit_assert_int(admission_decide(&admission, &sum, 2 * GIB, 4, &error), -ENOSPC);
        unit_assert_string(error.name, "org.uvm1.Error.LimitExceeded");
        unit_assert(strstr(error.message, "2048") && strstr(error.message, "3072") &&
                    strstr(error.message, "3 machines") && strstr(error.message, "4096"));
}

UNIT_MAIN(UNIT_TEST(keeps_to_the_ratio), UNIT_TEST(says_the_figures))
