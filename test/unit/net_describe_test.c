/* How a namespace routes, what it is set to, and what of it a guest can't have: in namespaces of the
 * test's own, so it takes root. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/fib_rules.h>
#include <linux/if_tun.h>
#include <netlink/route/rule.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "test/unit/net_namespace.h"
#include "uvmd/net/describe.h"

static NetReport report;

static void look(void)
{
        net_report_done(&report);
        unit_assert_int(net_describe(nl, NULL, &report), 0);
}

static const AgentNetwork *network_of(const char *name)
{
        for (uint32_t i = 0; i < report.n_interfaces; i++)
                if (strcmp(report.interfaces[i].network.name, name) == 0)
                        return &report.interfaces[i].network;
        return NULL;
}

static bool leads_to(const AgentRoute *route, const char *text, uint32_t prefix)
{
        uint8_t bytes[16];
        int family = strchr(text, ':') ? AF_INET6 : AF_INET;
        uint32_t size = family == AF_INET ? 4 : 16;

        unit_assert_int(inet_pton(family, text, bytes), 1);
        return route->destination.size == size && route->destination.prefix == prefix &&
               memcmp(route->destination.bytes, bytes, size) == 0;
}

static const AgentRoute *find(const AgentRoute *routes, uint32_t n, const char *text,
                              uint32_t prefix, uint32_t table)
{
        for (uint32_t i = 0; i < n; i++)
                if (leads_to(&routes[i], text, prefix) && routes[i].table == table)
                        return &routes[i];
        return NULL;
}

static const AgentRoute *of_all(const char *text, uint32_t prefix, uint32_t table)
{
        return find(report.routing.routes, report.routing.n_routes, text, prefix, table);
}

static const AgentRoute *of_device(const char *name, const char *text, uint32_t prefix,
                                   uint32_t table)
{
        const AgentNetwork *network = network_of(name);

        return network ? find(network->routes, network->n_routes, text, prefix, table) : NULL;
}

static struct rtnl_route *route_new(const char *destination, uint32_t table, uint8_t type)
{
        struct nl_addr *to = address_parse(destination, AF_UNSPEC);
        struct rtnl_route *route = rtnl_route_alloc();

        rtnl_route_set_family(route, (uint8_t)nl_addr_get_family(to));
        rtnl_route_set_dst(route, to);
        rtnl_route_set_table(route, table);
        rtnl_route_set_type(route, type);
        nl_addr_put(to);
        return route;
}

static void route_hop(struct rtnl_route *route, const char *name, const char *gateway,
                      uint8_t weight)
{
        struct rtnl_nexthop *hop = rtnl_route_nh_alloc();

        rtnl_route_nh_set_ifindex(hop, link_index(name));
        rtnl_route_nh_set_weight(hop, weight);
        if (gateway) {
                struct nl_addr *via = address_parse(gateway, AF_UNSPEC);

                rtnl_route_nh_set_gateway(hop, via);
                nl_addr_put(via);
        }
        rtnl_route_add_nexthop(route, hop);
}

static void route_done(struct rtnl_route *route)
{
        unit_assert_int(rtnl_route_add(nl, route, NLM_F_CREATE | NLM_F_EXCL), 0);
        rtnl_route_put(route);
}

static void setting_write(const char *path, const char *value)
{
        int fd = open(path, O_WRONLY | O_CLOEXEC);

        unit_assert(fd >= 0);
        unit_assert_int(write(fd, value, strlen(value)), (int)strlen(value));
        fd_close(fd);
}

static bool has_setting(const CodecStrings *settings, const char *text)
{
        for (uint32_t i = 0; i < settings->n; i++)
                if (strcmp(settings->items[i], text) == 0)
                        return true;
        return false;
}

static void two_devices(void)
{
        namespace_enter();
        link_up("lo");
        for (int i = 0; i < 2; i++) {
                char name[16], far[16];

                snprintf(name, sizeof(name), "eth%d", i);
                snprintf(far, sizeof(far), "far%d", i);
                veth_add(name, far);
                link_change(far, 0, 0);
                /* The other end is for nobody. */
                unit_assert_int(link_add_kind("bridge", i ? "br1" : "br0", NULL), 0);
                unit_assert_int(rtnl_link_enslave_ifindex(nl, link_index(i ? "br1" : "br0"),
                                                          link_index(far)),
                                0);
        }
        address_add("eth0", "192.0.2.7/24");
        address_add("eth1", "198.51.100.7/24");
}

