/* Requests about devices; see plug.h. */
#include "vmm/plug.h"
#include "base/error.h"
#include "base/fd.h"
#include "vmm/virtio/p9.h"
#include "vmm/virtio/rng.h"

/* Devices need a machine to be in; every state but these two has one. */
static bool plug_is_possible(const Machine *machine)
{
        return machine->state != MACHINE_EMPTY && machine->state != MACHINE_ENDED;
}

/* The root comes as the message's only fd. */
static int plug_make_p9(Link *link, const ControlAddDevice *add, int *fds, VirtioDevice **ret)
{
        const VirtioP9Config config = {
                .tag = add->p9.tag,
                .root_fd = TAKE_FD(fds[0]),
                .proc_fd = link->fds_fd,
                .read_only = add->p9.flags & CONTROL_P9_READ_ONLY,
        };

        return virtio_p9_new(link->loop, &link->machine.memory, &config, ret);
}

static int plug_make(Link *link, const ControlAddDevice *add, int *fds, VirtioDevice **ret)
{
        Machine *machine = &link->machine;

        switch (add->kind) {
        case CONTROL_DEVICE_RNG:
                return virtio_rng_new(link->loop, &machine->memory, ret);
        case CONTROL_DEVICE_P9:
                return plug_make_p9(link, add, fds, ret);
        case CONTROL_DEVICE_VSOCK:
        case CONTROL_DEVICE_MAX:
                break;
        }
        return -EOPNOTSUPP;
}

static const char *plug_problem(int r)
{
        switch (r) {
        case -EBUSY:
                return "the slot is taken";
        case -ENOSPC:
                return "no slot is empty";
        case -EINVAL:
                return "there is no such slot, or the machine is not configured";
        case -ENODEV:
                return "the slot is empty";
        }
        return NULL;
}

int plug_add(Link *link, const ControlMessage *message, int *fds)
{
        Machine *machine = &link->machine;
        _cleanup_(virtio_device_freep) VirtioDevice *device = NULL;
        uint32_t slot = 0;
        int r = -EINVAL;

        if (plug_is_possible(machine))
                r = plug_make(link, &message->add_device, fds, &device);
        if (r == 0)
                r = virtio_slots_plug(&machine->slots, message->add_device.slot, device, &slot);
        if (r == 0)
                TAKE_PTR(device); /* the slot's */
        return link_reply(link, message->serial, r, slot, plug_problem(r));
}

int plug_remove(Link *link, const ControlMessage *message)
{
        int r = -EINVAL;

        if (plug_is_possible(&link->machine))
                r = virtio_slots_unplug(&link->machine.slots, message->remove_device.slot);
        return link_reply(link, message->serial, r, 0, plug_problem(r));
}

int plug_vsock(Link *link, const ControlMessage *message, int *fds)
{
        return link_reply(link, message->serial, -EOPNOTSUPP, 0, NULL);
}
