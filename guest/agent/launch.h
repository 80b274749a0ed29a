/*
 * The child that becomes a process of a container, and the words it has with the agent before:
 *
 *   child → agent   READY, with the terminal's master if it has one: all is set up
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

#include "proto/agent.h"

#include "agent/fault.h"

/* All borrowed, for the time of launch_start(). */
typedef struct Launch {
        const char *state;                   /* the agent's directory */
        const AgentContainerSpec *container; /* for a container's first process, else NULL */
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

typedef enum LaunchSays {
        LAUNCH_READY,
        LAUNCH_FAILED,
        LAUNCH_ENDED, /* the channel has ended */
} LaunchSays;

/* What the child says next. *ret_terminal is the master's fd (the caller's) or FD_NONE; @fault is
 * filled in for LAUNCH_FAILED. 0, -EAGAIN: nothing yet, another -errno: the channel is broken. */
int launch_hear(int channel, LaunchSays *ret, int *ret_terminal, Fault *fault);

/* Tells the child to run the program. 0 or -errno. */
int launch_go(int channel);

/* The child's side: each 0 or -errno. Waiting for GO blocks; -ECANCELED: it won't come. */
int launch_say_ready(int channel, int terminal);
void launch_say_failed(int channel, const Fault *fault);
int launch_wait_for_go(int channel);
