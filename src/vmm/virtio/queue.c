/* The split virtqueue, device side; see queue.h for the picture and the rules. */
#include <assert.h>
#include <endian.h>
#include <string.h>

#include "vmm/virtio/queue.h"

/* virtio 1.2 §2.7.5, §2.7.6, §2.7.8 */
#define DESCRIPTOR_SIZE          16
#define DESCRIPTOR_NEXT          1
#define DESCRIPTOR_WRITE         2
#define DESCRIPTOR_INDIRECT      4
#define AVAILABLE_NO_INTERRUPT   1
#define USED_NO_NOTIFY           1
#define RING_FLAGS               0
#define RING_INDEX               2
#define RING_ENTRIES             4
#define AVAILABLE_SIZE(size)     (RING_ENTRIES + 2ULL * (size) + 2)
#define USED_SIZE(size)          (RING_ENTRIES + 8ULL * (size) + 2)
#define AVAILABLE_EVENT_OF(size) (RING_ENTRIES + 2ULL * (size)) /* used_event: the driver's wish */
#define USED_EVENT_OF(size)      (RING_ENTRIES + 8ULL * (size)) /* avail_event: the device's wish */

typedef struct Descriptor {
        uint64_t address;
        uint32_t length;
        uint16_t flags;
        uint16_t next;
} Descriptor;

/* One read, whatever the guest does meanwhile and however the table is aligned. */
typedef struct UnalignedU64 {
        uint64_t value;
} __attribute__((packed)) UnalignedU64;

static uint64_t load_u64(const uint8_t *at)
{
        return le64toh(((const volatile UnalignedU64 *)at)->value);
}

static Descriptor descriptor_copy(const uint8_t *table, unsigned index)
{
        uint64_t rest = load_u64(table + (size_t)index * DESCRIPTOR_SIZE + 8);

        return (Descriptor){
                .address = load_u64(table + (size_t)index * DESCRIPTOR_SIZE),
                .length = (uint32_t)rest,
                .flags = (uint16_t)(rest >> 32),
                .next = (uint16_t)(rest >> 48),
        };
}

/* Ring fields are 2-aligned: virtio_queue_start() checked that. */
static uint16_t ring_load(const uint8_t *at)
{
        return le16toh(__atomic_load_n((const uint16_t *)at, __ATOMIC_ACQUIRE));
}

static void ring_store(uint8_t *at, uint16_t value)
{
        __atomic_store_n((uint16_t *)at, htole16(value), __ATOMIC_RELEASE);
}

static int queue_break(VirtioQueue *queue, const char *problem)
{
        queue->broken = true;
        queue->problem = problem;
        return VIRTIO_QUEUE_E_BROKEN;
}

void virtio_queue_reset(VirtioQueue *queue, uint16_t size_max)
{
        assert(size_max <= VIRTIO_QUEUE_SIZE_MAX);
        *queue = (VirtioQueue){.size_max = size_max, .state.size = size_max};
}

int virtio_queue_start(VirtioQueue *queue, const GuestMemory *memory, bool event_index)
{
        const VirtioQueueState *state = &queue->state;
        uint16_t size = state->size;

        if (size == 0 || size > queue->size_max || (size & (size - 1)) != 0)
                return queue_break(queue, "its size is no power of two up to the limit");
        if (state->descriptors % 16 != 0 || state->available % 2 != 0 || state->used % 4 != 0)
                return queue_break(queue, "a ring is misaligned");
        queue->descriptors = guest_memory_span(memory, state->descriptors,
                                               (uint64_t)size * DESCRIPTOR_SIZE);
        queue->available = guest_memory_span(memory, state->available, AVAILABLE_SIZE(size));
        queue->used = guest_memory_span(memory, state->used, USED_SIZE(size));
        if (!queue->descriptors || !queue->available || !queue->used)
                return queue_break(queue, "a ring lies outside memory");
        queue->memory = memory;
        queue->event_index = event_index;
        queue->in_flight = 0;
        queue->signalled = state->next_used;
        return 0;
}

void virtio_queue_stop(VirtioQueue *queue)
{
        queue->state.ready = false;
        queue->memory = NULL;
}

bool virtio_queue_is_live(const VirtioQueue *queue)
{
        return queue->state.ready && queue->memory && !queue->broken;
}

/* How many requests wait, or VIRTIO_QUEUE_E_BROKEN. @ret is written on 0. */
static int queue_pending(VirtioQueue *queue, uint16_t *ret)
{
        uint16_t index = ring_load(queue->available + RING_INDEX);
        uint16_t pending = (uint16_t)(index - queue->state.next_available);

        if (pending > queue->state.size)
                return queue_break(queue, "its available index leaps");
        *ret = pending;
        return 0;
}

