/* Finding and running the program of a process. */
#pragma once

#include "proto/agent.h"

#include "agent/fault.h"

#define PROGRAM_PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/*
 * Runs argv with the spec's environment, to which PATH, HOME (@home) and, with a terminal, TERM
 * are added where missing; a name without a slash is looked up in PATH. Returns only on failure:
 * -errno with @fault filled in, exit code 127 (not found) or 126 (there, but can't be run).
 */
int program_run(const AgentProcessSpec *spec, const char *home, Fault *fault);
