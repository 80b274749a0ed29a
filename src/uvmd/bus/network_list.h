/* Networks as org.uvm1.Manager has them. */
#pragma once

#include "uvmd/bus/call.h"

int bus_list_networks(BusCall *call, void *manager, sd_bus_error *error);

/* Ends what is under way; nobody is answered. */
void bus_network_lists_free(Manager *manager);
