/*
 * Networks that uvmd describes itself, for CreateNetwork and RemoveNetwork: files in the directory where those of
 * the administrator are. In workers.
 */
#pragma once

#include "uvmd/net/cni_find.h"
#include "uvmd/net/network_definition.h"

/* Completes a checked definition with subnets and a bridge's name that nobody has, and writes it as @name. 0 or
 * -errno with @error. */
int network_make(NetworkDefinition *definition, const CniPaths *paths, const char *name,
                 sd_bus_error *error);

/* Removes what it has written, the bridge and the leases. 0 or -errno with @error. */
int network_unmake(const CniPaths *paths, const char *name, sd_bus_error *error);
