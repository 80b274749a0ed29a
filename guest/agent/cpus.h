/*
 * The machine's CPUs (Documentation/core-api/cpu_hotplug.rst of Linux): the host gives the machine more
 * of them and takes some away, and here they are brought online and taken off. CPU 0 always is online.
 */
#pragma once

#include <stdint.h>

#include "agent/guest.h"

/* Where they are, for tests; NULL: nowhere, as on a machine that isn't ours. Default:
 * /sys/devices/system/cpu. */
void cpus_set_directory(const char *directory);

/* How many are online; 0: nobody knows. Doesn't wait. */
uint32_t cpus_online(void);

/*
 * Brings CPUs 0 to @cpus - 1 online, in this order, and takes those above off, the highest first, up
 * to the first that won't; network devices' queues follow (channels.h). Answers @request with how many are online.
 */
void cpus_start(Guest *guest, uint32_t request, uint32_t cpus);
