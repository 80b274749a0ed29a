/* Named volumes as org.uvm1.Manager has them. */
#pragma once

#include "uvmd/bus/call.h"

int bus_create_volume(BusCall *call, void *manager, sd_bus_error *error);
int bus_list_volumes(BusCall *call, void *manager, sd_bus_error *error);
int bus_remove_volume(BusCall *call, void *manager, sd_bus_error *error);
