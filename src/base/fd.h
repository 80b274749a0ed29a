/* File descriptors with one owner each. "None" is -EBADF, never -1 or 0. */
#pragma once

#include <errno.h>
#include <stdbool.h>

#include "base/cleanup.h"

#define FD_NONE (-EBADF)

#define TAKE_FD(fd)                     \
        ({                              \
                int *taken_p_ = &(fd);  \
                int taken_ = *taken_p_; \
                *taken_p_ = FD_NONE;    \
                taken_;                 \
        })

/* Closes @fd if it is one; keeps errno. Returns FD_NONE: `fd = fd_close(fd);` */
int fd_close(int fd);
void fd_close_many(int *fds, unsigned n);

static inline void fd_closep(int *fd)
{
        *fd = fd_close(*fd);
}

/* Each: 0 or -errno. */
int fd_set_nonblock(int fd, bool on);
int fd_set_cloexec(int fd, bool on);

/* Closes every fd above 2 but those in @keep, which is sorted here: a forked child must not hold on to
 * what its parent closes. 0 or -errno. */
int fd_close_others(int *keep, unsigned n);

/*
 * Moves @fds to the numbers @first, @first + 1, … without CLOEXEC and closes every fd above them:
 * what a child does right before execve(). Consumes @fds. 0 or -errno.
 */
int fd_pass_to_exec(int *fds, unsigned n, int first);
