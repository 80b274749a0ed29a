/* Takes uvmd's requests and answers those that need nobody; see request.h and proto/shim.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"

#include "shim/request.h"

/* Which requests each state allows, beyond those that any does. */
#define IN(state) (1U << (state))
#define IN_LIVE   (IN(SHIM_CREATED) | IN(SHIM_STARTING) | IN(SHIM_RUNNING) | IN(SHIM_PAUSED))

static unsigned request_allowed(ShimType type)
{
        switch (type) {
        case SHIM_LAUNCH:
                return IN(SHIM_WAITING);
        case SHIM_BOOT:
                return IN(SHIM_CREATED);
        case SHIM_ADD_DEVICE:
                return IN(SHIM_CREATED) | IN(SHIM_STARTING) | IN(SHIM_RUNNING);
        case SHIM_REMOVE_DEVICE:
                return IN(SHIM_CREATED) | IN(SHIM_RUNNING);
        case SHIM_ADD_BIND:
        case SHIM_REMOVE_BIND:
        case SHIM_SET_THROTTLE:
        case SHIM_RESIZE:
        case SHIM_SET_LINK:
                return IN_LIVE;
        case SHIM_PAUSE:
        case SHIM_SET_VCPUS:
                return IN(SHIM_RUNNING);
        case SHIM_RESUME:
                return IN(SHIM_PAUSED);
        case SHIM_AGENT_REQUEST:
        case SHIM_ADD_PROCESS:
                return IN_LIVE;
        case SHIM_GET_STATS:
                return IN(SHIM_STARTING) | IN(SHIM_RUNNING) | IN(SHIM_PAUSED);
        default:
                return ~0U;
        }
}

/* ---- answers */

void request_answer(Sandbox *sandbox, uint32_t serial, int error, const char *text, uint32_t value,
                    const void *payload, size_t size)
{
        ShimMessage message = {
                .type = SHIM_REPLY,
                .serial = serial,
                .reply =
                        {
                                .error = error,
                                .value = value,
                                .payload = payload,
                                .payload_size = size,
                        },
        };

        if (serial == 0)
                return;
        if (error < 0)
                snprintf(message.reply.text, sizeof(message.reply.text), "%s",
                         text && text[0] ? text : strerrordesc_np(-error));
        link_send(&sandbox->link, &message);
}

Request *request_new(Sandbox *sandbox, const ShimMessage *message)
{
        Request *request = calloc(1, sizeof(*request));

        if (!request) {
                request_answer(sandbox, message->serial, -ENOMEM, NULL, 0, NULL, 0);
                return NULL;
        }
        request->sandbox = sandbox;
        request->serial = message->serial;
        request->type = message->type;
        for (unsigned i = 0; i < REQUEST_FDS_MAX; i++)
                request->fds[i] = FD_NONE;
        list_append(&sandbox->requests, &request->link);
        return request;
}

void request_end(Request *request, int error, const char *text, const void *payload, size_t size)
{
        list_remove(&request->link);
        loop_timer_cancel(&request->limit);
        request_answer(request->sandbox, request->serial, error, text, request->value, payload,
                       size);
        fd_close_many(request->fds, REQUEST_FDS_MAX);
        free(request->stats);
        free(request);
}

static void request_arm_limit(Request *request);

static int request_on_limit(LoopTimer *timer)
{
        Request *request = CONTAINER_OF(timer, Request, limit);

        if (request->sandbox->status.state == SHIM_PAUSED) {
                request_arm_limit(request);
                return 0;
        }
        request->overdue = true;
        request_answer(request->sandbox, request->serial, -ETIMEDOUT, request->text, request->value,
                       NULL, 0);
        request->serial = 0;
        return 0;
}

static void request_arm_limit(Request *request)
{
        loop_timer_arm(request->sandbox->loop, &request->limit,
                       clock_now_usec() + clock_limit_usec(REQUEST_GUEST_USEC), request_on_limit);
}

void request_limit(Request *request, const char *text)
{
        snprintf(request->text, sizeof(request->text), "%s", text);
        request_arm_limit(request);
}

bool request_is_under_way(Sandbox *sandbox, ShimType one, ShimType other, uint32_t slot)
{
        list_for_each (item, &sandbox->requests) {
                const Request *request = LIST_ENTRY(item, Request, link);

                if ((request->type == one || request->type == other) &&
                    (slot == UINT32_MAX || request->slot == slot))
                        return true;
        }
        return false;
}

void sandbox_forget_requests(Sandbox *sandbox)
{
        list_for_each (item, &sandbox->requests) {
                Request *request = LIST_ENTRY(item, Request, link);

                request->serial = 0;
        }
}

