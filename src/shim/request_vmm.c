/* uvmd's requests that the VMM alone carries out; see request.h. */
#include <errno.h>
#include <string.h>

#include "shim/request.h"

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

void request_on_resize(Sandbox *sandbox, const ShimMessage *message)
{
        Request *request = request_new(sandbox, message);
        ControlMessage control = {
                .type = CONTROL_RESIZE,
                .resize = {.slot = message->resize.slot, .bytes = message->resize.bytes},
        };

        if (request)
                request_to_vmm(request, &control, NULL, 0, request_on_vmm);
}

void request_on_set_link(Sandbox *sandbox, const ShimMessage *message)
{
        Request *request = request_new(sandbox, message);
        ControlMessage control = {
                .type = CONTROL_SET_LINK,
                .set_link = {.slot = message->set_link.slot, .up = message->set_link.up},
        };

        if (request)
                request_to_vmm(request, &control, NULL, 0, request_on_vmm);
}
