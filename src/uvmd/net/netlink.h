/*
 * What this folder needs of libnl beside its own calls: owners, and errors as the rest of uvmd has
 * them. All of it runs in workers: netlink calls take the kernel's network lock and may wait.
 */
#pragma once

#include <netlink/cache.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>

#include "base/cleanup.h"

DEFINE_CLEANUP(struct nl_sock *, nl_socket_free)
DEFINE_CLEANUP(struct nl_cache *, nl_cache_free)
DEFINE_CLEANUP(struct rtnl_link *, rtnl_link_put)
DEFINE_CLEANUP(struct rtnl_addr *, rtnl_addr_put)
DEFINE_CLEANUP(struct nl_addr *, nl_addr_put)

/* A socket of NETLINK_ROUTE in the network namespace that this process is in. 0 or -errno. */
int netlink_open(struct nl_sock **ret);

/* libnl's error as -errno: 0 and positive values stay, an interface that isn't there is -ENODEV. */
int netlink_error(int nl);

/* Each item of a cache, as `type *name`. */
#define netlink_for_each(type, name, cache)                        \
        for (type *name = (type *)nl_cache_get_first(cache); name; \
             name = (type *)nl_cache_get_next((struct nl_object *)name))
