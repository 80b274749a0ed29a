/* The table of virtio-mmio slots; see slots.h. */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "vmm/virtio/slots.h"

/* How long the end waits for requests in flight. */
#define SLOTS_END_USEC (2 * USEC_PER_SEC)

static int slots_map_changes(VirtioSlots *slots, KvmVm *vm)
{
        void *page = mmap(NULL, KVM_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                          -1, 0);

        if (page == MAP_FAILED)
                return errno_neg();
        slots->changes = page;
        return kvm_vm_map_page(vm, slots->base + VIRTIO_SLOTS_CHANGES, page);
}

int virtio_slots_init(VirtioSlots *slots, KvmVm *vm, uint64_t base, const uint8_t *gsis, unsigned n)
{
        int r;

        *slots = (VirtioSlots){.n = n, .base = base};
        if (n == 0)
                return 0;
        r = slots_map_changes(slots, vm);
        if (r < 0)
                return r;
        slots->slots = calloc(n, sizeof(*slots->slots));
        if (!slots->slots)
                return -ENOMEM;
        for (unsigned i = 0; i < n; i++) {
                VirtioSlot *slot = &slots->slots[i];

                slot->address = base + (uint64_t)i * VIRTIO_MMIO_SLOT_SIZE;
                slot->gsi = gsis[i];
                slot->vm = vm;
                slot->interrupt_fd = FD_NONE;
                slot->mmio.changes = &slots->changes[i];
                slot->mmio.changes_address = (uint32_t)(base + VIRTIO_SLOTS_CHANGES +
                                                        i * sizeof(*slots->changes));
        }
        return 0;
}

VirtioSlot *virtio_slots_find(const VirtioSlots *slots, uint64_t address, uint32_t *ret_offset)
{
        uint64_t offset = address - slots->base;

        if (address < slots->base || offset / VIRTIO_MMIO_SLOT_SIZE >= slots->n)
                return NULL;
        *ret_offset = (uint32_t)(offset % VIRTIO_MMIO_SLOT_SIZE);
        return &slots->slots[offset / VIRTIO_MMIO_SLOT_SIZE];
}

VirtioDevice *virtio_slots_device(const VirtioSlots *slots, uint32_t index)
{
        return index < slots->n ? slots->slots[index].mmio.device : NULL;
}

static int slot_on_kick(LoopFd *source, uint32_t events)
{
        VirtioKick *kick = CONTAINER_OF(source, VirtioKick, source);

        return virtio_device_notify(kick->slot->mmio.device, (unsigned)(kick - kick->slot->kicks));
}

static int kick_wire(VirtioKick *kick, unsigned queue, Loop *loop)
{
        VirtioSlot *slot = kick->slot;
        int r;

        kick->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (kick->fd < 0)
                return errno_neg();
        r = loop_fd_add(loop, &kick->source, kick->fd, VIRTIO_KICK_EVENTS, slot_on_kick);
        if (r < 0)
                return r;
        return kvm_vm_ioeventfd(slot->vm, slot->address + VIRTIO_MMIO_QUEUE_NOTIFY, queue, kick->fd,
                                true);
}

/* Undoes what kick_wire() did, also half of it. */
static void kick_unwire(VirtioKick *kick, unsigned queue)
{
        VirtioSlot *slot = kick->slot;

        if (kick->fd < 0)
                return;
        (void)kvm_vm_ioeventfd(slot->vm, slot->address + VIRTIO_MMIO_QUEUE_NOTIFY, queue, kick->fd,
                               false);
        loop_fd_remove(&kick->source);
        kick->fd = fd_close(kick->fd);
}

/* For a visitor of the device. */
static void slot_unwire(VirtioSlot *slot, VirtioDevice *device)
{
        for (unsigned i = 0; slot->kicks && i < device->n_queues; i++) {
                kick_unwire(&slot->kicks[i], i);
                device->kick_fds[i] = FD_NONE;
                device->kick_sources[i] = NULL;
        }
        free(slot->kicks);
        slot->kicks = NULL;
        if (slot->interrupt_fd >= 0)
                (void)kvm_vm_irqfd(slot->vm, slot->gsi, slot->interrupt_fd, false);
        slot->interrupt_fd = fd_close(slot->interrupt_fd);
        device->interrupt_fd = FD_NONE;
        device->interrupt_status = NULL;
        device->changes = NULL;
        device->vm = NULL;
}

/* For a visitor of the device. */
static int slot_wire_all(VirtioSlot *slot, VirtioDevice *device)
{
        int r = 0;

        slot->kicks = calloc(device->n_queues, sizeof(*slot->kicks));
        if (!slot->kicks)
                return -ENOMEM;
        for (unsigned i = 0; i < device->n_queues; i++)
                slot->kicks[i] = (VirtioKick){.slot = slot, .fd = FD_NONE};
        slot->interrupt_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (slot->interrupt_fd < 0)
                return errno_neg();
        for (unsigned i = 0; i < device->n_queues && r == 0; i++) {
                r = kick_wire(&slot->kicks[i], i, device->loop);
                device->kick_fds[i] = slot->kicks[i].fd;
                device->kick_sources[i] = &slot->kicks[i].source;
        }
        if (r == 0)
                r = kvm_vm_irqfd(slot->vm, slot->gsi, slot->interrupt_fd, true);
        device->interrupt_fd = slot->interrupt_fd;
        device->interrupt_status = &slot->mmio.interrupt_status;
        device->changes = slot->mmio.changes;
        device->vm = slot->vm;
        device->gsi = slot->gsi;
        return r;
}

