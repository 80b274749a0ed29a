/* From a tap into a guest's buffers; see net_receive.h. */
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "vmm/virtio/net_receive.h"

/* struct virtio_net_hdr_v1, virtio 1.2 §5.1.6: num_buffers is the last field. */
#define NUM_BUFFERS_OFFSET 10

int net_receive_init(NetReceive *receive)
{
        receive->rest = malloc(TAP_PACKET_MAX);
        return receive->rest ? 0 : -ENOMEM;
}

void net_receive_done(NetReceive *receive)
{
        free(receive->rest);
        receive->rest = NULL;
}

void net_receive_reset(NetReceive *receive, bool is_mergeable)
{
        receive->is_mergeable = is_mergeable;
        receive->is_full = false;
        receive->n_chains = receive->n_spans = 0;
        receive->size = receive->pending = receive->placed = 0;
}

/* Adds the next chain of the queue. 0, VIRTIO_QUEUE_E_* or NET_RECEIVE_E_MALFORMED. */
static int window_add(NetReceive *receive, VirtioQueue *queue)
{
        VirtioChain chain;
        int r = virtio_queue_peek(queue, receive->n_chains, &chain);

        if (r != 0)
                return r;
        if (chain.writable_size == 0)
                return NET_RECEIVE_E_MALFORMED;
        if (receive->n_spans + chain.n_writable > NET_WINDOW_SPANS) {
                receive->is_full = true;
                return 0;
        }
        memcpy(&receive->spans[receive->n_spans], chain.writable,
               chain.n_writable * sizeof(chain.spans[0]));
        receive->chains[receive->n_chains].head = chain.head;
        receive->chains[receive->n_chains].n_spans = (uint16_t)chain.n_writable;
        receive->chains[receive->n_chains].size = chain.writable_size;
        receive->n_chains++;
        receive->n_spans += chain.n_writable;
        /* Chains of 4 GiB each: what is beyond a packet's size makes no difference. */
        receive->size += MIN(chain.writable_size, TAP_PACKET_MAX);
        receive->is_full = !receive->is_mergeable || receive->n_chains == queue->state.size;
        return 0;
}

/* Until the longest packet has room. 0, also if there is less; or as window_add(). */
static int window_fill(NetReceive *receive, VirtioQueue *queue)
{
        int r = 0;

        if (!virtio_queue_is_live(queue))
                net_receive_reset(receive, receive->is_mergeable);
        while (r == 0 && !receive->is_full && receive->size < TAP_PACKET_MAX)
                r = window_add(receive, queue);
        return r == VIRTIO_QUEUE_E_EMPTY ? 0 : r;
}

/* Takes the first @n chains off the window. */
static void window_shift(NetReceive *receive, unsigned n)
{
        unsigned n_spans = 0;

        for (unsigned i = 0; i < n; i++) {
                n_spans += receive->chains[i].n_spans;
                receive->size -= MIN(receive->chains[i].size, TAP_PACKET_MAX);
        }
        receive->n_chains -= n;
        receive->n_spans -= n_spans;
        receive->is_full = false;
        memmove(receive->chains, receive->chains + n,
                receive->n_chains * sizeof(receive->chains[0]));
        memmove(receive->spans, receive->spans + n_spans,
                receive->n_spans * sizeof(receive->spans[0]));
}

/* 0 and the packet is pending, or NET_RECEIVE_E_DROPPED, or -errno. */
static int receive_read(NetReceive *receive, int tap)
{
        ssize_t n;

        receive->spans[receive->n_spans] = (struct iovec){
                .iov_base = receive->rest,
                .iov_len = TAP_PACKET_MAX,
        };
        n = readv(tap, receive->spans, (int)receive->n_spans + 1);
        if (n < 0)
                return errno_neg();
        if (n == 0)
                return -ECONNRESET;
        /* A tap cuts what is too long. */
        if (n <= TAP_HEADER_SIZE || n > TAP_PACKET_MAX)
                return NET_RECEIVE_E_DROPPED;
        receive->pending = (uint32_t)n;
        receive->at_rest = MIN(receive->size, receive->pending);
        receive->placed = receive->at_rest;
        return 0;
}

/* Moves what is at rest into buffers that came later. */
static void receive_place(NetReceive *receive)
{
        uint32_t size = MIN(receive->size, receive->pending) - receive->placed;

        receive->placed += (uint32_t)virtio_spans_write(
                receive->spans, receive->n_spans, receive->placed,
                receive->rest + (receive->placed - receive->at_rest), size);
}

/* The window holds the whole packet: it is the guest's. */
static void receive_deliver(NetReceive *receive, VirtioQueue *queue)
{
        uint32_t left = receive->pending;
        uint16_t count, n = 0;

        for (uint32_t room = 0; room < left; n++)
                room += MIN(receive->chains[n].size, TAP_PACKET_MAX);
        count = htole16(n);
        virtio_spans_write(receive->spans, receive->n_spans, NUM_BUFFERS_OFFSET, &count,
                           sizeof(count));
        virtio_queue_take(queue, n);
        for (unsigned i = 0; i < n; i++) {
                uint32_t written = MIN(left, receive->chains[i].size);

                virtio_queue_stage(queue, receive->chains[i].head, written);
                left -= written;
        }
        virtio_queue_publish(queue);
        window_shift(receive, n);
        receive->pending = 0;
}

/* A packet was read, perhaps with more than the window has room for: 0 once there is enough. */
static int receive_find_room(NetReceive *receive, VirtioQueue *queue)
{
        int r = 0;

        while (r == 0) {
                receive_place(receive);
                if (receive->placed == receive->pending)
                        return 0;
                if (receive->is_full) {
                        receive->pending = 0;
                        return NET_RECEIVE_E_DROPPED;
                }
                if (virtio_queue_await(queue, receive->n_chains))
                        return NET_RECEIVE_E_STARVED;
                r = window_fill(receive, queue);
        }
        return r;
}

int net_receive_packet(NetReceive *receive, VirtioQueue *queue, int tap, uint32_t *ret_size)
{
        int r = window_fill(receive, queue);

        while (r == 0 && receive->n_chains == 0) {
                if (virtio_queue_await(queue, 0))
                        return NET_RECEIVE_E_STARVED;
                r = window_fill(receive, queue);
        }
        if (r == 0 && receive->pending == 0)
                r = receive_read(receive, tap);
        if (r == 0)
                r = receive_find_room(receive, queue);
        if (r != 0)
                return r;
        *ret_size = receive->pending - TAP_HEADER_SIZE;
        receive_deliver(receive, queue);
        return 0;
}

int net_receive_discard(NetReceive *receive, int tap)
{
        receive->pending = 0;
        return read(tap, receive->rest, TAP_PACKET_MAX) < 0 ? errno_neg() : 0;
}
