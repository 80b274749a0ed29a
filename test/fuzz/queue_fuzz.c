/*
 * The virtqueue walker on a ring of any bytes. Input: the queue's size (1 byte), how it is driven (1
 * byte, HOW_*), two ring indices (2 bytes each), then the guest's memory from address 0 on:
 *
 *   0x000 descriptors   0x400 available ring   0x500 used ring   0x800 data and tables
 *
 * Every span that comes out is touched at both ends, and everything popped is pushed.
 */
#include <assert.h>
#include <string.h>

#include "test/fuzz/fuzz.h"
#include "vmm/virtio/queue.h"

#define DESCRIPTORS 0x000
#define AVAILABLE   0x400
#define USED        0x500
#define SIZE_MAX_   64
#define IMAGE_SIZE  0x4000

enum {
        HOW_EVENT_INDEX = 1,
        HOW_LIMITED = 2,  /* pops are counted, as in a handler */
        HOW_STOPPED = 4,  /* the driver takes the queue away in between */
        HOW_RELOADED = 8, /* saved and loaded before it is started */
        HOW_MOVED = 16,   /* the rings lie where the first bytes of memory say */
        HOW_ODD_SIZE = 32,
        HOW_PEEKED = 64, /* looked at before it is taken */
};

static void touch(const VirtioChain *chain)
{
        uint64_t readable = 0, writable = 0;

        assert(chain->n_readable + chain->n_writable <= VIRTIO_QUEUE_SIZE_MAX);
        for (unsigned i = 0; i < chain->n_readable; i++) {
                const volatile uint8_t *at = chain->readable[i].iov_base;

                (void)at[0];
                (void)at[chain->readable[i].iov_len - 1];
                readable += chain->readable[i].iov_len;
        }
        for (unsigned i = 0; i < chain->n_writable; i++) {
                volatile uint8_t *at = chain->writable[i].iov_base;

                /* May change the rings under the walker: so does a guest. */
                at[0] = (uint8_t)i;
                at[chain->writable[i].iov_len - 1] = (uint8_t)~i;
                writable += chain->writable[i].iov_len;
        }
        assert(readable == chain->readable_size && writable == chain->writable_size);
}

static void reload(VirtioQueue *queue)
{
        uint8_t bytes[64];
        WireWriter writer = wire_writer(bytes, sizeof(bytes));
        WireReader reader;
        size_t size;

        virtio_queue_save(queue, &writer);
        assert(wire_writer_end(&writer, &size) == 0);
        reader = wire_reader(bytes, size);
        virtio_queue_reset(queue, SIZE_MAX_);
        virtio_queue_load(queue, &reader);
        assert(wire_reader_end(&reader) == 0);
}

/* All that can be seen, then taken and pushed at once. */
static void drive_peeked(VirtioQueue *queue)
{
        static VirtioChain chain;
        uint16_t heads[SIZE_MAX_];
        unsigned n = 0;
        int r;

        while ((r = virtio_queue_peek(queue, n, &chain)) == 0) {
                assert(n < queue->state.size && chain.head < queue->state.size);
                heads[n++] = chain.head;
                touch(&chain);
        }
        assert(r > 0);
        (void)virtio_queue_await(queue, n);
        virtio_queue_take(queue, n);
        for (unsigned i = 0; i < n; i++)
                virtio_queue_stage(queue, heads[i], i);
        virtio_queue_publish(queue);
        (void)virtio_queue_wants_interrupt(queue);
}

static void drive(VirtioQueue *queue, uint8_t how)
{
        static VirtioChain chain;

        queue->limited = how & HOW_LIMITED;
        queue->budget = SIZE_MAX_;

        for (unsigned i = 0; i < 4 * SIZE_MAX_; i++) {
                int r = virtio_queue_pop(queue, &chain);

                assert(r >= 0);
                if (r == VIRTIO_QUEUE_E_BROKEN)
                        assert(queue->problem && !virtio_queue_is_live(queue));
                if (r != 0)
                        return;
                if (i % 16 == 5) {
                        virtio_queue_unpop(queue);
                        continue;
                }
                assert(chain.head < queue->state.size);
                touch(&chain);
                if ((how & HOW_STOPPED) && i == 7)
                        virtio_queue_stop(queue);
                virtio_queue_push(queue, chain.head, chain.writable_size);
                (void)virtio_queue_wants_interrupt(queue);
                (void)virtio_queue_is_empty(queue);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static GuestMemory memory;
        VirtioQueue queue;
        uint8_t *image;

        if (memory.n_regions == 0)
                assert(guest_memory_init(&memory, 16 << 20) == 0);
        if (size < 6 || size > 6 + IMAGE_SIZE)
                return 0;
        image = guest_memory_span(&memory, 0, IMAGE_SIZE);
        memset(image, 0, IMAGE_SIZE);
        memcpy(image, data + 6, size - 6);
        virtio_queue_reset(&queue, SIZE_MAX_);
        queue.state = (VirtioQueueState){
                .size = (uint16_t)(1U << (data[0] % 8)),
                .ready = true,
                .descriptors = DESCRIPTORS,
                .available = AVAILABLE,
                .used = USED,
                .next_available = (uint16_t)(data[2] | data[3] << 8),
                .next_used = (uint16_t)(data[4] | data[5] << 8),
        };
        if (data[1] & HOW_MOVED) {
                memcpy(&queue.state.descriptors, image, 8);
                memcpy(&queue.state.available, image + 8, 8);
                memcpy(&queue.state.used, image + 16, 8);
        }
        if (data[1] & HOW_ODD_SIZE)
                queue.state.size = data[0];
        if (data[1] & HOW_RELOADED)
                reload(&queue);
        if (virtio_queue_start(&queue, &memory, data[1] & HOW_EVENT_INDEX) != 0)
                return 0;
        if (data[1] & HOW_PEEKED)
                drive_peeked(&queue);
        else
                drive(&queue, data[1]);
        return 0;
}
