/*
 * A tap's queues, as file descriptors that were handed over (linux/if_tun.h, drivers/net/tun.c): each
 * read or write is one packet, a virtio-net header in front of an Ethernet frame.
 *
 * What a tap may hand us unsegmented or without checksums is an offload: an offload of ours is what
 * the guest said it can take. What the guest hands the tap needs none: the header says what to do.
 */
#pragma once

#include <stdbool.h>

#define TAP_HEADER_SIZE 12 /* struct virtio_net_hdr_v1, virtio 1.2 §5.1.6 */

/* Header, frame with a VLAN tag, and room: the largest packet that a tap has. */
#define TAP_PACKET_MAX 65600U

enum {
        TAP_CSUM = 1U << 0, /* frames without checksums; all others need it */
        TAP_TSO4 = 1U << 1,
        TAP_TSO6 = 1U << 2,
        TAP_ECN = 1U << 3, /* segmentation of frames with ECN bits */
        TAP_UFO = 1U << 4,
        TAP_USO = 1U << 5, /* UDP, as segments: both versions or none */
};

/*
 * Makes the @n queues of one tap ours: not blocking, headers of TAP_HEADER_SIZE in little endian, no
 * offloads. 0 and the offloads that this host's taps have; or -errno with what to tell a person:
 * -EINVAL they are no tap's queues, or not opened as they have to be.
 */
int tap_prepare(const int *fds, unsigned n, unsigned *ret_offloads, const char **ret_problem);

/* From now on the tap may use these. A socket in a tap's place (of a test) has none: 0. */
int tap_set_offloads(int fd, unsigned offloads);

/* Whether the host may put packets into this queue. Likewise. */
int tap_attach(int fd, bool is_attached);
