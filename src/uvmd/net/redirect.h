/*
 * Joining an interface and a tap: what comes in on either leaves by the other. Runs in a worker, in
 * their namespace.
 *
 * On each side stands an ingress hook with one filter of ours, which takes every packet before the
 * namespace's own network stack sees it (mirred, egress redirect). So nothing in the namespace
 * answers for the interface's addresses while the guest has them: no ARP, no neighbour discovery,
 * no delivery. What a process of that namespace sends out by the interface still goes out.
 */
#pragma once

#include <stdbool.h>

#include "uvmd/net/netlink.h"

/* Both ways; what is right already stays, untouched. 0 or -errno: -ENODEV: one of them is gone. */
int redirect_join(struct nl_sock *socket, int interface, int tap);

/* Takes our filter away, and the hook where nothing else uses it. 0 also where there was none. */
int redirect_remove(struct nl_sock *socket, int interface);

/* Where packets that come in on @interface go by a filter of ours. 0: nowhere. */
int redirect_target(struct nl_sock *socket, int interface);
