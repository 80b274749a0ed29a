/*
 * Published ports and the host: which are free, and who has those that are not. CNI plugins redirect a port
 * without holding it, so that another sandbox has it only uvmd knows, and that a program of the host has it
 * shows by trying.
 */
#pragma once

#include "uvmd/manager.h"
#include "uvmd/net/network.h"

/* Puts ports that are free now in place of those that the caller left open: no sandbox is to have them,
 * whether it runs or not. 0 or -errno with @error. */
int ports_choose(Manager *manager, NetworkConfig *config, sd_bus_error *error);

/* Whether another attachment that is being made or there has one of its ports. 0 or -EADDRINUSE with @error. */
int ports_check_sandboxes(const NetworkAttachment *attachment, sd_bus_error *error);

/* Whether a program of the host has one of these. 0; -EADDRINUSE or -EADDRNOTAVAIL with @error; -errno. */
int ports_check_host(char *const *ports, sd_bus_error *error);
