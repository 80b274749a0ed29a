/* From a set-up to a container, and from a created container to a running one. */
#pragma once

#include "uvmctl/setup.h"

typedef struct Launch {
        char *sandbox; /* object paths, owned */
        char *container;
        bool owns_sandbox; /* made for this container alone */
} Launch;

void launch_done(Launch *launch);

/* Makes the sandbox (unless --sandbox names one) and the container. Undone if the latter fails. */
int launch_create(Launch *launch, sd_bus *bus, Setup *setup, const char *image, char **command);

/* Boots the sandbox if it is not running, then starts the container. @name is for the progress. */
int launch_start(const Launch *launch, sd_bus *bus, const char *name);

/* Removes what launch_create() made, quietly: for what failed or was interrupted on the way. */
void launch_undo(const Launch *launch, sd_bus *bus);
