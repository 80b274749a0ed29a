/* virtio-rng (virtio 1.2 §5.4): random bytes from the host's getrandom(). */
#pragma once

#include "vmm/virtio/device.h"

int virtio_rng_new(Loop *loop, const GuestMemory *memory, VirtioDevice **ret);
