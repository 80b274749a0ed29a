/* Pairs of interfaces, and the far end's place in a namespace. In workers. */
#pragma once

#include <netlink/netlink.h>
#include <stdint.h>

/*
 * Makes the pair @name and @peer at once, @peer in @namespace (FD_NONE: here) with @mac (NULL: any).
 * @name is up. 0 or -errno.
 */
int veth_add(struct nl_sock *socket, const char *name, const char *peer, const char *mac,
             int namespace);

/* Deletes an interface of this namespace, and with it its peer. 0 if there is none, or -errno. */
int veth_delete(const char *name);

/* Gives @interface in @namespace its addresses ("10.0.0.2/24"; ends in NULL), then sets it up. */
int veth_set_up(int namespace, const char *interface, char *const *addresses);

int veth_set_mtu(int namespace, const char *interface, uint32_t mtu);

/* A route there by it, to @to ("0.0.0.0/0"), over @gateway (NULL: what is there is reached directly). */
int veth_add_route(int namespace, const char *interface, const char *to, const char *gateway);
