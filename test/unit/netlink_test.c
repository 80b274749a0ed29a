/* Netlink messages: what is written, and that a reader stays within what it was given. */
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/netroute.h"
#include "agent/netrule.h"
#include "base/cleanup.h"
#include "test/unit.h"

static void test_request(void)
{
        struct rtgenmsg body = {.rtgen_family = AF_INET6};
        NetlinkRequest request;
        struct nlmsghdr header;
        NetlinkAttribute attribute;
        NetlinkMessage message;
        NetlinkReader reader, attributes;
        size_t nest;

        netlink_begin(&request, RTM_NEWLINK, NLM_F_ACK, &body, sizeof(body));
        netlink_put(&request, 3, "abcde", 5);
        nest = netlink_nest(&request, 7);
        netlink_put_u32(&request, 1, 0x12345678);
        netlink_nest_end(&request, nest);
        unit_assert_int(netlink_end(&request, 42), 0);
        unit_assert_int(request.size, 16 + 4 + 12 + 4 + 8);
        memcpy(&header, request.data, sizeof(header));
        unit_assert_int(header.nlmsg_len, request.size);
        unit_assert_int(header.nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK);
        reader = netlink_reader(request.data, request.size);
        unit_assert(netlink_next(&reader, &message));
        unit_assert_int(message.type, RTM_NEWLINK);
        unit_assert_int(message.sequence, 42);
        unit_assert_int(netlink_body(&message, &body, sizeof(body), &attributes), 0);
        unit_assert_int(body.rtgen_family, AF_INET6);
        unit_assert(netlink_find(&attributes, 3, &attribute));
        unit_assert_int(attribute.size, 5);
        unit_assert_int(memcmp(attribute.data, "abcde", 5), 0);
        unit_assert(netlink_find(&attributes, 7, &attribute));
        reader = netlink_reader(attribute.data, attribute.size);
        unit_assert_int(netlink_find_u32(&reader, 1, 0), 0x12345678);
        unit_assert_int(netlink_find_u32(&reader, 2, 9), 9);
        unit_assert(!netlink_find(&attributes, 1, &attribute));
}

static void test_overflow(void)
{
        static const uint8_t large[NETLINK_REQUEST_MAX];
        NetlinkRequest request;

        netlink_begin(&request, 1, 0, "body", 4);
        netlink_put(&request, 1, large, sizeof(large) - 16 - 4 - 4 - 4);
        unit_assert_int(request.size, sizeof(large) - 4);
        unit_assert_int(netlink_end(&request, 1), 0);
        netlink_put_u32(&request, 2, 1);
        netlink_put_u8(&request, 3, 1);
        unit_assert_int(netlink_end(&request, 1), -ENOBUFS);
        netlink_begin(&request, 1, 0, "body", 4);
        netlink_put(&request, 1, large, sizeof(large));
        unit_assert_int(netlink_end(&request, 1), -ENOBUFS);
}

/* Lengths that lie, of each kind. */
static void test_cut(void)
{
        NetlinkRequest request;
        NetlinkAttribute attribute;
        NetlinkMessage message;
        NetlinkReader reader;
        uint32_t size;

        netlink_begin(&request, 1, 0, "body", 4);
        netlink_put_u32(&request, 1, 1);
        unit_assert_int(netlink_end(&request, 1), 0);
        for (size_t cut = 0; cut < request.size; cut++) {
                reader = netlink_reader(request.data, cut);
                unit_assert(!netlink_next(&reader, &message));
        }
        for (size = 0; size < 16; size++) {
                memcpy(request.data, &size, sizeof(size));
                reader = netlink_reader(request.data, request.size);
                unit_assert(!netlink_next(&reader, &message));
        }
        size = 18; /* cuts the body */
        memcpy(request.data, &size, sizeof(size));
        reader = netlink_reader(request.data, request.size);
        unit_assert(netlink_next(&reader, &message));
        unit_assert_int(netlink_body(&message, &size, sizeof(size), &reader), -EBADMSG);
        for (size = 0; size < 4; size++) {
                uint8_t bytes[] = {(uint8_t)size, 0, 1, 0, 5, 6, 7, 8};

                reader = netlink_reader(bytes, sizeof(bytes));
                unit_assert(!netlink_next_attribute(&reader, &attribute));
        }
        /* One whose padding is beyond the end is whole. */
        reader = netlink_reader((const uint8_t[]){5, 0, 1, 0, 9}, 5);
        unit_assert(netlink_next_attribute(&reader, &attribute));
        unit_assert_int(attribute.size, 1);
        unit_assert(!netlink_next_attribute(&reader, &attribute));
}

