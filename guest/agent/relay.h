/*
 * Moves bytes one way between two fds, never blocking and never holding more than one read's worth.
 *
 * It lives on the loop until its end, which `ended` tells once: the source has ended, the sink is
 * gone, or relay_finish() was asked and what had to be moved has been. `ended` may free the relay's
 * owner. A relay with `drain` set outlives its sink: it reads on and drops, so that a process
 * isn't stopped by a reader that went away.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"

#define RELAY_CHUNK (64 * 1024)

typedef struct Relay Relay;

struct Relay {
        Loop *loop;             /* NULL: not running */
        int source_fd, sink_fd; /* owned; non-blocking */
        LoopFd source, sink;    /* one at a time is on the loop */
        uint8_t *scratch;       /* RELAY_CHUNK bytes, shared by all relays of the thread */
        uint8_t *held;          /* read, not yet written */
        size_t held_at, held_size;
        uint64_t budget; /* bytes that may still be read */
        uint64_t moved;  /* bytes written */
        bool drain;
        bool finishing;
        bool sink_gone;
        void (*ended)(Relay *relay);
};

/* Takes both fds, also on failure. 0 or -errno. */
int relay_start(Relay *relay, Loop *loop, uint8_t *scratch, int source_fd, int sink_fd, bool drain,
                void (*ended)(Relay *relay));

/*
 * Ends it when what the source holds at this moment has been moved. For a source that can't say
 * how much that is (a terminal): when it is empty, or after @budget bytes. May call `ended`.
 */
void relay_finish(Relay *relay, uint64_t budget);

/* Stops it at once and closes its fds; `ended` isn't called. Harmless if it doesn't run. */
void relay_stop(Relay *relay);
