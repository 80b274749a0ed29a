/* What a disk's requests do; see blk_job.h. */
#include "vmm/virtio/blk_job.h"

static int blk_job_do_ranges(BlkJob *job, Disk *disk, const atomic_bool *stop)
{
        int r = 0;

        for (unsigned i = 0; i < job->request.n_ranges && r == 0; i++) {
                const BlkRange *range = &job->request.ranges[i];
                uint64_t written = 0;

                if (job->request.type == BLK_DISCARD)
                        r = disk_discard(disk, range->offset, range->size);
                else
                        r = disk_zero(disk, range->offset, range->size, range->unmap, stop,
                                      &written);
                job->zeroed += written;
        }
        return r;
}

int blk_job_do(BlkJob *job, Disk *disk, const atomic_bool *stop)
{
        switch (job->request.type) {
        case BLK_IN:
                return disk_read(disk, &job->cursor, stop);
        case BLK_OUT:
                return disk_write(disk, &job->cursor, job->sync, stop);
        case BLK_FLUSH:
                return disk_flush(disk, stop);
        case BLK_DISCARD:
        case BLK_WRITE_ZEROES:
                return blk_job_do_ranges(job, disk, stop);
        case BLK_GET_ID:
                break;
        }
        return 0;
}
