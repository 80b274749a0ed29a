/* Which subnets this host has a way to: addresses of its interfaces, and routes. In workers. */
#pragma once

#include "uvmd/net/subnet.h"

/* @interface has an address in it, or leads there. A positive answer ends the walk and is returned. */
typedef int (*HostSubnetVisit)(const Subnet *subnet, const char *interface, void *userdata);

/* 0, what @visit answered, or -errno. Default routes don't count. */
int host_subnets_of_addresses(HostSubnetVisit visit, void *userdata);
int host_subnets_of_routes(HostSubnetVisit visit, void *userdata);
