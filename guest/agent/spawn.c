/* Children of the agent; see spawn.h. */
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

#include "agent/spawn.h"

/* Not in every libc's headers: linux/sched.h, linux/wait.h. */
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif
#define SPAWN_INTO_CGROUP UINT64_C(0x200000000) /* CLONE_INTO_CGROUP */
#define SPAWN_P_PIDFD     3                     /* P_PIDFD */

/* struct clone_args of linux/sched.h, which can't be included beside <sched.h>. */
typedef struct CloneArguments {
        uint64_t flags;
        uint64_t pidfd;
        uint64_t child_tid;
        uint64_t parent_tid;
        uint64_t exit_signal;
        uint64_t stack;
        uint64_t stack_size;
        uint64_t tls;
        uint64_t set_tid;
        uint64_t set_tid_size;
        uint64_t cgroup;
} CloneArguments;

/* The process has one thread, so that a child made behind libc's back may use all of libc. */
int spawn_fork(uint64_t namespaces, int cgroup_fd, pid_t *ret_pid, int *ret_pidfd)
{
        int pidfd = FD_NONE;
        CloneArguments arguments = {
                .flags = namespaces | CLONE_PIDFD,
                .pidfd = (uint64_t)(uintptr_t)&pidfd,
                .exit_signal = SIGCHLD,
        };
        long pid;

        if (cgroup_fd >= 0) {
                arguments.flags |= SPAWN_INTO_CGROUP;
                arguments.cgroup = (uint64_t)cgroup_fd;
        }
        pid = syscall(SYS_clone3, &arguments, sizeof(arguments));
        if (pid < 0)
                return errno_neg();
        *ret_pid = (pid_t)pid;
        if (pid > 0)
                *ret_pidfd = pidfd;
        return 0;
}

int spawn_wait(int pidfd, SpawnStatus *ret)
{
        siginfo_t info = {};

        if (waitid((idtype_t)SPAWN_P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG) < 0)
                return errno_neg();
        if (info.si_pid == 0)
                return -EAGAIN;
        if (info.si_code == CLD_EXITED)
                *ret = (SpawnStatus){.exit_code = (uint8_t)info.si_status};
        else
                *ret = (SpawnStatus){.exit_code = (uint8_t)(128 + info.si_status),
                                     .signal = (uint8_t)info.si_status};
        return 0;
}
