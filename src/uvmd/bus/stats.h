/* Sandbox.GetStats. */
#pragma once

#include "uvmd/sandbox.h"

/* Answers @call late, when unit, monitor and guest have said theirs. 0 or -errno with @error. */
int bus_get_stats(Sandbox *sandbox, sd_bus_message *call, sd_bus_error *error);
