/* Tells the neighbourhood of a network device where its addresses are; see network.h. */
#pragma once

#include "proto/agent_network.h"

/*
 * Says once, for each address of @network, that the device with the index @index has it: a gratuitous
 * ARP request (RFC 5227 §1.1), an unsolicited neighbour advertisement (RFC 4861 §7.2.6). Who knew the
 * address at another machine, one that was there before this guest, would otherwise send to that for
 * as long as a neighbour counts as reachable, up to a minute. Nobody has to hear it: what can't be
 * sent, over a link without a carrier say, is not.
 */
void netannounce(int index, const AgentNetwork *network);
