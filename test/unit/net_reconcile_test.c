/* What is found in a network namespace, and how it is joined to taps: in namespaces of the test's own,
 * so it takes root. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/io.h"
#include "test/unit/net_namespace.h"
#include "uvmd/net/describe.h"
#include "uvmd/net/reconcile.h"
#include "uvmd/net/redirect.h"
#include "uvmd/net/tap.h"

static NetReport report;
static int fds[IO_FDS_MAX];
static unsigned n_fds;

static void forget(void)
{
        net_report_done(&report);
        fd_close_many(fds, n_fds);
        n_fds = 0;
}

static void reconcile(unsigned queues, const uint32_t *joined, unsigned n_joined)
{
        ReconcileOptions options = {
                .queues = queues,
                .joined = joined,
                .n_joined = n_joined,
        };
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        net_report_done(&report);
        r = reconcile_here(&options, &report, fds + n_fds, &n_fds, &error);
        if (r < 0)
                unit_fail("reconcile: %d %s", r, error.message ? error.message : "");
}

static const NetInterface *found(const char *name)
{
        for (uint32_t i = 0; i < report.n_interfaces; i++)
                if (strcmp(report.interfaces[i].network.name, name) == 0)
                        return &report.interfaces[i];
        return NULL;
}

static int tap_of(const char *name)
{
        char tap[NET_NAME_SIZE];

        net_tap_name((uint32_t)link_index(name), tap);
        return link_index(tap);
}

static void joins_both_ways(void)
{
        uint32_t joined[1];

        namespace_enter();
        veth_add("eth0", "far");
        link_change("far", 0, 0);
        address_add("eth0", "192.0.2.7/24");
        reconcile(1, NULL, 0);
        unit_assert_int(report.n_interfaces, 2); /* the other end is one as well */
        unit_assert_string(found("eth0")->kind, "veth");
        unit_assert_int(found("eth0")->queues, 1);
        unit_assert(found("eth0")->flags & NET_INTERFACE_JOINED);
        unit_assert_int(redirect_target(nl, link_index("eth0")), tap_of("eth0"));
        unit_assert_int(redirect_target(nl, tap_of("eth0")), link_index("eth0"));

        /* Once more: all stays as it is. */
        joined[0] = (uint32_t)link_index("eth0");
        link_delete("far");
        veth_add("eth1", "far");
        net_report_done(&report);
        reconcile(1, joined, 1);
        unit_assert(!found("eth0"));
        unit_assert(found("eth1") && found("eth1")->queues == 1);
        forget();
}

static void stays_as_it_is(void)
{
        uint32_t joined[2];
        char tap[NET_NAME_SIZE];
        unsigned n;

        namespace_enter();
        veth_add("eth0", "far");
        reconcile(1, NULL, 0);
        joined[0] = (uint32_t)link_index("eth0");
        joined[1] = (uint32_t)link_index("far");
        n = n_fds;
        unit_assert_int(n, report.interfaces[0].vhost ? 4 : 2);
        n_fds = 0;
        for (int i = 0; i < 3; i++) {
                reconcile(1, joined, 2);
                unit_assert_int(n_fds, 0);
                unit_assert(found("eth0")->flags & NET_INTERFACE_JOINED);
                unit_assert_int(found("eth0")->queues, 0);
                unit_assert_int(redirect_target(nl, link_index("eth0")), tap_of("eth0"));
        }
        /* A new MTU is the tap's too. */
        link_change("eth0", 0, 9000);
        reconcile(1, joined, 2);
        unit_assert_int(found("eth0")->network.mtu, 9000);
        net_tap_name(joined[0], tap);
        {
                struct rtnl_link *link = NULL;

                unit_assert_int(rtnl_link_get_kernel(nl, 0, tap, &link), 0);
                unit_assert_int(rtnl_link_get_mtu(link), 9000);
                unit_assert(rtnl_link_get_flags(link) & IFF_UP);
                rtnl_link_put(link);
        }
        /* A filter that somebody took away comes back. */
        unit_assert_int(redirect_remove(nl, link_index("eth0")), 0);
        unit_assert_int(redirect_target(nl, link_index("eth0")), 0);
        reconcile(1, joined, 2);
        unit_assert_int(redirect_target(nl, link_index("eth0")), tap_of("eth0"));
        n_fds = n;
        forget();
        unit_assert_int(tap_of("eth0"), 0); /* it dies with its fds */
        unit_assert_int(reconcile_release_here(NULL), 0);
        unit_assert_int(reconcile_release_here(NULL), 0);
}

