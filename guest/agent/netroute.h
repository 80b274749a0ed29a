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

typedef struct NetRoute {
        uint8_t family;   /* AF_INET, AF_INET6 */
        uint8_t prefix;   /* of @destination */
        uint8_t scope;    /* RT_SCOPE_*; IPv6 has none */
        uint8_t via;      /* the gateway's family; AF_UNSPEC: none */
        uint8_t protocol; /* RTPROT_*; not compared */
        bool onlink;
        uint8_t destination
                [NETROUTE_ADDRESS_SIZE]; /* behind the address zeroes, as in the others */
        uint8_t gateway[NETROUTE_ADDRESS_SIZE];
        uint8_t source[NETROUTE_ADDRESS_SIZE]; /* all zero: none */
        uint32_t metric;
        uint32_t mtu;
        uint32_t device; /* index */
} NetRoute;

/* What the host says, for the device @index. */
void netroute_from_agent(const AgentRoute *route, uint32_t index, NetRoute *ret);

bool netroute_is_equal(const NetRoute *a, const NetRoute *b);

/* RTM_NEWROUTE or RTM_DELROUTE with @flags of netlink. */
void netroute_put(const NetRoute *route, uint16_t type, uint16_t flags, NetlinkRequest *request);

/*
 * What a RTM_NEWROUTE of a dump says: of the main table, to somewhere (RTN_UNICAST), no cached one. A
 * route with several ways is as many routes: @way counts them. False: there is none (any more).
 */
bool netroute_from_message(const NetlinkMessage *message, unsigned way, NetRoute *ret);
