/*
 * From a tap into a guest's buffers: one read(2) a packet, straight into guest memory.
 *
 * How long a packet is shows only when it has been read, so a window of the buffers that come next is
 * kept, without taking them: with MRG_RXBUF as many as the longest packet needs, else one. A packet
 * takes as many from the window's front as it fills. Behind the window lies a buffer of our own,
 * the rest's: what a packet has beyond the window is copied into buffers as they come. So a driver
 * that gives few buffers at a time loses no packet, and one that gives many has none copied.
 *
 * The window stays good from one packet to the next, for a driver leaves what it made available
 * alone; when the queue is reset or stopped it is empty again.
 */
#pragma once

#include <stdbool.h>

#include "vmm/net/tap.h"
#include "vmm/virtio/queue.h"

#define NET_WINDOW_CHAINS VIRTIO_QUEUE_SIZE_MAX
#define NET_WINDOW_SPANS  VIRTIO_QUEUE_SIZE_MAX

enum {
        NET_RECEIVE_E_STARVED = 16, /* no buffers: the driver kicks when there are some */
        NET_RECEIVE_E_DROPPED,      /* a packet that is none, or that no buffers can hold */
        NET_RECEIVE_E_MALFORMED,    /* a buffer that can't be written: the device needs reset */
};

typedef struct NetReceive {
        bool is_mergeable;
        bool is_full; /* no more chains may or can be added to the window */
        unsigned n_chains, n_spans;
        uint32_t size; /* bytes of the window */
        struct {
                uint16_t head;
                uint16_t n_spans;
                uint32_t size;
        } chains[NET_WINDOW_CHAINS];
        struct iovec spans[NET_WINDOW_SPANS + 1]; /* the last one for the rest */

        uint8_t *rest;    /* TAP_PACKET_MAX bytes */
        uint32_t pending; /* bytes of a packet that was read and waits for room; 0: none */
        uint32_t placed;  /* so many of them are in the window */
        uint32_t at_rest; /* of the first byte in @rest, in the packet */
} NetReceive;

/* 0 or -ENOMEM. */
int net_receive_init(NetReceive *receive);
void net_receive_done(NetReceive *receive); /* harmless on all zero */

/* Forgets buffers and packets: the queue is new. */
void net_receive_reset(NetReceive *receive, bool is_mergeable);

/*
 * Reads the next packet of @tap and gives it to the guest. 0 and its bytes without the header;
 * NET_RECEIVE_E_*, VIRTIO_QUEUE_E_BROKEN; or -errno of the tap (-EAGAIN: none is there).
 */
int net_receive_packet(NetReceive *receive, VirtioQueue *queue, int tap, uint32_t *ret_size);

/* Reads the next packet and forgets it. 0 or -errno of the tap. */
int net_receive_discard(NetReceive *receive, int tap);
