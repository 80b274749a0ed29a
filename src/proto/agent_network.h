/* What the agent protocol (agent.h) says about a guest's network. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/codec.h"

#define AGENT_MAC_SIZE 6
#define AGENT_NAME_MAX 15 /* of an interface: IFNAMSIZ - 1 */

/*
 * What one network device is to be like: found by its MAC address, named, set up from scratch, so the
 * same again changes nothing, and addresses, routes and neighbours of an earlier one go. It is up
 * when the answer comes. ENODEV: no device has that address. Addresses are as in the packet: 4 or 16
 * bytes. A device that is unplugged takes all of it away.
 */
typedef struct AgentAddress {
        uint8_t *bytes;
        uint32_t size;   /* 4 or 16; of a gateway or source also 0: none */
        uint32_t prefix; /* length, up to 8 * size */
} AgentAddress;

typedef struct AgentRoute {
        AgentAddress destination; /* size 4 or 16; with prefix 0: the default route */
        AgentAddress gateway;
        AgentAddress source; /* preferred source; prefix 0 */
        uint32_t metric;     /* 0: the kernel's own */
        uint32_t mtu;        /* 0: the device's */
        uint32_t scope;      /* RT_SCOPE_* of Linux */
        bool onlink;         /* the gateway is there though no address says so */
} AgentRoute;

typedef struct AgentNeighbour {
        AgentAddress address;
        uint8_t mac[AGENT_MAC_SIZE];
} AgentNeighbour;

typedef struct AgentNetwork {
        uint8_t mac[AGENT_MAC_SIZE];
        char *name;   /* "eth0": 1 to AGENT_NAME_MAX bytes, no '/' or blank, not "lo" */
        uint32_t mtu; /* 0: as it is */
        AgentAddress *addresses;
        uint32_t n_addresses;
        AgentRoute *routes; /* in this order: the way to a gateway first */
        uint32_t n_routes;
        AgentNeighbour *neighbours;
        uint32_t n_neighbours;
} AgentNetwork;

/*
 * How names become addresses: /etc/resolv.conf and /etc/hosts of every container whose mounts don't
 * bring their own, at once also of those that run; the image's don't count, as with podman. "localhost"
 * and the container's own name are there without being told, and the image's resolv.conf until
 * nameservers, search or options are. A container with a network of its own (AGENT_NAMESPACE_NET) has
 * none of it.
 */
typedef struct AgentResolver {
        CodecStrings nameservers; /* addresses, in text */
        CodecStrings search;      /* domains */
        CodecStrings options;     /* "ndots:2", as resolv.conf(5) has them */
        CodecStrings hosts;       /* lines of hosts(5): "192.0.2.1 name other" */
} AgentResolver;

/* Whether an interface may be called so. */
bool agent_interface_name_is_valid(const char *name);
