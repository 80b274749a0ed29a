/*
 * A port of an Open vSwitch bridge for a sandbox: a veth pair, one end in the sandbox's namespace, the
 * other end a port. In workers, on a ledger as cni_chain.h.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "uvmd/net/ledger.h"
#include "uvmd/net/network_config.h"

int ovs_add(Ledger *ledger, const NetworkConfig *config, const char *namespace,
            sd_bus_error *error);
int ovs_delete(Ledger *ledger, sd_bus_error *error);

/* Whether an entry is one of these. */
bool ovs_owns(json_object *entry);
