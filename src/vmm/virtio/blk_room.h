/*
 * Requests of a disk that wait for room on the host: its file system is full, or the quota of whose
 * the file is (ENOSPC, EDQUOT). They are tried again each second until they succeed, fail otherwise,
 * or are cancelled; reads and what finds room go on meanwhile.
 *
 * Why they don't fail: virtio-blk has one error for all, which a guest takes for a broken disk. What
 * it wrote before, and was told was done, is lost then; Linux's ext4 ends its journal, and whoever
 * writes waits for ever (6.1: ext4_writepages() returns and leaves its pages dirty, so
 * balance_dirty_pages() never ends). A sparse disk that lacks room is no broken one: it works again
 * when there is some. QEMU's werror=enospc and dm-thin's queue_if_no_space do the same.
 *
 * A job that waits is memory of its own: at most as many as the queue has entries.
 *
 * Thread: the device's.
 */
#pragma once

#include <stdbool.h>

#include "base/list.h"
#include "base/loop.h"
#include "vmm/thread/pool.h"
#include "vmm/virtio/blk_job.h"

typedef struct BlkRoom {
        Loop *loop; /* borrowed, as all pointers here */
        Pool *pool;
        const char *serial; /* for the log */
        List jobs;          /* that wait or are tried */
        unsigned n_jobs;
        LoopTimer timer; /* armed while any waits */
        uint64_t told_usec;
        bool is_told; /* that they wait */
} BlkRoom;

void blk_room_init(BlkRoom *room, Loop *loop, Pool *pool, const char *serial);

/* Whether it failed for want of room only. */
bool blk_room_lacks(const BlkJob *job);

/* The job, whose place is used by others from now on, becomes one that waits: a copy. False: there
 * is no memory for that. */
bool blk_room_add(BlkRoom *room, const BlkJob *job);

/* A try of a job that is here has ended: true, it waits on. Else the caller ends it and calls
 * blk_room_remove(). */
bool blk_room_waits_on(BlkRoom *room, BlkJob *job);

/* Frees a job that was added. */
void blk_room_remove(BlkRoom *room, BlkJob *job);
