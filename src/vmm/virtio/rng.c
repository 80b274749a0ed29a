/*
 * virtio-rng; see rng.h. One queue, no configuration, no features, no state of its own. A request
 * gets at most RNG_REQUEST_MAX bytes, so that the I/O thread is never held for long; the driver asks
 * again for more.
 */
#include <stdlib.h>
#include <sys/random.h>

#include "base/error.h"
#include "vmm/virtio/rng.h"

#define RNG_REQUEST_MAX 4096

typedef struct VirtioRng {
        VirtioDevice device;
} VirtioRng;

/* Fills the chain. 0 and the number of bytes, or -errno. */
static int rng_fill(const VirtioChain *chain, uint32_t *ret_written)
{
        uint8_t bytes[RNG_REQUEST_MAX];
        ssize_t n;

        /* Up to 256 bytes never come in parts; more may, and the driver takes what it gets. */
        n = getrandom(bytes, MIN(chain->writable_size, sizeof(bytes)), 0);
        if (n < 0 && errno != EINTR)
                return errno_neg();
        *ret_written = (uint32_t)virtio_spans_write(chain->writable, chain->n_writable, 0, bytes,
                                                    n > 0 ? (size_t)n : 0);
        return 0;
}

static int rng_notify(VirtioDevice *device, unsigned index)
{
        VirtioQueue *queue = &device->queues[index];
        VirtioChain chain;
        int r;

        while ((r = virtio_queue_pop(queue, &chain)) == 0) {
                uint32_t written;

                r = rng_fill(&chain, &written);
                if (r < 0)
                        return r;
                virtio_count(&device->counters.requests, 1);
                virtio_count(&device->counters.bytes_to_guest, written);
                virtio_queue_push(queue, chain.head, written);
        }
        virtio_device_signal(device, index);
        return r == VIRTIO_QUEUE_E_EMPTY ? 0 : r;
}

static VirtioDevice *rng_free(VirtioDevice *device)
{
        free(CONTAINER_OF(device, VirtioRng, device));
        return NULL;
}

static const VirtioDeviceOps rng_ops = {
        .name = "rng",
        .id = VIRTIO_ID_RNG,
        .n_queues = 1,
        .queue_sizes = {64},
        .notify = rng_notify,
        .free = rng_free,
};

int virtio_rng_new(Loop *loop, const GuestMemory *memory, VirtioDevice **ret)
{
        VirtioRng *rng = calloc(1, sizeof(*rng));

        if (!rng)
                return -ENOMEM;
        virtio_device_init(&rng->device, &rng_ops, loop, memory);
        *ret = &rng->device;
        return 0;
}
