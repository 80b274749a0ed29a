/* How a sandbox ends: on request, by a limit, by itself; see sandbox.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#include "shim/cgroup.h"
#include "shim/sandbox.h"

#define SANDBOX_FAREWELL_USEC USEC_PER_SEC

static int sandbox_on_limit(LoopTimer *timer)
{
        Sandbox *sandbox = CONTAINER_OF(timer, Sandbox, limit);

        if (sandbox->status.state == SHIM_STOPPING) {
                sandbox->overdue = true;
                vmm_kill(&sandbox->vmm);
        } else {
                sandbox_stop(sandbox, SHIM_REASON_BOOT_TIMEOUT, 0);
        }
        return 0;
}

static uint64_t sandbox_deadline(uint64_t usec)
{
        uint64_t deadline;

        return __builtin_add_overflow(clock_now_usec(), usec, &deadline) ? UINT64_MAX : deadline;
}

void sandbox_limit_start(Sandbox *sandbox, uint64_t usec)
{
        loop_timer_arm(sandbox->loop, &sandbox->limit, sandbox_deadline(clock_limit_usec(usec)),
                       sandbox_on_limit);
}

/* The guest gets @grace_usec, and then as long again as it takes to go down. */
static void sandbox_limit_stop(Sandbox *sandbox, uint64_t grace_usec)
{
        uint64_t usec = clock_limit_usec(SHIM_STOP_USEC), deadline;

        if (__builtin_add_overflow(usec, grace_usec, &usec))
                usec = UINT64_MAX;
        deadline = sandbox_deadline(usec);
        /* A second request may hasten the end, not put it off. */
        if (!sandbox->limit.loop || deadline < sandbox->limit.deadline_usec)
                loop_timer_arm(sandbox->loop, &sandbox->limit, deadline, sandbox_on_limit);
}

static void sandbox_on_vmm_stop(VmmCall *call, int error, const ControlMessage *answer,
                                const uint8_t *raw, size_t raw_size)
{
        Sandbox *sandbox = CONTAINER_OF(call, Sandbox, stop_call);

        if (error < 0 && error != -ECANCELED)
                vmm_kill(&sandbox->vmm);
}

static void sandbox_stop_vmm(Sandbox *sandbox)
{
        ControlMessage message = {.type = CONTROL_STOP};

        if (list_is_empty(&sandbox->stop_call.link) &&
            vmm_call(&sandbox->vmm, &sandbox->stop_call, &message, NULL, 0, sandbox_on_vmm_stop) <
                    0)
                vmm_kill(&sandbox->vmm);
}

static void sandbox_on_shutdown(AgentCall *call, int error, const uint8_t *payload, size_t size)
{
        Sandbox *sandbox = CONTAINER_OF(call, Sandbox, shutdown_call);
        AgentReply reply = {};

        if (error == -ECANCELED)
                return;
        if (agent_reply_decode(payload, size, &reply) < 0 || reply.code != 0)
                sandbox_stop_vmm(sandbox);
        agent_reply_done(&reply);
}

static void sandbox_shut_down(Sandbox *sandbox, bool paused, uint64_t grace_usec)
{
        ControlMessage resume = {.type = CONTROL_RESUME};
        uint8_t payload[16];
        size_t size;
        int r;

        if (paused &&
            vmm_call(&sandbox->vmm, &sandbox->stop_call, &resume, NULL, 0, sandbox_on_vmm_stop) < 0)
                vmm_kill(&sandbox->vmm);
        r = agent_shutdown_encode(&(AgentShutdown){.grace_usec = grace_usec}, payload,
                                  sizeof(payload), &size);
        if (r >= 0)
                r = agent_link_call(&sandbox->agent, &sandbox->shutdown_call,
                                    AGENT_REQUEST_SHUTDOWN, payload, size, sandbox_on_shutdown);
        if (r < 0)
                sandbox_stop_vmm(sandbox);
}

static void sandbox_begin_stop(Sandbox *sandbox, ShimReason reason)
{
        sandbox->asked = reason;
        sandbox->status.reason = reason;
        sandbox_set_state(sandbox, SHIM_STOPPING);
}

void sandbox_stop(Sandbox *sandbox, ShimReason reason, uint64_t grace_usec)
{
        ShimState state = sandbox->status.state;
        bool gently = reason == SHIM_REASON_STOPPED || reason == SHIM_REASON_EXITED;

        switch (state) {
        case SHIM_WAITING:
                sandbox->asked = reason;
                if (sandbox->vmm.pid > 0)
                        vmm_kill(&sandbox->vmm);
                else
                        sandbox_fail(sandbox, reason, "Stopped before it was launched.");
                return;
        case SHIM_CREATED:
        case SHIM_STARTING:
                sandbox_begin_stop(sandbox, reason);
                sandbox_limit_stop(sandbox, 0);
                sandbox_stop_vmm(sandbox);
                break;
        case SHIM_RUNNING:
        case SHIM_PAUSED:
                sandbox_begin_stop(sandbox, reason);
                sandbox_limit_stop(sandbox, grace_usec);
                if (gently)
                        sandbox_shut_down(sandbox, state == SHIM_PAUSED, grace_usec);
                break;
        case SHIM_STOPPING:
                sandbox_limit_stop(sandbox, gently ? grace_usec : 0);
                if (!gently)
                        sandbox->asked = reason;
                break;
        case SHIM_STOPPED:
        case SHIM_STATE_MAX_:
                return;
        }
        if (!gently)
                vmm_kill(&sandbox->vmm);
}

