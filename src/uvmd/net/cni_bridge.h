/*
 * The network "bridge": a bridge uvm0 whose containers reach each other, the host and, masqueraded,
 * what is beyond; published ports; IPv4 and IPv6. Pure but for the machine's id.
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "uvmd/net/subnet.h"

#define CNI_BRIDGE_DEVICE "uvm0"

/* UVM_BRIDGE_SUBNET and UVM_BRIDGE_SUBNET6 in uvmd's environment say otherwise. The IPv6 one is below
 * an RFC 4193 prefix made of the machine's id. */
#define CNI_BRIDGE_SUBNET "10.105.0.0/16"

/* The list; leases are below @run_dir, for a reboot ends them all. New object. 0 or -errno. */
int cni_bridge_new(json_object **ret, const char *run_dir, sd_bus_error *error);

/* The same from two subnets (network_cidr_is_valid()). NULL: out of memory. */
json_object *cni_bridge_make(const char *run_dir, const char *subnet, const char *subnet6);

/* The @n-th /64 of this machine's own prefix: 40 bits that no other site is likely to have (RFC 4193). 0, or -errno
 * where there is no machine id. */
int cni_bridge_own_subnet6(unsigned n, char ret[SUBNET_TEXT_MAX]);

/* Whether another interface of this host has an address in one of the list's subnets. 0, or -EADDRINUSE
 * with @error. */
int cni_bridge_check_host(json_object *list, sd_bus_error *error);
