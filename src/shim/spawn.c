/* The VMM's process; see spawn.h. */
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/io.h"

#include "shim/spawn.h"

#define SPAWN_CONTROL_FD 3
#define SPAWN_ENV_MAX    16

/* The VMM learns how to log and how slow the host is, and nothing else of our environment. */
static void spawn_environment(char *ret[SPAWN_ENV_MAX + 1])
{
        unsigned n = 0;

        for (char **item = environ; item && *item && n < SPAWN_ENV_MAX; item++)
                if (strncmp(*item, "UVM_", 4) == 0 || strncmp(*item, "JOURNAL_STREAM=", 15) == 0)
                        ret[n++] = *item;
        ret[n] = NULL;
}

/* 0 and 1 /dev/null, 2 where our own log lines go, 3 the control socket; the rest ends with exec. */
static int spawn_child_fds(int control)
{
        _cleanup_(fd_closep) int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
                return errno_neg();
        if (control == SPAWN_CONTROL_FD) {
                if (fcntl(control, F_SETFD, 0) < 0)
                        return errno_neg();
        } else if (dup2(control, SPAWN_CONTROL_FD) < 0) {
                return errno_neg();
        }
        if (syscall(SYS_close_range, SPAWN_CONTROL_FD + 1U, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
                return errno_neg();
        return 0;
}

static int spawn_child_exec(const SpawnConfig *config, int go, int *status)
{
        char *arguments[] = {(char *)"uvm-vmm", (char *)"--control-fd=3", NULL};
        char *environment[SPAWN_ENV_MAX + 1];
        sigset_t none;
        uint8_t byte;
        int r;

        /* The end of the pipe without a byte: the parent could not write the maps, or is gone. */
        r = io_read_full(go, &byte, 1);
        if (r < 0)
                return r;
        if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
                return errno_neg();
        /* Only now: a change of ids clears it. The jail sets it again. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                return errno_neg();
        /* Out of the way of the numbers that are about to be taken. */
        *status = fcntl(*status, F_DUPFD_CLOEXEC, SPAWN_CONTROL_FD + 1);
        if (*status < 0)
                return errno_neg();
        r = spawn_child_fds(config->control);
        if (r < 0)
                return r;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        signal(SIGPIPE, SIG_DFL);
        spawn_environment(environment);
        execve(config->program, arguments, environment);
        return errno_neg();
}

static _Noreturn void spawn_child(const SpawnConfig *config, int go, int status)
{
        int r = spawn_child_exec(config, go, &status);

        if (status >= 0)
                (void)io_write_full(status, &r, sizeof(r));
        _exit(127);
}

static int spawn_write_map(pid_t pid, const char *name, const SpawnConfig *config)
{
        char path[64], map[64];
        _cleanup_(fd_closep) int fd = FD_NONE;
        int n;

        if (config->identity)
                n = snprintf(map, sizeof(map), "0 0 4294967295\n");
        else
                n = snprintf(map, sizeof(map), "0 %u %u\n", config->range_base, config->range_size);
        snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return errno_neg();
        return io_write_full(fd, map, (size_t)n);
}

/* Lets the child go and waits for its exec: *status is closed by it, or says what failed. */
static int spawn_release(const SpawnConfig *config, pid_t pid, int go, int status)
{
        int r, failure;

        r = spawn_write_map(pid, "uid_map", config);
        if (r < 0)
                return r;
        r = spawn_write_map(pid, "gid_map", config);
        if (r < 0)
                return r;
        r = io_write_full(go, "g", 1);
        if (r < 0)
                return r;
        r = io_read_full(status, &failure, sizeof(failure));
        if (r == -ENODATA)
                return 0;
        return r < 0 ? r : failure;
}

static int spawn_clone(int *ret_pidfd)
{
        struct clone_args arguments = {
                .flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC |
                         CLONE_NEWUTS | CLONE_PIDFD,
                .pidfd = (uintptr_t)ret_pidfd,
                .exit_signal = SIGCHLD,
        };

        return (int)syscall(SYS_clone3, &arguments, sizeof(arguments));
}

int spawn_vmm(const SpawnConfig *config, pid_t *ret_pid, int *ret_pidfd)
{
        _cleanup_(fd_closep) int go_read = FD_NONE, go_write = FD_NONE;
        _cleanup_(fd_closep) int status_read = FD_NONE, status_write = FD_NONE;
        _cleanup_(fd_closep) int pidfd = FD_NONE;
        int go[2], status[2], pid, r;

        if (pipe2(go, O_CLOEXEC) < 0)
                return errno_neg();
        go_read = go[0];
        go_write = go[1];
        if (pipe2(status, O_CLOEXEC) < 0)
                return errno_neg();
        status_read = status[0];
        status_write = status[1];

        pid = spawn_clone(&pidfd);
        if (pid < 0)
                return errno_neg();
        if (pid == 0) {
                fd_close(go_write);
                spawn_child(config, go_read, status_write);
        }
        status_write = fd_close(status_write);
        r = spawn_release(config, pid, go_write, status_read);
        if (r < 0) {
                kill(pid, SIGKILL);
                waitpid(pid, NULL, 0);
                return r;
        }
        *ret_pid = pid;
        *ret_pidfd = TAKE_FD(pidfd);
        return 0;
}
