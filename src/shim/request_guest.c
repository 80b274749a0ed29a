/* uvmd's requests that take the VMM and the guest's agent: devices, the agent's own, figures; see
 * request.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"

#include "shim/request.h"

/* ---- devices: the VMM's slot, then the guest's driver */

static void request_on_plugged(AgentCall *call, int error, const uint8_t *payload, size_t size)
{
        Request *request = CONTAINER_OF(call, Request, agent);
        AgentReply reply = {};
        char text[SHIM_TEXT_MAX + 1] = "";

        if (error == 0)
                error = agent_reply_decode(payload, size, &reply);
        if (error == 0 && reply.code != 0) {
                error = reply.code <= 4095 ? -(int)reply.code : -EIO;
                snprintf(text, sizeof(text), "the guest: %s", reply.text ? reply.text : "");
        }
        agent_reply_done(&reply);
        if (error == 0 && request->type == SHIM_REMOVE_DEVICE) {
                ControlMessage control = {
                        .type = CONTROL_REMOVE_DEVICE,
                        .remove_device.slot = request->slot,
                };

                request_to_vmm(request, &control, NULL, 0, request_on_vmm);
                return;
        }
        request_end(request, error, text, NULL, 0);
}

static void request_to_driver(Request *request, AgentType type)
{
        uint8_t payload[16];
        size_t size;
        int r;

        r = agent_slot_encode(&(AgentSlot){.slot = request->slot}, payload, sizeof(payload), &size);
        if (r >= 0)
                r = agent_link_call(&request->sandbox->agent, &request->agent, (uint16_t)type,
                                    payload, size, request_on_plugged);
        if (r < 0)
                request_end(request, r, NULL, NULL, 0);
}

static void request_on_device(VmmCall *call, int error, const ControlMessage *answered,
                              const uint8_t *raw, size_t raw_size)
{
        Request *request = CONTAINER_OF(call, Request, vmm);

        if (error == 0)
                request->slot = answered->reply.value;
        /* Before the guest runs its driver finds the device by itself. */
        if (error == 0 && request->sandbox->status.state != SHIM_CREATED)
                request_to_driver(request, AGENT_REQUEST_PLUG);
        else
                request_end(request, error, request_vmm_refusal(answered), NULL, 0);
}

/* What request_device_is_valid() has let through. */
static void request_fill_device(const ShimAddDevice *device, ControlAddDevice *ret)
{
        bool read_only = device->flags & SHIM_DEVICE_READ_ONLY;

        ret->slot = CONTROL_SLOT_ANY;
        ret->throttle = device->throttle;
        switch (device->kind) {
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
        default:
                ret->kind = CONTROL_DEVICE_RNG;
                break;
        }
}

void request_add_device(Request *request)
{
        ControlMessage control = {.type = CONTROL_ADD_DEVICE};
        _cleanup_(fd_closep) int fd = TAKE_FD(request->fd);

        request->deferred = false;
        request_fill_device(&request->device, &control.add_device);
        request_to_vmm(request, &control, &fd, fd >= 0, request_on_device);
}

static bool request_device_is_valid(const ShimAddDevice *device, unsigned n_fds)
{
        size_t tag_max = SHIM_TAG_MAX;
        unsigned fds = 0;

        switch (device->kind) {
        case SHIM_DEVICE_RNG:
                return n_fds == 0 && device->flags == 0;
        case SHIM_DEVICE_P9:
                fds = 1;
                break;
        case SHIM_DEVICE_BLOCK:
                fds = 1;
                tag_max = CONTROL_SERIAL_SIZE_MAX;
                break;
        case SHIM_DEVICE_BINDS:
                break;
        default:
                return false;
        }
        return n_fds == fds && device->tag[0] && strlen(device->tag) <= tag_max &&
               (device->flags & ~(uint32_t)SHIM_DEVICE_READ_ONLY) == 0;
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
        if (n_fds > 0)
                request->fd = TAKE_FD(fds[0]);
        /* While the guest boots nobody can say whether its driver has looked yet. */
        request->deferred = true;
        if (sandbox->status.state != SHIM_STARTING)
                request_add_device(request);
}

void request_on_remove_device(Sandbox *sandbox, const ShimMessage *message)
{
        Request *request = request_new(sandbox, message);
        ControlMessage control = {
                .type = CONTROL_REMOVE_DEVICE,
                .remove_device.slot = message->remove_device.slot,
        };

        if (!request)
                return;
        request->slot = message->remove_device.slot;
        if (sandbox->status.state == SHIM_CREATED)
                request_to_vmm(request, &control, NULL, 0, request_on_vmm);
        else
                request_to_driver(request, AGENT_REQUEST_UNPLUG);
}

/* ---- what the VMM alone changes about a device */

void request_on_bind(Sandbox *sandbox, const ShimMessage *message, int *fds, unsigned n_fds)
{
        bool add = message->type == SHIM_ADD_BIND;
        const ShimBind *bind = add ? &message->add_bind : &message->remove_bind;
        ControlMessage control = {
                .type = add ? CONTROL_ADD_BIND : CONTROL_REMOVE_BIND,
                .add_bind = {.slot = bind->slot},
        };
        Request *request;

        if (n_fds != add || (bind->flags & ~(uint32_t)(add ? SHIM_BIND_READ_ONLY : 0)) ||
            !control_bind_name_is_valid(bind->name)) {
                request_answer(sandbox, message->serial, -EINVAL, NULL, 0, NULL, 0);
                return;
        }
        request = request_new(sandbox, message);
        if (!request)
                return;
        if (bind->flags & SHIM_BIND_READ_ONLY)
                control.add_bind.flags = CONTROL_BIND_READ_ONLY;
        memcpy(control.add_bind.name, bind->name, sizeof(bind->name));
        request_to_vmm(request, &control, fds, n_fds, request_on_vmm);
}