/* Asks for a kick at the request of this index; the caller looks again, for it may be there. */
static void queue_ask_for_kick(VirtioQueue *queue, uint16_t index)
{
        if (queue->event_index)
                ring_store(queue->used + USED_EVENT_OF(queue->state.size), index);
        else
                ring_store(queue->used + RING_FLAGS, 0);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

bool virtio_queue_is_empty(VirtioQueue *queue)
{
        return !virtio_queue_is_live(queue) ||
               ring_load(queue->available + RING_INDEX) == queue->state.next_available;
}

/* Adds one buffer to the chain. */
static int chain_add(VirtioQueue *queue, VirtioChain *chain, const Descriptor *descriptor)
{
        bool writable = descriptor->flags & DESCRIPTOR_WRITE;
        unsigned n = chain->n_readable + chain->n_writable;
        uint32_t *size = writable ? &chain->writable_size : &chain->readable_size;
        void *host;

        if (n == VIRTIO_QUEUE_SIZE_MAX)
                return queue_break(queue, "a chain is too long");
        if (!writable && chain->n_writable > 0)
                return queue_break(queue, "a readable buffer follows a writable one");
        if (__builtin_add_overflow(*size, descriptor->length, size))
                return queue_break(queue, "a chain has 4 GiB or more");
        host = guest_memory_span(queue->memory, descriptor->address, descriptor->length);
        if (!host)
                return queue_break(queue, descriptor->length == 0 ? "a buffer is empty"
                                                                  : "a buffer lies outside memory");
        chain->spans[n] = (struct iovec){.iov_base = host, .iov_len = descriptor->length};
        if (writable)
                chain->n_writable++;
        else
                chain->n_readable++;
        return 0;
}

/*
 * Walks the chain that starts at entry @index of a table of @n; ret_indirect is where an indirect
 * descriptor may end it (NULL: inside an indirect table, where another is forbidden).
 */
static int chain_walk(VirtioQueue *queue, VirtioChain *chain, const uint8_t *table, uint32_t n,
                      uint32_t index, Descriptor *ret_indirect)
{
        for (uint32_t steps = 0; steps < n; steps++) {
                Descriptor descriptor;
                int r;

                if (index >= n)
                        return queue_break(queue, "a descriptor's index is out of range");
                descriptor = descriptor_copy(table, index);
                if (descriptor.flags & DESCRIPTOR_INDIRECT) {
                        if (!ret_indirect)
                                return queue_break(queue, "an indirect table has another in it");
                        if (descriptor.flags & DESCRIPTOR_NEXT)
                                return queue_break(queue, "an indirect descriptor has a next one");
                        *ret_indirect = descriptor;
                        return 0;
                }
                r = chain_add(queue, chain, &descriptor);
                if (r != 0)
                        return r;
                if (!(descriptor.flags & DESCRIPTOR_NEXT))
                        return 0;
                index = descriptor.next;
        }
        return queue_break(queue, "a chain is a loop");
}

static int chain_walk_indirect(VirtioQueue *queue, VirtioChain *chain, const Descriptor *indirect)
{
        const uint8_t *table;

        if (indirect->length % DESCRIPTOR_SIZE != 0)
                return queue_break(queue, "an indirect table has no whole number of entries");
        table = guest_memory_span(queue->memory, indirect->address, indirect->length);
        if (!table)
                return queue_break(queue, "an indirect table lies outside memory");
        return chain_walk(queue, chain, table, indirect->length / DESCRIPTOR_SIZE, 0, NULL);
}

static int chain_collect(VirtioQueue *queue, VirtioChain *chain)
{
        Descriptor indirect = {};
        int r;

        r = chain_walk(queue, chain, queue->descriptors, queue->state.size, chain->head, &indirect);
        if (r == 0 && indirect.flags & DESCRIPTOR_INDIRECT)
                r = chain_walk_indirect(queue, chain, &indirect);
        chain->readable = chain->spans;
        chain->writable = chain->spans + chain->n_readable;
        return r;
}

/* The request @ahead behind the next one, which is there. */
static int queue_read(VirtioQueue *queue, uint16_t ahead, VirtioChain *ret)
{
        uint16_t at = (uint16_t)(queue->state.next_available + ahead) & (queue->state.size - 1);

        ret->head = ring_load(queue->available + RING_ENTRIES + 2 * at);
        ret->n_readable = ret->n_writable = 0;
        ret->readable_size = ret->writable_size = 0;
        return chain_collect(queue, ret);
}

/* While a device works on requests the guest needs not tell it of others. */
static void queue_ask_for_no_kicks(VirtioQueue *queue)
{
        if (!queue->event_index)
                ring_store(queue->used + RING_FLAGS, USED_NO_NOTIFY);
}

int virtio_queue_peek(VirtioQueue *queue, unsigned ahead, VirtioChain *ret)
{
        uint16_t pending;
        int r;

        if (queue->broken)
                return VIRTIO_QUEUE_E_BROKEN;
        if (!virtio_queue_is_live(queue))
                return VIRTIO_QUEUE_E_EMPTY;
        r = queue_pending(queue, &pending);
        if (r != 0)
                return r;
        if (ahead >= pending)
                return VIRTIO_QUEUE_E_EMPTY;
        return queue_read(queue, (uint16_t)ahead, ret);
}

void virtio_queue_take(VirtioQueue *queue, unsigned n)
{
        assert(n <= (unsigned)(queue->state.size - queue->in_flight));
        queue_ask_for_no_kicks(queue);
        queue->state.next_available += (uint16_t)n;
        queue->in_flight += (uint16_t)n;
}

bool virtio_queue_await(VirtioQueue *queue, unsigned ahead)
{
        uint16_t pending;

        if (!virtio_queue_is_live(queue))
                return true;
        queue_ask_for_kick(queue, (uint16_t)(queue->state.next_available + ahead));
        /* One that breaks the rules is looked at, too: the next pop says so. */
        return queue_pending(queue, &pending) == 0 && pending <= ahead;
}

int virtio_queue_pop(VirtioQueue *queue, VirtioChain *ret)
{
        uint16_t size = queue->state.size, pending;
        int r;

        if (queue->broken)
                return VIRTIO_QUEUE_E_BROKEN;
        if (!virtio_queue_is_live(queue))
                return VIRTIO_QUEUE_E_EMPTY;
        r = queue_pending(queue, &pending);
        if (r == 0 && pending == 0) {
                queue_ask_for_kick(queue, queue->state.next_available);
                r = queue_pending(queue, &pending);
        }
        if (r != 0)
                return r;
        if (pending == 0)
                return VIRTIO_QUEUE_E_EMPTY;
        if (queue->limited && queue->budget == 0) {
                queue->cut = true;
                return VIRTIO_QUEUE_E_EMPTY;
        }
        if (queue->in_flight == size)
                return queue_break(queue, "it has more requests than descriptors");
        queue_ask_for_no_kicks(queue);
        r = queue_read(queue, 0, ret);
        if (r != 0)
                return r;
        queue->state.next_available++;
        queue->in_flight++;
        if (queue->limited)
                queue->budget--;
        return 0;
}

void virtio_queue_unpop(VirtioQueue *queue)
{
        assert(queue->in_flight > 0);
        queue->state.next_available--;
        queue->in_flight--;
        if (queue->limited)
                queue->budget++;
}

void virtio_queue_stage(VirtioQueue *queue, uint16_t head, uint32_t written)
{
        uint16_t size = queue->state.size;
        uint8_t *entry;
        uint32_t id = htole32(head), length = htole32(written);

        assert(queue->in_flight > 0);
        queue->in_flight--;
        if (!virtio_queue_is_live(queue))
                return;
        assert(head < size);
        entry = queue->used + RING_ENTRIES + 8 * (size_t)(queue->state.next_used & (size - 1));
        memcpy(entry, &id, sizeof(id));
        memcpy(entry + 4, &length, sizeof(length));
        queue->state.next_used++;
}

void virtio_queue_publish(VirtioQueue *queue)
{
        if (!virtio_queue_is_live(queue))
                return;
        /* The release orders the entries, and the data before them, before the index. */
        ring_store(queue->used + RING_INDEX, queue->state.next_used);
}

void virtio_queue_push(VirtioQueue *queue, uint16_t head, uint32_t written)
{
        virtio_queue_stage(queue, head, written);
        virtio_queue_publish(queue);
}

void virtio_queue_resume(VirtioQueue *queue, uint16_t next_available)
{
        assert(queue->in_flight == 0);
        if (!virtio_queue_is_live(queue))
                return;
        queue->state.next_available = next_available;
        queue->state.next_used = ring_load(queue->used + RING_INDEX);
        queue->signalled = queue->state.next_used;
}

bool virtio_queue_wants_interrupt(VirtioQueue *queue)
{
        uint16_t old = queue->signalled, now = queue->state.next_used, event;

        if (!virtio_queue_is_live(queue) || old == now)
                return false;
        queue->signalled = now;
        /* The index must be out before the wish is read: the driver does it the other way round. */
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        if (!queue->event_index)
                return !(ring_load(queue->available + RING_FLAGS) & AVAILABLE_NO_INTERRUPT);
        event = ring_load(queue->available + AVAILABLE_EVENT_OF(queue->state.size));
        return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

void virtio_queue_save(const VirtioQueue *queue, WireWriter *writer)
{
        const VirtioQueueState *state = &queue->state;

        wire_put_u16(writer, state->size);
        wire_put_u8(writer, state->ready);
        wire_put_u64(writer, state->descriptors);
        wire_put_u64(writer, state->available);
        wire_put_u64(writer, state->used);
        wire_put_u16(writer, state->next_available);
        wire_put_u16(writer, state->next_used);
}

void virtio_queue_load(VirtioQueue *queue, WireReader *reader)
{
        queue->state = (VirtioQueueState){
                .size = wire_get_u16(reader),
                .ready = wire_get_u8(reader) != 0,
                .descriptors = wire_get_u64(reader),
                .available = wire_get_u64(reader),
                .used = wire_get_u64(reader),
                .next_available = wire_get_u16(reader),
                .next_used = wire_get_u16(reader),
        };
}
