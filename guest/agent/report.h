/* What containers and the machine use: the answers to STATS and PROCESSES. */
#pragma once

#include "proto/agent.h"

#include "agent/container.h"

/* @container NULL: of the machine. */
void report_stats(Guest *guest, const Container *container, AgentStats *ret);

/* The processes of the container; free with agent_processes_done(). 0 or -errno. */
int report_processes(const Container *container, AgentProcesses *ret);
