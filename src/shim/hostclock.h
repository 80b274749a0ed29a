/*
 * The host's clock: when it is set, or jumps because the host was suspended, the guest's agent is told
 * what time it is; also after a pause, in which a guest's clock stands still.
 *
 * One thread.
 */
#pragma once

#include <stdbool.h>

#include "base/loop.h"

#include "shim/agent.h"

typedef struct HostClock {
        Loop *loop;
        AgentLink *agent;
        int fd;
        LoopFd source;
        AgentCall call;
        bool again; /* it has jumped while the guest was being told */
} HostClock;

/* @agent is borrowed. Without a timer to watch (no rights, no memory) only hostclock_tell() tells. */
void hostclock_init(HostClock *clock, Loop *loop, AgentLink *agent);

/* Stops watching; a call that is under way ends with the agent's link. */
void hostclock_done(HostClock *clock);

/* Tells the guest, if it is there: one that says hello later hears it with the welcome. */
void hostclock_tell(HostClock *clock);
