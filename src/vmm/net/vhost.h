/*
 * The kernel's own walker of a network device's rings (linux/vhost.h, drivers/vhost/net.c): moves
 * packets between a pair of queues and a tap's queue without this process. It is handed the guest's
 * memory, the rings, the eventfds that the guest's kicks come by and its interrupts go out by.
 *
 * It tells nobody how much it moved, keeps no throttle and knows no link state: for these the packets go
 * through this process. So it is started and stopped any number of times, and the rings go on where the
 * other left them.
 */
#pragma once

#include "vmm/virtio/queue.h"

/* What one vhost-net fd drives. */
typedef struct VhostPair {
        int fd;              /* of /dev/vhost-net */
        VirtioQueue *queues; /* two of them: receive, transmit */
        const int *kick_fds; /* two */
        int interrupt_fd;
        int error_fd; /* an eventfd: a ring is not what it should be */
        int tap;
} VhostPair;

/* Binds @fd to this process, once. 0 or -errno. */
int vhost_own(int fd);

/*
 * Has the kernel drive the pair from now on; @features are those of the rings that the driver
 * took. 0; -EINVAL: a
 * queue isn't live; -EOPNOTSUPP: this host's vhost lacks one of the features; or -errno. Nothing runs
 * then.
 */
int vhost_start(const VhostPair *pair, const GuestMemory *memory, uint64_t features);

/* The kernel is done when this returns, and the queues say how far it came. */
void vhost_stop(const VhostPair *pair);
