/* virtio-blk; see blk.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "vmm/disk/disk.h"
#include "vmm/thread/pool.h"
#include "vmm/virtio/blk.h"
#include "vmm/virtio/blk_job.h"
#include "vmm/virtio/blk_request.h"
#include "vmm/virtio/blk_room.h"

/* virtio 1.2 §5.2.3 */
#define BLK_F_SEG_MAX      (1ULL << 2)
#define BLK_F_RO           (1ULL << 5)
#define BLK_F_BLK_SIZE     (1ULL << 6)
#define BLK_F_FLUSH        (1ULL << 9)
#define BLK_F_TOPOLOGY     (1ULL << 10)
#define BLK_F_CONFIG_WCE   (1ULL << 11)
#define BLK_F_DISCARD      (1ULL << 13)
#define BLK_F_WRITE_ZEROES (1ULL << 14)

/* §5.2.4 */
#define CONFIG_SIZE      60U
#define CONFIG_WRITEBACK 32U

#define BLK_QUEUE_SIZE 256

/* What is in flight at once: memory for each is ours. More wait in the ring. */
#define BLK_JOBS_MAX 32

/* A write that took so long says that the host no longer takes them at once, and for how long others
 * then go to the pool. */
#define BLK_SLOW_USEC     (1 * USEC_PER_MSEC)
#define BLK_SLOW_FOR_USEC (50 * USEC_PER_MSEC)

struct VirtioBlk {
        VirtioDevice device;
        Disk disk;
        BlkLimits limits;
        Pool pool;
        unsigned n_busy;
        BlkJob *jobs;    /* BLK_JOBS_MAX of them */
        bool is_full;    /* all are busy, and perhaps more is in the ring */
        bool has_failed; /* and was told */
        BlkRoom room;    /* those that no longer have a place among the jobs */
        uint64_t slow_until_usec;
        uint8_t config[CONFIG_SIZE];
        char serial[BLK_ID_SIZE + 1];
};

static VirtioBlk *blk_of(VirtioDevice *device)
{
        return CONTAINER_OF(device, VirtioBlk, device);
}

static void blk_run(PoolJob *pool_job)
{
        BlkJob *job = CONTAINER_OF(pool_job, BlkJob, job);

        job->result = blk_job_do(job, &job->blk->disk, &pool_job->interrupted);
}

/* --- the end of a request --- */

/* All errors reach the guest as one; the host's log has the reason, once. */
static void blk_tell_failure(VirtioBlk *blk, const BlkJob *job)
{
        static const char *const verbs[] = {
                [BLK_IN] = "read",           [BLK_OUT] = "written",         [BLK_FLUSH] = "flushed",
                [BLK_DISCARD] = "discarded", [BLK_WRITE_ZEROES] = "zeroed",
        };

        if (job->result == -EINTR || blk->has_failed)
                return;
        blk->has_failed = true;
        log_warning_errno(job->result, "disk %s can't be %s (more of its failures aren't told)",
                          blk->serial, verbs[job->request.type]);
}

/* Bytes of the chain that were written from its start, which a failed request's status is behind. */
static uint32_t blk_written(const BlkJob *job)
{
        if (job->request.type == BLK_IN || job->request.type == BLK_GET_ID)
                return job->request.status == BLK_STATUS_OK ? job->request.data_size + 1 : 0;
        return 1;
}

static void blk_push(BlkJob *job)
{
        VirtioBlk *blk = job->blk;
        BlkRequest *request = &job->request;
        VirtioCounters *counters = &blk->device.counters;

        if (job->result < 0) {
                request->status = BLK_STATUS_IOERR;
                blk_tell_failure(blk, job);
        }
        *(volatile uint8_t *)request->status_at = (uint8_t)request->status;
        virtio_queue_push(&blk->device.queues[0], job->head, blk_written(job));
        virtio_device_charge(&blk->device, job->zeroed);
        virtio_count(&counters->requests, 1);
        if (request->status == BLK_STATUS_OK && request->type == BLK_IN)
                virtio_count(&counters->bytes_to_guest, request->data_size);
        if (request->status == BLK_STATUS_OK && request->type == BLK_OUT)
                virtio_count(&counters->bytes_from_guest, request->data_size);
}

static void blk_count_waiting(VirtioBlk *blk)
{
        __atomic_store_n(&blk->device.counters.waiting, blk->room.n_jobs, __ATOMIC_RELAXED);
}

/* What lacks room isn't finished yet, and its place among the jobs is free for others. */
static void blk_finish(BlkJob *job)
{
        VirtioBlk *blk = job->blk;

        if (!blk_room_lacks(job) || !blk_room_add(&blk->room, job))
                blk_push(job);
        else
                blk_count_waiting(blk);
        job->is_busy = false;
        blk->n_busy--;
}

