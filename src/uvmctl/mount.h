/* Mounts on their way to uvmd: what a person wrote, opened here and sent along. */
#pragma once

#include "client/bus.h"
#include "client/mount_spec.h"

/* Calls AttachVolume of the container at @path. A status; failures are reported. */
int mount_attach(sd_bus *bus, const char *path, const MountSpec *spec);

/* Calls SetThrottle with the target and the limits of @spec. The same. */
int mount_throttle(sd_bus *bus, const char *path, const MountSpec *spec);
