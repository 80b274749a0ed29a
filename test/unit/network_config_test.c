/* What may be said of a network: names, ports, addresses, hosts, and what goes together. */
#include "base/cleanup.h"
#include "test/unit.h"
#include "uvmd/net/network_config.h"
#include "uvmd/net/port_spec.h"

static void ports(void)
{
        static const struct {
                const char *text, *address;
                uint16_t host, guest;
                bool udp;
                uint16_t n;
                const char *again; /* NULL: the same text */
        } good[] = {
                {"8080:80", "", 8080, 80, false, .n = 1},
                {"53:5353/udp", "", 53, 5353, true, .n = 1},
                {"1:65535/tcp", "", 1, 65535, false, .n = 1, .again = "1:65535"},
                {"127.0.0.1:80:8080", "127.0.0.1", 80, 8080, false, .n = 1},
                {"[::1]:80:8080/udp", "::1", 80, 8080, true, .n = 1},
                {"[2001:0DB8:0::0001]:1:2", "2001:db8::1", 1, 2, false, .n = 1,
                 .again = "[2001:db8::1]:1:2"},
                {"80", "", 0, 80, false, .n = 1},
                {"53/udp", "", 0, 53, true, .n = 1},
                {"127.0.0.1::80", "127.0.0.1", 0, 80, false, .n = 1},
                {"[::1]::80/udp", "::1", 0, 80, true, .n = 1},
                {"8000-8010:9000-9010", "", 8000, 9000, false, .n = 11},
                {"127.0.0.1:1-65535:1-65535/udp", "127.0.0.1", 1, 1, true, .n = 65535},
                {"8000-8000:80", "", 8000, 80, false, .n = 1, .again = "8000:80"},
                {"80-82", "", 0, 80, false, .n = 3},
        };
        static const char *const bad[] = {
                "",
                ":80",
                "80:",
                "0:80",
                "80:0",
                "65536:1",
                "80:80/sctp",
                "80:80/",
                "80:80/tcp/udp",
                "a:b",
                "-1:80",
                "80:80 ",
                " 80:80",
                "::1:80:80",
                "[::1]80:80",
                "[::1:80:80",
                "[]:80:80",
                "[10.0.0.1]:1:2",
                "10.0.0:80:80",
                "1:2:3",
                "10.0.0.1:80",
                "[::1]:80",
                "/tcp",
                ":::",
                "[",
                "[::1]",
                "host:80:80",
                "8000-8010:80",
                "80:8000-8010",
                "8010-8000:8010-8000",
                "8000-:80",
                "-8000:80",
                "65535-65536",
                "1-2-3",
                "10.0.0.1::",
                "::80",
                "10.0.0.1:80:",
                "1.2.3.4:1:2:3",
                ("0000000000000000000000000000000000000000000000000000000000000000000000000000000"
                 "0000000000000080:80"),
        };

        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                char again[PORT_SPEC_TEXT_MAX];
                PortSpec spec;

                unit_assert_int(port_spec_parse(&spec, good[i].text), 0);
                unit_assert_string(spec.address, good[i].address);
                unit_assert_int(spec.host, good[i].host);
                unit_assert_int(spec.guest, good[i].guest);
                unit_assert_int(spec.udp, good[i].udp);
                unit_assert_int(spec.n, good[i].n);
                port_spec_format(&spec, again);
                unit_assert_string(again, good[i].again ? good[i].again : good[i].text);
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (port_spec_is_valid(bad[i]))
                        unit_fail("\"%s\" is taken", bad[i]);
}

static void ports_that_collide(void)
{
        static const struct {
                const char *a, *b;
                bool collide;
        } cases[] = {
                {"80:1", "80:2", true},
                {"80:1", "80:2/udp", false},
                {"80:1", "127.0.0.1:80:2", true},
                {"127.0.0.2:80:1", "127.0.0.1:80:2", false},
                {"8000-8010:1-11", "8010:80", true},
                {"8000-8010:1-11", "8011:80", false},
                {"7990-7999:1-10", "8000-8010:1-11", false},
                {"80", "80", false},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                PortSpec a, b;

                unit_assert_int(port_spec_parse(&a, cases[i].a), 0);
                unit_assert_int(port_spec_parse(&b, cases[i].b), 0);
                if (port_spec_collides(&a, &b) != cases[i].collide ||
                    port_spec_collides(&b, &a) != cases[i].collide)
                        unit_fail("%s and %s", cases[i].a, cases[i].b);
        }
}

static void networks(void)
{
        static const struct {
                const char *text;
                NetworkSpecKind kind;
                const char *name;
        } good[] = {
                {"none", NETWORK_SPEC_NONE, ""},
                {"private", NETWORK_SPEC_PRIVATE, ""},
                {"bridge", NETWORK_SPEC_NAMED, "bridge"},
                {"my-net.2_x", NETWORK_SPEC_NAMED, "my-net.2_x"},
                {"cni:podman", NETWORK_SPEC_CNI, "podman"},
                {"host:eth0.5@x", NETWORK_SPEC_HOST, "eth0.5@x"},
                {"ovs:br-int", NETWORK_SPEC_OVS, "br-int"},
        };
        static const char *const bad[] = {
                "",
                "-a",
                ".",
                "..",
                "a/b",
                "../a",
                "cni:",
                "cni:../a",
                "ovs:",
                "ovs:-br",
                "host:",
                "host:lo",
                "host:sixteen-bytes-xx",
                "host:a/b",
                "a b",
                "a:b",
                "ns:/run/x",
                "\xc3\xa4",
                "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
        };

        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                NetworkSpec spec;

                unit_assert_int(network_spec_parse(&spec, good[i].text), 0);
                unit_assert_int(spec.kind, good[i].kind);
                unit_assert_string(spec.name, good[i].name);
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (network_spec_is_valid(bad[i]))
                        unit_fail("\"%s\" is taken", bad[i]);
}

