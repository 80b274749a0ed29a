/* Networks as people write them. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "client/network_arg.h"
#include "test/unit.h"

static void good(void)
{
        static const struct {
                const char *text, *network, *path, *mac, *interface, *ip;
                size_t n_ips, n_aliases, n_arguments;
        } cases[] = {
                {.text = "bridge", .network = "bridge"},
                {.text = "cni:podman", .network = "cni:podman"},
                {.text = "ns:/run/netns/a:b", .path = "/run/netns/a:b"},
                {.text = "bridge:ip=10.0.0.9", .network = "bridge", .ip = "10.0.0.9", .n_ips = 1},
                {.text = "ovs:br0:ip=10.0.0.9/24,ip6=fd00::9/64,mac=02:00:00:00:00:09",
                 .network = "ovs:br0",
                 .ip = "10.0.0.9/24",
                 .mac = "02:00:00:00:00:09",
                 .n_ips = 2},
                {.text = "n:ingress=1m,egress=2k,arg=K=V", .network = "n", .n_arguments = 1},
                {.text = "n:alias=db,alias=sql,ip=10.0.0.9",
                 .network = "n",
                 .ip = "10.0.0.9",
                 .n_ips = 1,
                 .n_aliases = 2},
                {.text = "host:eth1:interface_name=lan0",
                 .network = "host:eth1",
                 .interface = "lan0"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(network_arg_done) NetworkArg arg = {};
                const char *actual[4], *expected[4] = {cases[i].network, cases[i].path,
                                                       cases[i].mac, cases[i].interface};
                char *error;

                unit_assert_int(network_arg_parse(&arg, cases[i].text, &error), 0);
                actual[0] = arg.network, actual[1] = arg.path, actual[2] = arg.mac,
                actual[3] = arg.interface;
                for (size_t j = 0; j < ELEMENTSOF(actual); j++) {
                        unit_assert_int(!actual[j], !expected[j]);
                        if (expected[j])
                                unit_assert_string(actual[j], expected[j]);
                }
                unit_assert_int(arg.n_ips, cases[i].n_ips);
                unit_assert_int(arg.n_arguments, cases[i].n_arguments);
                unit_assert_int(arg.n_aliases, cases[i].n_aliases);
                if (cases[i].ip)
                        unit_assert_string(arg.ips[0], cases[i].ip);
        }
}

static void bad(void)
{
        static const char *const cases[] = {
                "",
                "ns:",
                "bridge:ip",
                "bridge:ip=",
                "bridge:odd=1",
                "bridge:ingress=x",
                "bridge:egress=0",
                "cni:a:b",
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(network_arg_done) NetworkArg arg = {};
                _cleanup_(freep) char *error = NULL;

                if (network_arg_parse(&arg, cases[i], &error) != -EINVAL || !error)
                        unit_fail("\"%s\" is taken", cases[i]);
        }
}

UNIT_MAIN(UNIT_TEST(good), UNIT_TEST(bad))
