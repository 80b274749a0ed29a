/*
 * A session: the user's terminal or files joined to the streams of one container or process, until it
 * exits or the user detaches. Signals that the user sends go to it, and the terminal's size.
 *
 * It outlives a restart of uvmd: the streams run through the sandbox's shim, and the wait for the
 * exit code is asked again.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "client/bus.h"

typedef struct Session Session;

typedef struct SessionOptions {
        ClientInterface interface; /* CLIENT_CONTAINER or CLIENT_PROCESS */
        const char *path;          /* borrowed for the session's life */
        bool terminal;             /* it has one: a single stream, ours goes raw if we have one */
        bool input;                /* feed it from our standard input */
        bool no_signals;           /* don't pass signals on */
        const char *detach_keys;   /* NULL: DETACH_KEYS_DEFAULT */
} SessionOptions;

/* What session_run() returned for. */
typedef enum SessionEnd {
        SESSION_EXITED,
        SESSION_DETACHED,
} SessionEnd;

/* Status as in client/bus.h. Attaches at once: call it before Start to lose no output. */
int session_open(Session **ret, sd_bus *bus, const SessionOptions *options);

/* Carries the streams until it ends; *ret_code is the exit code of what ran. */
int session_run(Session *session, SessionEnd *ret_end, int *ret_code);

Session *session_free(Session *session);

static inline void session_freep(Session **session)
{
        session_free(*session);
}