static void tells_all_routes(void)
{
        struct rtnl_route *route;
        const AgentRoute *found;

        two_devices();
        route = route_new("10.1.0.0/16", 100, RTN_UNICAST);
        route_hop(route, "eth0", "192.0.2.1", 0);
        rtnl_route_set_metric(route, RTAX_MTU, 1400);
        rtnl_route_set_metric(route, RTAX_INITCWND, 20);
        route_done(route);
        route_done(route_new("10.2.0.0/16", RT_TABLE_MAIN, RTN_BLACKHOLE));
        route_done(route_new("10.3.0.0/16", 100000, RTN_PROHIBIT));
        route = route_new("10.4.0.0/16", RT_TABLE_MAIN, RTN_UNICAST);
        route_hop(route, "eth0", "192.0.2.1", 2);
        route_hop(route, "eth1", "198.51.100.1", 0);
        route_done(route);
        route = route_new("10.5.0.0/16", 101, RTN_LOCAL);
        rtnl_route_set_scope(route, RT_SCOPE_HOST);
        route_hop(route, "lo", NULL, 0);
        route_done(route);
        look();

        found = of_device("eth0", "10.1.0.0", 16, 100);
        unit_assert(found && found->gateway.size == 4 && found->n_metrics == 2);
        unit_assert_int(found->metrics[0].value, 1400);
        unit_assert_int(found->metrics[1].type, RTAX_INITCWND);
        found = of_all("10.2.0.0", 16, RT_TABLE_MAIN);
        unit_assert(found && found->type == RTN_BLACKHOLE && found->n_hops == 0);
        unit_assert(of_all("10.3.0.0", 16, 100000)->type == RTN_PROHIBIT);
        found = of_all("10.4.0.0", 16, RT_TABLE_MAIN);
        unit_assert(found && found->n_hops == 2);
        unit_assert_string(found->hops[0].device, "eth0");
        unit_assert_int(found->hops[0].weight, 2);
        unit_assert_string(found->hops[1].device, "eth1");
        unit_assert(!of_device("eth0", "10.4.0.0", 16, RT_TABLE_MAIN));
        found = of_all("10.5.0.0", 16, 101);
        unit_assert(found && found->type == RTN_LOCAL && found->n_hops == 1);
        unit_assert_string(found->hops[0].device, "lo");
        /* The kernel's own for addresses aren't told. */
        unit_assert(!of_device("eth0", "192.0.2.7", 32, RT_TABLE_LOCAL));
        unit_assert(of_device("eth0", "192.0.2.0", 24, RT_TABLE_MAIN));

        /* Of a way that a guest doesn't get the rest is the other's own. */
        unit_assert_int(rtnl_link_enslave_ifindex(nl, link_index("br1"), link_index("eth1")), 0);
        look();
        unit_assert(!network_of("eth1"));
        unit_assert(!of_all("10.4.0.0", 16, RT_TABLE_MAIN));
        unit_assert(of_device("eth0", "10.4.0.0", 16, RT_TABLE_MAIN));
        net_report_done(&report);
}

static void tells_rules(void)
{
        struct rtnl_rule *rule = rtnl_rule_alloc();
        struct nl_addr *from = address_parse("192.0.2.0/24", AF_UNSPEC);
        const AgentRule *found = NULL;

        namespace_enter();
        look();
        unit_assert(net_routing_is_plain(&report.routing));
        unit_assert_int(report.routing.n_rules, 5);
        rtnl_rule_set_family(rule, AF_INET);
        rtnl_rule_set_prio(rule, 100);
        rtnl_rule_set_table(rule, 1000);
        rtnl_rule_set_action(rule, FR_ACT_TO_TBL);
        rtnl_rule_set_mark(rule, 5);
        rtnl_rule_set_iif(rule, "lo");
        unit_assert_int(rtnl_rule_set_src(rule, from), 0);
        unit_assert_int(rtnl_rule_add(nl, rule, NLM_F_CREATE | NLM_F_EXCL), 0);
        look();
        unit_assert(!net_routing_is_plain(&report.routing));
        for (uint32_t i = 0; i < report.routing.n_rules; i++)
                if (report.routing.rules[i].priority == 100)
                        found = &report.routing.rules[i];
        unit_assert(found && found->table == 1000 && found->mark == 5 && found->flags == 0);
        unit_assert_int(found->mask, UINT32_MAX);
        unit_assert(found->source.size == 4 && found->source.prefix == 24);
        unit_assert_string(found->input, "lo");
        unit_assert_int(rtnl_rule_delete(nl, rule, 0), 0);
        look();
        unit_assert(net_routing_is_plain(&report.routing));
        rtnl_rule_put(rule);
        nl_addr_put(from);
        net_report_done(&report);
}

