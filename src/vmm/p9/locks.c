/* The ranges that a fid has locked; see locks.h. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "vmm/p9/locks.h"

#define P9_LOCKS_ROOM_MIN 4

/* Whether @left ends before @right starts, and can't be one with it. */
static bool p9_range_is_before(const P9LockRange *left, const P9LockRange *right)
{
        if (left->end >= right->start)
                return false;
        return left->type != right->type || left->end + 1 < right->start;
}

/* The first range that isn't all before @range: the ranges are in order. */
static unsigned p9_locks_search(const P9Locks *locks, const P9LockRange *range)
{
        unsigned low = 0, high = locks->n;

        while (low < high) {
                unsigned middle = low + (high - low) / 2;

                if (p9_range_is_before(&locks->ranges[middle], range))
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

P9LockChange p9_locks_plan(const P9Locks *locks, P9LockRange range)
{
        P9LockChange change = {.at = p9_locks_search(locks, &range)};
        P9LockRange set = range, after;
        bool has_after = false;

        for (unsigned i = change.at; i < locks->n; i++) {
                P9LockRange old = locks->ranges[i];

                if (p9_range_is_before(&range, &old))
                        break;
                change.n_old++;
                if (old.type == range.type) {
                        set.start = MIN(set.start, old.start);
                        set.end = MAX(set.end, old.end);
                        continue;
                }
                if (old.start < range.start)
                        change.new[change.n_new++] = (P9LockRange){
                                .start = old.start, .end = range.start - 1, .type = old.type};
                if (old.end > range.end) {
                        has_after = true;
                        after = (P9LockRange){
                                .start = range.end + 1, .end = old.end, .type = old.type};
                }
        }
        if (range.type != F_UNLCK)
                change.new[change.n_new++] = set;
        if (has_after)
                change.new[change.n_new++] = after;
        return change;
}

int p9_locks_prepare(P9Locks *locks, const P9LockChange *change)
{
        unsigned need = locks->n - change->n_old + change->n_new;
        unsigned room = MAX(locks->room * 2, (unsigned)P9_LOCKS_ROOM_MIN);
        P9LockRange *ranges;

        if (need <= locks->room)
                return 0;
        assert(need <= room); /* a change adds two at most */
        ranges = reallocarray(locks->ranges, room, sizeof(*ranges));
        if (!ranges)
                return -ENOMEM;
        locks->ranges = ranges;
        locks->room = room;
        return 0;
}

void p9_locks_apply(P9Locks *locks, const P9LockChange *change)
{
        unsigned behind = locks->n - change->at - change->n_old;

        if (locks->n - change->n_old + change->n_new == 0) {
                p9_locks_done(locks);
                return;
        }
        memmove(locks->ranges + change->at + change->n_new,
                locks->ranges + change->at + change->n_old, behind * sizeof(*locks->ranges));
        memcpy(locks->ranges + change->at, change->new, change->n_new * sizeof(*locks->ranges));
        locks->n = locks->n - change->n_old + change->n_new;
}

void p9_locks_done(P9Locks *locks)
{
        free(locks->ranges);
        *locks = (P9Locks){};
}