static int slot_wire(VirtioSlot *slot, VirtioDevice *device)
{
        int r;

        /* Nothing was asked of it yet that it could be busy with. */
        if (device->thread)
                iothread_enter(device->thread);
        r = slot_wire_all(slot, device);
        if (r < 0)
                slot_unwire(slot, device);
        virtio_device_leave(device);
        return r;
}

static int slots_choose(const VirtioSlots *slots, uint32_t index, uint32_t *ret)
{
        if (index != UINT32_MAX) {
                if (index >= slots->n)
                        return -EINVAL;
                *ret = index;
                return slots->slots[index].mmio.device ? -EBUSY : 0;
        }
        for (unsigned i = 0; i < slots->n; i++) {
                if (!slots->slots[i].mmio.device) {
                        *ret = i;
                        return 0;
                }
        }
        return -ENOSPC;
}

int virtio_slots_plug(VirtioSlots *slots, uint32_t index, VirtioDevice *device, uint32_t *ret_index)
{
        VirtioSlot *slot;
        uint32_t chosen;
        int r;

        r = slots_choose(slots, index, &chosen);
        if (r < 0)
                return r;
        slot = &slots->slots[chosen];
        r = slot_wire(slot, device);
        if (r < 0)
                return r;
        slot->mmio.device_features_select = slot->mmio.driver_features_select = 0;
        slot->mmio.queue_select = 0;
        atomic_store(&slot->mmio.interrupt_status, 0);
        slot->mmio.device = device; /* from here on the guest sees it */
        *ret_index = chosen;
        return 0;
}

int virtio_slot_write(VirtioSlot *slot, uint32_t offset, const void *data, unsigned size)
{
        VirtioDevice *device = slot->mmio.device;
        int r;

        if (!device)
                return 0;
        r = virtio_device_try_enter(device);
        if (r < 0)
                return r;
        r = virtio_mmio_write(&slot->mmio, offset, data, size);
        virtio_device_leave(device);
        return r;
}

/* For a visitor of the device, who leaves it. */
static void slot_empty(VirtioSlot *slot, VirtioDevice *device)
{
        slot->mmio.device = NULL;
        slot_unwire(slot, device);
        virtio_device_leave(device);
        virtio_device_free(device);
        atomic_store(&slot->mmio.interrupt_status, 0);
}

int virtio_slots_unplug(VirtioSlots *slots, uint32_t index)
{
        VirtioDevice *device = virtio_slots_device(slots, index);
        int r;

        if (!device)
                return -ENODEV;
        r = virtio_device_enter(device);
        if (r < 0)
                return r;
        if (virtio_device_is_busy(device)) {
                virtio_device_leave(device);
                return -EBUSY;
        }
        slot_empty(&slots->slots[index], device);
        return 0;
}

static int slot_enter_by(VirtioDevice *device, uint64_t deadline_usec)
{
        int r;

        do
                r = virtio_device_try_enter(device);
        while (r == -EAGAIN && clock_now_usec() < deadline_usec);
        return r;
}

/* Waits until nothing of the device is in flight. 0, and the caller is its visitor; or -EBUSY. */
static int slot_drain_by(VirtioDevice *device, uint64_t deadline_usec)
{
        int r = slot_enter_by(device, deadline_usec);

        while (r == 0 && virtio_device_drain(device) < 0) {
                if (!device->thread || clock_now_usec() >= deadline_usec) {
                        virtio_device_leave(device);
                        return -EBUSY;
                }
                r = iothread_wait(device->thread);
                if (r == -EAGAIN)
                        r = slot_enter_by(device, deadline_usec);
        }
        return r < 0 ? -EBUSY : 0;
}

static int slot_end(VirtioSlot *slot, uint64_t deadline_usec)
{
        VirtioDevice *device = slot->mmio.device;
        int r;

        if (!device)
                return 0;
        r = slot_drain_by(device, deadline_usec);
        if (r < 0)
                log_warning("requests of a %s device to the host do not end", device->ops->name);
        else
                slot_empty(slot, device);
        return r;
}

int virtio_slots_done(VirtioSlots *slots)
{
        uint64_t deadline = clock_now_usec() + clock_limit_usec(SLOTS_END_USEC);
        int r = 0;

        for (unsigned i = 0; slots->slots && i < slots->n; i++)
                if (slot_end(&slots->slots[i], deadline) < 0)
                        r = -EBUSY;
        if (r < 0)
                return r;
        free(slots->slots);
        if (slots->changes)
                munmap(slots->changes, KVM_PAGE_SIZE);
        *slots = (VirtioSlots){};
        return 0;
}
