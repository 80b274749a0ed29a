/* What containers and the machine use: the answers to STATS and PROCESSES. */
#pragma once

#include "proto/agent.h"

#include "agent/container.h"

/* @container NULL: of the machine. */
void report_stats(Guest *guest, const Container *container, AgentStats *ret);

/*
 * Answers request @request with the processes of the container: late, because a worker reads them.
 * What /proc says of a process may have to be fetched from its memory, and so from a file server.
 */
void processes_answer(Container *container, uint32_t request);
