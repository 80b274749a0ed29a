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
