/* Errors of the bus interface: the first one stays, and any bytes can be sent. */
#include <errno.h>

#include "test/unit.h"
#include "uvmd/errors.h"

static void test_first_stays(void)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;

        unit_assert_int(error_set(&error, -EINVAL, ERROR_INVALID_NAME, "%s", "first"), -EINVAL);
        unit_assert_int(error_set(&error, -ENOENT, ERROR_FAILED, "%s", "second"), -ENOENT);
        unit_assert_string(error.name, ERROR_INVALID_NAME);
        unit_assert_string(error.message, "first");
        sd_bus_error_free(&error);
        unit_assert_int(error_set(NULL, -EINVAL, ERROR_FAILED, "nowhere"), -EINVAL);
}

/* What a guest's agent says may be any bytes; sd-bus sends UTF-8 only. */
static void test_any_bytes(void)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;

        error_set(&error, -EIO, ERROR_FAILED, "the guest: %s",
                  "a\xff"
                  "b");
        unit_assert_string(error.message, "the guest: a\xef\xbf\xbd"
                                          "b");
        sd_bus_error_free(&error);
}

UNIT_MAIN(UNIT_TEST(test_first_stays), UNIT_TEST(test_any_bytes))
