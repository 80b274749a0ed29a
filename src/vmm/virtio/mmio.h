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

/*
 * A register of ours, which a driver knows by VIRTIO_MMIO_VENDOR_ID: the address of a u32 in ordinary
 * memory, read-only to the driver, that goes up by one before each configuration interrupt; 0: there
 * is none. With it an interrupt handler needs neither the interrupt status nor its acknowledgement,
 * which are an exit each: the rings tell about queues, and the line is an edge. A driver that reads
 * the status finds it as ever. The word outlives device and resets: only a difference means something.
 */
#define VIRTIO_MMIO_CHANGES   0x0f8
#define VIRTIO_MMIO_VENDOR_ID 0x6d5675 /* "uVm" */

typedef struct VirtioMmio {
        VirtioDevice *device; /* NULL: an empty slot */
        atomic_uint interrupt_status;
        uint32_t device_features_select;
        uint32_t driver_features_select;
        uint32_t queue_select;

        /* The slot's own; NULL and 0: there is no such word. */
        uint32_t *changes; /* the guest may write to it, too: it is never relied on */
        uint32_t changes_address;
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

/* Selectors, interrupt status and the word of changes, in front of the device's own state. */
int virtio_mmio_save(const VirtioMmio *mmio, WireWriter *writer);
int virtio_mmio_load(VirtioMmio *mmio, WireReader *reader);
