/* Container.GetProcesses. */
#pragma once

#include "uvmd/container.h"

/* Answers @call late. 0 or -errno with @error. */
int bus_list_processes(Container *container, sd_bus_message *call, sd_bus_error *error);
