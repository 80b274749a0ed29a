/*
 * The child that becomes a process of a container, and the words it has with the agent before:
 *
 *   child → agent   READY, with the terminal's master if it has one and the container's two layers
 *                   if it made those: all is set up
 *   agent → child   GO: run the program
 *   child → agent   FAILED and why, at any time; then it exits
 *
 * The channel is a SEQPACKET socket that execve() closes: its end without FAILED, after GO, is
 * success. The child trusts the agent; the agent checks what the child says, because it may say it
 * from inside a container.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/fd.h"
#include "proto/agent.h"

#include "agent/fault.h"
#include "agent/rootfs.h"

/* All borrowed, for the time of launch_start(). */
typedef struct Launch {
        const char *state;                   /* the agent's directory */
        const AgentContainerSpec *container; /* for a container's first process, else NULL */
        const char *id;                      /* of that container */
        const AgentProcessSpec *process;
        int join; /* pidfd of the container's first process, or FD_NONE */
        pid_t join_pid;
        int cgroup_fd; /* FD_NONE: stay in the agent's */
        int stdio[3];  /* the child's ends; FD_NONE: /dev/null, or the terminal */
} Launch;

typedef struct Launched {
        pid_t pid;
        int pidfd;
        int channel; /* non-blocking */
} Launched;

/* Starts the child. 0 or -errno with @fault filled in. */
int launch_start(const Launch *launch, Launched *ret, Fault *fault);

/* What comes with READY, owned. */
typedef struct LaunchReady {
        int terminal; /* the master; FD_NONE: it has none */
        Layers layers;
} LaunchReady;

#define LAUNCH_READY_NONE                                                            \
        (LaunchReady)                                                                \
        {                                                                            \
                .terminal = FD_NONE, .layers = {.upper = FD_NONE, .lower = FD_NONE } \
        }

void launch_ready_done(LaunchReady *ready);

typedef enum LaunchSays {
        LAUNCH_READY,
        LAUNCH_FAILED,
        LAUNCH_ENDED, /* the channel has ended */
} LaunchSays;

/* What the child says next. *ret_ready is filled in for LAUNCH_READY, @fault for LAUNCH_FAILED. 0,
 * -EAGAIN: nothing yet, another -errno: the channel is broken. */
int launch_hear(int channel, LaunchSays *ret, LaunchReady *ret_ready, Fault *fault);

/* Tells the child to run the program. 0 or -errno. */
int launch_go(int channel);

/* The child's side: each 0 or -errno. Waiting for GO blocks; -ECANCELED: it won't come. */
int launch_say_ready(int channel, const LaunchReady *ready);
void launch_say_failed(int channel, const Fault *fault);
int launch_wait_for_go(int channel);
