/* Making taps; see tap.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netlink/route/link.h>
/* It names what the line before declares. */
#include <netlink/route/link/inet6.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "uvmd/net/tap.h"

/* The first queue makes the device and must be alone; the others join it. */
static int tap_open_queue(const char *name, short flags, int *ret)
{
        struct ifreq request = {.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | flags)};
        _cleanup_(fd_closep) int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

        if (fd < 0)
                return errno_neg();
        snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
        if (ioctl(fd, TUNSETIFF, &request) < 0)
                return errno == EBUSY ? -EEXIST : errno_neg();
        *ret = TAKE_FD(fd);
        return 0;
}

static int tap_find(struct nl_sock *socket, const char *name, struct rtnl_link **ret)
{
        return netlink_error(rtnl_link_get_kernel(socket, 0, name, ret));
}

int tap_ifindex(struct nl_sock *socket, const char *name)
{
        _cleanup_(rtnl_link_putp) struct rtnl_link *link = NULL;

        return tap_find(socket, name, &link) < 0 ? 0 : rtnl_link_get_ifindex(link);
}

/* With no IPv6 address of its own the kernel has nothing to say on it: guests hear no solicitations
 * and reports of the host. This must be so before it is up. */
static int tap_bring_up(struct nl_sock *socket, const char *name, uint32_t mtu)
{
        _cleanup_(rtnl_link_putp) struct rtnl_link *link = NULL, *quiet = rtnl_link_alloc();
        _cleanup_(rtnl_link_putp) struct rtnl_link *change = rtnl_link_alloc();
        int r = quiet && change ? tap_find(socket, name, &link) : -ENOMEM;

        if (r < 0)
                return r;
        /* Fails where the host has no IPv6, and is not needed then. */
        if (rtnl_link_inet6_set_addr_gen_mode(quiet, IN6_ADDR_GEN_MODE_NONE) >= 0)
                rtnl_link_change(socket, link, quiet, 0);
        rtnl_link_set_mtu(change, mtu);
        rtnl_link_set_flags(change, IFF_UP);
        return netlink_error(rtnl_link_change(socket, link, change, 0));
}

int tap_open(struct nl_sock *socket, const char *name, unsigned queues, uint32_t mtu, int *ret)
{
        short flags = queues > 1 ? IFF_MULTI_QUEUE : 0;
        int r = 0;

        for (unsigned i = 0; i < queues; i++)
                ret[i] = FD_NONE;
        for (unsigned i = 0; r >= 0 && i < queues; i++)
                r = tap_open_queue(name, (short)(flags | (i == 0 ? IFF_TUN_EXCL : 0)), &ret[i]);
        if (r >= 0)
                r = tap_bring_up(socket, name, mtu);
        if (r < 0)
                fd_close_many(ret, queues);
        return r;
}

int tap_set_mtu(struct nl_sock *socket, const char *name, uint32_t mtu)
{
        _cleanup_(rtnl_link_putp) struct rtnl_link *link = NULL, *change = rtnl_link_alloc();
        int r = change ? tap_find(socket, name, &link) : -ENOMEM;

        if (r < 0 || rtnl_link_get_mtu(link) == mtu)
                return r;
        rtnl_link_set_mtu(change, mtu);
        return netlink_error(rtnl_link_change(socket, link, change, 0));
}

int tap_open_vhost(unsigned n, int *ret)
{
        for (unsigned i = 0; i < n; i++)
                ret[i] = FD_NONE;
        for (unsigned i = 0; i < n; i++) {
                ret[i] = open("/dev/vhost-net", O_RDWR | O_CLOEXEC);
                if (ret[i] < 0) {
                        int r = errno_neg();

                        ret[i] = FD_NONE;
                        fd_close_many(ret, n);
                        return r;
                }
        }
        return 0;
}
