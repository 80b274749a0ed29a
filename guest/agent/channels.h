/*
 * The queues of the machine's network devices follow its CPUs. When Linux's virtio_net finds a device it
 * uses as many pairs of queues as there are CPUs, and leaves it at that when CPUs come or go.
 */
#pragma once

#include <stdint.h>

/* As many pairs as @cpus, or as the device has. One that can't be changed works on as it is. */
void channels_follow(uint32_t cpus);
