/*
 * The memory balloon; see balloon.h. State: the target, what the guest says, the last statistics.
 *
 * The buffer of the statistics queue stays in the ring until the guest is to make new ones: it is given
 * back, and comes again filled. So nothing is ever in flight when an operation returns.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "vmm/virtio/balloon.h"
#include "vmm/virtio/balloon_request.h"

/* virtio 1.2 §5.5.3. No PAGE_POISON: a guest that poisons or clears what it frees then reports none. */
#define BALLOON_F_STATS_VQ       (1ULL << 1)
#define BALLOON_F_DEFLATE_ON_OOM (1ULL << 2)
#define BALLOON_F_REPORTING      (1ULL << 5)

#define BALLOON_CONFIG_SIZE   8
#define BALLOON_CONFIG_ACTUAL 4

/* Linux names 256 pages at a time; far more would hold the I/O thread. */
#define BALLOON_REQUEST_MAX 16384U
#define BALLOON_CHUNK       1024U

/* Of one call: what is left waits until all other sources of the loop had their turn. */
#define BALLOON_TURN_BYTES (256ULL << 20)

/* Linux: 8 tags, or 10 with those of huge pages. */
#define BALLOON_STATS_MAX 512U

/* Statistics that are no older are not asked for anew. */
#define BALLOON_STATS_USEC (500 * USEC_PER_MSEC)

typedef enum BalloonQueue {
        BALLOON_QUEUE_INFLATE,
        BALLOON_QUEUE_DEFLATE,
        BALLOON_QUEUE_STATS,
        BALLOON_QUEUE_REPORTING,
        BALLOON_QUEUE_MAX,
} BalloonQueue;

typedef struct VirtioBalloon {
        VirtioDevice device;
        VirtioBalloonChanged changed;
        void *userdata;
        uint32_t target_pages, actual_pages; /* of 4 KiB */
        uint64_t reported_bytes;
        BalloonStats stats;
        uint64_t stats_usec; /* when they came; 0: never */
        uint64_t asked_usec;
        bool stats_wanted;
} VirtioBalloon;

static VirtioBalloon *balloon_of(VirtioDevice *device)
{
        return CONTAINER_OF(device, VirtioBalloon, device);
}

/* A driver that leaves a feature out has its queues without a gap (drivers/virtio/virtio_mmio.c). */
static BalloonQueue balloon_queue(const VirtioDevice *device, unsigned index)
{
        if (index >= BALLOON_QUEUE_STATS && !virtio_device_has(device, BALLOON_F_STATS_VQ))
                index++;
        if (index == BALLOON_QUEUE_REPORTING && !virtio_device_has(device, BALLOON_F_REPORTING))
                index++;
        return MIN(index, (unsigned)BALLOON_QUEUE_MAX);
}

static void balloon_config_read(VirtioDevice *device, uint32_t offset, void *data, unsigned size)
{
        const VirtioBalloon *balloon = balloon_of(device);
        const uint32_t config[] = {htole32(balloon->target_pages), htole32(balloon->actual_pages)};

        virtio_config_copy(config, offset, data, size);
}

static void balloon_set_actual(VirtioBalloon *balloon, uint32_t pages)
{
        uint64_t all = guest_memory_size_now(balloon->device.memory) / BALLOON_PAGE_SIZE;

        pages = (uint32_t)MIN(pages, all);
        if (pages == balloon->actual_pages)
                return;
        balloon->actual_pages = pages;
        balloon->changed(balloon->userdata);
}

static void balloon_config_write(VirtioDevice *device, uint32_t offset, const void *data,
                                 unsigned size)
{
        uint32_t pages;

        if (offset != BALLOON_CONFIG_ACTUAL || size != sizeof(pages))
                return;
        memcpy(&pages, data, sizeof(pages));
        balloon_set_actual(balloon_of(device), le32toh(pages));
}

/* 0, or a positive value: a page isn't memory. */
static int balloon_take_run(VirtioBalloon *balloon, const BalloonRun *run)
{
        void *host = guest_memory_span(balloon->device.memory, run->address, run->size);

        if (!host)
                return VIRTIO_QUEUE_E_BROKEN;
        (void)guest_memory_release(host, run->size);
        return 0;
}

