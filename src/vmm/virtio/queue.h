/*
 * A split virtqueue (virtio 1.2 §2.7), device side. Only this module walks rings and holds
 * barriers; a device sees checked spans of guest memory and nothing else.
 *
 *   descriptor table        available ring (driver)      used ring (device)
 *   address, length,        flags, index,                flags, index,
 *   flags, next  × size     head × size, used_event      {head, written} × size, avail_event
 *
 * Every index is checked against the queue's size, a chain is at most that long (through one
 * indirect table or none), every buffer lies in guest memory, device-readable buffers come first. A
 * guest that breaks a rule breaks its queue: every later pop says so until the device is reset.
 *
 * Thread: the I/O thread. Rings and descriptors are hostile and change while they are read; each is
 * copied once.
 *
 * A handler's loop:
 *
 *   while ((r = virtio_queue_pop(queue, &chain)) == 0) {
 *           … read chain.readable[], fill chain.writable[] …
 *           virtio_queue_push(queue, chain.head, written);
 *   }
 *   virtio_device_signal(device, index);
 *   return r == VIRTIO_QUEUE_E_EMPTY ? 0 : r;
 *
 * Notifications: while a device pops, the guest needs not kick; a pop that finds nothing asks for
 * the next kick first. A device that stops before E_EMPTY must come back by itself. Handlers don't
 * count: virtio_device_notify() limits their pops and calls again, so that no guest holds the loop.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/wire.h"
#include "vmm/mem/memory.h"

#define VIRTIO_QUEUE_SIZE_MAX 256

enum {
        VIRTIO_QUEUE_E_EMPTY = 1,  /* nothing there now; a kick will come */
        VIRTIO_QUEUE_E_BROKEN = 2, /* the guest broke the rules: the device needs reset */
};

/* What a driver sets up and a template keeps: plain data. */
typedef struct VirtioQueueState {
        uint16_t size; /* entries: a power of two up to the device's maximum */
        bool ready;
        uint64_t descriptors, available, used; /* guest addresses */
        uint16_t next_available;               /* the next entry of the available ring to take */
        uint16_t next_used;                    /* the next entry of the used ring to fill */
} VirtioQueueState;

typedef struct VirtioQueue {
        VirtioQueueState state;
        uint16_t size_max;

        /* From here on: derived by virtio_queue_start(). */
        const GuestMemory *memory;
        uint8_t *descriptors, *available, *used; /* spans of the whole tables */
        bool event_index;                        /* VIRTIO_F_EVENT_IDX was negotiated */
        bool broken;
        uint16_t in_flight;  /* popped and not yet pushed, at most size */
        bool limited;        /* pops are counted: a guest may refill as fast as they come */
        bool cut;            /* the limit was met: the caller who set it comes back */
        uint16_t budget;     /* pops left while limited */
        uint16_t signalled;  /* next_used when the guest was last considered for an interrupt */
        const char *problem; /* which rule the guest broke, for people; NULL while none */
} VirtioQueue;

/*
 * One request. The spans are the guest's memory: hostile and shared. Sizes are the sums; a chain
 * has less than 4 GiB of either kind.
 */
typedef struct VirtioChain {
        uint16_t head; /* what virtio_queue_push() wants back */
        unsigned n_readable, n_writable;
        uint32_t readable_size, writable_size; /* bytes */
        struct iovec *readable;                /* into spans[] */
        struct iovec *writable;                /* into spans[], behind the readable ones */
        struct iovec spans[VIRTIO_QUEUE_SIZE_MAX];
} VirtioChain;

/* Resets to the state after power-on. */
void virtio_queue_reset(VirtioQueue *queue, uint16_t size_max);

/*
 * Takes the rings that the driver described in queue->state into use. 0, or VIRTIO_QUEUE_E_BROKEN:
 * a size that isn't a power of two up to size_max, a table misaligned or outside memory.
 */
int virtio_queue_start(VirtioQueue *queue, const GuestMemory *memory, bool event_index);

/* The driver takes the rings away: nothing of them is touched any more until the next start. */
void virtio_queue_stop(VirtioQueue *queue);

/* Started and not broken. */
bool virtio_queue_is_live(const VirtioQueue *queue);

/*
 * Takes the next request. 0, VIRTIO_QUEUE_E_EMPTY (also while not started) or
 * VIRTIO_QUEUE_E_BROKEN. @ret is written only on 0; nothing in it has to be freed. A popped chain
 * is pushed once (any order, any time before the next reset), or put back: also when the queue broke
 * or was stopped meanwhile, for it is in flight until then.
 */
int virtio_queue_pop(VirtioQueue *queue, VirtioChain *ret);

/* Puts the chain of the last pop back, to be popped again. Only right after that pop. */
void virtio_queue_unpop(VirtioQueue *queue);

/*
 * For who has to know how much room there is before it can tell how many requests it needs. Looks at
 * the request @ahead behind the next one, without taking it: returns as virtio_queue_pop(), but asks
 * for no kick, and E_EMPTY is also said for what lies further ahead than the queue is long. A driver
 * keeps its hands off what it made available, so what was seen stays good until the queue stops.
 */
int virtio_queue_peek(VirtioQueue *queue, unsigned ahead, VirtioChain *ret);

/* Takes the next @n requests, all of them peeked: they are in flight now. */
void virtio_queue_take(VirtioQueue *queue, unsigned n);

/* Asks for a kick when there is a request @ahead behind the next one. False: there is one now. */
bool virtio_queue_await(VirtioQueue *queue, unsigned ahead);

/* Whether a pop would find nothing; asks for no kick. */
bool virtio_queue_is_empty(VirtioQueue *queue);

/*
 * Gives a chain back: @written bytes of its writable spans were filled from the start. A chain from
 * before a reset must not be pushed. The guest hears of it by virtio_device_signal().
 */
void virtio_queue_push(VirtioQueue *queue, uint16_t head, uint32_t written);

/* The same in two steps, for requests that the guest must see all at once. */
void virtio_queue_stage(VirtioQueue *queue, uint16_t head, uint32_t written);
void virtio_queue_publish(VirtioQueue *queue);

/* Somebody else walked the rings since the start: goes on at @next_available, and behind what is used
 * as the ring says. Nothing is in flight. */
void virtio_queue_resume(VirtioQueue *queue, uint16_t next_available);

/* Whether the guest wants an interrupt for what was pushed since the last call. */
bool virtio_queue_wants_interrupt(VirtioQueue *queue);

/*
 * Copies between a buffer and spans, from byte @offset of the spans on; returns the bytes copied,
 * less than @size where the spans end.
 */
size_t virtio_spans_read(const struct iovec *spans, unsigned n_spans, size_t offset, void *buffer,
                         size_t size);
size_t virtio_spans_write(const struct iovec *spans, unsigned n_spans, size_t offset,
                          const void *buffer, size_t size);

/*
 * The part of @spans from byte @offset on and at most @size bytes long, into @ret (room for
 * @n_spans entries, may not be @spans): for preadv() and pwritev() straight to and from guest
 * memory. Returns the number of entries.
 */
unsigned virtio_spans_slice(const struct iovec *spans, unsigned n_spans, size_t offset, size_t size,
                            struct iovec *ret);

/* Nothing may be in flight. Loading gives state only: virtio_queue_start() checks it. */
void virtio_queue_save(const VirtioQueue *queue, WireWriter *writer);
void virtio_queue_load(VirtioQueue *queue, WireReader *reader);
