/* Mounts of a container as its bus object has them. */
#pragma once

#include "uvmd/bus/call.h"

int bus_attach_volume(BusCall *call, void *container, sd_bus_error *error);
int bus_detach_volume(BusCall *call, void *container, sd_bus_error *error);

/* The property Mounts: aa{sv}. */
int bus_get_mounts(sd_bus *bus, const char *path, const char *interface, const char *property,
                   sd_bus_message *reply, void *container, sd_bus_error *error);
