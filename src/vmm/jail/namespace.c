/*
 * Namespaces of a process that was started without its own; see jail.h. What the parent made is
 * taken as it is: a process that is pid 1 outside the initial user namespace has no siblings to
 * share anything with.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/io.h"

#include "vmm/jail/jail_steps.h"

/* The inode of the initial user namespace: PROC_USER_INIT_INO of include/linux/proc_ns.h. */
#define JAIL_USER_NAMESPACE_INITIAL 0xeffffffdU

/*
 * user: capabilities that mean nothing outside; mnt: the empty root; net: no interface but a lo
 * that is down; ipc, uts: nothing to share with the host's. The pid namespace is missing: it would
 * take effect for children only, and threads could no longer be made.
 */
#define JAIL_NAMESPACES (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)

static int jail_write_proc(pid_t pid, const char *name, const char *text)
{
        _cleanup_(fd_closep) int fd = FD_NONE;
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return errno_neg();
        return io_write_full(fd, text, strlen(text));
}

/* In a process of the old namespace, the only place from which more than one id can be mapped. */
static int jail_map_all(int wait_fd, pid_t pid)
{
        char byte;
        int r;

        r = io_read_full(wait_fd, &byte, 1);
        if (r < 0)
                return r;
        r = jail_write_proc(pid, "uid_map", "0 0 4294967295\n");
        if (r < 0)
                return r;
        return jail_write_proc(pid, "gid_map", "0 0 4294967295\n");
}

static int jail_wait_for_map(pid_t child)
{
        int status;

        while (waitpid(child, &status, 0) < 0)
                if (errno != EINTR)
                        return errno_neg();
        if (!WIFEXITED(status))
                return -ECHILD;
        return -WEXITSTATUS(status);
}

/* Root's: every id is itself, as for root's own sandboxes. */
static int jail_make_as_root(const char **ret_step)
{
        _cleanup_(fd_closep) int wait_fd = FD_NONE;
        _cleanup_(fd_closep) int go_fd = FD_NONE;
        pid_t self = getpid(), child;
        int ends[2], r = 0;

        *ret_step = "start the process that maps ids";
        if (pipe2(ends, O_CLOEXEC) < 0)
                return errno_neg();
        wait_fd = ends[0];
        go_fd = ends[1];
        child = fork();
        if (child < 0)
                return errno_neg();
        if (child == 0) {
                /* So that the end of this process ends the wait, too. */
                go_fd = fd_close(go_fd);
                _exit(-jail_map_all(wait_fd, self) & 0xff);
        }
        if (unshare(JAIL_NAMESPACES) < 0)
                r = errno_neg();
        else
                r = io_write_full(go_fd, "", 1);
        go_fd = fd_close(go_fd);
        if (r < 0) {
                *ret_step = "make namespaces (user, mnt, net, ipc, uts)";
                jail_wait_for_map(child);
                return r;
        }
        *ret_step = "map the user namespace's ids";
        return jail_wait_for_map(child);
}

/* Anybody else's: one id can be mapped, the caller's, which becomes 0. */
static int jail_make_as_user(const char **ret_step)
{
        unsigned uid = geteuid(), gid = getegid();
        char map[32];
        int r;

        *ret_step = "make namespaces (user, mnt, net, ipc, uts) without being root";
        if (unshare(JAIL_NAMESPACES) < 0)
                return errno_neg();
        *ret_step = "map the user namespace's ids";
        r = jail_write_proc(getpid(), "setgroups", "deny\n");
        if (r < 0)
                return r;
        snprintf(map, sizeof(map), "0 %u 1\n", uid);
        r = jail_write_proc(getpid(), "uid_map", map);
        if (r < 0)
                return r;
        snprintf(map, sizeof(map), "0 %u 1\n", gid);
        return jail_write_proc(getpid(), "gid_map", map);
}

int jail_namespace_enter(const char **ret_step)
{
        struct stat user;

        *ret_step = "look at /proc/self/ns/user";
        if (stat("/proc/self/ns/user", &user) < 0)
                return errno_neg();
        if (getpid() == 1 && user.st_ino != JAIL_USER_NAMESPACE_INITIAL) {
                *ret_step = "be uid 0 and gid 0 of the user namespace that the parent made";
                return geteuid() == 0 && getegid() == 0 ? 0 : -EPERM;
        }
        return geteuid() == 0 ? jail_make_as_root(ret_step) : jail_make_as_user(ret_step);
}
