/*
 * A thread with a loop of its own, for a device whose work may block: while it waits for the host,
 * nothing else of the machine does.
 *
 * The thread's lock is held while handlers of its loop run and free while the loop waits, as the
 * board's lock is by the machine's loop. So all that belongs to the device is changed by handlers,
 * or by a visitor: a thread that called iothread_enter(), which may then also use the loop. A
 * visitor waits for one round of handlers at most, however busy the thread is, and not for a
 * handler that blocks.
 *
 * Thread: each function says so. Order of locks: the board's before a thread's; no visitor visits
 * two threads at once.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/loop.h"

typedef struct IoThread IoThread;

/* A handler returned @error, a negative errno: the thread has ended. Called on it, without its lock. */
typedef void (*IoThreadFailed)(void *userdata, const char *name, int error);

/* Starts it; @name is copied, 15 bytes of it. 0 or -errno. */
int iothread_new(const char *name, IoThreadFailed failed, void *userdata, IoThread **ret);

/*
 * Ends and joins it. Nothing may be on its loop any more, so that it can't be blocked. Not by the
 * thread itself, nor by a visitor. Accepts NULL; returns NULL.
 */
IoThread *iothread_free(IoThread *thread);
DEFINE_CLEANUP(IoThread *, iothread_free)

/* For handlers and visitors. */
Loop *iothread_loop(IoThread *thread);

/* Becomes the visitor, however long it takes: where no handler can block. Any thread but this one. */
void iothread_enter(IoThread *thread);
void iothread_leave(IoThread *thread);

/* The same, for some milliseconds. 0; or -EAGAIN: a handler still runs, and was interrupted (EINTR)
 * if it can be. */
int iothread_try_enter(IoThread *thread);

/*
 * The visitor leaves until the thread has dispatched something, or for some milliseconds, and enters
 * again. 0, or -EAGAIN: is the visitor no more.
 */
int iothread_wait(IoThread *thread);
