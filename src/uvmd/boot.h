/*
 * The start of a sandbox, step by step:
 *
 *      id range, /dev/kvm, firmware, runtime directory → uvm-shim, held → scope → LAUNCH →
 *      devices (rng, networks, a root file system for each container) → BOOT → the agent's hello
 *
 * A step that fails ends in sandbox_fail(), which takes all of it back.
 */
#pragma once

#include "uvmd/sandbox.h"

/* Starts the start. 0 or -errno with @error; what was begun is taken back by the caller. */
int boot_begin(Sandbox *sandbox, sd_bus_error *error);

/* A container got its device, or lost its interest: BOOT may be due. */
void boot_continue(Sandbox *sandbox);
