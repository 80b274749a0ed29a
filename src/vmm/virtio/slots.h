/*
 * The board's table of virtio-mmio slots: which device sits where, and its wiring to KVM. A guest's
 * kick comes by ioeventfd to the device's loop, an interrupt goes out as an edge.
 *
 * The table's size is fixed when the machine is made; each slot is plugged and unplugged any number
 * of times, before and while the guest runs. What a live guest has to do for it is not our business
 * (for Linux: bind and unbind the platform device).
 *
 * Thread: the I/O thread with the board's lock held, but virtio_slots_find(), which is pure. A device
 * with a thread of its own is visited for what is done to it.
 */
#pragma once

#include "base/loop.h"
#include "vmm/kvm/vm.h"
#include "vmm/virtio/mmio.h"

#define VIRTIO_SLOTS_MAX 32

/* Behind the last slot there may be: a page of memory, whose word i is what VIRTIO_MMIO_CHANGES of slot
 * i leads to. The page is shared with the guest, which is not trusted to leave it alone. */
#define VIRTIO_SLOTS_CHANGES (VIRTIO_SLOTS_MAX * VIRTIO_MMIO_SLOT_SIZE)

typedef struct VirtioSlot VirtioSlot;

typedef struct VirtioKick {
        LoopFd source;
        VirtioSlot *slot;
        int fd;
} VirtioKick;

struct VirtioSlot {
        VirtioMmio mmio;
        uint64_t address; /* of the registers */
        uint32_t gsi;
        KvmVm *vm;
        int interrupt_fd;
        VirtioKick *kicks; /* one a queue of the device that is there */
};

typedef struct VirtioSlots {
        unsigned n;
        uint64_t base;
        VirtioSlot *slots;
        uint32_t *changes; /* a page */
} VirtioSlots;

/* @n empty slots from @base on; slot i interrupts by gsis[i]. Borrows @vm. 0 or -errno. */
int virtio_slots_init(VirtioSlots *slots, KvmVm *vm, uint64_t base, const uint8_t *gsis,
                      unsigned n);

/*
 * Frees the devices; harmless on all zero. 0; or -EBUSY after a time limit: requests of some device
 * don't end. They may still touch the guest's memory, so all stays as it is, and the process has to
 * end.
 */
int virtio_slots_done(VirtioSlots *slots);

/* The slot whose registers @address lies in, or NULL. */
VirtioSlot *virtio_slots_find(const VirtioSlots *slots, uint64_t address, uint32_t *ret_offset);

/*
 * Puts @device into slot @index, or into the first empty one if that is UINT32_MAX. Takes @device
 * over on success. 0 and the slot; -EBUSY the slot is taken, -ENOSPC none is empty, -EINVAL there
 * is no such slot; or -errno.
 */
int virtio_slots_plug(VirtioSlots *slots, uint32_t index, VirtioDevice *device,
                      uint32_t *ret_index);

/* A register write that virtio_mmio_is_deferred(). As virtio_mmio_write(); -EAGAIN also when the
 * device's thread is busy for longer. */
int virtio_slot_write(VirtioSlot *slot, uint32_t offset, const void *data, unsigned size);

/* Empties the slot and frees its device. 0; -ENODEV: nothing is there; -EBUSY: it has requests in
 * flight, so the guest still uses it. */
int virtio_slots_unplug(VirtioSlots *slots, uint32_t index);

/* The device in slot @index, or NULL. */
VirtioDevice *virtio_slots_device(const VirtioSlots *slots, uint32_t index);
