/*
 * Work that may block, done by a forked child of the agent: the loop never waits. A worker's result
 * is its exit status; it has copies of the agent's memory and none of its fds but 0, 1, 2, one to
 * write to, and those it is given.
 */
#pragma once

#include "base/loop.h"

typedef struct Worker Worker;

/* Runs in the child: 0 or -errno. What it writes to @output is handed to the agent. */
typedef int (*WorkerFunction)(void *argument, int output);
/* Called in the agent with the result; -EINTR if the child was killed. @output is a file with what
 * the child wrote, its position at the end; borrowed. */
typedef void (*WorkerDone)(void *context, int r, int output);

/* @argument is used in the child only. 0 or -errno, then @done isn't called. */
int worker_start(Loop *loop, WorkerFunction run, void *argument, WorkerDone done, void *context);

/* The first of the fds that a worker is given; the next is one higher. */
#define WORKER_FD      4
#define WORKER_FDS_MAX 3

typedef struct WorkerJob {
        WorkerFunction run;
        void *argument;
        WorkerDone done;
        void *context;
        int fds[WORKER_FDS_MAX]; /* borrowed, for the time of the call */
        unsigned n_fds;
} WorkerJob;

/* As above. *ret is valid until @done is called. */
int worker_start_job(Loop *loop, const WorkerJob *job, Worker **ret);

/* Asks it to end: SIGTERM. */
void worker_ask(Worker *worker);

/* Ends it: @done is called with -EINTR, unless it was about to end. */
void worker_kill(Worker *worker);