/* Pages that the guest gives; what it takes back needs nothing done, but must be pages, too. */
static int balloon_take_pages(VirtioBalloon *balloon, const VirtioChain *chain, bool inflate)
{
        uint8_t bytes[BALLOON_CHUNK];
        int r = 0;

        if (chain->readable_size > BALLOON_REQUEST_MAX)
                return VIRTIO_QUEUE_E_BROKEN;
        for (uint32_t at = 0; r == 0 && at < chain->readable_size; at += BALLOON_CHUNK) {
                size_t size = virtio_spans_read(chain->readable, chain->n_readable, at, bytes,
                                                sizeof(bytes));
                WireReader reader = wire_reader(bytes, size);

                while (inflate && r == 0 && wire_left(&reader) >= BALLOON_PFN_SIZE) {
                        BalloonRun run;

                        balloon_run_decode(&reader, &run);
                        r = balloon_take_run(balloon, &run);
                }
        }
        return r;
}

/* The buffers are the free pages: whole huge pages, as Linux does it. */
static uint64_t balloon_take_reported(VirtioBalloon *balloon, const VirtioChain *chain)
{
        uint64_t bytes = 0;

        for (unsigned i = 0; i < chain->n_writable; i++)
                bytes += guest_memory_release(chain->writable[i].iov_base,
                                              chain->writable[i].iov_len);
        balloon->reported_bytes += bytes;
        return chain->writable_size;
}

static void balloon_take_stats(VirtioBalloon *balloon, const VirtioChain *chain)
{
        uint8_t bytes[BALLOON_STATS_MAX];
        size_t size = virtio_spans_read(chain->readable, chain->n_readable, 0, bytes,
                                        sizeof(bytes));

        balloon_stats_decode(bytes, size, &balloon->stats);
        balloon->stats_usec = clock_now_usec();
}

static int balloon_serve_stats(VirtioBalloon *balloon, VirtioQueue *queue)
{
        VirtioChain chain;
        int r;

        while ((r = virtio_queue_pop(queue, &chain)) == 0) {
                balloon_take_stats(balloon, &chain);
                if (!balloon->stats_wanted) {
                        virtio_queue_unpop(queue);
                        return 0;
                }
                balloon->stats_wanted = false;
                virtio_count(&balloon->device.counters.requests, 1);
                virtio_queue_push(queue, chain.head, 0);
        }
        return r;
}

static int balloon_serve_pages(VirtioBalloon *balloon, BalloonQueue kind, unsigned index)
{
        VirtioQueue *queue = &balloon->device.queues[index];
        uint64_t bytes = 0;
        VirtioChain chain;
        int r;

        while ((r = virtio_queue_pop(queue, &chain)) == 0) {
                if (kind == BALLOON_QUEUE_REPORTING)
                        bytes += balloon_take_reported(balloon, &chain);
                else
                        r = balloon_take_pages(balloon, &chain, kind == BALLOON_QUEUE_INFLATE);
                virtio_count(&balloon->device.counters.requests, 1);
                virtio_count(&balloon->device.counters.bytes_from_guest, chain.readable_size);
                virtio_queue_push(queue, chain.head, 0);
                if (r != 0)
                        return r;
                if (bytes >= BALLOON_TURN_BYTES) {
                        virtio_device_kick(&balloon->device, index);
                        return 0;
                }
        }
        return r;
}

static int balloon_notify(VirtioDevice *device, unsigned index)
{
        VirtioBalloon *balloon = balloon_of(device);
        BalloonQueue kind = balloon_queue(device, index);
        int r;

        if (kind == BALLOON_QUEUE_MAX)
                return 0;
        if (kind == BALLOON_QUEUE_STATS)
                r = balloon_serve_stats(balloon, &device->queues[index]);
        else
                r = balloon_serve_pages(balloon, kind, index);
        virtio_device_signal(device, index);
        return r == VIRTIO_QUEUE_E_EMPTY ? 0 : r;
}

/* §5.5.6: a driver that resets the device has taken all back. The target stays. */
static void balloon_reset(VirtioDevice *device)
{
        VirtioBalloon *balloon = balloon_of(device);

        balloon_set_actual(balloon, 0);
        balloon->stats_usec = 0;
        balloon->stats_wanted = false;
}

static int balloon_save(const VirtioDevice *device, WireWriter *writer)
{
        const VirtioBalloon *balloon = CONTAINER_OF(device, VirtioBalloon, device);

        wire_put_u32(writer, balloon->target_pages);
        wire_put_u32(writer, balloon->actual_pages);
        wire_put_u64(writer, balloon->reported_bytes);
        return 0;
}

