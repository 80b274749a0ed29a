/*
 * virtio-net (virtio 1.2 §5.1) on a tap: up to VIRTIO_NET_PAIRS_MAX pairs of queues and one for
 * control, all on the device's own thread. Packets go straight between guest memory and the tap, each
 * with its header and by one system call: net_pair.h, net_receive.h.
 *
 * Where vhost-net fds come along the kernel moves the packets, as long as the link is up and there is no
 * throttle; nobody counts them then.
 *
 * What is offered besides MAC, STATUS, MRG_RXBUF and the control queue is what the tap can do with
 * checksums and segmentation. A packet, for throttles and statistics, is what passes the tap: one of up to
 * 64 KiB where the guest or the host segment later.
 *
 * Saved state: how many pairs are used, which offloads, and what the driver knows of the device, which
 * must be the same after a load.
 */
#pragma once

#include "vmm/virtio/device.h"

#define VIRTIO_NET_PAIRS_MAX 4U
#define VIRTIO_NET_MAC_SIZE  6U

typedef struct VirtioNetConfig {
        const uint8_t *mac; /* VIRTIO_NET_MAC_SIZE bytes; copied */
        uint16_t mtu;       /* 0: none is offered */
        unsigned n_pairs;   /* 1 to VIRTIO_NET_PAIRS_MAX */
        int *taps;          /* n_pairs queues of a tap, prepared; taken over, also on failure */
        int *vhosts;        /* as many of /dev/vhost-net, taken over likewise; NULL: none */
        unsigned offloads;  /* TAP_*: what they can do */
} VirtioNetConfig;

/* 0 or -errno. */
int virtio_net_new(Loop *loop, const GuestMemory *memory, const VirtioNetConfig *config,
                   VirtioDevice **ret);

/* Whether the cable is plugged in, so to say. Down: packets of both directions are lost. On the
 * machine's I/O thread as the device's visitor. */
void virtio_net_set_link(VirtioDevice *device, bool is_up);

/* A throttle was set: who moves the packets is chosen anew. Likewise; 0 or -errno. */
int virtio_net_choose_mover(VirtioDevice *device);
