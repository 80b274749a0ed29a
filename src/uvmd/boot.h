/*
 * The start of a sandbox, step by step:
 *
 *      id range, /dev/kvm, firmware, runtime directory → uvm-shim, held → scope → LAUNCH →
 *      devices (rng, a root file system for each container) → BOOT → the agent's hello → running
 *
 * Networks are made beside all this. What is there before BOOT the guest finds, the rest is plugged in
 * once the agent is there; containers start when the guest has taken all of it. A step that fails ends in sandbox_fail(), which takes all of it back.
 */
#pragma once

#include "uvmd/sandbox.h"

/* Starts the start. 0 or -errno with @error; what was begun is taken back by the caller. */
int boot_begin(Sandbox *sandbox, sd_bus_error *error);

/* Something that a step waits for has come, or nobody waits for it any more: a container's device,
 * a network, the agent. */
void boot_continue(Sandbox *sandbox);
