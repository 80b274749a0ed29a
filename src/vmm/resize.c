/* Memory that comes and goes; see resize.h. */
#include "vmm/resize.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "vmm/virtio/balloon.h"
#include "vmm/virtio/mem.h"

#define RESIZE_NEWS_USEC (100 * USEC_PER_MSEC)

static void resize_get_sizes(const LinkMemory *memory, uint64_t *ret_requested,
                             uint64_t *ret_actual)
{
        if (virtio_device_is_mem(memory->device))
                virtio_mem_get_sizes(memory->device, ret_requested, ret_actual);
        else
                virtio_balloon_get_sizes(memory->device, ret_requested, ret_actual);
}

static int resize_send(LinkMemory *memory)
{
        ControlMessage message = {.type = CONTROL_MEMORY, .memory.slot = memory->slot};

        resize_get_sizes(memory, &message.memory.requested_bytes, &message.memory.actual_bytes);
        return link_send(memory->link, &message, FD_NONE);
}

static int resize_on_timer(LoopTimer *timer);

/* Sends what is new, and comes back as long as something was. */
static void resize_tell(Link *link)
{
        bool again = false;

        for (unsigned i = 0; i < LINK_MEMORY_MAX; i++) {
                LinkMemory *memory = &link->memory[i];
                int r = 0;

                if (!memory->is_new || !memory->device)
                        continue;
                r = resize_send(memory);
                /* A supervisor that doesn't read gets the next state when it does. */
                memory->is_new = error_is_transient(r);
                again = true;
                if (r < 0 && !memory->is_new && !error_is_disconnect(r))
                        log_warning_errno(r, "can't tell how much memory the guest has");
        }
        if (again)
                loop_timer_arm(link->loop, &link->memory_timer, clock_now_usec() + RESIZE_NEWS_USEC,
                               resize_on_timer);
}

static int resize_on_timer(LoopTimer *timer)
{
        resize_tell(CONTAINER_OF(timer, Link, memory_timer));
        return 0;
}

static void resize_on_changed(void *userdata)
{
        LinkMemory *memory = userdata;

        memory->is_new = true;
        if (!memory->link->memory_timer.loop)
                resize_tell(memory->link);
}

void resize_init(Link *link)
{
        for (unsigned i = 0; i < LINK_MEMORY_MAX; i++)
                link->memory[i].link = link;
}

void resize_done(Link *link)
{
        loop_timer_cancel(&link->memory_timer);
}

int resize_make_balloon(Link *link, VirtioDevice **ret)
{
        LinkMemory *memory = &link->memory[LINK_MEMORY_BALLOON];

        if (memory->device)
                return -EEXIST;
        return virtio_balloon_new(link->loop, &link->machine.memory, resize_on_changed, memory,
                                  ret);
}

int resize_make_mem(Link *link, VirtioDevice **ret)
{
        LinkMemory *memory = &link->memory[LINK_MEMORY_MEM];

        if (memory->device)
                return -EEXIST;
        return virtio_mem_new(link->loop, &link->machine.memory, resize_on_changed, memory, ret);
}

static LinkMemory *resize_of_kind(Link *link, const VirtioDevice *device)
{
        if (virtio_device_is_mem(device))
                return &link->memory[LINK_MEMORY_MEM];
        return virtio_device_is_balloon(device) ? &link->memory[LINK_MEMORY_BALLOON] : NULL;
}

void resize_plugged(Link *link, VirtioDevice *device, uint32_t slot)
{
        LinkMemory *memory = resize_of_kind(link, device);

        if (!memory)
                return;
        memory->device = device;
        memory->slot = slot;
        memory->is_new = false;
}

static LinkMemory *resize_in_slot(Link *link, uint32_t slot)
{
        for (unsigned i = 0; i < LINK_MEMORY_MAX; i++)
                if (link->memory[i].device && link->memory[i].slot == slot)
                        return &link->memory[i];
        return NULL;
}

bool resize_is_in_use(Link *link, uint32_t slot)
{
        const LinkMemory *memory = resize_in_slot(link, slot);

        return memory && virtio_device_is_mem(memory->device) &&
               link->machine.memory.hot.plugged > 0;
}

void resize_unplugged(Link *link, uint32_t slot)
{
        LinkMemory *memory = resize_in_slot(link, slot);

        if (memory)
                memory->device = NULL;
}

static const char *resize_problem(int r)
{
        switch (r) {
        case -ENODEV:
                return "the slot is empty";
        case -EINVAL:
                return "this device can't have that size";
        }
        return NULL;
}

/* The memory is shown to KVM when the first of it is wanted: a machine that never grows pays nothing. */
static int resize_mem(Link *link, VirtioDevice *device, uint64_t bytes)
{
        int r = bytes > 0 ? kvm_vm_map_hot(&link->machine.vm, &link->machine.memory.hot) : 0;

        return r < 0 ? r : virtio_mem_resize(device, bytes);
}

int resize_request(Link *link, const ControlMessage *message)
{
        uint32_t slot = message->resize.slot;
        const LinkMemory *memory = resize_in_slot(link, slot);
        int r = -ENODEV;

        if (memory && virtio_device_is_mem(memory->device))
                r = resize_mem(link, memory->device, message->resize.bytes);
        else if (memory)
                r = virtio_balloon_resize(memory->device, message->resize.bytes);
        else if (virtio_slots_device(&link->machine.slots, slot))
                r = -EINVAL;
        return link_reply(link, message->serial, r, 0, resize_problem(r));
}
