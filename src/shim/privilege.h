/*
 * How the shim stops being root, once the VMM's process and all that needs rights exists: the
 * sandbox's own ids, no groups, no capabilities, no way to new ones, not dumpable.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * @id: uid and gid from now on. @keep_kill: keep CAP_KILL, for a VMM with the identity map: its uid
 * is the host's root, which no other uid may signal, and its supervisor must be able to end it.
 * Does nothing to a shim that was not root (a developer's). 0 or -errno; then end the process.
 */
int privilege_drop(uint32_t id, bool keep_kill);
