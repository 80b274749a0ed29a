/*
 * What one fid has locked on the host, kept the way the host's kernel keeps it (posix_lock_inode() of
 * fs/locks.c): ranges in order, none overlaps another, neighbours of one type are one. It is kept to
 * know how many there are: the kernel bounds the number of its records nowhere and, in 6.1, charges
 * them to no cgroup.
 *
 * A change is planned, then made on the host, then applied here.
 *
 * Thread: one at a time. Trust: ranges are the guest's choice, from 0 to INT64_MAX.
 */
#pragma once

#include <stdint.h>

typedef struct P9LockRange {
        int64_t start, end; /* both belong to it; INT64_MAX: whatever comes */
        short type;         /* F_RDLCK or F_WRLCK */
} P9LockRange;

typedef struct P9Locks {
        P9LockRange *ranges;
        unsigned n, room;
} P9Locks;

/* Ranges [at, at + n_old) become those in new[]: what is left of the first and the last, and the one
 * that is set in between. */
typedef struct P9LockChange {
        unsigned at, n_old, n_new;
        P9LockRange new[3];
} P9LockChange;

/* What becomes of the ranges when @range is set, or unlocked (type F_UNLCK). */
P9LockChange p9_locks_plan(const P9Locks *locks, P9LockRange range);

/* Makes room, so that applying it can't fail. 0 or -ENOMEM. */
int p9_locks_prepare(P9Locks *locks, const P9LockChange *change);
void p9_locks_apply(P9Locks *locks, const P9LockChange *change);

void p9_locks_done(P9Locks *locks);
