/*
 * virtio-balloon (virtio 1.2 §5.5): memory that the guest gives back to the host, on request (inflate),
 * or by itself as it frees it (free page reporting); it takes either back by touching it. Under memory
 * pressure the guest deflates by itself.
 *
 * What is given back is dropped from this process (MADV_DONTNEED): the guest finds zeros there. A page
 * out of a huge page frees memory of the host when its neighbours were given, too, or when the host is
 * short and splits huge pages; what is reported comes in whole ones.
 *
 * How much is in the balloon, and the statistics, are the guest's word. It makes statistics when it is
 * asked, so that an idle guest isn't woken for what nobody wants to know.
 *
 * Thread: the machine's I/O thread.
 */
#pragma once

#include "proto/control.h"
#include "vmm/virtio/device.h"

/* Called when what the guest says that it gave has changed. */
typedef void (*VirtioBalloonChanged)(void *userdata);

int virtio_balloon_new(Loop *loop, const GuestMemory *memory, VirtioBalloonChanged changed,
                       void *userdata, VirtioDevice **ret);

/* How much the guest is to give: whole pages of 4 KiB, no more than it has, else -EINVAL. */
int virtio_balloon_resize(VirtioDevice *device, uint64_t bytes);

/* What it is to give, and what the guest says that it gave. */
void virtio_balloon_get_sizes(const VirtioDevice *device, uint64_t *ret_requested,
                              uint64_t *ret_actual);

/* Fills in what of @stats a balloon knows, and asks the guest for news if that is old. */
void virtio_balloon_get_stats(VirtioDevice *device, ControlMemoryStats *stats);

static inline bool virtio_device_is_balloon(const VirtioDevice *device)
{
        return device && device->ops->id == VIRTIO_ID_BALLOON;
}
