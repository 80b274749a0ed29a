/*
 * What is found in a network namespace: the interfaces that a guest can have, with what it is to take
 * over of each. Runs in a worker, in that namespace.
 *
 * A guest can have an interface that is Ethernet with a MAC address, is up or has an address, and is
 * for nobody else: not a tap of ours, no port of a bridge, bond or switch, and nothing that VLANs,
 * macvlans or ipvlans of the same namespace are stacked on (these it can have). What people would
 * expect in the guest and is left out is told with the reason.
 *
 * Taken over are addresses (IPv6: permanent ones; what a router advertised the guest hears of itself),
 * also those of the loopback interface, the routes of all tables, whoever made them, gateways last, the
 * rules that choose tables, permanent neighbours, and sysctls that a container would notice.
 */
#pragma once

#include "uvmd/net/netlink.h"
#include "uvmd/net/report.h"

/* Of each kind and interface; more are left out, and that is logged. */
#define NET_ADDRESSES_MAX  64
#define NET_ROUTES_MAX     256
#define NET_NEIGHBOURS_MAX 64
#define NET_RULES_MAX      128

/* Our own taps are named after what they are joined to: "uvm" and its ifindex. */
#define NET_TAP_PREFIX "uvm"
#define NET_NAME_SIZE  16
void net_tap_name(uint32_t ifindex, char ret[NET_NAME_SIZE]);

/* Fills interfaces (flags: RUNNING; no fds), or only the one called @only, and the rest; report flags
 * stay. net_report_done(). 0 or -errno. */
int net_describe(struct nl_sock *socket, const char *only, NetReport *ret);

/* Adds the kernel's values for what @before has and the report's settings don't, for a guest that was
 * told those. 0 or -ENOMEM. */
int net_settings_complete(NetReport *report, const CodecStrings *before);