static void check_route(const AgentRoute *said)
{
        NetlinkRequest request;
        NetlinkMessage message;
        NetlinkReader reader;
        NetRoute route, read;

        netroute_from_agent(said, 7, &route);
        netroute_put(&route, RTM_NEWROUTE, 0, &request);
        unit_assert_int(netlink_end(&request, 1), 0);
        reader = netlink_reader(request.data, request.size);
        unit_assert(netlink_next(&reader, &message));
        unit_assert(netroute_from_message(&message, &read));
        unit_assert(netroute_is_equal(&route, &read));
        unit_assert(netroute_is_of(&read, 7));
        read.metric++;
        unit_assert(!netroute_is_equal(&route, &read));
}

static void test_routes(void)
{
        uint8_t v4[4] = {192, 0, 2, 255}, v6[16] = {0x20, 1, 0xd, 0xb8, [15] = 9};
        AgentMetric metrics[] = {{RTAX_LOCK, 1 << RTAX_MTU}, {RTAX_MTU, 1280}};
        NetRoute route;

        check_route(&(AgentRoute){
                .destination = {.bytes = v4, .size = 4}, .table = 254, .type = RTN_UNICAST});
        check_route(&(AgentRoute){.destination = {.bytes = v4, .size = 4, .prefix = 25},
                                  .gateway = {.bytes = v4, .size = 4},
                                  .source = {.bytes = v4, .size = 4},
                                  .metric = 5,
                                  .metrics = metrics,
                                  .n_metrics = 2,
                                  .table = 100000,
                                  .type = RTN_LOCAL,
                                  .tos = 16,
                                  .scope = RT_SCOPE_LINK,
                                  .onlink = true});
        check_route(&(AgentRoute){.destination = {.bytes = v6, .size = 16, .prefix = 128},
                                  .gateway = {.bytes = v6, .size = 16},
                                  .table = 254,
                                  .type = RTN_UNICAST});
        check_route(&(AgentRoute){.destination = {.bytes = v4, .size = 4, .prefix = 32},
                                  .gateway = {.bytes = v6, .size = 16},
                                  .table = 1,
                                  .type = RTN_MULTICAST});
        netroute_from_agent(&(AgentRoute){.destination = {.bytes = v4, .size = 4, .prefix = 25}}, 7,
                            &route);
        unit_assert_int(route.destination[3], 128);
        netroute_from_agent(&(AgentRoute){.destination = {.bytes = v6, .size = 16, .prefix = 31}},
                            7, &route);
        unit_assert_int(route.destination[3], 0xb8);
        unit_assert_int(route.destination[15], 0);
        unit_assert_int(route.metric, 1024);
}

/* The ways of one with several, in any order; a length that lies makes it none. */
static void test_ways(void)
{
        uint8_t one[4] = {192, 0, 2, 1}, two[16] = {0xfe, 0x80, [15] = 2}, to[4] = {10};
        AgentRoute said = {.destination = {to, 4, 8}, .table = 254, .type = RTN_UNICAST};
        AgentHop hops[] = {
                {.gateway = {one, 4, 0}, .weight = 3},
                {.gateway = {two, 16, 0}, .onlink = true},
        };
        NetRoute route, other, read;
        NetlinkRequest request;
        NetlinkMessage message;
        NetlinkReader reader;
        uint16_t length;
        size_t at;

        netroute_from_agent(&said, 0, &route);
        unit_assert_int(route.n_hops, 0);
        netroute_add_hop(&route, &hops[0], 3);
        netroute_add_hop(&route, &hops[1], 4);
        netroute_from_agent(&said, 0, &other);
        netroute_add_hop(&other, &hops[1], 4);
        unit_assert(!netroute_is_equal(&route, &other));
        netroute_add_hop(&other, &hops[0], 3);
        unit_assert(netroute_is_equal(&route, &other));
        unit_assert(!netroute_is_of(&route, 3));

        netroute_put(&route, RTM_NEWROUTE, 0, &request);
        unit_assert_int(netlink_end(&request, 1), 0);
        reader = netlink_reader(request.data, request.size);
        unit_assert(netlink_next(&reader, &message));
        unit_assert(netroute_from_message(&message, &read));
        unit_assert(netroute_is_equal(&route, &read));
        unit_assert_int(read.hops[0].weight, 3);
        /* The first way's length: behind the header, the table, the destination and RTA_MULTIPATH's. */
        at = 16 + sizeof(struct rtmsg) + 8 + 8 + 4;
        memcpy(&length, request.data + at, sizeof(length));
        unit_assert_int(length, sizeof(struct rtnexthop) + 8);
        for (uint16_t lie = 0; lie < 64; lie++) {
                memcpy(request.data + at, &lie, sizeof(lie));
                reader = netlink_reader(request.data, request.size);
                unit_assert(netlink_next(&reader, &message));
                if (lie != length && netroute_from_message(&message, &read))
                        unit_assert(!netroute_is_equal(&route, &read));
        }
        hops[0].weight++;
        netroute_from_agent(&said, 0, &other);
        netroute_add_hop(&other, &hops[0], 3);
        netroute_add_hop(&other, &hops[1], 4);
        unit_assert(!netroute_is_equal(&route, &other));
}