static int sandbox_on_farewell(LoopTimer *timer)
{
        loop_stop(CONTAINER_OF(timer, Sandbox, farewell)->loop, 0);
        return 0;
}

void sandbox_terminate(Sandbox *sandbox)
{
        bool again = sandbox->terminated;

        sandbox->terminated = true;
        if (again)
                sandbox_stop(sandbox, SHIM_REASON_KILLED, 0);
        else
                sandbox_stop(sandbox, SHIM_REASON_STOPPED,
                             clock_limit_usec(sandbox->launch.stop_usec));
        sandbox_settle(sandbox);
}

static bool sandbox_is_draining(Sandbox *sandbox)
{
        list_for_each (item, &sandbox->table.processes)
                if (LIST_ENTRY(item, Process, link)->state == PROCESS_DRAINING)
                        return true;
        return false;
}

void sandbox_settle(Sandbox *sandbox)
{
        bool waiting = sandbox->status.state == SHIM_WAITING && sandbox->vmm.pid == 0;

        if (sandbox->status.state != SHIM_STOPPED && !waiting)
                return;
        if (sandbox->terminated) {
                if (!sandbox_is_draining(sandbox) && list_is_empty(&sandbox->link.queue))
                        loop_stop(sandbox->loop, 0);
                else if (!sandbox->farewell.loop)
                        loop_timer_arm(sandbox->loop, &sandbox->farewell,
                                       sandbox_deadline(clock_limit_usec(SANDBOX_FAREWELL_USEC)),
                                       sandbox_on_farewell);
                return;
        }
        if (!link_is_up(&sandbox->link) && !process_table_is_owed(&sandbox->table))
                loop_stop(sandbox->loop, 0);
}

/* Why it ended must be readable when the shim is gone. */
static void sandbox_write_end(Sandbox *sandbox, int vmm_status)
{
        ShimEndRecord record = {
                .reason = sandbox->status.reason,
                .vmm_status = vmm_status,
                .usec = clock_realtime_usec(),
        };
        uint8_t data[SHIM_END_SIZE_MAX];
        size_t size;

        if (sandbox->end_fd < 0)
                return;
        memcpy(record.text, sandbox->status.text, sizeof(record.text));
        if (shim_end_encode(&record, data, sizeof(data), &size) < 0 ||
            pwrite(sandbox->end_fd, data, size, 0) != (ssize_t)size)
                log_error("Failed to record the end of the sandbox");
}

/* Everything that came from the guest is behind us, but for what streams still hold. */
static void sandbox_ended(Sandbox *sandbox, int vmm_status)
{
        log_info("Sandbox %s has stopped (%s): %s", sandbox->id,
                 shim_reason_to_string(sandbox->status.reason), sandbox->status.text);
        sandbox_write_end(sandbox, vmm_status);
        incoming_finish(&sandbox->incoming);
        agent_link_end(&sandbox->agent);
        sandbox_set_state(sandbox, SHIM_STOPPED);
        process_table_guest_gone(&sandbox->table);
        sandbox_settle(sandbox);
}

void sandbox_fail(Sandbox *sandbox, ShimReason reason, const char *text)
{
        sandbox->status.reason = reason;
        snprintf(sandbox->status.text, sizeof(sandbox->status.text), "%s", text);
        sandbox_ended(sandbox, 0);
}

/* The VMM has been waited for: finds out why. */
void sandbox_on_vmm_gone(Vmm *vmm, int status)
{
        Sandbox *sandbox = CONTAINER_OF(vmm, Sandbox, vmm);
        _cleanup_(freep) char *tail = malloc(SHIM_CONSOLE_SIZE);
        EndingFacts facts = {
                .asked = sandbox->asked,
                .overdue = sandbox->overdue,
                .agent_seen = sandbox->agent_seen,
                .goodbye = sandbox->said_goodbye,
                .goodbye_reason = sandbox->goodbye.reason,
                .goodbye_text = sandbox->goodbye.text ? sandbox->goodbye.text : "",
                .refusal = sandbox->refusal,
                .end = vmm->end,
                .end_text = vmm->end_text,
                .status = status,
                .oom = cgroup_oom_kills(sandbox->memory_events) > sandbox->oom_kills,
                .tail = tail,
        };

        console_drain(&sandbox->console);
        if (tail)
                facts.tail_size = console_tail(&sandbox->console, tail, SHIM_CONSOLE_SIZE);
        ending_deduce(&facts, &sandbox->status.reason, sandbox->status.text);
        sandbox_ended(sandbox, status);
}

void sandbox_refuse(Sandbox *sandbox, const char *text)
{
        snprintf(sandbox->refusal, sizeof(sandbox->refusal), "%s", text);
        vmm_kill(&sandbox->vmm);
}

/* The agent's last word: the guest resets once it has been acknowledged. */
void sandbox_on_goodbye(Sandbox *sandbox, const uint8_t *payload, size_t size)
{
        ShimState state = sandbox->status.state;

        if (sandbox->said_goodbye || agent_goodbye_decode(payload, size, &sandbox->goodbye) < 0)
                return;
        sandbox->said_goodbye = true;
        if (state != SHIM_STARTING && state != SHIM_RUNNING)
                return;
        sandbox->status.reason = SHIM_REASON_POWEROFF;
        sandbox_set_state(sandbox, SHIM_STOPPING);
        sandbox_limit_stop(sandbox, 0);
}
