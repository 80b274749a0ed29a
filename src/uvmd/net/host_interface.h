/*
 * An interface of the host that moves into a sandbox's namespace, with its addresses and routes, and back
 * in the end: the network "host:INTERFACE". While it is away the host doesn't have it.
 */
#pragma once

#include "uvmd/net/network.h"

extern const NetworkKind network_kind_host;

/*
 * Moves @name from the namespace this process is in to the one of @to, where it is called @new_name, up as
 * it was and with what it had. This process is in that one then. 0 or -errno with @error.
 */
int host_interface_move(const char *name, int to, const char *new_name, sd_bus_error *error);
