/*
 * The end of the machine, as the host asks for it: SIGTERM to all containers, SIGKILL after the
 * grace time, GOODBYE when all have been told of, then the agent ends and PID 1 resets.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"

typedef struct Guest Guest;

typedef enum ShutdownPhase {
        SHUTDOWN_NOT_ASKED,
        SHUTDOWN_TERMINATING, /* SIGTERM is out, the grace time runs */
        SHUTDOWN_KILLING,     /* SIGKILL is out */
        SHUTDOWN_SYNCING,     /* a worker unmounts disks and writes what is dirty */
        SHUTDOWN_LEAVING,     /* GOODBYE is out, its acknowledgement is awaited */
        SHUTDOWN_PHASE_MAX_,
} ShutdownPhase;

typedef struct Shutdown {
        ShutdownPhase phase;
        LoopTimer timer; /* ends the phase at the latest */
} Shutdown;

/* A second one is harmless; a shorter grace time counts. */
void shutdown_begin(Guest *guest, uint64_t grace_usec);

bool shutdown_has_begun(const Guest *guest);

/* A container or process may have been the last one. */
void shutdown_check(Guest *guest);

/* All that was sent has been acknowledged. */
void shutdown_on_settled(Guest *guest);
