/* The addresses and neighbours of a network device; see network.h. */
#pragma once

#include "proto/agent_network.h"

#include "agent/fault.h"
#include "agent/rtnetlink.h"

/*
 * Makes the device's addresses those of @network: without duplicate address detection, for the host
 * has done that, and without the routes that the kernel would make of a prefix, for the host lists
 * all. Addresses that a router has given (not permanent ones) are the kernel's. 0 or -errno with
 * @fault filled in.
 */
int netaddress_set(Rtnetlink *rtnetlink, int index, const AgentNetwork *network, Fault *fault);

/* The loopback interface's: those of @before that aren't in @now go, whatever else it has stays. With
 * the kernel's route to the whole network of each, which all lead to the machine itself. */
int netaddress_set_loopback(Rtnetlink *rtnetlink, const AgentRouting *before,
                            const AgentRouting *now, Fault *fault);

/* The same with its permanent neighbours: what was learned stays. */
int netneighbour_set(Rtnetlink *rtnetlink, int index, const AgentNetwork *network, Fault *fault);