/* ---- what the VMM does */

const char *request_vmm_refusal(const ControlMessage *answered)
{
        return answered && answered->type == CONTROL_REPLY ? answered->reply.text : NULL;
}

void request_on_vmm(VmmCall *call, int error, const ControlMessage *answered, const uint8_t *raw,
                    size_t raw_size)
{
        Request *request = CONTAINER_OF(call, Request, vmm);
        Sandbox *sandbox = request->sandbox;
        ShimState state = sandbox->status.state;

        if (error == 0 && request->type == SHIM_PAUSE && state == SHIM_RUNNING)
                sandbox_set_state(sandbox, SHIM_PAUSED);
        if (error == 0 && request->type == SHIM_RESUME && state == SHIM_PAUSED) {
                sandbox_set_state(sandbox, SHIM_RUNNING);
                hostclock_tell(&sandbox->clock);
        }
        request_end(request, error, request_vmm_refusal(answered), NULL, 0);
}

void request_to_vmm(Request *request, ControlMessage *message, const int *fds, unsigned n_fds,
                    VmmCallDone done)
{
        int r = vmm_call(&request->sandbox->vmm, &request->vmm, message, fds, n_fds, done);

        if (r < 0)
                request_end(request, r, NULL, NULL, 0);
}

static void on_simple(Sandbox *sandbox, const ShimMessage *message, ControlType type)
{
        Request *request = request_new(sandbox, message);
        ControlMessage control = {.type = type};

        if (request)
                request_to_vmm(request, &control, NULL, 0, request_on_vmm);
}

static void request_on_started(VmmCall *call, int error, const ControlMessage *answered,
                               const uint8_t *raw, size_t raw_size)
{
        Sandbox *sandbox = CONTAINER_OF(call, Sandbox, launch_call);

        if (error < 0 && error != -ECANCELED)
                sandbox_refuse(sandbox, answered->reply.text);
}

/* The request itself waits for the state: the agent's hello may overtake the VMM's answer. */
static void on_boot(Sandbox *sandbox, const ShimMessage *message)
{
        ControlMessage control = {.type = CONTROL_START};
        int r;

        if (!request_new(sandbox, message))
                return;
        sandbox_limit_start(sandbox, sandbox->launch.boot_usec);
        sandbox_set_state(sandbox, SHIM_STARTING);
        r = vmm_call(&sandbox->vmm, &sandbox->launch_call, &control, NULL, 0, request_on_started);
        if (r < 0)
                sandbox_refuse(sandbox, strerrordesc_np(-r));
}

static void on_get_console(Sandbox *sandbox, const ShimMessage *message)
{
        uint8_t tail[SHIM_CONSOLE_SIZE];
        size_t size = console_tail(&sandbox->console, tail, sizeof(tail));

        request_answer(sandbox, message->serial, 0, NULL, 0, tail, size);
}

/* ---- processes */

static void on_attach(Sandbox *sandbox, const ShimMessage *message, int *fds, unsigned n_fds)
{
        Process *process = process_find(&sandbox->table, message->attach.process);
        int r = process ? process_attach(process, &message->attach, fds, n_fds) : -ENOENT;

        request_answer(sandbox, message->serial, r, NULL, 0, NULL, 0);
}

static void on_ack_exit(Sandbox *sandbox, const ShimMessage *message)
{
        Process *process = process_find(&sandbox->table, message->ack_exit.process);
        int r = process ? process_remove(process) : -ENOENT;

        request_answer(sandbox, message->serial, r, NULL, 0, NULL, 0);
}

/* ---- life */

static void on_launch(Sandbox *sandbox, const ShimMessage *message, int *fds)
{
        Request *request;
        int r;

        /* Under way already: the state changes when the VMM has answered. */
        if (sandbox->vmm.pid > 0) {
                request_answer(sandbox, message->serial, -EALREADY, NULL, 0, NULL, 0);
                return;
        }
        request = request_new(sandbox, message);
        if (!request)
                return;
        r = sandbox_launch(sandbox, &message->launch, fds);
        if (r == 0)
                return;
        log_error_errno(r, "Failed to launch the virtual machine monitor");
        request_end(request, r, NULL, NULL, 0);
        if (sandbox->vmm.pid > 0)
                sandbox_refuse(sandbox, strerrordesc_np(-r));
        else if (r != -EINVAL)
                sandbox_fail(sandbox, SHIM_REASON_BOOT_FAILED, strerrordesc_np(-r));
}

