/* From a copy of the agent to a process of a container; see become.h. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

#include "agent/become.h"
#include "agent/identity.h"
#include "agent/program.h"
#include "agent/rootfs.h"
#include "agent/terminal.h"

#define NAMESPACES_JOINED \
        (CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWCGROUP)

/* The fds a child keeps, at fixed numbers from 3 on. */
enum {
        KEEP_CHANNEL,
        KEEP_JOIN,
        KEEP_CGROUP,
        KEEP_STDIO,
        KEEP_MAX = KEEP_STDIO + 3,
};
#define KEEP_FIRST 3

/* The agent ignores SIGPIPE and takes others by signalfd: a program starts with none of it. */
static void reset_signals(void)
{
        struct sigaction plain = {.sa_handler = SIG_DFL};
        sigset_t none;

        for (int signal = 1; signal < _NSIG; signal++)
                sigaction(signal, &plain, NULL);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * Closes all of the agent's fds but those this child works with: a child may wait for long, and
 * the streams of others have to end when the agent closes them.
 */
static int keep_fds(const Launch *launch, int channel, int kept[KEEP_MAX])
{
        int null = open("/dev/null", O_RDWR | O_CLOEXEC), r;

        if (null < 0)
                return errno_neg();
        kept[KEEP_CHANNEL] = channel;
        /* /dev/null stands in for what isn't there, so that each has its number. */
        kept[KEEP_JOIN] = fcntl(launch->join >= 0 ? launch->join : null, F_DUPFD_CLOEXEC, 3);
        kept[KEEP_CGROUP] = fcntl(launch->cgroup_fd >= 0 ? launch->cgroup_fd : null,
                                  F_DUPFD_CLOEXEC, 3);
        for (int i = 0; i < 3; i++)
                kept[KEEP_STDIO + i] = fcntl(launch->stdio[i] >= 0 ? launch->stdio[i] : null,
                                             F_DUPFD_CLOEXEC, 3);
        r = fd_pass_to_exec(kept, KEEP_MAX, KEEP_FIRST);
        for (int i = 0; r == 0 && i < KEEP_MAX; i++) {
                kept[i] = KEEP_FIRST + i;
                r = fd_set_cloexec(kept[i], true);
        }
        return r;
}

static int enter(const Launch *launch, const int *kept, Layers *ret_layers, Fault *fault)
{
        if (launch->container)
                return rootfs_enter(launch->state, launch->id, launch->container,
                                    launch->cgroup_fd >= 0 ? kept[KEEP_CGROUP] : FD_NONE,
                                    ret_layers, fault);
        /* Also the namespaces that the container shares with the machine: joining them again
         * changes nothing. The mount namespace brings its root along. */
        if (setns(kept[KEEP_JOIN], NAMESPACES_JOINED) < 0)
                return fault_set(fault, errno_neg(), "cannot enter the container");
        return 0;
}

/* Pipes are reopened as /dev/stdout by programs, so they belong to the user. */
static int use_pipes(const int *stdio, const Identity *identity, Fault *fault)
{
        for (int i = 0; i < 3; i++) {
                struct stat status;

                if (fstat(stdio[i], &status) < 0 || dup2(stdio[i], i) < 0)
                        return fault_set(fault, errno_neg(), "cannot set up stream %d", i);
                if (S_ISFIFO(status.st_mode) && fchown(i, identity->uid, identity->gid) < 0)
                        return fault_set(fault, errno_neg(), "cannot give stream %d away", i);
        }
        return 0;
}

static int use_terminal(const Launch *launch, const Identity *identity, int *ret_master,
                        Fault *fault)
{
        Terminal terminal;
        int r = terminal_open(identity->uid, launch->process->rows, launch->process->columns,
                              &terminal, fault);

        if (r < 0)
                return r;
        r = terminal_take(terminal.slave, fault);
        for (int i = 0; r == 0 && i < 3; i++)
                if (dup2(terminal.slave, i) < 0)
                        r = fault_set(fault, errno_neg(), "cannot set up stream %d", i);
        if (r == 0 && launch->container)
                terminal_make_console(terminal.slave);
        fd_close(terminal.slave);
        *ret_master = terminal.master;
        return r;
}

static int set_up(const Launch *launch, const int *kept, Identity *identity, LaunchReady *ret,
                  Fault *fault)
{
        int r = identity_set_oom_score(launch->process->oom_score_adj, fault);

        if (r == 0)
                r = enter(launch, kept, &ret->layers, fault);
        if (r == 0)
                r = identity_resolve(launch->process, identity, fault);
        if (r < 0)
                return r;
        if (launch->process->attach & AGENT_ATTACH_TTY)
                return use_terminal(launch, identity, &ret->terminal, fault);
        return use_pipes(&kept[KEEP_STDIO], identity, fault);
}

/* The directory is entered as the user: where that user may not go, the process does not start. */
static int change_directory(const char *path, Fault *fault)
{
        const char *directory = path && *path ? path : "/";

        if (chdir(directory) < 0) {
                int r = errno_neg();

                /* As podman has it: a directory that isn't there is a command not found. */
                return fault_set_exit(
                        fault, r, r == -ENOENT ? FAULT_EXIT_NOT_FOUND : FAULT_EXIT_NOT_EXECUTABLE,
                        "chdir to `%s`: %s", directory, strerror(-r));
        }
        return 0;
}

static int run(const Launch *launch, const Identity *identity, Fault *fault)
{
        int r = identity_assume(launch->process, identity, fault);

        if (r == 0)
                r = change_directory(launch->process->cwd, fault);
        return r < 0 ? r : program_run(launch->process, identity->home, fault);
}

void become_process(const Launch *launch, int channel)
{
        LaunchReady ready = LAUNCH_READY_NONE;
        int kept[KEEP_MAX], r;
        static Identity identity; /* large, and this process has one */
        Fault fault = {};

        reset_signals();
        setsid();
        r = keep_fds(launch, channel, kept);
        if (r < 0)
                _exit(FAULT_EXIT_SETUP);
        channel = kept[KEEP_CHANNEL];
        r = set_up(launch, kept, &identity, &ready, &fault);
        if (r == 0) {
                r = launch_say_ready(channel, &ready);
                launch_ready_done(&ready);
                fd_close(kept[KEEP_CGROUP]);
                if (r < 0 || launch_wait_for_go(channel) < 0)
                        _exit(FAULT_EXIT_SETUP);
                r = run(launch, &identity, &fault);
        }
        launch_say_failed(channel, &fault);
        _exit(fault.exit_code);
}
