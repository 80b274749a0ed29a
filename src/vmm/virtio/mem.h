/*
 * virtio-mem (virtio 1.2 §5.15): the guest plugs and unplugs blocks of the region that mem/hot.h has
 * reserved, up to what the supervisor asks for. It never gets more; less is its own choice, for it can
 * only give back blocks that it can empty.
 *
 * What it gives back leaves this process, and is inaccessible from then on (F_UNPLUGGED_INACCESSIBLE).
 * A driver's reset changes nothing: what is plugged stays.
 *
 * Saved state: what was asked for, and which blocks are plugged; what is in them is a matter of who saves
 * the guest's memory.
 *
 * Thread: the machine's I/O thread.
 */
#pragma once

#include "proto/control.h"
#include "vmm/virtio/device.h"

/* Called when the guest has plugged or unplugged something. */
typedef void (*VirtioMemChanged)(void *userdata);

/* Borrows @memory. -EINVAL: it has no room for more. */
int virtio_mem_new(Loop *loop, GuestMemory *memory, VirtioMemChanged changed, void *userdata,
                   VirtioDevice **ret);

/* How much is to be plugged: whole blocks, no more than the limit, else -EINVAL. */
int virtio_mem_resize(VirtioDevice *device, uint64_t bytes);

/* What is to be plugged, and what is. */
void virtio_mem_get_sizes(const VirtioDevice *device, uint64_t *ret_requested,
                          uint64_t *ret_plugged);

static inline bool virtio_device_is_mem(const VirtioDevice *device)
{
        return device && device->ops->id == VIRTIO_ID_MEM;
}
