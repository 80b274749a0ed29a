/*
 * Processes of the guest that have locks on a file.
 *
 * fcntl(2)'s locks are a process's, by whichever of its fds: it may lock by one and unlock by
 * another, and a child that closes an fd it has inherited unlocks nothing. So the host's lock can't be
 * of the fid that it came by: each process has an open file of its own here, for as long as it has a
 * lock. flock(2)'s locks and open file description locks are an open file's, and so the fid's.
 *
 * Thread: one at a time. Trust: the number of a process is the guest's choice; how many there are is
 * bounded by P9Limits, as files and as locks.
 */
#pragma once

#include <stdint.h>

#include "vmm/p9/fid.h"

/* What the guest's kernel says instead of a process for a lock that is the open file's
 * (guest/kernel/patches). */
#define P9_LOCK_NO_PROCESS 0

typedef struct P9LockOwner {
        struct P9LockOwner *next; /* of the same node */
        uint32_t process;
        int fd;
        P9Locks locks;
} P9LockOwner;

/* Borrowed; NULL if that process has no lock on the node's file. */
P9LockOwner *p9_lock_owner_get(const P9Node *node, uint32_t process);

/* The same, but made if there is none: the fid gives the file. 0, -ENFILE, -ENOMEM, or -errno of
 * opening the file. */
int p9_lock_owner_make(P9FidTable *table, P9Fid *fid, uint32_t process, P9LockOwner **ret);

/* All of a node that nobody has open any more. */
void p9_lock_owners_free(P9FidTable *table, P9Node *node);
