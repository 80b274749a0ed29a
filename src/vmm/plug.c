/* Requests about devices; see plug.h. */
#include "vmm/plug.h"
#include "base/error.h"
#include "base/fd.h"
#include "vmm/net/tap.h"
#include "vmm/resize.h"
#include "vmm/virtio/blk.h"
#include "vmm/virtio/net.h"
#include "vmm/virtio/p9.h"
#include "vmm/virtio/rng.h"
#include "vmm/virtio/vsock.h"

/* The root comes as the message's only fd; binds come later. */
static int plug_make_p9(Link *link, const ControlAddDevice *add, int *fds, VirtioDevice **ret)
{
        _cleanup_(iothread_freep) IoThread *thread = NULL;
        const VirtioP9Config config = {
                .tag = add->p9.tag,
                .root_fd = add->p9.flags & CONTROL_P9_BINDS ? FD_NONE : TAKE_FD(fds[0]),
                .proc_fd = link->fds_fd,
                .read_only = add->p9.flags & CONTROL_P9_READ_ONLY,
        };
        int r;

        r = machine_new_iothread(&link->machine, "9p", &thread);
        if (r < 0)
                return r;
        iothread_enter(thread);
        r = virtio_p9_new(iothread_loop(thread), &link->machine.memory, &config, ret);
        iothread_leave(thread);
        if (r == 0)
                virtio_device_take_thread(*ret, TAKE_PTR(thread));
        return r;
}

/* The disk comes as the message's only fd. */
static int plug_make_block(Link *link, const ControlAddDevice *add, int *fds, VirtioDevice **ret,
                           const char **ret_problem)
{
        _cleanup_(iothread_freep) IoThread *thread = NULL;
        const VirtioBlkConfig config = {
                .serial = add->block.serial,
                .fd = TAKE_FD(fds[0]),
                .read_only = add->block.flags & CONTROL_BLOCK_READ_ONLY,
        };
        int r;

        r = machine_new_iothread(&link->machine, "blk", &thread);
        if (r < 0) {
                fd_close(config.fd);
                return r;
        }
        iothread_enter(thread);
        r = virtio_blk_new(iothread_loop(thread), &link->machine.memory, &config, ret, ret_problem);
        iothread_leave(thread);
        if (r == 0)
                virtio_device_take_thread(*ret, TAKE_PTR(thread));
        return r;
}

/* A tap's queues, then as many of /dev/vhost-net or none. */
static int plug_make_net(Link *link, const ControlAddDevice *add, int *fds, VirtioDevice **ret,
                         const char **ret_problem)
{
        _cleanup_(iothread_freep) IoThread *thread = NULL;
        VirtioNetConfig config = {
                .mac = add->net.mac,
                .mtu = add->net.mtu,
                .n_pairs = add->net.queues,
                .taps = fds,
                .vhosts = add->net.flags & CONTROL_NET_VHOST ? fds + add->net.queues : NULL,
        };
        int r;

        r = tap_prepare(fds, add->net.queues, &config.offloads, ret_problem);
        if (r == 0)
                r = machine_new_iothread(&link->machine, "net", &thread);
        if (r < 0)
                return r;
        iothread_enter(thread);
        r = virtio_net_new(iothread_loop(thread), &link->machine.memory, &config, ret);
        iothread_leave(thread);
        if (r == 0)
                virtio_device_take_thread(*ret, TAKE_PTR(thread));
        return r;
}

static int plug_on_accepted(void *userdata, uint32_t guest_port, uint32_t host_port, int fd)
{
        const ControlMessage message = {
                .type = CONTROL_VSOCK_ACCEPTED,
                .vsock_accepted = {.guest_port = guest_port, .host_port = host_port},
        };
        int r = link_send(userdata, &message, fd);

        /* Also when the supervisor doesn't keep up: the guest is refused and may try again. */
        if (r < 0)
                return r;
        fd_close(fd);
        return 0;
}

/* The cookie is the serial of the request. */
static void plug_on_connected(void *userdata, uint32_t cookie, int error)
{
        (void)link_reply(userdata, cookie, error, 0,
                         error == -ECONNREFUSED ? "nobody in the guest listens on this port"
                                                : NULL);
}

