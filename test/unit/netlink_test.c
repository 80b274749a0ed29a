/* Netlink messages: what is written, and that a reader stays within what it was given. */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/netroute.h"
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
        unit_assert(netroute_from_message(&message, 0, &read));
        unit_assert(netroute_is_equal(&route, &read));
        unit_assert(!netroute_from_message(&message, 1, &read));
        read.metric++;
        unit_assert(!netroute_is_equal(&route, &read));
}

static void test_routes(void)
{
        uint8_t v4[4] = {192, 0, 2, 255}, v6[16] = {0x20, 1, 0xd, 0xb8, [15] = 9};
        NetRoute route;

        check_route(&(AgentRoute){.destination = {.bytes = v4, .size = 4}});
        check_route(&(AgentRoute){.destination = {.bytes = v4, .size = 4, .prefix = 25},
                                  .gateway = {.bytes = v4, .size = 4},
                                  .source = {.bytes = v4, .size = 4},
                                  .metric = 5,
                                  .mtu = 1280,
                                  .scope = RT_SCOPE_LINK,
                                  .onlink = true});
        check_route(&(AgentRoute){.destination = {.bytes = v6, .size = 16, .prefix = 128},
                                  .gateway = {.bytes = v6, .size = 16}});
        check_route(&(AgentRoute){.destination = {.bytes = v4, .size = 4, .prefix = 32},
                                  .gateway = {.bytes = v6, .size = 16}});
        netroute_from_agent(&(AgentRoute){.destination = {.bytes = v4, .size = 4, .prefix = 25}}, 7,
                            &route);
        unit_assert_int(route.destination[3], 128);
        netroute_from_agent(&(AgentRoute){.destination = {.bytes = v6, .size = 16, .prefix = 31}},
                            7, &route);
        unit_assert_int(route.destination[3], 0xb8);
        unit_assert_int(route.destination[15], 0);
        unit_assert_int(route.metric, 1024);
}

/* The ways of one with several: each is a route; a length that lies ends them. */
static void test_ways(void)
{
        struct {
                struct rtnexthop hop;
                struct nlattr header;
                uint8_t gateway[4];
        } ways[2] = {
                {{.rtnh_len = sizeof(ways[0]), .rtnh_ifindex = 3},
                 {.nla_len = 8, .nla_type = RTA_GATEWAY},
                 {1}},
                {{.rtnh_len = sizeof(ways[0]), .rtnh_ifindex = 4, .rtnh_flags = RTNH_F_ONLINK},
                 {.nla_len = 8, .nla_type = RTA_GATEWAY},
                 {2}},
        };
        struct rtmsg body = {
                .rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_type = RTN_UNICAST};

        for (unsigned length = 0; length <= sizeof(ways[0]) + 4; length += 4) {
                NetlinkRequest request;
                NetlinkMessage message;
                NetlinkReader reader;
                NetRoute route;
                bool whole = length >= sizeof(struct rtnexthop) && length <= sizeof(ways[0]);

                ways[1].hop.rtnh_len = (uint16_t)length;
                netlink_begin(&request, RTM_NEWROUTE, 0, &body, sizeof(body));
                netlink_put(&request, RTA_MULTIPATH, ways, sizeof(ways));
                unit_assert_int(netlink_end(&request, 1), 0);
                reader = netlink_reader(request.data, request.size);
                unit_assert(netlink_next(&reader, &message));
                unit_assert(netroute_from_message(&message, 0, &route));
                unit_assert(route.device == 3 && route.gateway[0] == 1 && !route.onlink);
                unit_assert_int(netroute_from_message(&message, 1, &route), whole);
                unit_assert(!whole || (route.device == 4 && route.onlink));
                unit_assert(length == 8 || length == 12 ||
                            !netroute_from_message(&message, 2, &route));
        }
}

/* What is none of a container's. */
static void test_other_routes(void)
{
        static const struct rtmsg others[] = {
                {.rtm_family = AF_INET, .rtm_table = RT_TABLE_LOCAL, .rtm_type = RTN_UNICAST},
                {.rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_type = RTN_BLACKHOLE},
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
                unit_assert(!netroute_from_message(&message, 0, &route));
        }
}

UNIT_MAIN(UNIT_TEST(test_request), UNIT_TEST(test_overflow), UNIT_TEST(test_cut),
          UNIT_TEST(test_routes), UNIT_TEST(test_ways), UNIT_TEST(test_other_routes))
