/* What the files of describe.h tell each other: describe.c, describe_route.c, describe_rule.c,
 * describe_settings.c. */
#pragma once

#include "uvmd/net/describe.h"

#define LOOPBACK_INDEX 1 /* LOOPBACK_IFINDEX of the kernel, in every namespace */

/* One more item at the end of a list of at most @max; NULL: full, or no memory. */
void *describe_grow(void **items, uint32_t *n, uint32_t max, size_t size);

/* A copy of @from, which may be NULL: all zero then, as a default route's destination. 0 or -ENOMEM. */
int describe_address(AgentAddress *into, struct nl_addr *from, uint32_t size, uint32_t prefix);

/* Bytes of an address; 0: of neither family. */
uint32_t describe_family_size(int family);

/* NULL: it is none of those that were found. */
NetInterface *describe_find(NetReport *report, int ifindex);

/* Adds routes, to interfaces and to the namespace's routing. Too many are left out. 0 or -errno. */
int describe_routes(NetReport *report);

/* Adds rules; a kernel without any has none. 0 or -errno. */
int describe_rules(NetReport *report);

/* Adds settings that aren't as in a new kernel. 0 or -errno. */
int describe_settings(NetReport *report);
