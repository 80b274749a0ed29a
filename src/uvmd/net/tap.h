/* Taps for guests. Runs in a worker, in the namespace that the tap is to be in. */
#pragma once

#include <stdint.h>

#include "uvmd/net/netlink.h"

/*
 * Makes a tap named @name with @queues fds (IFF_VNET_HDR, IFF_NO_PI, not blocking; each takes one of
 * @ret) and brings it up with @mtu. It lives as long as one of them is open: with the monitor that
 * gets them. Its own side of the namespace has no address. 0, -EEXIST: there is one of that name
 * (somebody holds it), -errno.
 */
int tap_open(struct nl_sock *socket, const char *name, unsigned queues, uint32_t mtu, int *ret);

/* As tap_open() left it, but with this MTU. 0 or -errno, -ENODEV: there is none. */
int tap_set_mtu(struct nl_sock *socket, const char *name, uint32_t mtu);

/* Opens /dev/vhost-net once for each of @ret. 0, or -errno where the host has none. */
int tap_open_vhost(unsigned n, int *ret);

/* Its ifindex, 0: there is none. */
int tap_ifindex(struct nl_sock *socket, const char *name);
