/*
 * The registers of a virtio-mmio slot (virtio 1.2 §4.2.2, version 2 only), without any wiring: what
 * a guest's access does to the device that is plugged, or what an empty slot answers.
 *
 * Thread: under the board's lock, or on the I/O thread, and as the visitor of the device's own, where
 * virtio_mmio_is_deferred() says so; the interrupt status is atomic and needs neither. Offsets, sizes
 * and values are hostile.
 */
#pragma once

#include "vmm/virtio/device.h"

#define VIRTIO_MMIO_SLOT_SIZE     0x1000
#define VIRTIO_MMIO_QUEUE_NOTIFY  0x050
#define VIRTIO_MMIO_INTERRUPT_ACK 0x064

typedef struct VirtioMmio {
        VirtioDevice *device; /* NULL: an empty slot */
        atomic_uint interrupt_status;
        uint32_t device_features_select;
        uint32_t driver_features_select;
        uint32_t queue_select;
} VirtioMmio;

/* Whether the access needs no lock: the two registers of an interrupt handler. */
bool virtio_mmio_is_lockless(uint32_t offset, bool is_write);

/*
 * Whether the write calls into the device, or takes a queue away that the device may be using, and
 * so belongs to the I/O thread. A queue's other registers can't be written while it is in use.
 */
bool virtio_mmio_is_deferred(const VirtioMmio *mmio, uint32_t offset);

/* @size is 1 to 8 bytes. What isn't a register reads as zeros. */
void virtio_mmio_read(VirtioMmio *mmio, uint32_t offset, void *data, unsigned size);

/*
 * 0; -EAGAIN: a reset has to wait for requests in flight, the same write is to be tried again; or
 * another -errno when the device fails on the host's side. What isn't a register is ignored.
 */
int virtio_mmio_write(VirtioMmio *mmio, uint32_t offset, const void *data, unsigned size);

/* Selectors and interrupt status, in front of the device's own state. */
int virtio_mmio_save(const VirtioMmio *mmio, WireWriter *writer);
int virtio_mmio_load(VirtioMmio *mmio, WireReader *reader);