static int balloon_load(VirtioDevice *device, WireReader *reader)
{
        VirtioBalloon *balloon = balloon_of(device);
        uint64_t all = guest_memory_size_now(device->memory) / BALLOON_PAGE_SIZE;

        balloon->target_pages = wire_get_u32(reader);
        balloon->actual_pages = wire_get_u32(reader);
        balloon->reported_bytes = wire_get_u64(reader);
        return balloon->target_pages > all || balloon->actual_pages > all ? -EBADMSG : 0;
}

static VirtioDevice *balloon_free(VirtioDevice *device)
{
        free(balloon_of(device));
        return NULL;
}

static const VirtioDeviceOps balloon_ops = {
        .name = "balloon",
        .id = VIRTIO_ID_BALLOON,
        .features = BALLOON_F_STATS_VQ | BALLOON_F_DEFLATE_ON_OOM | BALLOON_F_REPORTING,
        .n_queues = BALLOON_QUEUE_MAX,
        /* Linux reports up to 32 ranges at once and wants a ring that holds them, perhaps the third. */
        .queue_sizes = {16, 16, 64, 64},
        .config_size = BALLOON_CONFIG_SIZE,
        .config_read = balloon_config_read,
        .config_write = balloon_config_write,
        .reset = balloon_reset,
        .notify = balloon_notify,
        .save = balloon_save,
        .load = balloon_load,
        .free = balloon_free,
};

int virtio_balloon_new(Loop *loop, const GuestMemory *memory, VirtioBalloonChanged changed,
                       void *userdata, VirtioDevice **ret)
{
        VirtioBalloon *balloon = calloc(1, sizeof(*balloon));

        if (!balloon)
                return -ENOMEM;
        balloon->changed = changed;
        balloon->userdata = userdata;
        virtio_device_init(&balloon->device, &balloon_ops, loop, memory);
        *ret = &balloon->device;
        return 0;
}

int virtio_balloon_resize(VirtioDevice *device, uint64_t bytes)
{
        if (bytes % BALLOON_PAGE_SIZE != 0 || bytes > guest_memory_size_now(device->memory))
                return -EINVAL;
        balloon_of(device)->target_pages = (uint32_t)(bytes / BALLOON_PAGE_SIZE);
        virtio_device_config_changed(device);
        return 0;
}

void virtio_balloon_get_sizes(const VirtioDevice *device, uint64_t *ret_requested,
                              uint64_t *ret_actual)
{
        const VirtioBalloon *balloon = CONTAINER_OF(device, VirtioBalloon, device);

        *ret_requested = balloon->target_pages * BALLOON_PAGE_SIZE;
        *ret_actual = balloon->actual_pages * BALLOON_PAGE_SIZE;
}

/* Has the guest make statistics anew; they come when it has. */
static void balloon_ask(VirtioBalloon *balloon)
{
        uint64_t now = clock_now_usec();

        if (!virtio_device_has(&balloon->device, BALLOON_F_STATS_VQ) ||
            now - balloon->asked_usec < BALLOON_STATS_USEC)
                return;
        balloon->asked_usec = now;
        balloon->stats_wanted = true;
        virtio_device_kick(&balloon->device, BALLOON_QUEUE_STATS);
}

void virtio_balloon_get_stats(VirtioDevice *device, ControlMemoryStats *stats)
{
        VirtioBalloon *balloon = balloon_of(device);
        const uint64_t *values = balloon->stats.values;

        balloon_ask(balloon);
        virtio_balloon_get_sizes(device, &stats->target_bytes, &stats->balloon_bytes);
        stats->reported_bytes = balloon->reported_bytes;
        if (balloon->stats_usec == 0)
                return;
        stats->stats_usec = balloon->stats_usec;
        stats->free = values[BALLOON_STAT_FREE];
        stats->available = values[BALLOON_STAT_AVAILABLE];
        stats->total = values[BALLOON_STAT_TOTAL];
        stats->caches = values[BALLOON_STAT_CACHES];
        stats->major_faults = values[BALLOON_STAT_MAJOR_FAULTS];
        stats->minor_faults = values[BALLOON_STAT_MINOR_FAULTS];
        stats->swap_in = values[BALLOON_STAT_SWAP_IN];
        stats->swap_out = values[BALLOON_STAT_SWAP_OUT];
}
