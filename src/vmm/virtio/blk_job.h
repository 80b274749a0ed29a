/*
 * A request that a disk works on (blk_request.h), and how: by system calls that may wait.
 *
 * Thread: blk_job_run() any, one at a time for a job; the rest the device's.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "vmm/disk/disk.h"
#include "vmm/thread/pool.h"
#include "vmm/virtio/blk_request.h"

typedef struct VirtioBlk VirtioBlk;

typedef struct BlkJob {
        PoolJob job;
        VirtioBlk *blk;
        bool is_busy;
        uint16_t head;
        BlkRequest request;
        DiskCursor cursor; /* IN, OUT: what is left to do */
        bool sync;         /* OUT */
        int result;        /* of the disk: 0 or -errno */
        uint64_t zeroed;   /* bytes that had to be written for a WRITE_ZEROES */
        List link;         /* in BlkRoom.jobs, if it is there */
        bool is_tried;     /* by the pool, again */
        struct iovec spans[VIRTIO_QUEUE_SIZE_MAX];
} BlkJob;

/* 0 or -errno; see disk.h for @stop. What was done of an IN or OUT isn't done again. */
int blk_job_do(BlkJob *job, Disk *disk, const atomic_bool *stop);
