/*
 * The control stream to the host, with its memory: see "When the stream breaks" in proto/agent.h.
 *
 * Replies and events are numbered, kept until they are acknowledged, and sent again on a new
 * connection. The link connects by itself, again and again, with growing pauses; nothing that is
 * given to it is lost while the agent lives. The host's frames are checked; what breaks the
 * protocol breaks the connection.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/loop.h"
#include "proto/agent.h"
#include "proto/frame.h"

typedef struct Link Link;

typedef enum LinkState {
        LINK_WAITING,    /* the pause before the next try, or not started */
        LINK_CONNECTING, /* connect() is in progress */
        LINK_GREETING,   /* HELLO is out, WELCOME has not come */
        LINK_UP,
        LINK_STATE_MAX_,
} LinkState;

struct Link {
        Loop *loop;
        const char *unix_directory; /* NULL: vsock */
        LinkState state;
        LoopFd socket;
        LoopTimer retry;
        uint64_t pause_usec;
        FrameReader reader;
        FrameQueue queue;
        List outbox; /* numbered messages, oldest first */
        uint64_t last_sequence;
        uint32_t last_request;

        /* A connection stands and HELLO is on its way. */
        void (*connected)(Link *link);
        /* A fresh request; @frame is borrowed for the call. */
        void (*request)(Link *link, const Frame *frame);
        /* On each WELCOME. */
        void (*welcome)(Link *link, const AgentWelcome *welcome);
        /* The host has acknowledged all there is. */
        void (*settled)(Link *link);
};

/* Fills in the rest of a Link whose callbacks are set, and makes the first try. 0 or -errno. */
int link_start(Link *link, Loop *loop, const char *unix_directory);
void link_done(Link *link);

bool link_is_settled(const Link *link);

/* Number a message and send it. The message's sequence is set here. If it can't be encoded or
 * kept for lack of memory the agent ends: it would break its promise otherwise. */
void link_send_reply(Link *link, uint32_t request, AgentReply *reply);
void link_send_exited(Link *link, AgentExited *exited);
void link_send_oom(Link *link, AgentOom *oom);
void link_send_goodbye(Link *link, AgentGoodbye *goodbye);
