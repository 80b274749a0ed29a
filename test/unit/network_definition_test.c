/* Subnets, and what the description of a network becomes. */
#include "base/cleanup.h"
#include "test/unit.h"
#include "uvmd/json.h"
#include "uvmd/net/cni_config.h"
#include "uvmd/net/network_definition.h"

static void overlaps(void)
{
        static const struct {
                const char *a, *b;
                bool overlap;
        } cases[] = {
                {"10.0.0.0/8", "10.1.2.3/24", true},       {"10.1.2.3/24", "10.0.0.0/8", true},
                {"10.0.0.1/24", "10.0.1.1/24", false},     {"10.0.0.0/23", "10.0.1.0/24", true},
                {"10.0.0.127/25", "10.0.0.128/25", false}, {"10.0.0.1/32", "10.0.0.1/32", true},
                {"fd00::/64", "fd00::1/128", true},        {"fd00::/64", "fd00:0:0:1::/64", false},
                {"10.0.0.0/8", "fd00::/8", false},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Subnet a, b;

                unit_assert_int(subnet_parse(&a, cases[i].a), 0);
                unit_assert_int(subnet_parse(&b, cases[i].b), 0);
                if (subnet_overlaps(&a, &b) != cases[i].overlap)
                        unit_fail("%s and %s", cases[i].a, cases[i].b);
        }
}

static void ends(void)
{
        static const struct {
                const char *text, *first, *last;
        } cases[] = {
                {"10.1.2.3/24", "10.1.2.0", "10.1.2.255"},
                {"10.1.2.130/25", "10.1.2.128", "10.1.2.255"},
                {"10.1.2.3/31", "10.1.2.2", "10.1.2.3"},
                {"10.1.2.3/32", "10.1.2.3", "10.1.2.3"},
                {"fd00::5/126", "fd00::4", "fd00::7"},
        };
        Subnet subnet;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char text[SUBNET_TEXT_MAX];

                unit_assert_int(subnet_parse(&subnet, cases[i].text), 0);
                subnet_format(&subnet, text);
                unit_assert_string(text, cases[i].text);
                subnet_clear(&subnet);
                subnet_format_address(&subnet, text);
                unit_assert_string(text, cases[i].first);
                subnet_fill(&subnet);
                subnet_format_address(&subnet, text);
                unit_assert_string(text, cases[i].last);
                unit_assert(subnet_contains(&subnet, cases[i].first));
        }
        unit_assert(!subnet_contains(&subnet, "10.0.0.1") && !subnet_contains(&subnet, "fd00::8"));
        unit_assert(subnet_parse(&subnet, "10.0.0.1") < 0 && subnet_parse(&subnet, "x/8") < 0);
}

static char subnet[] = "10.9.1.7/24", subnet6[] = "fd00:9::/64", gateway[] = "10.9.1.254";
static char upper[] = "10.9.1.128/26", top[] = "10.9.1.192/26", whole[] = "10.9.1.0/24",
            tiny[] = "10.9.1.0/31";
static char other[] = "10.9.2.1", macvlan[] = "macvlan";
static char isolate[] = "isolate", yes[] = "true", vlan[] = "vlan", number[] = "7",
            too_large[] = "4095", parent[] = "parent", eth0[] = "eth0", odd[] = "odd";

static const char *text_of(json_object *json)
{
        return json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN |
                                                            JSON_C_TO_STRING_NOSLASHESCAPE);
}

static void a_bridge(void)
{
        char *subnets[] = {subnet, subnet6, NULL}, *gateways[] = {gateway, NULL};
        char *ranges[] = {upper, top, NULL}, *options[] = {isolate, yes, vlan, number, NULL};
        NetworkDefinition definition = {
                .subnets = subnets,
                .gateways = gateways,
                .ranges = ranges,
                .options = options,
                .mtu = 1400,
        };
        _cleanup_(json_putp) json_object *list = NULL, *checked = NULL;

        unit_assert_int(network_definition_check(&definition, "n", NULL), 0);
        unit_assert(!network_definition_wants(&definition, AF_INET));
        list = network_definition_list(&definition, "n", "uvm7", "/run/uvm");
        unit_assert_int(cni_list_new(&checked, list, "made", NULL), 0);
        unit_assert_string(
                text_of(list),
                "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"org.uvm1\":{\"OwnsBridge\":true},"
                "\"plugins\":[{\"type\":\"bridge\",\"bridge\":\"uvm7\",\"hairpinMode\":true,"
                "\"isGateway\":true,\"ipMasq\":true,\"mtu\":1400,\"vlan\":7,"
                "\"capabilities\":{\"ips\":true,\"mac\":true},\"ipam\":{\"type\":\"host-local\","
                "\"dataDir\":\"/run/uvm/leases\",\"ranges\":[[{\"subnet\":\"10.9.1.0/24\","
                "\"gateway\":\"10.9.1.254\",\"rangeStart\":\"10.9.1.128\",\"rangeEnd\":"
                "\"10.9.1.191\"},{\"subnet\":\"10.9.1.0/24\",\"gateway\":\"10.9.1.254\","
                "\"rangeStart\":\"10.9.1.192\"}],[{\"subnet\":\"fd00:9::/"
                "64\"}]],\"routes\":[{\"dst\":"
                "\"0.0.0.0/0\"},{\"dst\":\"::/0\"}]}},{\"type\":\"portmap\",\"capabilities\":"
                "{\"portMappings\":true}},{\"type\":\"firewall\",\"ingressPolicy\":"
                "\"same-bridge\"}]}");
}

