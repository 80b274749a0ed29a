/*
 * The host of a fuzzed 9p server, where it isn't this one: an input's first byte chooses what file
 * systems and files say that they are, how reads go and how time passes; allocations and threads fail
 * when the input says so.
 */
#pragma once

#include <errno.h>
#include <linux/magic.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "base/clock.h"

/* The upper half of the byte. */
#define CLAIM_SHIFT 4

/* The build has these calls of the server come here. The allocation that makes this 0 fails. */
static unsigned allocations_left;

static inline bool allocation_fails(void)
{
        return allocations_left > 0 && --allocations_left == 0;
}

#define WRAP(type, function, parameters, arguments)                             \
        type __real_##function parameters;                                      \
        type __wrap_##function parameters;                                      \
        type __wrap_##function parameters                                       \
        {                                                                       \
                return allocation_fails() ? NULL : __real_##function arguments; \
        }

WRAP(void *, malloc, (size_t size), (size))
WRAP(void *, calloc, (size_t n, size_t size), (n, size))
WRAP(void *, reallocarray, (void *old, size_t n, size_t size), (old, n, size))
WRAP(char *, strdup, (const char *string), (string))

/* What the host's file system says that it is; 0: what it is; CLAIM_NOTHING: the call fails. (The name
 * with 64 is what the compiler makes of fstatfs() here.) */
static unsigned claimed_magic;

#define CLAIM_NOTHING 1

/* What files say that they are. */
static enum {
        FILES_TRUE,
        FILES_DEVICES, /* on another device at each look */
        FILES_HIGH,    /* inodes' numbers need all of their bits */
        FILES_CHANGE,  /* another file of that inode at each look */
} claimed_files;

static const unsigned claims[16] = {
        0,
        EXT4_SUPER_MAGIC,
        FUSE_SUPER_MAGIC,
        EXT4_SUPER_MAGIC,
        0x58465342, /* xfs */
        BTRFS_SUPER_MAGIC,
        F2FS_SUPER_MAGIC,
        OVERLAYFS_SUPER_MAGIC,
        RAMFS_MAGIC,
        CLAIM_NOTHING,
};

int __real_fstatfs64(int fd, struct statfs *ret);
int __wrap_fstatfs64(int fd, struct statfs *ret);
int __wrap_fstatfs64(int fd, struct statfs *ret)
{
        int r = __real_fstatfs64(fd, ret);

        if (claimed_magic == CLAIM_NOTHING) {
                errno = EIO;
                return -1;
        }
        if (claimed_magic)
                ret->f_type = claimed_magic;
        return r;
}

int __real_statx(int dir, const char *path, int flags, unsigned mask, struct statx *ret);
int __wrap_statx(int dir, const char *path, int flags, unsigned mask, struct statx *ret);
int __wrap_statx(int dir, const char *path, int flags, unsigned mask, struct statx *ret)
{
        static uint32_t looks;
        int r = __real_statx(dir, path, flags, mask, ret);

        switch (claimed_files) {
        case FILES_TRUE:
                break;
        case FILES_DEVICES:
                ret->stx_dev_minor = looks++ % 256;
                break;
        case FILES_HIGH:
                ret->stx_ino |= 1ULL << 60;
                break;
        case FILES_CHANGE:
                ret->stx_mask |= STATX_BTIME;
                ret->stx_btime.tv_nsec = looks++ % 4;
                break;
        }
        return r;
}

/* Reads of what isn't in memory, in turn: nothing of it, one page, all, an error. */
static unsigned n_reads;

/* How many of the pool's reads still have to wait for their file system, a little. */
static atomic_uint n_stuck;

#define STUCK_MSEC 16

ssize_t __real_preadv64v2(int fd, const struct iovec *spans, int n, off_t offset, int flags);
ssize_t __wrap_preadv64v2(int fd, const struct iovec *spans, int n, off_t offset, int flags);
ssize_t __wrap_preadv64v2(int fd, const struct iovec *spans, int n, off_t offset, int flags)
{
        struct iovec page;

        if (!(flags & RWF_NOWAIT)) {
                if (atomic_load(&n_stuck) > 0 && atomic_fetch_sub(&n_stuck, 1) > 0 &&
                    poll(NULL, 0, STUCK_MSEC) < 0)
                        return -1;
                return __real_preadv64v2(fd, spans, n, offset, flags);
        }
        if (claimed_magic != EXT4_SUPER_MAGIC)
                return __real_preadv64v2(fd, spans, n, offset, flags);
        page = spans[0];
        page.iov_len = MIN(page.iov_len, (size_t)4096);
        switch (n_reads++ % 4) {
        case 0:
                errno = EAGAIN;
                return -1;
        case 1:
                return __real_preadv64v2(fd, &page, 1, offset, 0);
        case 2:
                return __real_preadv64v2(fd, spans, n, offset, 0);
        }
        errno = EIO;
        return -1;
}

/* Time that passes between two looks at the clock. */
static uint64_t clock_step_usec;

uint64_t __real_clock_coarse_usec(void);
uint64_t __wrap_clock_coarse_usec(void);
uint64_t __wrap_clock_coarse_usec(void)
{
        static atomic_ullong passed;

        return __real_clock_coarse_usec() + atomic_fetch_add(&passed, clock_step_usec);
}

int __real_pthread_create(pthread_t *ret, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *userdata);
int __wrap_pthread_create(pthread_t *ret, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *userdata);
int __wrap_pthread_create(pthread_t *ret, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *userdata)
{
        return allocation_fails() ? EAGAIN : __real_pthread_create(ret, attributes, run, userdata);
}

/* Whether the server has the limits that guests meet, not small ones. */
static inline bool claims_real_limits(uint8_t how)
{
        return how >> CLAIM_SHIFT == 12;
}

/* What file system and files are said to be, by an input's first byte. */
static inline void claim(uint8_t how)
{
        unsigned index = how >> CLAIM_SHIFT;

        claimed_magic = claims[index];
        claimed_files = how >= 0xd0 ? index & 3 : FILES_TRUE;
        clock_step_usec = index == 3 ? 20 * USEC_PER_MSEC : 0;
        atomic_store(&n_stuck, claimed_magic == FUSE_SUPER_MAGIC ? 2 : 0);
        n_reads = 0;
}
