/*
 * The processes that uvmd has announced: their streams, their clients, and their exits, which are
 * told once all output has been handed over and kept until uvmd has acknowledged them.
 *
 * Objects are freed from the loop, never inside a callback, so that a client may vanish while its
 * stream is being worked on. One thread; tokens and byte counts from the guest are looked up, not
 * believed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/loop.h"

#include "proto/agent.h"
#include "proto/shim.h"
#include "shim/input.h"
#include "shim/journal.h"
#include "shim/output.h"

typedef struct Process Process;
typedef struct ProcessTable ProcessTable;

/* added → starting → running → draining → exited; starting → failed. */
typedef enum ProcessState {
        PROCESS_ADDED,
        PROCESS_STARTING,
        PROCESS_RUNNING,
        PROCESS_DRAINING, /* it has exited and its output is on its way; uvmd sees "running" */
        PROCESS_FAILED,
        PROCESS_EXITED,
        PROCESS_STATE_MAX_,
} ProcessState;
ENUM_DECLARE(process_state, ProcessState);

enum {
        PROCESS_STDOUT, /* or the terminal */
        PROCESS_STDERR,
        PROCESS_OUTPUTS,
};

#define PROCESS_ABOUT 3

struct Process {
        List link; /* on table->processes or table->graveyard */
        ProcessTable *table;
        ProcessState state;
        ShimAddProcess spec;
        int code;
        bool oom, lost;
        uint64_t started_usec, finished_usec;
        uint64_t expected[PROCESS_OUTPUTS]; /* bytes, as its exit said */
        char *fields[PROCESS_OUTPUTS];      /* of its journal lines */
        char *about[PROCESS_ABOUT + 1];     /* of log lines about it; ends in NULL */
        Input input;
        Output outputs[PROCESS_OUTPUTS];
        List clients;
};

struct ProcessTable {
        Loop *loop;
        Journal *journal;
        void (*changed)(Process *process);
        List processes;
        List graveyard, dead_clients;
        LoopTimer undertaker;
        unsigned n_processes, n_clients;
        uint8_t scratch[OUTPUT_CHUNK];
};

void process_table_init(ProcessTable *table, Loop *loop, Journal *journal,
                        void (*changed)(Process *process));
void process_table_done(ProcessTable *table);

/* By token, or by the agent's ids. NULL if there is none. */
Process *process_find(ProcessTable *table, uint64_t token);
Process *process_find_by_ids(ProcessTable *table, const char *container, const char *process);

/* 0, -EINVAL (no token, impossible flags), -EEXIST, -ENOSPC, -ENOMEM. */
int process_add(ProcessTable *table, const ShimAddProcess *spec);

/* Forgets it; clients that still have output to read keep theirs. 0, or -EBUSY while it runs. */
int process_remove(Process *process);

void process_set_starting(Process *process);

/* The agent has answered: @code 0, or why it could not be started (125 to 127). */
void process_set_started(Process *process, int code);

/* The agent says that one has exited. Unknown ones are none of our business. */
void process_table_exited(ProcessTable *table, const AgentExited *exited);

/* The guest has ended: what still ran is lost. */
void process_table_guest_gone(ProcessTable *table);

/* Attaches a client; takes @fds on success. Errors: see ShimAttach in proto/shim.h. */
int process_attach(Process *process, const ShimAttach *attach, int *fds, unsigned n_fds);

/* A stream came in from the guest. Takes @fd (non-blocking). */
void process_table_connect(ProcessTable *table, const AgentPreamble *preamble, int fd);

/* True if one has ended and uvmd has not acknowledged it. */
bool process_table_is_owed(const ProcessTable *table);

/* What a log line about it carries: base/log.h, log_write_fields(). */
static inline const char *const *process_about(const Process *process)
{
        return (const char *const *)process->about;
}

bool process_has_primary(const Process *process);

/* The states' side of it, for process_table.c: fresh streams, without input if it has none. */
void process_init_streams(Process *process);

/* Something is in a graveyard: frees it from the loop. */
void process_table_bury(ProcessTable *table);

void process_describe(const Process *process, ShimProcess *ret);
