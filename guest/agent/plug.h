/*
 * Devices that come and go: the monitor turns an empty virtio-mmio slot into a device, and the
 * driver is bound to it here; before it takes the device away the driver is unbound. See
 * drivers/virtio/virtio_mmio.c of Linux: an empty slot is refused with ENODEV.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/guest.h"

/* Answers request @request when the driver is done. A device that is mounted isn't unbound (EBUSY):
 * with 9p that would block until nobody has it mounted, maybe for ever. One whose driver is unbound
 * already is done. */
void plug_slot(Guest *guest, uint32_t request, uint32_t slot, bool bind);
