/*
 * Devices that nobody knows: an uvmd that was killed while it plugged one in, or copied files, had no
 * time to note the slot. The one that comes after it asks the monitor what there is and takes away
 * what is none of its own. A device that the guest still has mounted is asked for again later.
 *
 * Only what uvmd plugs in for containers is looked at: file trees and disks.
 */
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

typedef struct Sandbox Sandbox;

typedef struct Sweep {
        sd_event_source *again;
        unsigned rounds;
} Sweep;

/* The sandbox was adopted, and runs. */
void sweep_begin(Sandbox *sandbox);

/* The guest has ended. */
void sweep_end(Sandbox *sandbox);