static int plug_make_vsock(Link *link, const ControlAddDevice *add, VirtioDevice **ret)
{
        const VirtioVsockEvents events = {
                .accepted = plug_on_accepted,
                .connected = plug_on_connected,
                .userdata = link,
        };

        /* Requests about ports name no device. */
        if (link->vsock)
                return -EEXIST;
        return virtio_vsock_new(link->loop, &link->machine.memory, add->vsock.guest_cid, &events,
                                ret);
}

/* @ret_problem: what to tell a person of a failure, if there is something special to tell. */
static int plug_make(Link *link, const ControlAddDevice *add, int *fds, VirtioDevice **ret,
                     const char **ret_problem)
{
        Machine *machine = &link->machine;

        switch (add->kind) {
        case CONTROL_DEVICE_RNG:
                return virtio_rng_new(link->loop, &machine->memory, ret);
        case CONTROL_DEVICE_P9:
                return plug_make_p9(link, add, fds, ret);
        case CONTROL_DEVICE_VSOCK:
                return plug_make_vsock(link, add, ret);
        case CONTROL_DEVICE_BLOCK:
                return plug_make_block(link, add, fds, ret, ret_problem);
        case CONTROL_DEVICE_NET:
                return plug_make_net(link, add, fds, ret, ret_problem);
        case CONTROL_DEVICE_BALLOON:
                return resize_make_balloon(link, ret);
        case CONTROL_DEVICE_MEM:
                return resize_make_mem(link, ret);
        case CONTROL_DEVICE_MAX:
                break;
        }
        return -EOPNOTSUPP;
}

/* A kind that can't have a throttle is not asked for one. */
static int plug_throttle_one(VirtioDevice *device, ThrottleDirection direction,
                             const ThrottleLimits *limits)
{
        if (limits->bytes == 0 && limits->ops == 0)
                return 0;
        return virtio_device_set_throttle(device, direction, limits);
}

static int plug_throttle(VirtioDevice *device, const ControlAddDevice *add)
{
        int r;

        if (add->kind != CONTROL_DEVICE_NET)
                return plug_throttle_one(device, THROTTLE_ALL, &add->throttle);
        r = plug_throttle_one(device, THROTTLE_TRANSMIT, &add->throttle);
        return r < 0 ? r : plug_throttle_one(device, THROTTLE_RECEIVE, &add->net.receive);
}

static const char *plug_problem(int r)
{
        switch (r) {
        case -EEXIST:
                return "there is a device of this kind already";
        case -EBUSY:
                return "the slot is taken, or the guest still uses its device";
        case -ENOSPC:
                return "no slot is empty";
        case -EINVAL:
                return "there is no such slot, no room for memory, or the machine is not "
                       "configured";
        case -ENODEV:
                return "the slot is empty";
        }
        return NULL;
}

int plug_add(Link *link, const ControlMessage *message, int *fds)
{
        Machine *machine = &link->machine;
        _cleanup_(virtio_device_freep) VirtioDevice *device = NULL;
        const char *problem = NULL;
        uint32_t slot = 0;
        int r = -EINVAL;

        if (machine_has_board(machine))
                r = plug_make(link, &message->add_device, fds, &device, &problem);
        if (r == 0 && plug_throttle(device, &message->add_device) < 0)
                return link_reply(link, message->serial, -EINVAL, 0, "this kind has no throttle");
        if (r == 0)
                r = virtio_slots_plug(&machine->slots, message->add_device.slot, device, &slot);
        if (r == 0 && device->ops->id == VIRTIO_ID_VSOCK) {
                link->vsock = device;
                link->vsock_slot = slot;
        }
        if (r == 0)
                resize_plugged(link, device, slot);
        if (r == 0)
                TAKE_PTR(device); /* the slot's */
        return link_reply(link, message->serial, r, slot, problem ? problem : plug_problem(r));
}

int plug_remove(Link *link, const ControlMessage *message)
{
        uint32_t slot = message->remove_device.slot;
        int r = -EINVAL;

        if (machine_has_board(&link->machine) && resize_is_in_use(link, slot))
                r = -EBUSY;
        else if (machine_has_board(&link->machine))
                r = virtio_slots_unplug(&link->machine.slots, slot);
        if (r == 0 && link->vsock && link->vsock_slot == slot)
                link->vsock = NULL;
        if (r == 0)
                resize_unplugged(link, slot);
        return link_reply(link, message->serial, r, 0, plug_problem(r));
}

