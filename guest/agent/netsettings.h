/* Sysctls of the machine's network, as the host says them; see network.h. */
#pragma once

#include "proto/agent_network.h"

/*
 * Writes those that aren't in @before, which may be NULL, in their order. What this kernel doesn't have or
 * doesn't take is logged and left: no container can be worth less for it.
 */
void netsettings_write(const CodecStrings *settings, const CodecStrings *before);
