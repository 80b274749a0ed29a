/*
 * The VMM seen from its parent: its process and the control socket (proto/control.h). Requests are
 * answered in order, so the oldest open call is the one that a reply is for; a VMM that answers
 * anything else, or sends what is no message, is killed.
 *
 * One thread. The VMM is not trusted: it handles hostile bytes all day and may have been taken over.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "base/loop.h"

#include "proto/control.h"
#include "shim/spawn.h"

typedef struct Vmm Vmm;
typedef struct VmmCall VmmCall;

/*
 * Ends a call, once: @error 0 and the VMM's answer (borrowed; REPLY with code 0, or STATS), or a
 * negative errno and, if the VMM gave one, its refusal. @raw is the message as it came in. The call
 * may be freed or used again here.
 */
typedef void (*VmmCallDone)(VmmCall *call, int error, const ControlMessage *answer,
                            const uint8_t *raw, size_t raw_size);

struct VmmCall {
        List link; /* all zero: not under way */
        uint32_t serial;
        VmmCallDone done;
};

typedef struct VmmOps {
        void (*ready)(Vmm *vmm);
        void (*phase)(Vmm *vmm, uint32_t id, uint64_t usec);
        /* Takes @fd. */
        void (*accepted)(Vmm *vmm, uint32_t port, int fd);
        void (*memory)(Vmm *vmm, uint32_t slot, uint64_t requested, uint64_t actual);
        /* The process has been waited for; @status as of waitpid(). No call comes after this. */
        void (*gone)(Vmm *vmm, int status);
} VmmOps;

struct Vmm {
        Loop *loop;
        const VmmOps *ops;
        pid_t pid; /* 0: not running */
        int pidfd, control;
        LoopFd process_source, control_source;
        List calls; /* oldest first */
        uint32_t last_serial;
        /* Its last words; ENDED may be missing. */
        ControlEnd end;
        char end_text[CONTROL_TEXT_SIZE_MAX + 1];
};

void vmm_init(Vmm *vmm, Loop *loop, const VmmOps *ops);

/* Kills it if it runs; open calls are forgotten. */
void vmm_done(Vmm *vmm);

/* Clones and execs it; @config's control socket is filled in. 0 or -errno. */
int vmm_start(Vmm *vmm, SpawnConfig *config);

/*
 * Sends @message (the serial is filled in) with @fds (borrowed). 0: @call->done comes later, also when
 * the VMM ends (-ECANCELED). -errno: it does not come.
 */
int vmm_call(Vmm *vmm, VmmCall *call, ControlMessage *message, const int *fds, unsigned n_fds,
             VmmCallDone done);

/* SIGKILL; ops->gone follows. Harmless when it does not run. */
void vmm_kill(Vmm *vmm);
