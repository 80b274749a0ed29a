/* What stands in resolv.conf(5) and hosts(5). Pure, but for memory. */
#pragma once

#include <stdbool.h>

#include "proto/agent_network.h"

/* Whether all of it fits into lines: no control characters. */
bool nametext_is_valid(const AgentResolver *resolver);

/* Whether it says anything for resolv.conf. */
bool nametext_has_resolver(const AgentResolver *resolver);

/* resolv.conf, malloc()ed; NULL: no memory. */
char *nametext_resolver(const AgentResolver *resolver);

/*
 * hosts, likewise: localhost, the host's lines, and @name by 127.0.1.1 as Debian has it, unless the
 * lines name it. @resolver NULL: no lines. @name may be "".
 */
char *nametext_hosts(const AgentResolver *resolver, const char *name);