/* One that leads nowhere has no way, whatever the kernel says. */
static void test_nowhere(void)
{
        uint8_t to[16] = {0x20, 1};
        AgentRoute said = {.destination = {to, 16, 16}, .table = 100, .type = RTN_UNREACHABLE};
        NetlinkRequest request;
        NetlinkMessage message;
        NetlinkReader reader;
        NetRoute route, read;

        netroute_from_agent(&said, 0, &route);
        netroute_put(&route, RTM_NEWROUTE, 0, &request);
        netlink_put_u32(&request, RTA_OIF, 1);
        unit_assert_int(netlink_end(&request, 1), 0);
        reader = netlink_reader(request.data, request.size);
        unit_assert(netlink_next(&reader, &message));
        unit_assert(netroute_from_message(&message, &read));
        unit_assert(netroute_is_equal(&route, &read));
        unit_assert_int(read.n_hops, 0);
}

static void check_rule(const AgentRule *said, bool kernels)
{
        NetlinkRequest request, again;
        NetlinkMessage message;
        NetlinkReader reader;
        NetRule read;

        netrule_put(said, RTM_NEWRULE, 0, &request);
        if (kernels)
                netlink_put_u8(&request, FRA_PROTOCOL, RTPROT_KERNEL);
        unit_assert_int(netlink_end(&request, 0), 0);
        reader = netlink_reader(request.data, request.size);
        unit_assert(netlink_next(&reader, &message));
        unit_assert(netrule_from_message(&message, &read));
        unit_assert_int(read.kernels, kernels);
        unit_assert_int(read.rule.flags, said->flags);
        netrule_put(&read.rule, RTM_NEWRULE, 0, &again);
        netrule_put(said, RTM_NEWRULE, 0, &request);
        unit_assert_int(again.size, request.size);
        unit_assert_bytes(again.data, request.data, request.size);
}

static void test_rules(void)
{
        uint8_t v4[4] = {192, 0, 2, 0}, v6[16] = {0x20, 1, 0xd, 0xb8};

        check_rule(&(AgentRule){.priority = 32766, .action = FR_ACT_TO_TBL, .table = 254}, true);
        check_rule(&(AgentRule){.flags = AGENT_RULE_FLAGS & ~AGENT_RULE_IPV6,
                                .priority = 1,
                                .action = FR_ACT_GOTO,
                                .source = {v4, 4, 24},
                                .destination = {v4, 4, 32},
                                .input = (char *)"lo",
                                .output = (char *)"a-name-of-15-by",
                                .tos = 8,
                                .mark = 7,
                                .mask = 0xff,
                                .realms = 3,
                                .target = 100,
                                .suppress_prefix = 0,
                                .suppress_group = 5,
                                .protocol = 17,
                                .uids = {1000, UINT32_MAX - 1},
                                .source_ports = {1, 65535},
                                .ports = {53, 53}},
                   false);
        check_rule(&(AgentRule){.flags = AGENT_RULE_IPV6,
                                .action = FR_ACT_PROHIBIT,
                                .source = {v6, 16, 32},
                                .table = 100000},
                   false);
}

/* What is none of a container's. */
static void test_other_routes(void)
{
        static const struct rtmsg others[] = {
                {.rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_type = RTN_UNSPEC},
                {.rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_type = RTN_NAT},
                {.rtm_family = AF_UNIX, .rtm_table = RT_TABLE_MAIN, .rtm_type = RTN_UNICAST},
                {.rtm_family = AF_INET,
                 .rtm_dst_len = 33,
                 .rtm_table = RT_TABLE_MAIN,
                 .rtm_type = RTN_UNICAST},
                {.rtm_family = AF_INET6,
                 .rtm_table = RT_TABLE_MAIN,
                 .rtm_type = RTN_UNICAST,
                 .rtm_flags = RTM_F_CLONED},
        };

        for (size_t i = 0; i < ELEMENTSOF(others); i++) {
                NetlinkRequest request;
                NetlinkMessage message;
                NetlinkReader reader;
                NetRoute route;

                netlink_begin(&request, RTM_NEWROUTE, 0, &others[i], sizeof(others[i]));
                unit_assert_int(netlink_end(&request, 1), 0);
                reader = netlink_reader(request.data, request.size);
                unit_assert(netlink_next(&reader, &message));
                unit_assert(!netroute_from_message(&message, &route));
        }
}

UNIT_MAIN(UNIT_TEST(test_request), UNIT_TEST(test_overflow), UNIT_TEST(test_cut),
          UNIT_TEST(test_routes), UNIT_TEST(test_ways), UNIT_TEST(test_nowhere),
          UNIT_TEST(test_other_routes), UNIT_TEST(test_rules))
