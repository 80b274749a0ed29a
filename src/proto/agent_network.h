/* What the agent protocol (agent.h) says about a guest's network. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/codec.h"

#define AGENT_MAC_SIZE  6
#define AGENT_NAME_MAX  15  /* of an interface: IFNAMSIZ - 1 */
#define AGENT_ALIAS_MAX 255 /* IFALIASZ - 1 */

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

/* RTAX_* of Linux (linux/rtnetlink.h): AGENT_METRIC_MAX is RTAX_FASTOPEN_NO_COOKIE. RTAX_CC_ALGO, a name,
 * is none of them. */
#define AGENT_METRIC_MAX 17
typedef struct AgentMetric {
        uint32_t type; /* 1 to AGENT_METRIC_MAX */
        uint32_t value;
} AgentMetric;

/* One of the ways of a route that belongs to no device alone. */
typedef struct AgentHop {
        char *device;         /* its name, also "lo" */
        AgentAddress gateway; /* size 0: none */
        uint32_t weight;      /* 0 to 255: one less than what ip(8) says */
        bool onlink;          /* the gateway is there though no address says so */
} AgentHop;
#define AGENT_HOPS_MAX 32

typedef struct AgentRoute {
        AgentAddress destination; /* size 4 or 16; with prefix 0: the default route */
        AgentAddress gateway;     /* of a device's route; so is onlink */
        AgentAddress source;      /* preferred source; prefix 0 */
        uint32_t table;           /* not 0; RT_TABLE_MAIN is 254 */
        uint32_t metric;          /* 0: the kernel's own */
        uint32_t type;            /* RTN_* of Linux, RTN_UNICAST (1) to RTN_THROW (9) */
        uint32_t tos;             /* 0 to 255 */
        uint32_t scope;           /* RT_SCOPE_* of Linux */
        bool onlink;
        AgentMetric *metrics;
        uint32_t n_metrics;
        AgentHop *hops; /* of AgentRouting's, at most AGENT_HOPS_MAX; a device's has none */
        uint32_t n_hops;
} AgentRoute;

typedef struct AgentNeighbour {
        AgentAddress address;
        uint8_t mac[AGENT_MAC_SIZE];
} AgentNeighbour;

typedef struct AgentNetwork {
        uint8_t mac[AGENT_MAC_SIZE];
        char *name;   /* "eth0": 1 to AGENT_NAME_MAX bytes, no '/' or blank, not "lo" */
        uint32_t mtu; /* 0: as it is */
        bool noarp;   /* it asks nobody for addresses: whatever it sends arrives (IFF_NOARP) */
        uint32_t queue_length; /* packets; 0: as it is */
        char *alias;           /* "": none */
        CodecStrings settings; /* as AgentRouting's; before it is up, unless it is */
        AgentAddress *addresses;
        uint32_t n_addresses;
        AgentRoute *routes; /* in this order: the way to a gateway first */
        uint32_t n_routes;
        AgentNeighbour *neighbours;
        uint32_t n_neighbours;
} AgentNetwork;

/* A port or user id, from first to last. */
typedef struct AgentSpan {
        uint32_t first, last;
} AgentSpan;

/* What a rule looks at besides source and destination; each as in linux/fib_rules.h. */
#define AGENT_RULE_INVERT        (1u << 0) /* FIB_RULE_INVERT */
#define AGENT_RULE_IPV6          (1u << 1) /* else IPv4 */
#define AGENT_RULE_GOTO          (1u << 2) /* has target */
#define AGENT_RULE_SUPPRESS      (1u << 3) /* has suppress_prefix */
#define AGENT_RULE_SUPPRESS_LINK (1u << 4) /* has suppress_group */
#define AGENT_RULE_UIDS          (1u << 5) /* has uids; so with the ports */
#define AGENT_RULE_SOURCE_PORTS  (1u << 6)
#define AGENT_RULE_PORTS         (1u << 7)
#define AGENT_RULE_L3MDEV        (1u << 8)
#define AGENT_RULE_FLAGS         ((1u << 9) - 1)

/* A rule of policy routing, "ip rule". */
typedef struct AgentRule {
        uint32_t flags; /* AGENT_RULE_* */
        uint32_t priority;
        uint32_t action;                  /* FR_ACT_*: 1 to 8 */
        uint32_t table;                   /* 0: none */
        AgentAddress source, destination; /* size 0: any */
        char *input, *output;             /* names of interfaces, "": any */
        uint32_t tos;                     /* 0 to 255; 0: any */
        uint32_t mark, mask;
        uint32_t realms;
        uint32_t target; /* a priority */
        uint32_t suppress_prefix, suppress_group;
        uint32_t protocol; /* of IP; 0: any */
        AgentSpan uids, source_ports, ports;
} AgentRule;

/*
 * What belongs to no network device alone: addresses of the loopback interface besides the kernel's
 * own, routes with several ways, with none (blackhole …) and by the loopback interface, the rules. It
 * is made so by differences, as NETWORK does; NETWORK of a device comes before. The rules of a family of
 * which none is told stay as they are. Settings are "net/ipv4/ip_forward=1": sysctls below /proc/sys,
 * written if they have not been told so before; what can't be set is left as it is.
 */
typedef struct AgentRouting {
        CodecStrings settings;
        AgentAddress *loopback;
        uint32_t n_loopback;
        AgentRoute *routes; /* the way to a gateway first */
        uint32_t n_routes;
        AgentRule *rules;
        uint32_t n_rules;
} AgentRouting;

#define AGENT_SETTING_MAX 255

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

/* "net/…=…", without a way up. */
bool agent_setting_is_valid(const char *setting);
