/*
 * The steps of jail_enter(), for it and for the tests, which look around between two of them. Each
 * returns 0, or -errno with *@ret_step set to what failed, in words.
 */
#pragma once

#include "vmm/jail/jail.h"

/* Returns with namespaces of its own and uid 0 in them: the parent's, or new ones. */
int jail_namespace_enter(const char **ret_step);

/* Closes every fd but 0, 1, 2 and those named. */
int jail_fds_close(const JailConfig *config, const char **ret_step);

/* An empty read-only root, all else unmounted; *@ret_fds_fd as jail_enter() describes it. */
int jail_root_enter(int *ret_fds_fd, const char **ret_step);

/*
 * The threads of this process, all that there will ever be, run on the siblings of one core with each
 * other and with nothing else that has a cookie: no other guest watches this one by what they share in a
 * core. 0 also where no core has siblings, or the kernel can't schedule so.
 */
int jail_core_schedule(const char **ret_step);

/* Resource limits, core scheduling, five capabilities, no_new_privs, not dumpable, dies with its parent. */
int jail_privilege_drop(const JailConfig *config, const char **ret_step);

/* From here on a system call that is not listed kills the process by SIGSYS. */
int jail_filter_load(const char **ret_step);
