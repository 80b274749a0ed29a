/* Limits of network devices as people write them. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "client/throttle_arg.h"
#include "test/unit.h"

static void good(void)
{
        static const struct {
                const char *text;
                ThrottleArgLimits transmit, receive;
        } cases[] = {
                {"e:bps=1m", {.given = true, .bytes = 1 << 20}, {.given = true, .bytes = 1 << 20}},
                {"e:tx-bps=1m,tx-pps=5", {.given = true, .bytes = 1 << 20, .packets = 5}, {}},
                {"e:rx-pps=7,rx-pps-burst=9",
                 {},
                 {.given = true, .packets = 7, .packets_burst = 9}},
                {"e:pps=7,tx-bps-burst=2k",
                 {.given = true, .packets = 7, .bytes_burst = 2048},
                 {.given = true, .packets = 7}},
                {"e:none", {.given = true}, {.given = true}},
                {"e:tx-none,rx-bps=1", {.given = true}, {.given = true, .bytes = 1}},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(throttle_arg_done) ThrottleArg arg = {};
                char *error;

                unit_assert_int(throttle_arg_parse(&arg, cases[i].text, &error), 0);
                unit_assert_string(arg.interface, "e");
                unit_assert_bytes(&arg.transmit, &cases[i].transmit, sizeof(arg.transmit));
                unit_assert_bytes(&arg.receive, &cases[i].receive, sizeof(arg.receive));
        }
}

static void limits_only(void)
{
        _cleanup_(throttle_arg_done) ThrottleArg arg = {};
        char *error;

        unit_assert_int(throttle_arg_parse_limits(&arg, "rx-bps=3", &error), 0);
        unit_assert(!arg.interface && !arg.transmit.given && arg.receive.bytes == 3);
}

static void bad(void)
{
        static const char *const cases[] = {
                "",
                "e",
                "e:",
                ":bps=1",
                "e:bps",
                "e:bps=",
                "e:bps=0",
                "e:pps=1k",
                "e:odd=1",
                "e:xx-bps=1",
                "e:tx-rx-bps=1",
                "e:bps=1,",
                "e:none=1",
                "e:pps=-1",
                "bps=1",
                "e:tx-=1",
                "e:pps=9223372036854775808",
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(throttle_arg_done) ThrottleArg arg = {};
                _cleanup_(freep) char *error = NULL;

                if (throttle_arg_parse(&arg, cases[i], &error) != -EINVAL || !error)
                        unit_fail("\"%s\" is taken", cases[i]);
        }
}

UNIT_MAIN(UNIT_TEST(good), UNIT_TEST(limits_only), UNIT_TEST(bad))