static void blk_finish_waiting(BlkJob *job)
{
        VirtioBlk *blk = job->blk;

        if (blk_room_waits_on(&blk->room, job))
                return;
        blk_push(job);
        blk_room_remove(&blk->room, job);
        blk_count_waiting(blk);
}

static void blk_on_done(PoolJob *pool_job)
{
        BlkJob *job = CONTAINER_OF(pool_job, BlkJob, job);

        if (job->is_tried)
                blk_finish_waiting(job);
        else
                blk_finish(job);
}

/* Behind a batch of them: the guest hears of all at once, and the ring is looked at again. */
static void blk_on_settled(void *userdata)
{
        VirtioBlk *blk = userdata;

        virtio_device_signal(&blk->device, 0);
        if (!blk->is_full)
                return;
        blk->is_full = false;
        virtio_device_kick(&blk->device, 0);
}

/* --- its begin --- */

/* Whether the driver counts on each write being on the medium: §5.2.6.2. */
static bool blk_writes_through(const VirtioBlk *blk)
{
        if (!virtio_device_has(&blk->device, BLK_F_FLUSH))
                return true;
        return virtio_device_has(&blk->device, BLK_F_CONFIG_WCE) &&
               blk->config[CONFIG_WRITEBACK] == 0;
}

static bool blk_is_alone(const VirtioBlk *blk)
{
        return blk->n_busy == 1 && virtio_queue_is_empty((VirtioQueue *)&blk->device.queues[0]);
}

/* Whether the device's thread may do it, though it waits for the host: nobody else waits then. */
static bool blk_may_wait(const VirtioBlk *blk, const BlkJob *job, uint64_t now)
{
        switch (job->request.type) {
        case BLK_IN:
                return blk_is_alone(blk);
        case BLK_OUT:
                return !job->sync && (now >= blk->slow_until_usec || blk_is_alone(blk));
        case BLK_GET_ID:
                return true;
        case BLK_FLUSH:
        case BLK_DISCARD:
        case BLK_WRITE_ZEROES:
                break;
        }
        return false;
}

/* On the device's thread. True: it is done; else what is left of it is for the pool. */
static bool blk_try_now(VirtioBlk *blk, BlkJob *job)
{
        static const atomic_bool stop = true; /* a signal means that somebody wants the thread */
        uint64_t start, now;

        if (job->request.type == BLK_IN) {
                disk_read_cached(&blk->disk, &job->cursor);
                if (job->cursor.n_spans == 0)
                        return true;
        }
        start = clock_now_usec();
        if (!blk_may_wait(blk, job, start))
                return false;
        job->result = blk_job_do(job, &blk->disk, &stop);
        now = clock_now_usec();
        if (job->request.type == BLK_OUT && now - start >= BLK_SLOW_USEC)
                blk->slow_until_usec = now + BLK_SLOW_FOR_USEC;
        if (job->result != -EINTR)
                return true;
        job->result = 0;
        return false;
}

static void blk_begin_data(VirtioBlk *blk, BlkJob *job, const VirtioChain *chain)
{
        unsigned n = blk_request_data(&job->request, chain, job->spans);

        job->cursor = (DiskCursor){
                .spans = job->spans,
                .n_spans = n,
                .offset = job->request.offset,
        };
        job->sync = blk_writes_through(blk);
        if (job->request.type == BLK_GET_ID)
                virtio_spans_write(job->spans, n, 0, blk->serial, BLK_ID_SIZE);
}

/* 0, or BLK_REQUEST_E_MALFORMED: the chain is not taken. */
static int blk_begin(VirtioBlk *blk, BlkJob *job, const VirtioChain *chain)
{
        uint64_t cost = (uint64_t)chain->readable_size + chain->writable_size;
        BlkRequest *request = &job->request;
        int r = blk_request_decode(chain, &blk->limits, request);

        if (r != 0)
                return r;
        job->is_busy = true;
        blk->n_busy++;
        job->head = chain->head;
        job->result = 0;
        job->zeroed = 0;
        if (request->status == BLK_STATUS_OK && request->data_size > 0)
                blk_begin_data(blk, job, chain);
        /* What is throttled is what goes to the disk and comes from it. */
        if (request->status == BLK_STATUS_OK &&
            (request->type == BLK_IN || request->type == BLK_OUT))
                cost -= request->data_size;
        virtio_device_refund(&blk->device, cost);
        if (request->status == BLK_STATUS_OK && !blk_try_now(blk, job)) {
                if (pool_submit(&blk->pool, &job->job) == 0)
                        return 0; /* the job is the pool's now */
                /* No thread can be had: better late than not at all. */
                job->result = blk_job_do(job, &blk->disk, NULL);
        }
        blk_finish(job);
        return 0;
}

