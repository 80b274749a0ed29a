/* A process of a container; see process.h. */
#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"

#include "agent/process.h"
#include "agent/terminal.h"

ENUM_TABLE(process_state, ProcessState, PROCESS_STATE_MAX_)
= {
        [PROCESS_SETUP] = "setup",     [PROCESS_READY] = "ready",       [PROCESS_GOING] = "going",
        [PROCESS_RUNNING] = "running", [PROCESS_DRAINING] = "draining", [PROCESS_FAILED] = "failed",
        [PROCESS_ENDED] = "ended",
};

#define TO(state) (1u << (state))

static void process_set_state(Process *process, ProcessState state)
{
        static const unsigned transitions[PROCESS_STATE_MAX_] = {
                [PROCESS_SETUP] = TO(PROCESS_READY) | TO(PROCESS_FAILED),
                [PROCESS_READY] = TO(PROCESS_GOING) | TO(PROCESS_DRAINING) | TO(PROCESS_FAILED),
                [PROCESS_GOING] = TO(PROCESS_RUNNING) | TO(PROCESS_FAILED),
                [PROCESS_RUNNING] = TO(PROCESS_DRAINING),
                [PROCESS_DRAINING] = TO(PROCESS_ENDED),
                [PROCESS_FAILED] = TO(PROCESS_ENDED),
        };

        assert(transitions[process->state] & TO(state));
        log_debug("process \"%s\" (%d): %s -> %s", process->id, (int)process->pid,
                  process_state_to_string(process->state), process_state_to_string(state));
        process->state = state;
}

Process *process_new(Loop *loop, void *owner, const ProcessOps *ops, char *id,
                     AgentProcessSpec *spec)
{
        Process *process = calloc(1, sizeof(*process));

        if (!process || !id) {
                free(process);
                free(id);
                agent_process_spec_done(spec);
                return NULL;
        }
        *process = (Process){
                .owner = owner,
                .ops = ops,
                .id = id,
                .spec = *spec,
                .loop = loop,
                .pidfd = FD_NONE,
                .terminal = FD_NONE,
                .layers = {.upper = FD_NONE, .lower = FD_NONE},
        };
        *spec = (AgentProcessSpec){};
        list_init(&process->link);
        return process;
}

static void process_close_channel(Process *process)
{
        int fd = process->channel.loop ? process->channel.fd : FD_NONE;

        loop_fd_remove(&process->channel);
        fd_close(fd);
}

static void process_close_layers(Process *process)
{
        process->layers.upper = fd_close(process->layers.upper);
        process->layers.lower = fd_close(process->layers.lower);
}

Process *process_free(Process *process)
{
        if (!process)
                return NULL;
        list_remove(&process->link);
        process_close_channel(process);
        loop_fd_remove(&process->exit);
        streams_done(&process->streams);
        fd_close(process->pidfd);
        fd_close(process->terminal);
        process_close_layers(process);
        agent_process_spec_done(&process->spec);
        free(process->id);
        free(process);
        return NULL;
}

static int pidfd_signal(int pidfd, int signal)
{
        return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? errno_neg() : 0;
}

/* It will not run. The child exits by itself, or is made to; `failed` comes when it has. */
static void process_fail(Process *process, const Fault *fault)
{
        process_set_state(process, PROCESS_FAILED);
        process_close_channel(process);
        streams_done(&process->streams);
        pidfd_signal(process->pidfd, SIGKILL);
        process->fault = *fault;
}

static void process_check_ready(Process *process)
{
        if (process->state != PROCESS_SETUP || !process->child_ready || !process->streams_ready)
                return;
        process_set_state(process, PROCESS_READY);
        process->ops->ready(process);
}

static void process_on_streams_ready(Streams *streams, int r)
{
        Process *process = CONTAINER_OF(streams, Process, streams);
        Fault fault;

        if (r < 0) {
                fault_set(&fault, r, "cannot connect the process's streams to the host");
                process_fail(process, &fault);
                return;
        }
        process->streams_ready = true;
        process_check_ready(process);
}

static void process_on_streams_ended(Streams *streams)
{
        Process *process = CONTAINER_OF(streams, Process, streams);

        process_set_state(process, PROCESS_ENDED);
        process->ops->exited(process);
}

/* Bytes can flow from now on: the child has its ends, and nothing is written before it runs. */
static void process_on_child_ready(Process *process, LaunchReady *ready)
{
        if (process->state != PROCESS_SETUP || process->child_ready) {
                launch_ready_done(ready);
                return;
        }
        process->terminal = ready->terminal;
        process->layers = ready->layers;
        process->child_ready = true;
        process_check_ready(process);
}

static void process_on_running(Process *process)
{
        process_close_channel(process);
        process_set_state(process, PROCESS_RUNNING);
        process->ops->running(process);
}