static void others(void)
{
        char *subnets[] = {subnet, NULL}, *options[] = {parent, eth0, NULL};
        char *ranges[] = {whole, NULL};
        NetworkDefinition inner = {.subnets = subnets, .ranges = ranges, .internal = true};
        NetworkDefinition below = {.driver = macvlan, .subnets = subnets, .options = options};
        _cleanup_(json_putp) json_object *first = NULL, *second = NULL;

        unit_assert_int(network_definition_check(&inner, "n", NULL), 0);
        unit_assert_int(network_definition_check(&below, "n", NULL), 0);
        first = network_definition_list(&inner, "n", "uvm7", "/r");
        second = network_definition_list(&below, "n", "", "/r");
        unit_assert_string(
                text_of(first),
                "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"org.uvm1\":{\"OwnsBridge\":true},"
                "\"plugins\":[{\"type\":\"bridge\",\"bridge\":\"uvm7\",\"hairpinMode\":true,"
                "\"capabilities\":{\"ips\":true,\"mac\":true},\"ipam\":{\"type\":\"host-local\","
                "\"dataDir\":\"/r/leases\",\"ranges\":[[{\"subnet\":\"10.9.1.0/24\"}]],"
                "\"routes\":[]}},{\"type\":\"firewall\"}]}");
        unit_assert_string(
                text_of(second),
                "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"org.uvm1\":{},\"plugins\":[{"
                "\"type\":\"macvlan\",\"master\":\"eth0\",\"capabilities\":{\"ips\":true,"
                "\"mac\":true},\"ipam\":{\"type\":\"host-local\",\"dataDir\":\"/r/leases\","
                "\"ranges\":[[{\"subnet\":\"10.9.1.0/24\"}]],\"routes\":[{\"dst\":"
                "\"0.0.0.0/0\"}]}}]}");
}

static void what_is_refused(void)
{
        char *one[] = {subnet, NULL}, *twice[] = {whole, subnet, NULL}, *small[] = {tiny, NULL};
        char *outside[] = {other, NULL}, *range[] = {subnet6, NULL};
        char *bad_vlan[] = {vlan, too_large, NULL}, *unknown[] = {odd, yes, NULL};
        char *needed[] = {parent, eth0, NULL};
        const NetworkDefinition cases[] = {
                {.subnets = twice},
                {.subnets = small},
                {.subnets = one, .gateways = outside},
                {.subnets = one, .ranges = range},
                {.gateways = outside},
                {.options = bad_vlan},
                {.options = unknown},
                {.options = needed},
                {.driver = macvlan, .subnets = one},
                {.driver = macvlan, .options = needed},
        };
        NetworkDefinition nothing = {}, both = {.ipv6 = true};

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                if (network_definition_check(&cases[i], "n", NULL) != -EINVAL)
                        unit_fail("case %zu is taken", i);
        unit_assert_int(network_definition_check(&nothing, "../n", NULL), -EINVAL);
        unit_assert_int(network_definition_check(&nothing, "n", NULL), 0);
        unit_assert(network_definition_wants(&nothing, AF_INET));
        unit_assert(!network_definition_wants(&nothing, AF_INET6));
        unit_assert(network_definition_wants(&both, AF_INET6));
}

UNIT_MAIN(UNIT_TEST(overlaps), UNIT_TEST(ends), UNIT_TEST(a_bridge), UNIT_TEST(others),
          UNIT_TEST(what_is_refused))
