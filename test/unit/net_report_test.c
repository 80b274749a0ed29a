/* Reports of a network namespace: whole and within bounds, or no report. */
#include <errno.h>

#include "test/unit.h"
#include "uvmd/net/report.h"

static uint8_t v4[4] = {192, 0, 2, 7}, v4_gateway[4] = {192, 0, 2, 1}, none[16];
static uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 7};

static AgentAddress addresses[] = {
        {.bytes = v4, .size = 4, .prefix = 24},
        {.bytes = v6, .size = 16, .prefix = 64},
};
static AgentRoute routes[] = {
        {.destination = {.bytes = none, .size = 4},
         .gateway = {.bytes = v4_gateway, .size = 4},
         .table = 254,
         .type = 1,
         .metric = 100},
};

static const AgentNetwork network = {
        .mac = {2, 0, 0, 0, 0, 7},
        .name = (char *)"eth0",
        .mtu = 9000,
        .addresses = addresses,
        .n_addresses = 2,
        .routes = routes,
        .n_routes = 1,
};

static NetLeft left[] = {{.ifindex = 3, .reason = NET_REASON_TOO_MANY, .name = "eth9"},
                         {.ifindex = 4, .reason = NET_REASON_NOT_ETHERNET, "wg0", "wireguard"}};

/* The kernel's own. */
static AgentRule rules[] = {
        {.priority = 0, .action = 1, .table = 255},
        {.priority = 32766, .action = 1, .table = 254},
        {.priority = 32767, .action = 1, .table = 253},
        {.flags = AGENT_RULE_IPV6, .priority = 0, .action = 1, .table = 255},
        {.flags = AGENT_RULE_IPV6, .priority = 32766, .action = 1, .table = 254},
};

static const AgentRouting routing = {.rules = rules, .n_rules = 5};

static size_t encode(const NetReport *report, uint8_t *data, size_t capacity)
{
        size_t size;

        unit_assert_int(net_report_encode(report, data, capacity, &size), 0);
        return size;
}

static NetInterface interface(uint32_t ifindex, uint32_t queues, uint32_t vhost)
{
        return (NetInterface){
                .ifindex = ifindex,
                .flags = NET_INTERFACE_RUNNING,
                .queues = queues,
                .vhost = vhost,
                .kind = "veth",
                .network = network,
        };
}

static void comes_back_as_it_was(void)
{
        NetInterface interfaces[] = {interface(5, 2, 2), interface(9, 1, 0)};
        NetReport report = {NET_REPORT_MONITOR, interfaces, 2, left, 2, routing}, again;
        uint8_t data[4096];
        size_t size = encode(&report, data, sizeof(data));

        unit_assert_int(net_report_decode(data, size, &again), 0);
        unit_assert_int(again.n_interfaces, 2);
        unit_assert_int(again.interfaces[1].ifindex, 9);
        unit_assert_string(again.interfaces[0].kind, "veth");
        unit_assert_int(net_report_count_fds(&again), 6);
        unit_assert(net_network_equal(&again.interfaces[0].network, &network));
        unit_assert_int(again.n_left, 2);
        unit_assert_string(again.left[1].name, "wg0");
        unit_assert_int(again.left[1].reason, NET_REASON_NOT_ETHERNET);
        unit_assert(net_routing_equal(&again.routing, &routing));
        net_report_done(&again);
        for (size_t cut = 0; cut < size; cut++)
                unit_assert_int(net_report_decode(data, cut, &again), -EBADMSG);
        unit_assert_int(net_report_decode(data, size + 1, &again), -EBADMSG);
}

static void breaks_no_bound(void)
{
        NetInterface many[NET_INTERFACES_MAX + 1] = {};
        NetReport report = {.interfaces = many, .n_interfaces = NET_INTERFACES_MAX + 1};
        uint8_t data[16384];
        size_t size;

        unit_assert_int(net_report_encode(&report, data, sizeof(data), &size), -EINVAL);
        report.n_interfaces = 1;
        many[0] = interface(0, 1, 0);
        unit_assert_int(net_report_encode(&report, data, sizeof(data), &size), -EINVAL);
        many[0] = interface(1, NET_QUEUES_MAX + 1, 0);
        unit_assert_int(net_report_encode(&report, data, sizeof(data), &size), -EINVAL);
        many[0] = interface(1, 2, 1);
        unit_assert_int(net_report_encode(&report, data, sizeof(data), &size), -EINVAL);
        many[0] = interface(1, 2, 2);
        unit_assert_int(net_report_encode(&report, data, 40, &size), -ENOBUFS);
}

static void has_each_interface_once(void)
{
        NetInterface interfaces[] = {interface(5, 0, 0), interface(5, 0, 0)};
        NetReport report = {.interfaces = interfaces, .n_interfaces = 2}, again;
        uint8_t data[4096];
        size_t size = encode(&report, data, sizeof(data));

        unit_assert_int(net_report_decode(data, size, &again), -EBADMSG);
}

static void sees_what_differs(void)
{
        AgentNetwork other = network;

        unit_assert(net_network_equal(&network, &other));
        other.mtu = 1500;
        unit_assert(!net_network_equal(&network, &other));
        other = network;
        other.n_routes = 0;
        unit_assert(!net_network_equal(&network, &other));
}

static void knows_what_is_plain(void)
{
        AgentRouting some = routing;
        AgentRule odd = rules[1];
        AgentAddress address = {v4, 4, 32};

        unit_assert(net_routing_is_plain(&some));
        some.n_rules = 0; /* a kernel without */
        unit_assert(net_routing_is_plain(&some));
        some.n_rules = 2;
        unit_assert(!net_routing_is_plain(&some));
        some = (AgentRouting){.rules = &odd, .n_rules = 1};
        unit_assert(!net_routing_is_plain(&some));
        some = routing;
        some.loopback = &address;
        some.n_loopback = 1;
        unit_assert(!net_routing_is_plain(&some));
        unit_assert(!net_routing_equal(&some, &routing));
        rules[1].mark = 1;
        some = routing;
        unit_assert(!net_routing_is_plain(&some));
        rules[1].mark = 0;
}

UNIT_MAIN(UNIT_TEST(comes_back_as_it_was), UNIT_TEST(breaks_no_bound),
          UNIT_TEST(has_each_interface_once), UNIT_TEST(sees_what_differs),
          UNIT_TEST(knows_what_is_plain))