static const char *plug_bind_problem(int r)
{
        switch (r) {
        case -EEXIST:
                return "there is a bind of this name already";
        case -EINVAL:
                return "there is no binds device in this slot";
        case -ENODEV:
                return "the slot is empty";
        case -ENOENT:
                return "there is no bind of this name";
        case -ENOSPC:
                return "the device has as many binds as it can take";
        case -EBUSY:
                return "the device waits for the host";
        }
        return NULL;
}

static int plug_change_binds(VirtioDevice *device, const ControlMessage *message, int *fds)
{
        const ControlBind *bind = &message->add_bind; /* remove_bind is the same */
        int r = virtio_device_enter(device);

        if (r < 0)
                return r;
        if (message->type == CONTROL_ADD_BIND)
                r = virtio_p9_add_bind(device, bind->name, TAKE_FD(fds[0]),
                                       bind->flags & CONTROL_BIND_READ_ONLY);
        else
                r = virtio_p9_remove_bind(device, bind->name);
        virtio_device_leave(device);
        return r;
}

int plug_bind(Link *link, const ControlMessage *message, int *fds)
{
        VirtioDevice *device = virtio_slots_device(&link->machine.slots, message->add_bind.slot);
        int r = device ? plug_change_binds(device, message, fds) : -ENODEV;

        return link_reply(link, message->serial, r, 0, plug_bind_problem(r));
}

static int plug_change_throttle(VirtioDevice *device, const ControlMessage *message)
{
        int r = virtio_device_set_throttle(device, message->set_throttle.direction,
                                           &message->set_throttle.limits);

        if (r < 0 || device->ops->id != VIRTIO_ID_NET)
                return r;
        /* The kernel keeps none. */
        r = virtio_device_enter(device);
        if (r < 0)
                return r;
        r = virtio_net_choose_mover(device);
        virtio_device_leave(device);
        return r;
}

int plug_set_throttle(Link *link, const ControlMessage *message)
{
        VirtioDevice *device = virtio_slots_device(&link->machine.slots,
                                                   message->set_throttle.slot);
        int r = -ENODEV;

        if (device)
                r = plug_change_throttle(device, message);
        return link_reply(link, message->serial, r, 0,
                          r == -EINVAL ? "this device has no throttle of this direction"
                                       : plug_problem(r));
}

static int plug_change_link(VirtioDevice *device, bool is_up)
{
        int r;

        if (device->ops->id != VIRTIO_ID_NET)
                return -EINVAL;
        r = virtio_device_enter(device);
        if (r < 0)
                return r;
        virtio_net_set_link(device, is_up);
        virtio_device_leave(device);
        return 0;
}

int plug_set_link(Link *link, const ControlMessage *message)
{
        VirtioDevice *device = virtio_slots_device(&link->machine.slots, message->set_link.slot);
        int r = device ? plug_change_link(device, message->set_link.up) : -ENODEV;

        return link_reply(link, message->serial, r, 0,
                          r == -EINVAL ? "this is no network device" : plug_problem(r));
}

static const char *plug_vsock_problem(int r)
{
        switch (r) {
        case -ENODEV:
                return "there is no vsock device";
        case -EEXIST:
                return "this port is listened on already";
        case -ENOENT:
                return "this port is not listened on";
        }
        return NULL;
}

/* Answered by plug_on_connected(), unless it can't even begin. */
static int plug_connect(Link *link, const ControlMessage *message, int *fds)
{
        int r = virtio_vsock_connect(link->vsock, message->vsock_connect.guest_port, fds[0],
                                     message->serial);

        if (r < 0)
                return link_reply(link, message->serial, r, 0, NULL);
        TAKE_FD(fds[0]); /* the device's */
        return 0;
}

int plug_vsock(Link *link, const ControlMessage *message, int *fds)
{
        uint32_t port = message->vsock_listen.port;
        int r = -ENODEV;

        if (link->vsock && message->type == CONTROL_VSOCK_CONNECT)
                return plug_connect(link, message, fds);
        if (link->vsock)
                r = message->type == CONTROL_VSOCK_LISTEN
                            ? virtio_vsock_listen(link->vsock, port)
                            : virtio_vsock_unlisten(link->vsock, port);
        return link_reply(link, message->serial, r, 0, plug_vsock_problem(r));
}
