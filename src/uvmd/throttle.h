/* Container.SetThrottle: how fast a container's root file system, mounts and disks may go. */
#pragma once

#include <systemd/sd-bus.h>

#include "proto/throttle.h"
#include "uvmd/options.h"

typedef struct Container Container;

/* The keys of SetThrottle, of a ThrottleLimits. */
extern const Option throttle_options[];
extern const size_t throttle_options_n;

/*
 * Sets the limits of @target, "/" being the root file system and the writable layer, each by itself.
 * They are kept; where a guest runs they hold when @call is answered. 0 or -errno with @error.
 */
int throttle_set(Container *container, const char *target, const ThrottleLimits *limits,
                 sd_bus_message *call, sd_bus_error *error);