static void takes_what_is_left(void)
{
        namespace_enter();
        veth_add("eth0", "far");
        reconcile(1, NULL, 0);
        forget();
        /* The monitor was killed: its tap is gone, the filter leads nowhere. */
        reconcile(2, NULL, 0);
        unit_assert_int(found("eth0")->queues, 2);
        unit_assert_int(redirect_target(nl, link_index("eth0")), tap_of("eth0"));
        forget();
}

static void leaves_what_is_not_for_guests(void)
{
        bool have_macvlan, have_ipvlan;

        namespace_enter();
        link_up("lo");
        veth_add("eth0", "far");
        link_change("far", 0, 0);
        veth_add("port", "unused");
        unit_assert_int(link_add_kind("bridge", "br0", NULL), 0);
        unit_assert_int(rtnl_link_enslave_ifindex(nl, link_index("br0"), link_index("port")), 0);
        have_macvlan = link_add_kind("macvlan", "mac0", "eth0") >= 0;
        veth_add("ipv", "ipvfar");
        have_ipvlan = link_add_kind("ipvlan", "ipl2", "ipv") >= 0 &&
                      link_add_kind("ipvlan3", "other", "ipvfar") >= 0;
        reconcile(1, NULL, 0);
        unit_assert(!found("lo"));
        unit_assert(!found("port"));
        unit_assert(found("br0"));
        if (have_macvlan) {
                unit_assert(!found("eth0"));
                unit_assert_string(found("mac0")->kind, "macvlan");
        }
        if (have_ipvlan) {
                unit_assert(!found("ipv") && !found("ipvfar"));
                unit_assert(found("other") && found("other")->network.noarp);
                unit_assert_string(found("ipl2")->kind, "ipvlan");
        }
        printf("# macvlan %d ipvlan %d\n", have_macvlan, have_ipvlan);
        forget();
        /* Our taps are no interfaces of the guest's, and downed ones without address neither. */
        namespace_enter();
        unit_assert_int(rtnl_link_veth_add(nl, "down", "down2", getpid()), 0);
        address_add("down", "192.0.2.1/24");
        reconcile(1, NULL, 0);
        unit_assert_int(report.n_interfaces, 1);
        unit_assert(found("down"));
        forget();
}

static const AgentRoute *route_to(const AgentNetwork *network, int family, const char *destination,
                                  uint32_t prefix, unsigned skip)
{
        uint8_t bytes[16];
        uint32_t size = family == AF_INET ? 4 : 16;

        unit_assert_int(inet_pton(family, destination, bytes), 1);
        for (uint32_t i = 0; i < network->n_routes; i++) {
                const AgentRoute *route = &network->routes[i];

                if (route->destination.size == size && route->destination.prefix == prefix &&
                    memcmp(route->destination.bytes, bytes, size) == 0 && skip-- == 0)
                        return route;
        }
        return NULL;
}

static bool address_is(const AgentAddress *address, int family, const char *text)
{
        uint8_t bytes[16];

        unit_assert_int(inet_pton(family, text, bytes), 1);
        return address->size == (family == AF_INET ? 4U : 16U) &&
               memcmp(address->bytes, bytes, address->size) == 0;
}

