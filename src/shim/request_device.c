/*
 * Devices that come and go: the VMM's slot, then the guest's driver, or the other way round; see
 * request.h.
 *
 *   ADD_DEVICE     the VMM makes it, the guest plugs. If the guest can't, or doesn't in time, the device
 *                  is taken back as soon as the guest has said what it did; uvmd need not ask for it.
 *   REMOVE_DEVICE  the guest unplugs, the VMM removes. If the guest doesn't in time, the device stays
 *                  where it is, whatever the guest says later; uvmd may ask again.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"

#include "shim/request.h"

#define NO_SLOT UINT32_MAX

static void request_to_driver(Request *request, AgentType type, AgentCallDone done)
{
        uint8_t payload[16];
        size_t size;
        int r;

        r = agent_slot_encode(&(AgentSlot){.slot = request->slot}, payload, sizeof(payload), &size);
        if (r >= 0)
                r = agent_link_call(&request->sandbox->agent, &request->agent, (uint16_t)type,
                                    payload, size, done);
        if (r < 0)
                request_end(request, r, NULL, NULL, 0);
}

static void request_remove(Request *request, VmmCallDone done)
{
        ControlMessage control = {
                .type = CONTROL_REMOVE_DEVICE,
                .remove_device.slot = request->slot,
        };

        request_to_vmm(request, &control, NULL, 0, done);
}

/* ---- taking back what the guest would not have */

static void request_on_taken_back(VmmCall *call, int error, const ControlMessage *answered,
                                  const uint8_t *raw, size_t raw_size)
{
        Request *request = CONTAINER_OF(call, Request, vmm);

        if (error < 0 && error != -ECANCELED)
                log_warning_errno(error, "The device in slot %u can't be taken back",
                                  request->slot);
        request->value = 0;
        request_end(request, request->error, request->text, NULL, 0);
}

static void request_on_unplugged_again(AgentCall *call, int error, const uint8_t *payload,
                                       size_t size)
{
        Request *request = CONTAINER_OF(call, Request, agent);
        char text[SHIM_TEXT_MAX + 1];

        error = request_read_reply(error, payload, size, text, NULL);
        if (error == 0) {
                request_remove(request, request_on_taken_back);
                return;
        }
        if (error != -ECANCELED)
                log_warning_errno(error, "The device in slot %u stays, unused", request->slot);
        request_end(request, error, text, NULL, 0);
}

/* ---- ADD_DEVICE */

static void request_on_plugged(AgentCall *call, int error, const uint8_t *payload, size_t size)
{
        Request *request = CONTAINER_OF(call, Request, agent);
        char text[SHIM_TEXT_MAX + 1];

        error = request_read_reply(error, payload, size, text, NULL);
        if (error == -ECANCELED || (error == 0 && !request->overdue)) {
                request_end(request, error, NULL, NULL, 0);
                return;
        }
        loop_timer_cancel(&request->limit);
        if (error == 0) {
                request_to_driver(request, AGENT_REQUEST_UNPLUG, request_on_unplugged_again);
                return;
        }
        request->error = error;
        memcpy(request->text, text, sizeof(text));
        request_remove(request, request_on_taken_back);
}

static void request_on_device(VmmCall *call, int error, const ControlMessage *answered,
                              const uint8_t *raw, size_t raw_size)
{
        Request *request = CONTAINER_OF(call, Request, vmm);

        if (error == 0)
                request->value = request->slot = answered->reply.value;
        /* Its driver finds a device by itself that was there before the guest ran. */
        if (error < 0 || request->before_boot) {
                request_end(request, error, request_vmm_refusal(answered), NULL, 0);
                return;
        }
        request_limit(request, "the guest did not take the device in time");
        request_to_driver(request, AGENT_REQUEST_PLUG, request_on_plugged);
}

static void request_fill_net(const ShimAddDevice *device, ControlAddDevice *ret)
{
        ret->kind = CONTROL_DEVICE_NET;
        memcpy(ret->net.mac, device->mac, sizeof(ret->net.mac));
        ret->net.mtu = device->mtu;
        ret->net.queues = device->queues;
        ret->net.flags = device->flags & SHIM_DEVICE_VHOST ? CONTROL_NET_VHOST : 0;
        ret->net.receive = device->receive;
}

/* What request_device_is_valid() has let through. */
static void request_fill_device(const ShimAddDevice *device, ControlAddDevice *ret)
{
        bool read_only = device->flags & SHIM_DEVICE_READ_ONLY;

        ret->slot = CONTROL_SLOT_ANY;
        ret->throttle = device->throttle;
        switch ((ShimDeviceKind)device->kind) {
        case SHIM_DEVICE_P9:
        case SHIM_DEVICE_BINDS:
                ret->kind = CONTROL_DEVICE_P9;
                ret->p9.flags = (device->kind == SHIM_DEVICE_BINDS ? CONTROL_P9_BINDS : 0) |
                                (read_only ? CONTROL_P9_READ_ONLY : 0);
                memcpy(ret->p9.tag, device->tag, sizeof(device->tag));
                break;
        case SHIM_DEVICE_BLOCK:
                ret->kind = CONTROL_DEVICE_BLOCK;
                ret->block.flags = read_only ? CONTROL_BLOCK_READ_ONLY : 0;
                memcpy(ret->block.serial, device->tag, CONTROL_SERIAL_SIZE_MAX + 1);
                break;
        case SHIM_DEVICE_NET:
                request_fill_net(device, ret);
                break;
        case SHIM_DEVICE_RNG:
                ret->kind = CONTROL_DEVICE_RNG;
                break;
        case SHIM_DEVICE_BALLOON:
                ret->kind = CONTROL_DEVICE_BALLOON;
                break;
        case SHIM_DEVICE_MEM:
                ret->kind = CONTROL_DEVICE_MEM;
                break;
        }
}