static void on_end(Sandbox *sandbox, const ShimMessage *message)
{
        uint64_t grace = 0;

        if (message->type == SHIM_STOP)
                grace = clock_limit_usec(message->stop.grace_usec);
        if (!request_new(sandbox, message))
                return;
        sandbox_stop(sandbox, message->type == SHIM_STOP ? SHIM_REASON_STOPPED : SHIM_REASON_KILLED,
                     grace);
        /* For one that has stopped before. */
        sandbox_answer_waiting(sandbox);
}

static int request_ended_error(const Sandbox *sandbox)
{
        return sandbox->status.reason == SHIM_REASON_BOOT_TIMEOUT ? -ETIMEDOUT : -ECANCELED;
}

static void request_on_state(Request *request)
{
        Sandbox *sandbox = request->sandbox;
        ShimState state = sandbox->status.state, awaited;

        if (request->type == SHIM_STOP || request->type == SHIM_KILL) {
                if (state == SHIM_STOPPED)
                        request_end(request, 0, NULL, NULL, 0);
                return;
        }
        if (request->type != SHIM_LAUNCH && request->type != SHIM_BOOT && !request->deferred)
                return;
        awaited = request->type == SHIM_LAUNCH ? SHIM_CREATED : SHIM_RUNNING;
        if (state == SHIM_STOPPED)
                request_end(request, request_ended_error(sandbox), sandbox->status.text, NULL, 0);
        else if (state == awaited && request->deferred)
                request_add_device(request);
        else if (state == awaited)
                request_end(request, 0, NULL, NULL, 0);
}

void sandbox_answer_waiting(Sandbox *sandbox)
{
        list_for_each (item, &sandbox->requests)
                request_on_state(LIST_ENTRY(item, Request, link));
}

/* ---- */

static void request_dispatch(Sandbox *sandbox, const ShimMessage *message, int *fds, unsigned n_fds)
{
        switch (message->type) {
        case SHIM_LAUNCH:
                return on_launch(sandbox, message, fds);
        case SHIM_ADD_DEVICE:
                return request_on_add_device(sandbox, message, fds, n_fds);
        case SHIM_REMOVE_DEVICE:
                return request_on_remove_device(sandbox, message);
        case SHIM_ADD_BIND:
        case SHIM_REMOVE_BIND:
                return request_on_bind(sandbox, message, fds, n_fds);
        case SHIM_SET_THROTTLE:
                return request_on_set_throttle(sandbox, message);
        case SHIM_BOOT:
                return on_boot(sandbox, message);
        case SHIM_PAUSE:
                return on_simple(sandbox, message, CONTROL_PAUSE);
        case SHIM_RESUME:
                return on_simple(sandbox, message, CONTROL_RESUME);
        case SHIM_AGENT_REQUEST:
                return request_on_agent_request(sandbox, message);
        case SHIM_ADD_PROCESS:
                return request_answer(sandbox, message->serial,
                                      process_add(&sandbox->table, &message->add_process), NULL, 0,
                                      NULL, 0);
        case SHIM_ATTACH:
                return on_attach(sandbox, message, fds, n_fds);
        case SHIM_ACK_EXIT:
                return on_ack_exit(sandbox, message);
        case SHIM_STOP:
        case SHIM_KILL:
                return on_end(sandbox, message);
        case SHIM_GET_STATS:
                return request_on_get_stats(sandbox, message);
        case SHIM_GET_CONSOLE:
                return on_get_console(sandbox, message);
        case SHIM_SET_VCPUS:
                return request_on_set_vcpus(sandbox, message);
        case SHIM_RESIZE:
                return request_on_resize(sandbox, message);
        case SHIM_SET_LINK:
                return request_on_set_link(sandbox, message);
        case SHIM_REPLY:
        case SHIM_HELLO:
        case SHIM_SYNCED:
        case SHIM_STATE:
        case SHIM_PHASE:
        case SHIM_PROCESS:
        case SHIM_AGENT_EVENT:
        case SHIM_MEMORY:
        case SHIM_VCPUS:
                break;
        }
}

int sandbox_on_message(Link *link, const ShimMessage *message, int *fds, unsigned n_fds)
{
        Sandbox *sandbox = CONTAINER_OF(link, Sandbox, link);
        ShimState state = sandbox->status.state;
        char text[64];

        if (message->type == SHIM_LAUNCH && n_fds != SHIM_LAUNCH_FDS)
                return -EBADMSG;
        if (request_allowed(message->type) & IN(state)) {
                request_dispatch(sandbox, message, fds, n_fds);
                sandbox_settle(sandbox);
                return 0;
        }
        snprintf(text, sizeof(text), "the sandbox is %s", shim_state_to_string(state));
        request_answer(sandbox, message->serial, -EBADFD, text, 0, NULL, 0);
        return 0;
}
