/*
 * Work that may block, done by a forked child of the agent: the loop never waits. A worker's result
 * is its exit status; it has copies of the agent's memory and none of its fds but 0, 1 and 2.
 */
#pragma once

#include "base/loop.h"

typedef struct Worker Worker;

/* Runs in the child: 0 or -errno. */
typedef int (*WorkerFunction)(void *argument);
/* Called in the agent with the result; -EINTR if the child was killed. */
typedef void (*WorkerDone)(void *context, int r);

/* @argument is used in the child only. 0 or -errno, then @done isn't called. */
int worker_start(Loop *loop, WorkerFunction run, void *argument, WorkerDone done, void *context);