void request_add_device(Request *request)
{
        ControlMessage control = {.type = CONTROL_ADD_DEVICE};
        int fds[REQUEST_FDS_MAX];
        unsigned n = request->n_fds;

        request->deferred = false;
        request->before_boot = request->sandbox->status.state == SHIM_CREATED;
        request_fill_device(&request->device, &control.add_device);
        for (unsigned i = 0; i < REQUEST_FDS_MAX; i++)
                fds[i] = TAKE_FD(request->fds[i]);
        request->n_fds = 0;
        request_to_vmm(request, &control, fds, n, request_on_device);
        fd_close_many(fds, REQUEST_FDS_MAX);
}

static bool request_net_is_valid(const ShimAddDevice *device, unsigned n_fds)
{
        bool vhost = device->flags & SHIM_DEVICE_VHOST;

        return (device->flags & ~(uint32_t)SHIM_DEVICE_VHOST) == 0 && device->queues >= 1 &&
               device->queues <= CONTROL_NET_QUEUES_MAX &&
               n_fds == device->queues * (vhost ? 2 : 1) && control_mac_is_valid(device->mac) &&
               (device->mtu == 0 || device->mtu >= CONTROL_NET_MTU_MIN);
}

static bool request_tagged_is_valid(const ShimAddDevice *device, size_t tag_max)
{
        return device->tag[0] && strlen(device->tag) <= tag_max &&
               (device->flags & ~(uint32_t)SHIM_DEVICE_READ_ONLY) == 0;
}

static bool request_device_is_valid(const ShimAddDevice *device, unsigned n_fds)
{
        switch (device->kind) {
        case SHIM_DEVICE_RNG:
        case SHIM_DEVICE_BALLOON:
        case SHIM_DEVICE_MEM:
                return n_fds == 0 && device->flags == 0;
        case SHIM_DEVICE_P9:
                return n_fds == 1 && request_tagged_is_valid(device, SHIM_TAG_MAX);
        case SHIM_DEVICE_BINDS:
                return n_fds == 0 && request_tagged_is_valid(device, SHIM_TAG_MAX);
        case SHIM_DEVICE_BLOCK:
                return n_fds == 1 && request_tagged_is_valid(device, CONTROL_SERIAL_SIZE_MAX);
        case SHIM_DEVICE_NET:
                return request_net_is_valid(device, n_fds);
        default:
                return false;
        }
}

void request_on_add_device(Sandbox *sandbox, const ShimMessage *message, int *fds, unsigned n_fds)
{
        const ShimAddDevice *device = &message->add_device;
        Request *request;

        if (!request_device_is_valid(device, n_fds)) {
                request_answer(sandbox, message->serial, -EINVAL, NULL, 0, NULL, 0);
                return;
        }
        request = request_new(sandbox, message);
        if (!request)
                return;
        request->device = *device;
        request->slot = NO_SLOT;
        for (unsigned i = 0; i < n_fds; i++)
                request->fds[i] = TAKE_FD(fds[i]);
        request->n_fds = n_fds;
        /* While the guest boots nobody can say whether its driver has looked yet. */
        request->deferred = true;
        if (sandbox->status.state != SHIM_STARTING)
                request_add_device(request);
}

/* ---- REMOVE_DEVICE */

static void request_on_unplugged(AgentCall *call, int error, const uint8_t *payload, size_t size)
{
        Request *request = CONTAINER_OF(call, Request, agent);
        char text[SHIM_TEXT_MAX + 1];

        error = request_read_reply(error, payload, size, text, NULL);
        loop_timer_cancel(&request->limit);
        if (error == 0 && !request->overdue)
                request_remove(request, request_on_vmm);
        else
                request_end(request, error, text, NULL, 0);
}

void request_on_remove_device(Sandbox *sandbox, const ShimMessage *message)
{
        uint32_t slot = message->remove_device.slot;
        Request *request;

        if (request_is_under_way(sandbox, SHIM_ADD_DEVICE, SHIM_REMOVE_DEVICE, slot)) {
                request_answer(sandbox, message->serial, -EBUSY,
                               "the guest has not answered an earlier request about the device", 0,
                               NULL, 0);
                return;
        }
        request = request_new(sandbox, message);
        if (!request)
                return;
        request->value = request->slot = slot;
        if (sandbox->status.state == SHIM_CREATED) {
                request_remove(request, request_on_vmm);
                return;
        }
        request_limit(request, "the guest did not let go of the device in time");
        request_to_driver(request, AGENT_REQUEST_UNPLUG, request_on_unplugged);
}