void request_on_set_throttle(Sandbox *sandbox, const ShimMessage *message)
{
        Request *request = request_new(sandbox, message);
        ControlMessage control = {
                .type = CONTROL_SET_THROTTLE,
                .set_throttle =
                        {
                                .slot = message->set_throttle.slot,
                                .direction = (ThrottleDirection)message->set_throttle.direction,
                                .limits = message->set_throttle.limits,
                        },
        };

        if (request)
                request_to_vmm(request, &control, NULL, 0, request_on_vmm);
}

/* ---- what the agent does */

/* What the answer to a start means for the process: 0, or the code a shell would give. */
static int request_start_code(int error, const uint8_t *payload, size_t size)
{
        AgentReply reply = {};
        int code = 125;

        if (error == 0 && agent_reply_decode(payload, size, &reply) == 0)
                code = reply.code == 0 ? 0 : reply.exit_code ? reply.exit_code : 125;
        agent_reply_done(&reply);
        return code;
}

static void request_on_agent(AgentCall *call, int error, const uint8_t *payload, size_t size)
{
        Request *request = CONTAINER_OF(call, Request, agent);
        Process *process = process_find(&request->sandbox->table, request->process);

        /* First the answer, then what becomes of the process: uvmd learns why before that. A guest
         * that ended under it has lost it, which process_table_guest_gone() says. */
        if (process && error == 0) {
                int code = request_start_code(error, payload, size);

                request_end(request, error, NULL, payload, size);
                process_set_started(process, code);
                return;
        }
        request_end(request, error, NULL, payload, size);
}

void request_on_agent_request(Sandbox *sandbox, const ShimMessage *message)
{
        const ShimAgentRequest *ask = &message->agent_request;
        Process *process = ask->process ? process_find(&sandbox->table, ask->process) : NULL;
        Request *request;
        int r = 0;

        if (ask->type < AGENT_REQUEST_PING ||
            (ask->type >= AGENT_REQUEST_PLUG && ask->type <= AGENT_REQUEST_SHUTDOWN))
                r = -EPERM;
        else if (ask->process && !process)
                r = -ENOENT;
        else if (process && process->state != PROCESS_ADDED)
                r = -EALREADY;
        if (r < 0) {
                request_answer(sandbox, message->serial, r, NULL, 0, NULL, 0);
                return;
        }
        request = request_new(sandbox, message);
        if (!request)
                return;
        request->process = ask->process;
        r = agent_link_call(&sandbox->agent, &request->agent, (uint16_t)ask->type, ask->payload,
                            ask->payload_size, request_on_agent);
        if (r < 0)
                request_end(request, r, NULL, NULL, 0);
        else if (process)
                process_set_starting(process);
}

/* ---- figures */

static void request_end_stats(Request *request, const uint8_t *agent, size_t agent_size)
{
        ShimStats stats = {
                .vmm = request->stats,
                .vmm_size = request->stats_size,
                .agent = agent,
                .agent_size = agent_size,
        };
        uint8_t payload[2 * CONTROL_MESSAGE_SIZE_MAX];
        size_t size = 0;
        int r = shim_stats_encode(&stats, payload, sizeof(payload), &size);

        request_end(request, r, NULL, payload, size);
}

static void request_on_agent_stats(AgentCall *call, int error, const uint8_t *payload, size_t size)
{
        bool usable = error == 0 && size <= CONTROL_MESSAGE_SIZE_MAX;

        request_end_stats(CONTAINER_OF(call, Request, agent), payload, usable ? size : 0);
}

static void request_on_vmm_stats(VmmCall *call, int error, const ControlMessage *answered,
                                 const uint8_t *raw, size_t raw_size)
{
        Request *request = CONTAINER_OF(call, Request, vmm);
        Sandbox *sandbox = request->sandbox;
        uint8_t payload[16];
        size_t size;

        request->stats = error == 0 ? malloc(raw_size) : NULL;
        if (request->stats) {
                memcpy(request->stats, raw, raw_size);
                request->stats_size = raw_size;
        }
        if (sandbox->status.state != SHIM_RUNNING || sandbox->agent.state != AGENT_LINK_UP ||
            agent_container_encode(&(AgentContainer){}, payload, sizeof(payload), &size) < 0 ||
            agent_link_call(&sandbox->agent, &request->agent, AGENT_REQUEST_STATS, payload, size,
                            request_on_agent_stats) < 0)
                request_end_stats(request, NULL, 0);
}

void request_on_get_stats(Sandbox *sandbox, const ShimMessage *message)
{
        Request *request = request_new(sandbox, message);
        ControlMessage control = {.type = CONTROL_GET_STATS};

        if (request)
                request_to_vmm(request, &control, NULL, 0, request_on_vmm_stats);
}
