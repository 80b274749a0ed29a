/*
 * The jail that uvm-vmm puts itself into after exec, before it touches a byte of a guest and before
 * it says READY on its control socket. Behind it there is no file tree, no network, no other
 * process and no system call but those a monitor needs; what it works with are the fds it was
 * handed.
 *
 * What the parent (uvm-shim, while it is still root) does before exec:
 *
 *   1. clone3(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC |
 *      CLONE_NEWUTS), with the child waiting on a pipe;
 *   2. /proc/PID/uid_map and gid_map: "0 BASE 65536", or "0 0 4294967295" for root's own sandboxes;
 *   3. lets the child go, which becomes uid 0 and gid 0 of the new namespace (setgroups(0),
 *      setresgid, setresuid) and execs uvm-vmm by its path: the host's file tree is still visible,
 *      so the dynamic linker finds its libraries.
 *
 * fds: 0 and 1 are /dev/null, 2 is where logs go; these three stay open always. Every other one is
 * handed over by number on uvm-vmm's command line, named in JailConfig.fds and kept; what is not
 * named is closed. /dev/kvm is opened by the parent.
 *
 * What the parent must know of a process that is pid 1 of its namespace: of the signals without a
 * handler only SIGKILL and SIGSTOP reach it, so that it is stopped by the control socket or by
 * SIGKILL; its abort() ends as SIGSEGV; a violation of the system call filter ends as SIGSYS. It
 * dies with the thread that made it (PR_SET_PDEATHSIG).
 *
 * A process that is not pid 1 of a namespace of its own was started by a developer: then
 * jail_enter() makes all namespaces but the pid namespace itself (root: ids mapped one to one;
 * others: uid 0 is the caller), which needs /proc and unprivileged user namespaces or root.
 *
 * What does not work inside: pthread_exit() and pthread_cancel() (glibc loads libgcc for them:
 * return from the thread's function instead), fork, exec, new executable mappings, dlopen, locale
 * or time zone files, name service. Threads do work. oom_score_adj is left as the parent set it.
 *
 * Call it from the only thread of the process. Trust: runs before any hostile input is read.
 */
#pragma once

typedef struct JailConfig {
        const int *fds; /* kept besides 0, 1 and 2; borrowed; those below 0 are skipped */
        unsigned n_fds;
        unsigned n_files_max; /* RLIMIT_NOFILE; capped by what the hard limit allows */
} JailConfig;

/*
 * Enters the jail. 0, or -errno with *@ret_step set to the step that failed, in words for a log
 * line ("mount the empty root"): there is no way back and no way on, so the caller ends the
 * process.
 *
 * *@ret_fds_fd is a directory of the process's own open files, the only bit of /proc there is:
 * openat(fds_fd, "17", O_RDWR) reopens the O_PATH fd 17. It is a mount of its own, from which ".."
 * leads nowhere. Owned by the caller, CLOEXEC. The working directory is the empty root.
 */
int jail_enter(const JailConfig *config, int *ret_fds_fd, const char **ret_step);
