/* What org.uvm1.Container does with files: copies, changes, limits of devices, where the layer is. */
#pragma once

#include "uvmd/bus/call.h"

int bus_copy_in(BusCall *call, void *container, sd_bus_error *error);
int bus_copy_out(BusCall *call, void *container, sd_bus_error *error);
int bus_get_changes(BusCall *call, void *container, sd_bus_error *error);
int bus_commit(BusCall *call, void *container, sd_bus_error *error);
int bus_set_throttle(BusCall *call, void *container, sd_bus_error *error);

int bus_get_storage(sd_bus *bus, const char *path, const char *interface, const char *property,
                    sd_bus_message *reply, void *container, sd_bus_error *error);
int bus_get_storage_size(sd_bus *bus, const char *path, const char *interface, const char *property,
                         sd_bus_message *reply, void *container, sd_bus_error *error);
int bus_get_throttle(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *container, sd_bus_error *error);
