/* A container's settings that live in its namespaces and not in its file systems. */
#pragma once

#include "proto/agent.h"

#include "agent/fault.h"

/* Host name, sysctls, loopback. Call it in the new namespaces with the machine's /proc in sight.
 * 0 or -errno with @fault filled in. */
int settings_apply(const AgentContainerSpec *spec, Fault *fault);
