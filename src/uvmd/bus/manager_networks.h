/* Networks as org.uvm1.Manager has them. */
#pragma once

#include "uvmd/bus/call.h"

int bus_list_networks(BusCall *call, void *manager, sd_bus_error *error);
int bus_create_network(BusCall *call, void *manager, sd_bus_error *error);
int bus_remove_network(BusCall *call, void *manager, sd_bus_error *error);

/* Of org.uvm1.Sandbox: asks the plugins of one of its networks. */
int bus_check_network(BusCall *call, void *sandbox, sd_bus_error *error);

/* Ends what is under way; nobody is answered. */
void bus_network_calls_free(Manager *manager);
