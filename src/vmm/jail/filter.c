/*
 * Loads the system call filter. The list itself, with its reasons, is in filter_generate.c, which
 * the build runs; what it can't know is the process's own pid.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"

#include "vmm/jail/filter_program.h"
#include "vmm/jail/jail_steps.h"

/* Needs no_new_privs, which jail_privilege_drop() set. */
int jail_filter_load(const char **ret_step)
{
        struct sock_filter program[ELEMENTSOF(filter_program)];
        const struct sock_fprog filter = {.len = ELEMENTSOF(program), .filter = program};

        *ret_step = "load the system call filter";
        memcpy(program, filter_program, sizeof(program));
        program[FILTER_PID_AT].k = (unsigned)getpid();
        return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) < 0 ? errno_neg() : 0;
}