/* The channel ended without a word of failure. Before GO that is one, after it is success. */
static void process_on_channel_end(Process *process)
{
        Fault fault;

        if (process->state == PROCESS_GOING) {
                process_on_running(process);
                return;
        }
        process_close_channel(process);
        /* A process that was ready has been killed: its exit will be told. */
        if (process->state != PROCESS_SETUP)
                return;
        fault_set_exit(&fault, -ECHILD, FAULT_EXIT_SETUP,
                       "the process died while it was being set up");
        process_fail(process, &fault);
}

static int process_on_channel(LoopFd *source, uint32_t events)
{
        Process *process = CONTAINER_OF(source, Process, channel);
        LaunchReady ready;
        LaunchSays says;
        Fault fault;
        int r;

        r = launch_hear(source->fd, &says, &ready, &fault);
        if (r == -EAGAIN)
                return 0;
        if (r < 0) {
                fault_set(&fault, r, "the process's channel broke");
                says = LAUNCH_FAILED;
        }
        switch (says) {
        case LAUNCH_READY:
                process_on_child_ready(process, &ready);
                break;
        case LAUNCH_FAILED:
                process_fail(process, &fault);
                break;
        case LAUNCH_ENDED:
                process_on_channel_end(process);
                break;
        }
        return 0;
}

static void process_on_exited(Process *process)
{
        process->exit_realtime_usec = clock_realtime_usec();
        process_close_channel(process);
        /* Its disk is to be unmounted, whoever is slow to read its output. */
        process_close_layers(process);
        process_set_state(process, PROCESS_DRAINING);
        streams_finish(&process->streams);
}

static int process_on_exit(LoopFd *source, uint32_t events)
{
        Process *process = CONTAINER_OF(source, Process, exit);

        /* What it said before it ended comes first: whether it ran at all. */
        if (process->channel.loop)
                return process_on_channel(&process->channel, EPOLLIN);
        if (spawn_wait(process->pidfd, &process->status) < 0)
                return 0;
        loop_fd_remove(&process->exit);
        if (process->state == PROCESS_FAILED) {
                process_set_state(process, PROCESS_ENDED);
                process->ops->failed(process);
                return 0;
        }
        process_on_exited(process);
        return 0;
}

static int process_watch(Process *process, const Launched *launched, Fault *fault)
{
        int r;

        process->pid = launched->pid;
        process->pidfd = launched->pidfd;
        r = loop_fd_add(process->loop, &process->exit, process->pidfd, EPOLLIN, process_on_exit);
        if (r == 0)
                r = loop_fd_add(process->loop, &process->channel, launched->channel, EPOLLIN,
                                process_on_channel);
        if (r == 0)
                return 0;
        pidfd_signal(process->pidfd, SIGKILL);
        loop_fd_remove(&process->exit);
        fd_close(launched->channel);
        return fault_set(fault, r, "cannot watch the process");
}

int process_launch(Process *process, Launch *launch, uint8_t *scratch, const char *unix_directory,
                   Fault *fault)
{
        Launched launched;
        int r = streams_open(&process->streams, process->loop, scratch, unix_directory,
                             process->spec.token, process->spec.attach, process_on_streams_ready,
                             process_on_streams_ended);

        if (r < 0)
                return fault_set(fault, r, "cannot open the process's streams to the host");
        launch->process = &process->spec;
        for (unsigned i = 0; i < 3; i++)
                launch->stdio[i] = streams_child_fd(&process->streams, i);
        r = launch_start(launch, &launched, fault);
        streams_close_child(&process->streams);
        if (r == 0)
                r = process_watch(process, &launched, fault);
        if (r == 0)
                process->streams_ready = streams_are_ready(&process->streams);
        return r;
}

static int process_start_streams(Process *process)
{
        int terminal = FD_NONE;

        if (process->terminal >= 0) {
                terminal = fcntl(process->terminal, F_DUPFD_CLOEXEC, 3);
                if (terminal < 0)
                        return errno_neg();
        }
        return streams_start(&process->streams, terminal);
}

void process_go(Process *process)
{
        Fault fault;
        int r = process_start_streams(process);

        if (r == 0)
                r = launch_go(process->channel.fd);
        if (r < 0) {
                fault_set(&fault, r, "cannot start the process");
                process_fail(process, &fault);
                return;
        }
        process_set_state(process, PROCESS_GOING);
}

int process_signal(Process *process, int signal)
{
        switch (process->state) {
        case PROCESS_SETUP:
        case PROCESS_READY:
        case PROCESS_GOING:
        case PROCESS_RUNNING:
                return pidfd_signal(process->pidfd, signal);
        case PROCESS_DRAINING:
        case PROCESS_FAILED:
        case PROCESS_ENDED:
        case PROCESS_STATE_MAX_:
                break;
        }
        return -ESRCH;
}

int process_resize(Process *process, uint16_t rows, uint16_t columns)
{
        if (process->terminal < 0)
                return -ENOTTY;
        return terminal_resize(process->terminal, rows, columns);
}
