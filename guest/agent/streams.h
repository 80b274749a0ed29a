/*
 * The streams of one process: connections to the host on one side, pipes or a terminal on the
 * other, relays between them.
 *
 *   streams_open()    connects and sends the preambles; `ready` tells when all stand
 *   streams_start()   starts to move bytes, once the child has its ends
 *   streams_finish()  after the process has exited: moves what it had written; `ended` tells when
 *
 * Callbacks come from the loop or from within streams_finish(), each once, never after
 * streams_done(). `ended` may free the owner.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "proto/agent.h"

#include "agent/relay.h"

/* stdin, stdout, stderr; a terminal uses the first two entries for its two directions. */
#define STREAMS_MAX 3

typedef struct Streams Streams;

typedef struct Stream {
        Streams *streams;
        AgentStream which;
        bool attached;
        bool connected;
        int socket_fd;     /* owned until its relay starts */
        int local_fd;      /* the agent's end of the pipe; owned until its relay starts */
        int child_fd;      /* the child's end; owned until streams_close_child() */
        LoopFd connecting; /* while the connection is in progress */
        Relay relay;
        bool ended; /* its relay has */
} Stream;

struct Streams {
        Loop *loop;
        uint8_t *scratch;
        uint64_t token;
        bool tty;
        Stream streams[STREAMS_MAX];
        bool finishing;
        void (*ready)(Streams *streams, int r);
        void (*ended)(Streams *streams);
};

/* @attach: AGENT_ATTACH_*. @scratch as in relay.h. 0: `ready` will be called with 0 or the first
 * -errno; or -errno. */
int streams_open(Streams *streams, Loop *loop, uint8_t *scratch, const char *unix_directory,
                 uint64_t token, uint32_t attach, void (*ready)(Streams *streams, int r),
                 void (*ended)(Streams *streams));

/* The child's fd for 0, 1 or 2; FD_NONE: /dev/null, or a terminal. Borrowed. */
int streams_child_fd(const Streams *streams, unsigned number);

/* Nothing is attached, so nothing has to connect: `ready` won't be called. */
bool streams_are_ready(const Streams *streams);

/* In the agent, once the child is there: its ends are its own. */
void streams_close_child(Streams *streams);

/* @terminal: the master's fd (taken) or FD_NONE. 0 or -errno. */
int streams_start(Streams *streams, int terminal);

void streams_finish(Streams *streams);

/* Bytes handed to the host so far, of the terminal or of stdout, and of stderr. */
uint64_t streams_moved(const Streams *streams, AgentStream which);

/* Closes all; no callback comes any more. Harmless on an all-zero object and twice. */
void streams_done(Streams *streams);
