/*
 * The request NETWORK: makes a network device of the machine, and so of its containers, what the host
 * says (proto/agent_network.h). A device is set up by differences, so that connections over it last
 * when the host says the same again, or little else.
 *
 * On a machine that is no guest (--connect-unix) this is the network namespace that the agent was
 * started in: tests start it in one of its own.
 */
#pragma once

#include "proto/agent.h"

#include "agent/guest.h"

/* Answers @request when the device is up. Takes what @network owns. */
void network_start(Guest *guest, uint32_t request, AgentNetwork *network);

/*
 * The request ROUTING: what belongs to no device alone. What an earlier one has said and this one doesn't
 * goes; what containers have made of their own stays, as do settings that are said the same again.
 * 0: it will be answered, or -errno for a payload that is none.
 */
int netrouting_start(Guest *guest, uint32_t request, const uint8_t *payload, size_t size);
