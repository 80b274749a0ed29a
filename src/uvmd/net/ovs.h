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

/* The same for a plugin of a CNI list, "ovs". Whether there is what it needs: 0 or -errno with @error. */
int ovs_check(sd_bus_error *error);

/*
 * A port of @bridge, with a VLAN's tag (0: none), a @mac and an MTU (NULL, 0: whatever it gets), and with the addresses
 * and routes of @ipam, a CNI result. *ret is the result with the interfaces. 0 or -errno with @error.
 */
typedef struct OvsPlug {
        const char *bridge, *mac;
        uint32_t vlan, mtu;
        json_object *ipam;
} OvsPlug;
int ovs_plug(json_object **ret, const Ledger *ledger, const OvsPlug *plug, const char *namespace,
             sd_bus_error *error);

/* Whether the port is in a bridge and its interface there. 0 or -errno with @error. */
int ovs_check_port(const Ledger *ledger, sd_bus_error *error);

/* Nothing may be there. 0 or -errno with @error. */
int ovs_unplug(const Ledger *ledger, sd_bus_error *error);
