/*
 * The link to the guest's agent (proto/agent.h): hello and welcome, calls with ids, events, and
 * resumption after the stream broke, so that each request is carried out once and no answer and no
 * exit is lost.
 *
 * One thread. Every byte is the guest's: what breaks the protocol costs it the connection, and it
 * may connect again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/loop.h"

#include "proto/agent.h"
#include "proto/frame.h"

typedef struct AgentLink AgentLink;
typedef struct AgentCall AgentCall;

/* Ends a call, once: @error 0 and the payload of the agent's REPLY (borrowed), or -ECANCELED. The call
 * may be freed here. */
typedef void (*AgentCallDone)(AgentCall *call, int error, const uint8_t *payload, size_t size);

struct AgentCall {
        List link;     /* all zero: not under way */
        uint32_t id;   /* 0: not sent yet */
        uint16_t type; /* AGENT_REQUEST_* */
        uint8_t *payload;
        size_t size;
        AgentCallDone done;
};

typedef struct AgentLinkOps {
        /* Each hello, also those after a break. */
        void (*hello)(AgentLink *agent, const AgentHello *hello);
        /* Anything but REPLY. Borrows @payload. */
        void (*event)(AgentLink *agent, uint16_t type, const uint8_t *payload, size_t size);
} AgentLinkOps;

typedef enum AgentLinkState {
        AGENT_LINK_DOWN,
        AGENT_LINK_GREETING, /* connected, no HELLO yet */
        AGENT_LINK_UP,
        AGENT_LINK_ENDED, /* the guest has ended: no call is taken any more */
        AGENT_LINK_STATE_MAX_,
} AgentLinkState;

struct AgentLink {
        Loop *loop;
        const AgentLinkOps *ops;
        const char *hostname; /* for WELCOME; borrowed */
        AgentLinkState state;
        bool known; /* has said hello once: the numbers below are this guest's */
        bool held;  /* agent_link_hold() */
        int fd;
        LoopFd source;
        FrameReader reader;
        FrameQueue queue;
        List calls; /* oldest first */
        uint32_t last_request;
        uint64_t last_sequence;
};

void agent_link_init(AgentLink *agent, Loop *loop, const AgentLinkOps *ops);
void agent_link_done(AgentLink *agent);

/* A connection to AGENT_PORT_CONTROL came in; it replaces the one before. Takes @fd. */
void agent_link_connect(AgentLink *agent, int fd);

/* Asks; waits for the agent if it is not there. Copies @payload. 0: @call->done comes; else -errno:
 * -ENOMEM, -EMSGSIZE, -ECANCELED the guest has ended. */
int agent_link_call(AgentLink *agent, AgentCall *call, uint16_t type, const void *payload,
                    size_t size, AgentCallDone done);

/* Stops or goes on reading, while those who take events can't: then the guest waits. */
void agent_link_hold(AgentLink *agent, bool hold);

/* The guest has ended: all calls end with -ECANCELED. */
void agent_link_end(AgentLink *agent);