static void addresses(void)
{
        static const uint8_t expected[] = {0x02, 0xab, 0xcd, 0xef, 0x00, 0x01};
        uint8_t mac[6];

        unit_assert_int(network_mac_parse("02:ab:CD:ef:00:01", mac), 0);
        unit_assert_bytes(mac, expected, sizeof(mac));
        unit_assert(!network_mac_is_valid("01:00:5e:00:00:01"));
        unit_assert(!network_mac_is_valid("00:00:00:00:00:00"));
        unit_assert(!network_mac_is_valid("02:00:00:00:00:0"));
        unit_assert(!network_mac_is_valid("02:00:00:00:00:001"));
        unit_assert(!network_mac_is_valid("02-00-00-00-00-01"));
        unit_assert(!network_mac_is_valid("02:00:00:00:00:0g"));
        unit_assert(network_cidr_is_valid("10.0.0.1/24") && network_cidr_is_valid("fd00::1/64"));
        unit_assert(!network_cidr_is_valid("10.0.0.1") && !network_cidr_is_valid("10.0.0.1/33"));
        unit_assert(!network_cidr_is_valid("10.0.0.1/0") && !network_cidr_is_valid("fd00::/129"));
        unit_assert(!network_cidr_is_valid("/24") && !network_cidr_is_valid("10.0.0.1/"));
        unit_assert(network_any_address_is_valid("fd00::1"));
        unit_assert(!network_any_address_is_valid("fe80::1%eth0"));
        unit_assert(network_argument_is_valid("K8S_POD=a:b") &&
                    !network_argument_is_valid("K=a;B=c"));
        unit_assert(!network_argument_is_valid("=a") && !network_argument_is_valid("a b=c"));
        unit_assert(!network_argument_is_valid("K") && !network_argument_is_valid("K=a=b"));
        unit_assert(network_alias_is_valid("db-1.x") && !network_alias_is_valid("-db"));
        unit_assert(!network_alias_is_valid("") && !network_alias_is_valid("a b"));
        unit_assert(network_word_is_valid("ndots:2") && !network_word_is_valid("a b"));
        unit_assert(!network_word_is_valid("") && !network_word_is_valid("a\nnameserver"));
}

static void hosts(void)
{
        static const char *const bad[] = {
                "",         "a",         "a:",     ":10.0.0.1", "a b:10.0.0.1",     "-a:10.0.0.1",
                "a:b",      "a:[::1",    "a:::1]", "a:[]",      "a:10.0.0.1\nroot", "a\n:10.0.0.1",
                "a:10.0.0", "a:[[::1]]",
        };
        char line[64];

        unit_assert_int(network_host_to_line("db.example:10.0.0.5", line, sizeof(line)), 0);
        unit_assert_string(line, "10.0.0.5 db.example");
        unit_assert_int(network_host_to_line("six:2001:db8::1", line, sizeof(line)), 0);
        unit_assert_string(line, "2001:db8::1 six");
        unit_assert_int(network_host_to_line("six:[2001:db8::1]", line, sizeof(line)), 0);
        unit_assert_string(line, "2001:db8::1 six");
        unit_assert_int(network_host_to_line("six:[2001:db8::1]", line, 15), -ERANGE);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (network_host_is_valid(bad[i]))
                        unit_fail("\"%s\" is taken", bad[i]);
}

static char bridge[] = "bridge", private[] = "private", ovs[] = "ovs:br0",
            mac[] = "02:00:00:00:00:01";
static char bare[] = "10.0.0.2", cidr[] = "10.0.0.2/24";
static char first[] = "80:80", second[] = "127.0.0.1:80:81", third[] = "80:80/udp";
static char many[] = "2000-2999:2000-2999", more[] = "3000-3023:3000-3023",
            too_many[] = "3000-3024:3000-3024";

static void what_goes_together(void)
{
        char *one[] = {first, NULL}, *both[] = {first, second, NULL}, *two[] = {first, third, NULL};
        char *full[] = {many, more, NULL}, *over[] = {many, too_many, NULL};
        char *plain[] = {bare, NULL}, *long_one[] = {cidr, NULL}, *none[] = {NULL};
        const struct {
                NetworkConfig config;
                bool taken;
        } cases[] = {
                {{.network = bridge}, true},
                {{.network = bridge, .mac = mac, .ports = two, .addresses = plain}, true},
                {{.network = private, .ports = none, .addresses = none}, true},
                {{.network = ovs, .mac = mac, .addresses = long_one}, true},
                {{.network = bridge, .ports = full}, true},
                {{.network = bridge, .ports = over}, false},
                {{}, false},
                {{.network = bridge, .ports = both}, false},
                {{.network = private, .ports = one}, false},
                {{.network = private, .mac = mac}, false},
                {{.network = private, .addresses = plain}, false},
                {{.network = ovs, .ports = one}, false},
                {{.network = ovs, .addresses = plain}, false},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                int r = network_config_check(&cases[i].config, NULL);

                if (r != (cases[i].taken ? 0 : -EINVAL))
                        unit_fail("case %zu: %d", i, r);
        }
}

UNIT_MAIN(UNIT_TEST(ports), UNIT_TEST(ports_that_collide), UNIT_TEST(networks),
          UNIT_TEST(addresses), UNIT_TEST(hosts), UNIT_TEST(what_goes_together))