static BlkJob *blk_find_job(VirtioBlk *blk)
{
        for (unsigned i = 0; i < BLK_JOBS_MAX; i++)
                if (!blk->jobs[i].is_busy)
                        return &blk->jobs[i];
        return NULL;
}

static int blk_notify(VirtioDevice *device, unsigned index)
{
        VirtioBlk *blk = blk_of(device);
        VirtioChain chain;
        int r = 0;

        while (r == 0) {
                BlkJob *job = blk_find_job(blk);

                blk->is_full = !job;
                if (!job)
                        break;
                r = virtio_device_pop(device, index, &chain);
                if (r == 0 && blk_begin(blk, job, &chain) != 0) {
                        virtio_queue_unpop(&device->queues[index]);
                        r = BLK_REQUEST_E_MALFORMED;
                        break;
                }
                if (r == VIRTIO_QUEUE_E_EMPTY) {
                        virtio_device_signal(device, index);
                        return 0;
                }
        }
        virtio_device_signal(device, index);
        return r;
}

/* --- the device --- */

static void blk_config_read(VirtioDevice *device, uint32_t offset, void *data, unsigned size)
{
        virtio_config_copy(blk_of(device)->config, offset, data, size);
}

/* The one field that a driver may write: 1 the cache is used, 0 it is written through. */
static void blk_config_write(VirtioDevice *device, uint32_t offset, const void *data, unsigned size)
{
        VirtioBlk *blk = blk_of(device);

        if (offset == CONFIG_WRITEBACK && size == 1 && virtio_device_has(device, BLK_F_CONFIG_WCE))
                blk->config[CONFIG_WRITEBACK] = *(const uint8_t *)data != 0;
}

/* Whether it is to be finished: it has not begun. */
static bool blk_cancel_job(BlkJob *job, bool is_in_pool)
{
        Pool *pool = &job->blk->pool;

        if (is_in_pool && !pool_cancel(pool, &job->job)) {
                pool_interrupt(pool, &job->job);
                return false;
        }
        job->result = -EINTR;
        return true;
}

static void blk_cancel(VirtioDevice *device)
{
        VirtioBlk *blk = blk_of(device);

        for (unsigned i = 0; i < BLK_JOBS_MAX; i++)
                if (blk->jobs[i].is_busy && blk_cancel_job(&blk->jobs[i], true))
                        blk_finish(&blk->jobs[i]);
        list_for_each (item, &blk->room.jobs) {
                BlkJob *job = LIST_ENTRY(item, BlkJob, link);

                if (blk_cancel_job(job, job->is_tried))
                        blk_finish_waiting(job);
        }
}

static void blk_reset(VirtioDevice *device)
{
        VirtioBlk *blk = blk_of(device);

        blk->is_full = false;
        blk->config[CONFIG_WRITEBACK] = 1;
}

static int blk_save(const VirtioDevice *device, WireWriter *writer)
{
        const VirtioBlk *blk = CONTAINER_OF((VirtioDevice *)device, VirtioBlk, device);

        wire_put_bytes(writer, blk->config, sizeof(blk->config));
        wire_put_bytes(writer, blk->serial, BLK_ID_SIZE);
        return 0;
}

static int blk_load(VirtioDevice *device, WireReader *reader)
{
        VirtioBlk *blk = blk_of(device);
        const uint8_t *config = wire_get_bytes(reader, sizeof(blk->config));
        const uint8_t *serial = wire_get_bytes(reader, BLK_ID_SIZE);
        uint8_t known[CONFIG_SIZE];

        if (!config || !serial || config[CONFIG_WRITEBACK] > 1)
                return -EBADMSG;
        memcpy(known, blk->config, sizeof(known));
        known[CONFIG_WRITEBACK] = config[CONFIG_WRITEBACK];
        if (memcmp(config, known, sizeof(known)) != 0 ||
            memcmp(serial, blk->serial, BLK_ID_SIZE) != 0)
                return -EBADMSG;
        blk->config[CONFIG_WRITEBACK] = config[CONFIG_WRITEBACK];
        return 0;
}

static VirtioDevice *blk_free(VirtioDevice *device)
{
        VirtioBlk *blk = blk_of(device);

        pool_done(&blk->pool);
        disk_close(&blk->disk);
        free(blk->jobs);
        free(blk);
        return NULL;
}

