/* The jail of uvm-vmm: the order of its steps, and its fds; see jail.h. */
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

#include "vmm/jail/jail.h"
#include "vmm/jail/jail_steps.h"

/* Behind the standard streams. */
#define JAIL_FD_FIRST 3U

static int jail_compare_fds(const void *a, const void *b)
{
        return *(const int *)a < *(const int *)b ? -1 : *(const int *)a > *(const int *)b;
}

static int jail_close_range(unsigned first, unsigned last)
{
        if (first > last)
                return 0;
        return syscall(SYS_close_range, first, last, 0U) < 0 ? errno_neg() : 0;
}

int jail_fds_close(const JailConfig *config, const char **ret_step)
{
        _cleanup_(freep) int *keep = calloc(config->n_fds + 1, sizeof(int));
        unsigned first = JAIL_FD_FIRST;

        *ret_step = "close the fds that were not named";
        if (!keep)
                return -ENOMEM;
        if (config->n_fds > 0)
                memcpy(keep, config->fds, config->n_fds * sizeof(int));
        qsort(keep, config->n_fds, sizeof(int), jail_compare_fds);
        for (unsigned i = 0; i < config->n_fds; i++) {
                int r;

                if (keep[i] < (int)first)
                        continue;
                r = jail_close_range(first, (unsigned)keep[i] - 1);
                if (r < 0)
                        return r;
                first = (unsigned)keep[i] + 1;
        }
        return jail_close_range(first, ~0U);
}

int jail_enter(const JailConfig *config, int *ret_fds_fd, const char **ret_step)
{
        _cleanup_(fd_closep) int fds_fd = FD_NONE;
        int r;

        r = jail_namespace_enter(ret_step);
        if (r < 0)
                return r;
        /* Before the root is built, so that no directory fd from outside outlives this line. */
        r = jail_fds_close(config, ret_step);
        if (r < 0)
                return r;
        r = jail_root_enter(&fds_fd, ret_step);
        if (r < 0)
                return r;
        r = jail_privilege_drop(config, ret_step);
        if (r < 0)
                return r;
        r = jail_filter_load(ret_step);
        if (r < 0)
                return r;
        *ret_fds_fd = TAKE_FD(fds_fd);
        return 0;
}