static void tells_settings(void)
{
        CodecStrings before = {};
        NetReport earlier;

        namespace_enter();
        veth_add("eth0", "far");
        look();
        unit_assert(!has_setting(&report.routing.settings, "net/ipv4/ip_default_ttl=77"));
        setting_write("/proc/sys/net/ipv4/ip_default_ttl", "77");
        setting_write("/proc/sys/net/ipv4/conf/eth0/proxy_arp", "1");
        setting_write("/proc/sys/net/ipv4/conf/default/arp_ignore", "2");
        setting_write("/proc/sys/net/ipv6/conf/eth0/accept_ra", "0");
        look();
        unit_assert(has_setting(&report.routing.settings, "net/ipv4/ip_default_ttl=77"));
        unit_assert(has_setting(&report.routing.settings, "net/ipv4/conf/default/arp_ignore=2"));
        unit_assert(has_setting(&report.routing.settings, "net/ipv4/conf/eth0/proxy_arp=1"));
        unit_assert(has_setting(&network_of("eth0")->settings, "net/ipv4/conf/eth0/proxy_arp=1"));
        unit_assert(has_setting(&network_of("eth0")->settings, "net/ipv6/conf/eth0/accept_ra=0"));
        /* Interfaces take the default's, but for those that were told otherwise: a guest's, too. */
        unit_assert(has_setting(&network_of("eth0")->settings, "net/ipv4/conf/eth0/arp_ignore=2"));
        setting_write("/proc/sys/net/ipv4/conf/eth0/arp_ignore", "0");
        look();
        unit_assert(has_setting(&network_of("eth0")->settings, "net/ipv4/conf/eth0/arp_ignore=0"));

        /* What was told and is the kernel's own again is told once more; of what is gone nothing is. */
        earlier = report;
        report = (NetReport){};
        before = earlier.routing.settings;
        setting_write("/proc/sys/net/ipv4/ip_default_ttl", "64");
        link_delete("far");
        look();
        unit_assert_int(net_settings_complete(&report, &before), 0);
        unit_assert(has_setting(&report.routing.settings, "net/ipv4/ip_default_ttl=64"));
        for (uint32_t i = 0; i < report.routing.settings.n; i++)
                unit_assert(!strstr(report.routing.settings.items[i], "eth0"));
        net_report_done(&earlier);
        net_report_done(&report);
}

static void tells_loopback(void)
{
        namespace_enter();
        link_up("lo");
        address_add("lo", "10.99.0.1/32");
        address_add("lo", "2001:db8::99/128");
        look();
        unit_assert_int(report.routing.n_loopback, 2);
        unit_assert_int(report.n_interfaces, 0);
        net_report_done(&report);
}

static const NetLeft *left_of(const char *name)
{
        for (uint32_t i = 0; i < report.n_left; i++)
                if (strcmp(report.left[i].name, name) == 0)
                        return &report.left[i];
        return NULL;
}

static void says_what_is_left_out(void)
{
        struct ifreq request = {.ifr_name = "tun0", .ifr_flags = IFF_TUN | IFF_NO_PI};
        bool have_macvlan;
        int fd;

        namespace_enter();
        fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
        unit_assert(fd >= 0);
        unit_assert_int(ioctl(fd, TUNSETIFF, &request), 0);
        link_up("tun0");
        veth_add("eth0", "far");
        address_add("eth0", "192.0.2.7/24");
        have_macvlan = link_add_kind("macvlan", "mac0", "eth0") >= 0;
        look();
        unit_assert(left_of("tun0") && left_of("tun0")->reason == NET_REASON_NOT_ETHERNET);
        unit_assert_string(left_of("tun0")->kind, "tun");
        unit_assert(!have_macvlan || left_of("eth0")->reason == NET_REASON_LOWER);
        unit_assert(!left_of("lo"));
        fd_close(fd);

        namespace_enter();
        for (int i = 0; i < NET_INTERFACES_MAX / 2 + 1; i++) {
                char name[16], far[16];

                snprintf(name, sizeof(name), "eth%d", i);
                snprintf(far, sizeof(far), "far%d", i);
                veth_add(name, far);
        }
        look();
        unit_assert_int(report.n_interfaces, NET_INTERFACES_MAX);
        unit_assert_int(report.n_left, 2);
        unit_assert_int(report.left[0].reason, NET_REASON_TOO_MANY);
        net_report_done(&report);
}

int main(void)
{
        static const UnitTest tests[] = {
                UNIT_TEST(tells_all_routes),      UNIT_TEST(tells_rules),
                UNIT_TEST(tells_settings),        UNIT_TEST(tells_loopback),
                UNIT_TEST(says_what_is_left_out),
        };

        if (unshare(CLONE_NEWNET) < 0) {
                printf("1..0 # SKIP network namespaces take root\n");
                return 0;
        }
        return unit_run(tests, sizeof(tests) / sizeof(tests[0]));
}
