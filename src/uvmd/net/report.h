/*
 * What a worker in a network namespace tells uvmd of it: the interfaces that a guest can have, and
 * which fds come with the answer.
 *
 *      u32  flags (NET_REPORT_*)
 *      u32  number of interfaces, at most NET_INTERFACES_MAX; each:
 *             u32     ifindex, not 0, each once
 *             u32     flags (NET_INTERFACE_*)
 *             u32     queues: as many fds of a new tap come with it; 0: none
 *             u32     vhost: as many of /dev/vhost-net come behind those; 0 or queues
 *             string  kind, as rtnetlink names it; "" for hardware
 *             blob    an AgentNetwork
 *      u32  number of what is left out, at most NET_LEFT_MAX; each:
 *             u32     ifindex, not 0
 *             u32     why (NetReason)
 *             string  name
 *             string  kind
 *      blob an AgentRouting
 *
 * The fds stand in the same order, the monitor's socket before all. Pure; any thread. A worker has
 * looked at what others made: its answer is decoded as any other's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "proto/agent.h"

#define NET_INTERFACES_MAX 16
#define NET_KIND_MAX       31
#define NET_QUEUES_MAX     4 /* CONTROL_NET_QUEUES_MAX */

enum {
        NET_REPORT_MONITOR = 1 << 0, /* the first fd is a socket that tells of changes */
        NET_REPORT_MORE = 1 << 1,    /* there was no room for the fds of all: ask again */
        NET_REPORT_FLAGS = (1 << 2) - 1,
};

enum {
        NET_INTERFACE_RUNNING = 1 << 0, /* it is up and has a carrier */
        NET_INTERFACE_JOINED = 1 << 1,  /* packets go to and from its tap */
        NET_INTERFACE_FLAGS = (1 << 2) - 1,
};

typedef struct NetInterface {
        uint32_t ifindex;
        uint32_t flags;
        uint32_t queues, vhost;
        char kind[NET_KIND_MAX + 1];
        AgentNetwork network;
} NetInterface;

#define NET_LEFT_MAX 32

/* Why a guest doesn't get an interface that people would expect it to have. */
typedef enum NetReason {
        NET_REASON_TOO_MANY,
        NET_REASON_NOT_ETHERNET,
        NET_REASON_L3S,
        NET_REASON_LOWER,
        NET_REASON_NAME,
        NET_REASON_TAP,
        NET_REASON_SAME_MAC,
        NET_REASON_MAX_,
} NetReason;

/* For people: "a guest has at most 16 …". */
const char *net_reason_to_text(NetReason reason);

typedef struct NetLeft {
        uint32_t ifindex;
        NetReason reason;
        char name[AGENT_NAME_MAX + 1];
        char kind[NET_KIND_MAX + 1];
} NetLeft;

typedef struct NetReport {
        uint32_t flags;
        NetInterface *interfaces;
        uint32_t n_interfaces;
        NetLeft *left;
        uint32_t n_left;
        AgentRouting routing;
} NetReport;

/* 0 and the size, -ENOBUFS: longer than @capacity, -EINVAL: a bound is broken. */
int net_report_encode(const NetReport *report, void *data, size_t capacity, size_t *ret_size);

/* 0 (net_report_done() frees), -EBADMSG or -ENOMEM. */
int net_report_decode(const void *data, size_t size, NetReport *ret);

/* How many fds come with it. */
unsigned net_report_count_fds(const NetReport *report);

void net_report_done(NetReport *report);

/* Notes what is left out; when there is no place nobody is told. */
void net_report_leave(NetReport *report, uint32_t ifindex, const char *name, const char *kind,
                      NetReason reason);

/* Whether a guest that has the one needs to be told nothing to have the other. */
bool net_network_equal(const AgentNetwork *a, const AgentNetwork *b);
bool net_routing_equal(const AgentRouting *a, const AgentRouting *b);

/* Whether it is what a guest has that was told nothing. */
bool net_routing_is_plain(const AgentRouting *routing);
