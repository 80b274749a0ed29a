/*
 * One sandbox: the state machine that the parts of the shim hang on.
 *
 *   link      uvmd's commands (request.c) and what it is told
 *   vmm       the monitor's process and control socket (launch.c starts it)
 *   agent     the guest
 *   table     processes, their streams and exits
 *   console, journal
 *
 * Invariants: the state changes in sandbox_set_state() alone; a request of uvmd's is on @requests
 * until it has been answered; once stopped nothing runs but streams that are still read.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/loop.h"

#include "proto/shim.h"
#include "shim/agent.h"
#include "shim/console.h"
#include "shim/ending.h"
#include "shim/hostclock.h"
#include "shim/incoming.h"
#include "shim/journal.h"
#include "shim/link.h"
#include "shim/process.h"
#include "shim/vmm.h"

typedef struct Sandbox {
        Loop *loop;
        const char *id;
        ShimStatus status;
        uint64_t phases[SHIM_PHASE_MAX_];
        ShimLaunch launch;
        Link link;
        Vmm vmm;
        AgentLink agent;
        HostClock clock;
        Journal journal;
        Console console;
        Incoming incoming;
        ProcessTable table;
        List requests;
        uint32_t vcpus;  /* that the VMM has */
        uint32_t online; /* of these, by the guest's last word */

        /* What is known of the end; the rest is in vmm and console. */
        ShimReason asked;
        bool overdue;
        bool agent_seen;
        bool said_goodbye;
        char refusal[CONTROL_TEXT_SIZE_MAX + 1]; /* what the VMM could not do at the start; "" */
        AgentGoodbye goodbye;
        int memory_events;  /* of the sandbox's cgroup; FD_NONE if there is none */
        uint64_t oom_kills; /* before anything ran */
        int end_fd;

        LoopTimer limit;    /* of starting, then of stopping */
        LoopTimer farewell; /* after a signal: until the last bytes are out */
        bool terminated;    /* by a signal: ends when stopped, whoever may still ask */
        VmmCall launch_call, stop_call;
        unsigned launch_step;
        int kvm_fd, firmware_fd; /* until the VMM has been configured */
        AgentCall shutdown_call;
} Sandbox;

/* @id is borrowed. */
int sandbox_new(Sandbox **ret, Loop *loop, const char *id, uid_t peer);
Sandbox *sandbox_free(Sandbox *sandbox);
DEFINE_CLEANUP(Sandbox *, sandbox_free)

void sandbox_set_state(Sandbox *sandbox, ShimState state);
void sandbox_set_phase(Sandbox *sandbox, ShimPhase phase, uint64_t usec);

/* ---- sandbox_stop.c */

/* Begins to end it for @reason: STOPPED or EXITED give the guest's containers @grace_usec (scaled),
 * KILLED and BOOT_TIMEOUT give nothing. Harmless when it is ending already, but for hastening it. */
void sandbox_stop(Sandbox *sandbox, ShimReason reason, uint64_t grace_usec);

/* SIGTERM, SIGRTMIN+4: the first stops, the next kills. */
void sandbox_terminate(Sandbox *sandbox);

/* The VMM can't do what it must to start: kills it, and says why. */
void sandbox_refuse(Sandbox *sandbox, const char *text);

/* It ends before there was a VMM. */
void sandbox_fail(Sandbox *sandbox, ShimReason reason, const char *text);

/* Ends the program if nobody needs it any more. */
void sandbox_settle(Sandbox *sandbox);

/* Starts the clock of starting: @usec unscaled. */
void sandbox_limit_start(Sandbox *sandbox, uint64_t usec);

void sandbox_on_vmm_gone(Vmm *vmm, int status);
void sandbox_on_goodbye(Sandbox *sandbox, const uint8_t *payload, size_t size);

/* ---- launch.c */

/* LAUNCH: takes @fds (SHIM_LAUNCH_FDS of them). 0: created or stopped comes later. -errno: it could not
 * begin, and the sandbox should fail; -EINVAL: nothing was done. */
int sandbox_launch(Sandbox *sandbox, const ShimLaunch *launch, int *fds);

extern const VmmOps sandbox_vmm_ops;

/* ---- request.c */

int sandbox_on_message(Link *link, const ShimMessage *message, int *fds, unsigned n_fds);

/* The state has changed: answers what waited for it. */
void sandbox_answer_waiting(Sandbox *sandbox);

/* The link is gone: nobody waits for answers any more. */
void sandbox_forget_requests(Sandbox *sandbox);
