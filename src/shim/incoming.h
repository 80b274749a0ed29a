/*
 * Streams that the guest has opened to AGENT_PORT_STREAM and whose preamble has not come whole yet.
 * A guest that opens many and says nothing only loses the oldest of them.
 *
 * One thread. All bytes are the guest's.
 */
#pragma once

#include "base/list.h"
#include "base/loop.h"

#include "proto/agent.h"

#define INCOMING_MAX 64

typedef struct Incoming Incoming;
struct Incoming {
        Loop *loop;
        /* A stream has said what it is. Takes @fd (non-blocking). */
        void (*arrived)(Incoming *incoming, const AgentPreamble *preamble, int fd);
        List streams; /* oldest first */
        unsigned n;
};

void incoming_init(Incoming *incoming, Loop *loop,
                   void (*arrived)(Incoming *incoming, const AgentPreamble *preamble, int fd));
void incoming_done(Incoming *incoming);

/* Takes @fd. */
void incoming_add(Incoming *incoming, int fd);

/* The guest has ended: what has said what it is arrives now, the rest is closed. */
void incoming_finish(Incoming *incoming);
