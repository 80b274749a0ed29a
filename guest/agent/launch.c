/* Starting a child in a container's namespaces, and its channel; see launch.h. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/wire.h"

#include "agent/become.h"
#include "agent/cgroup.h"
#include "agent/launch.h"
#include "agent/spawn.h"

enum {
        WORD_READY = 1,
        WORD_FAILED = 2,
        WORD_GO = 3,
};

#define READY_FDS_MAX 3
#define WORD_SIZE_MAX (1 + 4 + 1 + 4 + FAULT_TEXT_SIZE)

static uint64_t namespace_flags(const AgentContainerSpec *spec)
{
        static const struct {
                uint32_t ours;
                uint64_t kernels;
        } pairs[] = {
                {AGENT_NAMESPACE_PID, CLONE_NEWPID},
                {AGENT_NAMESPACE_IPC, CLONE_NEWIPC},
                {AGENT_NAMESPACE_UTS, CLONE_NEWUTS},
                {AGENT_NAMESPACE_NET, CLONE_NEWNET},
        };
        uint64_t flags = 0;

        for (size_t i = 0; spec && i < ELEMENTSOF(pairs); i++)
                if (spec->namespaces & pairs[i].ours)
                        flags |= pairs[i].kernels;
        return flags;
}

/* Children that are made from now on are born into the pid namespace of @pidfd's process. */
static int enter_pid_namespace(int pidfd)
{
        return setns(pidfd, CLONE_NEWPID) < 0 ? errno_neg() : 0;
}

/*
 * A group whose controllers the container has handed down takes no processes itself (EBUSY, "no
 * internal processes"): then the group of the first process is where this one belongs.
 */
static int fork_beside(const Launch *launch, pid_t *ret_pid, int *ret_pidfd)
{
        _cleanup_(fd_closep) int group = FD_NONE;
        int r = spawn_fork(0, launch->cgroup_fd, ret_pid, ret_pidfd);

        if (r != -EBUSY)
                return r;
        r = cgroup_open_of(launch->join_pid, &group);
        return r < 0 ? r : spawn_fork(0, group, ret_pid, ret_pidfd);
}

/* Births into the container's pid namespace for one child only. */
static int fork_into(const Launch *launch, pid_t *ret_pid, int *ret_pidfd, Fault *fault)
{
        _cleanup_(fd_closep) int self = FD_NONE;
        int r;

        if (launch->join < 0) {
                r = spawn_fork(namespace_flags(launch->container), launch->cgroup_fd, ret_pid,
                               ret_pidfd);
                return r < 0 ? fault_set(fault, r, "cannot make the container's process") : 0;
        }
        self = (int)syscall(SYS_pidfd_open, getpid(), 0);
        r = self < 0 ? errno_neg() : enter_pid_namespace(launch->join);
        if (r < 0)
                return fault_set(fault, r, "cannot enter the container's pid namespace");
        r = fork_beside(launch, ret_pid, ret_pidfd);
        if (r == 0 && *ret_pid == 0)
                return 0;
        /* An agent whose children would all be born in a container is of no use. */
        if (enter_pid_namespace(self) < 0)
                abort();
        return r < 0 ? fault_set(fault, r, "cannot make a process in the container") : 0;
}

int launch_start(const Launch *launch, Launched *ret, Fault *fault)
{
        int pair[2], pidfd = FD_NONE, r;
        pid_t pid;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return fault_set(fault, errno_neg(), "cannot make a channel");
        r = fork_into(launch, &pid, &pidfd, fault);
        if (r == 0 && pid == 0)
                become_process(launch, pair[1]);
        fd_close(pair[1]);
        if (r == 0)
                r = fd_set_nonblock(pair[0], true);
        if (r < 0) {
                fd_close(pair[0]);
                fd_close(pidfd);
                return r;
        }
        *ret = (Launched){.pid = pid, .pidfd = pidfd, .channel = pair[0]};
        return 0;
}

static int decode_failed(WireReader *reader, Fault *fault)
{
        uint32_t error = wire_get_u32(reader);
        uint8_t exit_code = wire_get_u8(reader);
        _cleanup_(freep) char *text = wire_get_string(reader, FAULT_TEXT_SIZE - 1);

        if (wire_reader_end(reader) < 0 || error == 0 || error > INT32_MAX)
                return -EBADMSG;
        fault_set_exit(fault, -(int)error, exit_code, "%s", text);
        return 0;
}

void launch_ready_done(LaunchReady *ready)
{
        ready->terminal = fd_close(ready->terminal);
        ready->layers.upper = fd_close(ready->layers.upper);
        ready->layers.lower = fd_close(ready->layers.lower);
}

/* The fds say which they are by their number: layers are two, and a terminal comes first. */
static int take_ready(IoMessage *message, LaunchReady *ret)
{
        unsigned at = 0;

        if (message->n_fds > READY_FDS_MAX)
                return -EBADMSG;
        if (message->n_fds & 1)
                ret->terminal = TAKE_FD(message->fds[at++]);
        if (message->n_fds >= 2) {
                ret->layers.upper = TAKE_FD(message->fds[at++]);
                ret->layers.lower = TAKE_FD(message->fds[at++]);
        }
        return 0;
}

int launch_hear(int channel, LaunchSays *ret, LaunchReady *ret_ready, Fault *fault)
{
        uint8_t data[WORD_SIZE_MAX];
        IoMessage message;
        WireReader reader;
        int r = io_recv(channel, data, sizeof(data), &message);

        if (r < 0)
                return r;
        *ret_ready = LAUNCH_READY_NONE;
        if (message.size == 0) {
                *ret = LAUNCH_ENDED;
                return 0;
        }
        reader = wire_reader(data, message.size);
        switch (wire_get_u8(&reader)) {
        case WORD_READY:
                *ret = LAUNCH_READY;
                r = take_ready(&message, ret_ready);
                break;
        case WORD_FAILED:
                *ret = LAUNCH_FAILED;
                r = decode_failed(&reader, fault);
                break;
        default:
                r = -EBADMSG;
        }
        io_message_done(&message);
        return r;
}

int launch_go(int channel)
{
        uint8_t word = WORD_GO;

        return io_send(channel, &word, sizeof(word), NULL, 0);
}

int launch_say_ready(int channel, const LaunchReady *ready)
{
        int fds[READY_FDS_MAX];
        uint8_t word = WORD_READY;
        unsigned n = 0;

        if (ready->terminal >= 0)
                fds[n++] = ready->terminal;
        if (ready->layers.upper >= 0) {
                fds[n++] = ready->layers.upper;
                fds[n++] = ready->layers.lower;
        }
        return io_send(channel, &word, sizeof(word), fds, n);
}

void launch_say_failed(int channel, const Fault *fault)
{
        uint8_t data[WORD_SIZE_MAX];
        WireWriter writer = wire_writer(data, sizeof(data));
        size_t size;

        wire_put_u8(&writer, WORD_FAILED);
        wire_put_u32(&writer, (uint32_t)-fault->error);
        wire_put_u8(&writer, fault->exit_code);
        wire_put_string(&writer, fault->text);
        if (wire_writer_end(&writer, &size) == 0)
                io_send(channel, data, size, NULL, 0);
}

int launch_wait_for_go(int channel)
{
        uint8_t word;
        ssize_t n;

        do
                n = recv(channel, &word, sizeof(word), 0);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno_neg();
        return n == 1 && word == WORD_GO ? 0 : -ECANCELED;
}
