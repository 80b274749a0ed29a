/* An interface that moves to another namespace and back has there what it had here. Takes root. */
#include <fcntl.h>

#include "base/fd.h"
#include "test/unit/net_namespace.h"
#include "uvmd/net/describe.h"
#include "uvmd/net/host_interface.h"

static NetReport look(const char *name)
{
        struct nl_sock *socket;
        NetReport report = {};

        unit_assert_int(netlink_open(&socket), 0);
        unit_assert_int(net_describe(socket, name, &report), 0);
        nl_socket_free(socket);
        return report;
}

static int own_namespace(void)
{
        int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

        unit_assert(fd >= 0);
        return fd;
}

static void takes_all_along(void)
{
        NetReport before, there, back;
        int from, to;

        namespace_enter();
        to = own_namespace();
        namespace_enter();
        from = own_namespace();
        veth_add("up0", "far");
        link_change("up0", 0, 1400);
        address_add("up0", "192.0.2.7/24");
        address_add("up0", "2001:db8::7/64");
        route_add("10.9.0.0/16", NULL, "up0", 0);
        route_add("default", "192.0.2.1", "up0", 100);
        route_add("default", "2001:db8::1", "up0", 0);
        before = look("up0");
        unit_assert_int(before.n_interfaces, 1);

        unit_assert_int(host_interface_move("up0", to, "eth0", NULL), 0);
        there = look("eth0");
        unit_assert_int(there.n_interfaces, 1);
        unit_assert_string(there.interfaces[0].network.name, "eth0");
        unit_assert_int(there.interfaces[0].network.mtu, 1400);
        unit_assert_int(there.interfaces[0].network.n_addresses,
                        before.interfaces[0].network.n_addresses);
        unit_assert_int(there.interfaces[0].network.n_routes,
                        before.interfaces[0].network.n_routes);

        unit_assert_int(host_interface_move("eth0", from, "up0", NULL), 0);
        back = look("up0");
        unit_assert_int(back.n_interfaces, 1);
        unit_assert_int(back.interfaces[0].network.n_routes, before.interfaces[0].network.n_routes);
        net_report_done(&before);
        net_report_done(&there);
        net_report_done(&back);
        fd_close(from);
        fd_close(to);
}

static void refuses_what_is_in_use(void)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int to;

        namespace_enter();
        to = own_namespace();
        namespace_enter();
        unit_assert_int(host_interface_move("none", to, "eth0", &error), -ENODEV);
        unit_assert(strstr(error.message, "none"));
        sd_bus_error_free(&error);
        unit_assert_int(host_interface_move("lo", to, "eth0", &error), -ENODEV);
        sd_bus_error_free(&error);
        fd_close(to);
}

int main(void)
{
        static const UnitTest tests[] = {
                UNIT_TEST(takes_all_along),
                UNIT_TEST(refuses_what_is_in_use),
        };

        if (unshare(CLONE_NEWNET) < 0) {
                printf("1..0 # SKIP network namespaces take root\n");
                return 0;
        }
        return unit_run(tests, sizeof(tests) / sizeof(tests[0]));
}
