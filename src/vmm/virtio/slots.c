/* The table of virtio-mmio slots; see slots.h. */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "vmm/virtio/slots.h"

int virtio_slots_init(VirtioSlots *slots, KvmVm *vm, uint64_t base, const uint8_t *gsis, unsigned n)
{
        *slots = (VirtioSlots){.n = n, .base = base};
        if (n == 0)
                return 0;
        slots->slots = calloc(n, sizeof(*slots->slots));
        if (!slots->slots)
                return -ENOMEM;
        for (unsigned i = 0; i < n; i++) {
                VirtioSlot *slot = &slots->slots[i];

                slot->address = base + (uint64_t)i * VIRTIO_MMIO_SLOT_SIZE;
                slot->gsi = gsis[i];
                slot->vm = vm;
                slot->interrupt_fd = FD_NONE;
                for (unsigned k = 0; k < VIRTIO_QUEUES_MAX; k++)
                        slot->kicks[k] = (VirtioKick){.slot = slot, .fd = FD_NONE};
        }
        return 0;
}

void virtio_slots_done(VirtioSlots *slots)
{
        for (unsigned i = 0; slots->slots && i < slots->n; i++)
                (void)virtio_slots_unplug(slots, i);
        free(slots->slots);
        *slots = (VirtioSlots){};
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
        uint64_t n;

        /* Cleared before the queue is looked at, so that no kick falls in between. */
        if (read(kick->fd, &n, sizeof(n)) < 0)
                return errno == EAGAIN ? 0 : errno_neg();
        return virtio_device_notify(kick->slot->mmio.device, (unsigned)(kick - kick->slot->kicks));
}

static int kick_wire(VirtioKick *kick, unsigned queue, Loop *loop)
{
        VirtioSlot *slot = kick->slot;
        int r;

        kick->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (kick->fd < 0)
                return errno_neg();
        r = loop_fd_add(loop, &kick->source, kick->fd, EPOLLIN, slot_on_kick);
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

static void slot_unwire(VirtioSlot *slot, VirtioDevice *device)
{
        for (unsigned i = 0; i < device->ops->n_queues; i++) {
                kick_unwire(&slot->kicks[i], i);
                device->kick_fds[i] = FD_NONE;
        }
        if (slot->interrupt_fd >= 0)
                (void)kvm_vm_irqfd(slot->vm, slot->gsi, slot->interrupt_fd, false);
        slot->interrupt_fd = fd_close(slot->interrupt_fd);
        device->interrupt_fd = FD_NONE;
        device->interrupt_status = NULL;
}

static int slot_wire(VirtioSlot *slot, VirtioDevice *device)
{
        int r = 0;

        slot->interrupt_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (slot->interrupt_fd < 0)
                return errno_neg();
        for (unsigned i = 0; i < device->ops->n_queues && r == 0; i++) {
                r = kick_wire(&slot->kicks[i], i, device->loop);
                device->kick_fds[i] = slot->kicks[i].fd;
        }
        if (r == 0)
                r = kvm_vm_irqfd(slot->vm, slot->gsi, slot->interrupt_fd, true);
        device->interrupt_fd = slot->interrupt_fd;
        device->interrupt_status = &slot->mmio.interrupt_status;
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
        if (r < 0) {
                slot_unwire(slot, device);
                return r;
        }
        slot->mmio.device_features_select = slot->mmio.driver_features_select = 0;
        slot->mmio.queue_select = 0;
        atomic_store(&slot->mmio.interrupt_status, 0);
        slot->mmio.device = device; /* from here on the guest sees it */
        *ret_index = chosen;
        return 0;
}

int virtio_slots_unplug(VirtioSlots *slots, uint32_t index)
{
        VirtioDevice *device = virtio_slots_device(slots, index);
        VirtioSlot *slot;

        if (!device)
                return -ENODEV;
        slot = &slots->slots[index];
        slot->mmio.device = NULL;
        slot_unwire(slot, device);
        virtio_device_free(device);
        atomic_store(&slot->mmio.interrupt_status, 0);
        return 0;
}
