/*
 * A process of a container that the host asked for: from the child that sets it up until its exit
 * status and all its output are on their way. What it means for the container is the callbacks'
 * business (container.c).
 *
 *   SETUP ──> READY ──> GOING ──> RUNNING ──> DRAINING ──> ENDED
 *     │         │         │                      ^           ^
 *     │         └─────────│──────────────────────┘           │
 *     └───────────────────┴──> FAILED ───────────────────────┘
 *
 * Changes are told once each, from the loop: `ready` (READY), `running` (RUNNING), `exited` (ENDED
 * after DRAINING) and `failed` (ENDED after FAILED: why is in the process). The last two free it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "base/loop.h"
#include "proto/agent.h"

#include "agent/fault.h"
#include "agent/launch.h"
#include "agent/spawn.h"
#include "agent/streams.h"

typedef enum ProcessState {
        PROCESS_SETUP,    /* the child sets itself up, the streams connect */
        PROCESS_READY,    /* both are done; waits for process_go() */
        PROCESS_GOING,    /* told to run the program */
        PROCESS_RUNNING,  /* it runs */
        PROCESS_DRAINING, /* it has exited, its last output is on its way */
        PROCESS_FAILED,   /* it never ran; the child is about to exit */
        PROCESS_ENDED,
        PROCESS_STATE_MAX_,
} ProcessState;
ENUM_DECLARE(process_state, ProcessState);

typedef struct Process Process;

typedef struct ProcessOps {
        void (*ready)(Process *process);
        void (*running)(Process *process);
        void (*exited)(Process *process);
        void (*failed)(Process *process);
} ProcessOps;

struct Process {
        List link; /* the owner's */
        void *owner;
        const ProcessOps *ops;
        char *id; /* "": a container's first */
        AgentProcessSpec spec;
        uint32_t request; /* the request that waits for this process, or 0 */
        Fault fault;      /* why it FAILED */

        Loop *loop;
        ProcessState state;
        bool child_ready, streams_ready; /* what SETUP waits for */
        pid_t pid;
        int pidfd;
        int terminal;  /* the master once more, for its size; or FD_NONE */
        Layers layers; /* of a container's first process; from READY on, the owner's to take */
        LoopFd exit;
        LoopFd channel;
        Streams streams;
        SpawnStatus status; /* from DRAINING on */
        uint64_t exit_realtime_usec;
};

/* Takes @id and *@spec (which is emptied), also on failure. NULL: out of memory. */
Process *process_new(Loop *loop, void *owner, const ProcessOps *ops, char *id,
                     AgentProcessSpec *spec);
Process *process_free(Process *process);

/* Starts the child; @launch's process and stdio are filled in here. 0, or -errno with @fault filled
 * in: then there is no child and no callback comes. */
int process_launch(Process *process, Launch *launch, uint8_t *scratch, const char *unix_directory,
                   Fault *fault);

/* READY → GOING. */
void process_go(Process *process);

/* Up to RUNNING: 0; -ESRCH: it has exited; another -errno. */
int process_signal(Process *process, int signal);
/* 0; -ENOTTY: it has no terminal; another -errno. */
int process_resize(Process *process, uint16_t rows, uint16_t columns);