static bool has_address(const AgentNetwork *network, int family, const char *text, uint32_t prefix)
{
        for (uint32_t i = 0; i < network->n_addresses; i++)
                if (address_is(&network->addresses[i], family, text) &&
                    network->addresses[i].prefix == prefix)
                        return true;
        return false;
}

static void describes_all(void)
{
        const AgentNetwork *network;
        const AgentRoute *route;

        namespace_enter();
        veth_add("eth0", "far0");
        veth_add("eth1", "far1");
        link_change("eth0", 0, 9000);
        address_add("eth0", "192.0.2.7/24");
        address_add("eth0", "198.51.100.1/32");
        address_add("eth0", "2001:db8::7/64");
        address_add("eth1", "203.0.113.5/24");
        route_add("default", "192.0.2.1", "eth0", 100);
        route_add("default", "203.0.113.1", "eth1", 200);
        route_add("default", "2001:db8::1", "eth0", 0);
        route_add("10.9.0.0/16", NULL, "eth0", 0);
        neighbour_add("eth0", "192.0.2.1", "02:00:00:00:00:01");
        reconcile(1, NULL, 0);

        network = &found("eth0")->network;
        unit_assert_int(network->mtu, 9000);
        unit_assert(has_address(network, AF_INET, "192.0.2.7", 24));
        unit_assert(has_address(network, AF_INET, "198.51.100.1", 32));
        unit_assert(has_address(network, AF_INET6, "2001:db8::7", 64));
        unit_assert_int(network->n_addresses, 4); /* a link-local one too */
        unit_assert(route_to(network, AF_INET, "192.0.2.0", 24, 0));
        unit_assert(address_is(&route_to(network, AF_INET, "192.0.2.0", 24, 0)->source, AF_INET,
                               "192.0.2.7"));
        unit_assert_int(route_to(network, AF_INET, "10.9.0.0", 16, 0)->scope, RT_SCOPE_LINK);
        route = route_to(network, AF_INET, "0.0.0.0", 0, 0);
        unit_assert(route && address_is(&route->gateway, AF_INET, "192.0.2.1"));
        unit_assert_int(route->metric, 100);
        unit_assert(!route_to(network, AF_INET, "0.0.0.0", 0, 1));
        unit_assert(route_to(network, AF_INET6, "::", 0, 0));
        unit_assert(route_to(network, AF_INET6, "fe80::", 64, 0));
        /* Gateways come behind the ways to them. */
        for (uint32_t i = 1; i < network->n_routes; i++)
                unit_assert(network->routes[i].gateway.size ||
                            !network->routes[i - 1].gateway.size);
        unit_assert_int(network->n_neighbours, 1);
        unit_assert(address_is(&network->neighbours[0].address, AF_INET, "192.0.2.1"));
        unit_assert_int(network->neighbours[0].mac[5], 1);

        network = &found("eth1")->network;
        route = route_to(network, AF_INET, "0.0.0.0", 0, 0);
        unit_assert(route && route->metric == 200);
        forget();
}

/* A frame with the type @type, big-endian, and nothing in it. */
static void frame_fill(uint8_t *frame, uint16_t type)
{
        memset(frame, 0, 60);
        memset(frame, 0xff, 6);
        frame[6] = 2;
        frame[12] = (uint8_t)(type >> 8);
        frame[13] = (uint8_t)type;
}

static int packet_open(const char *name, uint16_t type)
{
        struct sockaddr_ll address = {
                .sll_family = AF_PACKET,
                .sll_protocol = htons(type),
                .sll_ifindex = link_index(name),
        };
        int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(type));

        unit_assert(fd >= 0);
        unit_assert_int(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        return fd;
}

/* The frame of this type among what comes; others (IPv6 talks of itself) are passed over. */
static bool frame_comes(int fd, size_t skip, uint16_t type)
{
        struct pollfd item = {.fd = fd, .events = POLLIN};
        uint8_t data[2048];

        while (poll(&item, 1, 5000) > 0) {
                ssize_t n = read(fd, data, sizeof(data));

                if (n >= (ssize_t)(skip + 14) && data[skip + 12] == type >> 8 &&
                    data[skip + 13] == (type & 0xff))
                        return true;
        }
        return false;
}