static const VirtioDeviceOps blk_ops = {
        .name = "blk",
        .id = VIRTIO_ID_BLOCK,
        .features = BLK_F_SEG_MAX | BLK_F_BLK_SIZE | BLK_F_FLUSH | BLK_F_TOPOLOGY |
                    BLK_F_CONFIG_WCE,
        .n_queues = 1,
        .queue_sizes = {BLK_QUEUE_SIZE},
        .config_size = CONFIG_SIZE,
        .n_paces = 1,
        .config_read = blk_config_read,
        .config_write = blk_config_write,
        .reset = blk_reset,
        .cancel = blk_cancel,
        .notify = blk_notify,
        .save = blk_save,
        .load = blk_load,
        .free = blk_free,
};

/* §5.2.4, in order. What has no feature is 0. */
static void blk_describe(VirtioBlk *blk)
{
        WireWriter writer = wire_writer(blk->config, sizeof(blk->config));
        uint32_t ranges = blk->limits.read_only ? 0 : BLK_RANGES_MAX;
        uint32_t sectors = blk->limits.read_only ? 0 : BLK_RANGE_SECTORS;

        wire_put_u64(&writer, blk->limits.sectors);
        wire_put_u32(&writer, 0);                         /* size_max */
        wire_put_u32(&writer, VIRTIO_QUEUE_SIZE_MAX - 2); /* seg_max: without header and status */
        wire_put_u32(&writer, 0);                         /* geometry */
        wire_put_u32(&writer, BLK_SECTOR_SIZE);           /* blk_size */
        wire_put_u8(&writer, 3);                          /* 2^3 of them are a page of the host */
        wire_put_u8(&writer, 0);                          /* alignment_offset */
        wire_put_u16(&writer, 8);                         /* min_io_size: that page */
        wire_put_u32(&writer, 0);                         /* opt_io_size: any */
        wire_put_u8(&writer, 1);                          /* writeback */
        wire_put_u8(&writer, 0);
        wire_put_u16(&writer, 0);                     /* num_queues */
        wire_put_u32(&writer, sectors);               /* max_discard_sectors */
        wire_put_u32(&writer, ranges);                /* max_discard_seg */
        wire_put_u32(&writer, 8);                     /* discard_sector_alignment */
        wire_put_u32(&writer, sectors);               /* max_write_zeroes_sectors */
        wire_put_u32(&writer, ranges);                /* max_write_zeroes_seg */
        wire_put_u8(&writer, !blk->limits.read_only); /* write_zeroes_may_unmap */
}

static int blk_make_jobs(VirtioBlk *blk)
{
        blk->jobs = calloc(BLK_JOBS_MAX, sizeof(*blk->jobs));
        if (!blk->jobs)
                return -ENOMEM;
        for (unsigned i = 0; i < BLK_JOBS_MAX; i++) {
                blk->jobs[i].blk = blk;
                blk->jobs[i].job.run = blk_run;
                blk->jobs[i].job.done = blk_on_done;
        }
        return 0;
}

static int blk_make(VirtioBlk *blk, Loop *loop, const GuestMemory *memory)
{
        const PoolConfig pool = {
                .loop = loop,
                .name = "blk-pool",
                .settled = blk_on_settled,
                .userdata = blk,
        };
        int r = blk_make_jobs(blk);

        if (r == 0)
                r = pool_init(&blk->pool, &pool);
        if (r < 0)
                return r;
        blk_room_init(&blk->room, loop, &blk->pool, blk->serial);
        virtio_device_init(&blk->device, &blk_ops, loop, memory);
        blk->device.features |= blk->limits.read_only ? BLK_F_RO
                                                      : BLK_F_DISCARD | BLK_F_WRITE_ZEROES;
        blk_describe(blk);
        return 0;
}

int virtio_blk_new(Loop *loop, const GuestMemory *memory, const VirtioBlkConfig *config,
                   VirtioDevice **ret, const char **ret_problem)
{
        _cleanup_(fd_closep) int fd = config->fd;
        size_t size = strlen(config->serial);
        VirtioBlk *blk;
        int r;

        *ret_problem = NULL;
        if (size == 0 || size > BLK_ID_SIZE)
                return -EINVAL;
        blk = calloc(1, sizeof(*blk));
        if (!blk)
                return -ENOMEM;
        memcpy(blk->serial, config->serial, size);
        r = disk_open(&blk->disk, TAKE_FD(fd), config->read_only, ret_problem);
        blk->limits = (BlkLimits){
                .sectors = blk->disk.size / BLK_SECTOR_SIZE,
                .read_only = config->read_only,
        };
        if (r == 0)
                r = blk_make(blk, loop, memory);
        if (r < 0) {
                disk_close(&blk->disk);
                free(blk->jobs);
                free(blk);
                return r;
        }
        *ret = &blk->device;
        return 0;
}
