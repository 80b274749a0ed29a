/*
 * virtio-vsock (virtio 1.2 §5.10), streams only, whole in this process: no vhost, so no host-wide
 * address and no kernel code that a guest can reach. What connects to what is vmm/vsock/mux.h; this
 * is the three queues (0 rx, 1 tx, 2 events) and the configuration (the guest's CID).
 *
 * Connections don't survive a template: a device that was loaded has none, and tells the driver by
 * VIRTIO_VSOCK_EVENT_TRANSPORT_RESET (§5.10.6.7), upon which it drops its own and reads its CID anew.
 * Listeners are not kept either: who loads a template says them again.
 */
#pragma once

#include "vmm/virtio/device.h"

/* All are called on the I/O thread, and may not call back. */
typedef struct VirtioVsockEvents {
        /* The guest connected to @host_port, which is listened on; @fd is a blocking stream socket.
         * Takes @fd if it returns 0; a negative errno refuses the guest. */
        int (*accepted)(void *userdata, uint32_t guest_port, uint32_t host_port, int fd);

        /* The end of the virtio_vsock_connect() with @cookie: 0, -ECONNREFUSED (nobody listens
         * there), or -ECONNRESET (the driver or the device went away). Once each, maybe at
         * virtio_device_free(). */
        void (*connected)(void *userdata, uint32_t cookie, int error);
        void *userdata;
} VirtioVsockEvents;

/* Copies @events. @guest_cid: 3 to 2^32 - 2, else -EINVAL. 0 or -errno. */
int virtio_vsock_new(Loop *loop, const GuestMemory *memory, uint64_t guest_cid,
                     const VirtioVsockEvents *events, VirtioDevice **ret);

/* The following take a device of virtio_vsock_new(). They don't depend on the driver. */

/* Lets the guest connect to @host_port. 0, -EEXIST, -ENOSPC (64 are the limit). */
int virtio_vsock_listen(VirtioDevice *device, uint32_t host_port);
int virtio_vsock_unlisten(VirtioDevice *device, uint32_t host_port); /* 0 or -ENOENT */

/*
 * Joins @fd, a stream socket, with the guest's listener on @guest_port; waits for the driver if need
 * be. Takes @fd if it returns 0, then events.connected follows later; else
 * -ENOTSOCK, -EPROTOTYPE (no stream), -EMFILE (1024 connections are the limit) or -ENOMEM.
 */
int virtio_vsock_connect(VirtioDevice *device, uint32_t guest_port, int fd, uint32_t cookie);