static void carries_frames(void)
{
        const size_t skip = sizeof(struct virtio_net_hdr);
        uint8_t frame[sizeof(struct virtio_net_hdr) + 60] = {};
        int far, r;

        namespace_enter();
        veth_add("eth0", "far");
        address_add("eth0", "192.0.2.7/24");
        far = packet_open("far", 0x88b5);
        /* Only eth0 is the guest's: the other end is taken back. */
        reconcile(1, NULL, 0);
        unit_assert_int(redirect_remove(nl, link_index("far")), 0);
        r = found("eth0") == &report.interfaces[0] ? 0 : (int)(1 + report.interfaces[0].vhost);

        frame_fill(frame + skip, 0x88b5);
        unit_assert_int(write(fds[r], frame, sizeof(frame)), sizeof(frame));
        unit_assert(frame_comes(far, 0, 0x88b5));

        frame_fill(frame, 0x88b5);
        unit_assert_int(write(far, frame, 60), 60);
        unit_assert(frame_comes(fds[r], skip, 0x88b5));
        fd_close(far);
        forget();
}

static void asks_again_for_more(void)
{
        uint32_t joined[NET_INTERFACES_MAX];
        int kept[4 * IO_FDS_MAX];
        unsigned n_kept = 0, n_joined = 0, rounds = 0;

        namespace_enter();
        for (int i = 0; i < 5; i++) {
                char name[16], far[16];

                snprintf(name, sizeof(name), "eth%d", i);
                snprintf(far, sizeof(far), "far%d", i);
                veth_add(name, far);
        }
        do {
                n_fds = 0;
                reconcile(2, joined, n_joined);
                for (uint32_t i = 0; i < report.n_interfaces; i++)
                        if (report.interfaces[i].queues)
                                joined[n_joined++] = report.interfaces[i].ifindex;
                memcpy(kept + n_kept, fds, n_fds * sizeof(*fds));
                n_kept += n_fds;
                unit_assert(++rounds < 5);
        } while (report.flags & NET_REPORT_MORE);
        unit_assert_int(n_joined, 10);
        unit_assert(rounds > 1);
        fd_close_many(kept, n_kept);
        n_fds = 0;
        forget();
}

/* Links come and go while it runs. */
static void bears_races(void)
{
        pid_t child;

        namespace_enter();
        child = fork();
        unit_assert(child >= 0);
        if (child == 0) {
                nl = NULL;
                unit_assert_int(netlink_open(&nl), 0);
                for (int i = 0; i < 60; i++) {
                        char name[16], far[16];

                        snprintf(name, sizeof(name), "r%d", i % 7);
                        snprintf(far, sizeof(far), "s%d", i % 7);
                        if (link_index(name))
                                link_delete(name);
                        veth_add(name, far);
                }
                _exit(0);
        }
        for (int i = 0; i < 20; i++) {
                reconcile(1, NULL, 0);
                forget();
        }
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
}

static int run(void)
{
        static const UnitTest tests[] = {
                UNIT_TEST(joins_both_ways),     UNIT_TEST(stays_as_it_is),
                UNIT_TEST(takes_what_is_left),  UNIT_TEST(leaves_what_is_not_for_guests),
                UNIT_TEST(describes_all),       UNIT_TEST(carries_frames),
                UNIT_TEST(asks_again_for_more), UNIT_TEST(bears_races),
        };

        return unit_run(tests, sizeof(tests) / sizeof(tests[0]));
}

int main(void)
{
        if (unshare(CLONE_NEWNET) < 0) {
                printf("1..0 # SKIP network namespaces take root\n");
                return 0;
        }
        return run();
}
