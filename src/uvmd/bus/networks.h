/* Networks of a sandbox as its bus object has them. */
#pragma once

#include "uvmd/bus/call.h"
#include "uvmd/configuration.h"

int bus_attach_network(BusCall *call, void *sandbox, sd_bus_error *error);
int bus_detach_network(BusCall *call, void *sandbox, sd_bus_error *error);
int bus_set_network_throttle(BusCall *call, void *sandbox, sd_bus_error *error);

/* The properties Networks (aa{sv}) and NetworkNamespace (s). */
int bus_get_networks(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *sandbox, sd_bus_error *error);
int bus_get_network_namespace(sd_bus *bus, const char *path, const char *interface,
                              const char *property, sd_bus_message *reply, void *sandbox,
                              sd_bus_error *error);

/* What CreateSandbox' caller may ask for. 0, or -EACCES with @error. */
int bus_check_networks(const BusCall *call, const SandboxConfig *config, sd_bus_error *error);
