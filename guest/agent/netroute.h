/*
 * One route, as the host says it and as the kernel does, in a form that can be compared. What the
 * kernel makes of a route (a metric where none was given, the network's bits alone) is made of it here
 * already. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/agent_network.h"

#include "agent/netlink.h"

#define NETROUTE_ADDRESS_SIZE 16

/* Behind addresses there are zeroes. */
typedef struct NetHop {
        uint8_t via;    /* the gateway's family; AF_UNSPEC: none */
        uint8_t weight; /* of several; one less than what ip(8) says */
        bool onlink;
        uint8_t gateway[NETROUTE_ADDRESS_SIZE];
        uint32_t device; /* index */
} NetHop;

typedef struct NetRoute {
        uint8_t family;   /* AF_INET, AF_INET6 */
        uint8_t prefix;   /* of @destination */
        uint8_t scope;    /* RT_SCOPE_*; IPv6 has none */
        uint8_t type;     /* RTN_* */
        uint8_t tos;      /* IPv6 has none */
        uint8_t protocol; /* RTPROT_*; not compared */
        uint8_t destination[NETROUTE_ADDRESS_SIZE];
        uint8_t source[NETROUTE_ADDRESS_SIZE]; /* all zero: none */
        uint32_t table;
        uint32_t metric;
        uint32_t metrics[AGENT_METRIC_MAX + 1]; /* by RTAX_*; 0: none */
        NetHop hops[AGENT_HOPS_MAX];            /* in any order */
        unsigned n_hops;                        /* of one that leads nowhere: 0 */
} NetRoute;

/* What the host says, for the device @index; 0: without a way, for netroute_add_hop(). */
void netroute_from_agent(const AgentRoute *route, uint32_t index, NetRoute *ret);
void netroute_add_hop(NetRoute *route, const AgentHop *hop, uint32_t index);

/* Whether it belongs to that device: it leads there and nowhere else. */
bool netroute_is_of(const NetRoute *route, uint32_t device);

/* The kernel's own, and those of routers, are nobody's. */
bool netroute_is_settable(const NetRoute *route);

bool netroute_is_equal(const NetRoute *a, const NetRoute *b);

/* RTM_NEWROUTE or RTM_DELROUTE with @flags of netlink. */
void netroute_put(const NetRoute *route, uint16_t type, uint16_t flags, NetlinkRequest *request);

/* What a RTM_NEWROUTE of a dump says. False: it is no such, a cached one, or none that can be told. */
bool netroute_from_message(const NetlinkMessage *message, NetRoute *ret);
