/*
 * Why a machine ended, from all that is known about it, and how to say so to a person. Pure.
 * The console's tail and the VMM's words are hostile: of them only printable ASCII gets into the
 * text, and of the tail only what ran in the guest can have put there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/agent.h"
#include "proto/control.h"
#include "proto/shim.h"

typedef struct EndingFacts {
        ShimReason
                asked;   /* what the shim itself has begun: stopped, exited, killed, boot-timeout */
        bool overdue;    /* and the guest had to be killed for it */
        bool agent_seen; /* the agent has said hello */
        bool goodbye;
        AgentGoodbyeReason goodbye_reason;
        const char *goodbye_text;
        const char *refusal; /* what the VMM could not do at the start; "" */
        ControlEnd end;      /* 0: the VMM did not say */
        const char *end_text;
        int status;       /* of the VMM's process, as of waitpid() */
        bool oom;         /* the kernel killed in the sandbox's cgroup */
        const char *tail; /* of the console */
        size_t tail_size;
} EndingFacts;

void ending_deduce(const EndingFacts *facts, ShimReason *ret_reason,
                   char ret_text[SHIM_TEXT_MAX + 1]);
