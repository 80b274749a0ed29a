/*
 * A directory of our own that a container's files pass through. A child of ours watches over it and
 * removes it when we are done or gone, by whatever signal; it takes no notice of the terminal's own.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

typedef struct Staging {
        char *path;
        int fd;       /* of the directory, mode 0700 */
        int watch;    /* closing it makes the child remove all */
        pid_t keeper; /* the child */
} Staging;

#define STAGING_INIT                          \
        {                                     \
                .fd = -EBADF, .watch = -EBADF \
        }

/*
 * Makes one in @directory if its file system can map user ids, or in $TMPDIR or /var/tmp;
 * @directory may be NULL. A status as in client/bus.h, reported.
 */
int staging_open(Staging *staging, const char *directory);

/* Whether it is on the file system of @fd, so that files can be renamed there. */
bool staging_is_beside(const Staging *staging, int fd);

/* Waits until it is removed. Harmless on one that was not opened. */
void staging_done(Staging *staging);
