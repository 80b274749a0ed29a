/*
 * A network that is to be made: the options of CreateNetwork, and the CNI configuration that they become. Pure.
 */
#pragma once

#include <json-c/json.h>

#include "base/enum.h"
#include "uvmd/net/subnet.h"
#include "uvmd/options.h"

#define NETWORK_SUBNETS_MAX 8 /* of each list */

/* Key in a configuration file: uvmd has made it, and may remove it. */
#define NETWORK_DEFINITION_MARK "org.uvm1"

typedef enum NetworkDriver {
        NETWORK_DRIVER_BRIDGE, /* a bridge of its own */
        NETWORK_DRIVER_MACVLAN,
        NETWORK_DRIVER_IPVLAN,
        NETWORK_DRIVER_OVS, /* ports of an Open vSwitch bridge that is there */
        NETWORK_DRIVER_MAX_,
} NetworkDriver;
ENUM_DECLARE(network_driver, NetworkDriver);

typedef struct NetworkDefinition {
        char *driver;    /* NULL: bridge */
        char **subnets;  /* at most one of each family is chosen where none is given */
        char **gateways; /* addresses in the subnets */
        char **ranges;   /* parts of the subnets that addresses are taken from */
        bool internal;   /* no way out: no gateway, no published ports */
        bool ipv6;       /* an IPv6 subnet beside the other one */
        uint32_t mtu;    /* 0: the plugin's */
        char **options;  /* a map, of the driver's */
} NetworkDefinition;

extern const Option network_definition_options[];
extern const size_t network_definition_options_n;

void network_definition_done(NetworkDefinition *definition);

/* What the table can't say, for a network @name. 0 or -EINVAL with @error. */
int network_definition_check(const NetworkDefinition *definition, const char *name,
                             sd_bus_error *error);

/* Of one that was checked. */
NetworkDriver network_definition_driver(const NetworkDefinition *definition);

/* Whether its subnets lack one of this family that it is to have. */
bool network_definition_wants(const NetworkDefinition *definition, int family);

/*
 * The list of plugins, from a checked definition whose subnets are complete; @device is its bridge's name,
 * leases are below @run_dir. New object; NULL: out of memory.
 */
json_object *network_definition_list(const NetworkDefinition *definition, const char *name,
                                     const char *device, const char *run_dir);
