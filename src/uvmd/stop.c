/*
 * Ends of sandboxes: Stop, Kill, Delete, and the end of the main container.
 *
 * A stop has two steps. First every container gets its stop signal; when the last has exited, or
 * the time is up, the guest is shut down. The shim's word that it has stopped, or its end, leads to
 * sandbox_tear_down(). Each step has a time limit behind which stands SIGKILL.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "proto/agent.h"
#include "uvmd/bus/hold.h"
#include "uvmd/errors.h"
#include "uvmd/journal.h"
#include "uvmd/sandbox.h"

#define STOP_DRAIN_USEC (10 * USEC_PER_SEC) /* for clients to read what is left */
#define STOP_KILL_USEC  (2 * USEC_PER_SEC)  /* for the shim to say that it is done */

static void stop_arm(Sandbox *sandbox, uint64_t usec, sd_event_time_handler_t handler)
{
        sandbox->grace = sd_event_source_disable_unref(sandbox->grace);
        if (sd_event_add_time_relative(sandbox->manager->event, &sandbox->grace, CLOCK_MONOTONIC,
                                       usec, 0, handler, sandbox) < 0)
                sandbox_kill_hard(sandbox);
}

static int stop_on_last_limit(sd_event_source *source, uint64_t usec, void *userdata)
{
        Sandbox *sandbox = userdata;

        sandbox_log_warning(sandbox, "its shim doesn't answer and is killed");
        sandbox_kill_hard(sandbox);
        sandbox_tear_down(sandbox);
        return 0;
}

static void stop_end_virtual_machine(Sandbox *sandbox, ShimMessage *message, uint64_t limit)
{
        sandbox->stop_stage = SANDBOX_STOP_GUEST;
        if (!sandbox->link || shim_link_request(sandbox->link, message, NULL, 0, NULL, NULL) < 0) {
                sandbox_kill_hard(sandbox);
                sandbox_tear_down(sandbox);
                return;
        }
        stop_arm(sandbox, limit, stop_on_last_limit);
}

static void stop_guest(Sandbox *sandbox)
{
        ShimMessage message = {.type = SHIM_STOP, .stop = {.grace_usec = 0}};

        /* The containers have had their time. Behind it the shim has SIGKILL of its own. */
        stop_end_virtual_machine(sandbox, &message,
                                 clock_limit_usec(SHIM_STOP_USEC + STOP_KILL_USEC));
}

static void stop_kill(Sandbox *sandbox)
{
        ShimMessage message = {.type = SHIM_KILL};

        stop_end_virtual_machine(sandbox, &message, clock_limit_usec(STOP_KILL_USEC));
}

static int stop_on_grace(sd_event_source *source, uint64_t usec, void *userdata)
{
        stop_guest(userdata);
        return 0;
}

static bool stop_has_live_containers(Sandbox *sandbox)
{
        Container *container, *next;

        HASH_ITER (hh, sandbox->containers, container, next)
                if (task_is_live(&container->task))
                        return true;
        return false;
}

static void stop_begin(Sandbox *sandbox, SandboxReason reason, const char *text, uint64_t grace)
{
        Container *container, *next;

        sandbox_set_reason(sandbox, reason, text);
        sandbox_set_state(sandbox, SANDBOX_STOPPING);
        if (!stop_has_live_containers(sandbox) || grace == 0) {
                stop_guest(sandbox);
                return;
        }
        sandbox->stop_stage = SANDBOX_STOP_CONTAINERS;
        HASH_ITER (hh, sandbox->containers, container, next)
                if (task_is_live(&container->task))
                        task_signal(&container->task, container_stop_signal(container), NULL, NULL);
        stop_arm(sandbox, grace, stop_on_grace);
}

static bool stop_has_live_tasks(Sandbox *sandbox)
{
        Process *process, *next;

        HASH_ITER (hh, sandbox->processes, process, next)
                if (task_is_live(&process->task))
                        return true;
        return stop_has_live_containers(sandbox);
}

static int stop_on_drain_limit(sd_event_source *source, uint64_t usec, void *userdata)
{
        Sandbox *sandbox = userdata;

        sandbox_log_warning(sandbox, "a client doesn't read; the rest of the output is lost");
        sandbox_kill_hard(sandbox);
        sandbox_tear_down(sandbox);
        return 0;
}

/* The shim tells an exit once its output has been handed over: what is still to come is worth a
 * while. */
void sandbox_on_stopped(Sandbox *sandbox)
{
        if (!stop_has_live_tasks(sandbox)) {
                sandbox_tear_down(sandbox);
                return;
        }
        if (sandbox->state != SANDBOX_STOPPING)
                sandbox_set_state(sandbox, SANDBOX_STOPPING);
        sandbox->stop_stage = SANDBOX_STOP_DRAIN;
        stop_arm(sandbox, clock_limit_usec(STOP_DRAIN_USEC), stop_on_drain_limit);
}

void sandbox_on_task_exit(Sandbox *sandbox)
{
        if (sandbox->stop_stage == SANDBOX_STOP_CONTAINERS && !stop_has_live_containers(sandbox))
                stop_guest(sandbox);
        else if (sandbox->stop_stage == SANDBOX_STOP_DRAIN && !stop_has_live_tasks(sandbox))
                sandbox_tear_down(sandbox);
}

void sandbox_on_main_exit(Sandbox *sandbox)
{
        if (sandbox->state == SANDBOX_RUNNING)
                stop_begin(sandbox, SANDBOX_REASON_EXITED, "Its main container has exited.",
                           clock_limit_usec(CONTAINER_GRACE_DEFAULT));
}

int sandbox_stop(Sandbox *sandbox, uint64_t grace, sd_bus_message *call, sd_bus_error *error)
{
        if (grace == UINT64_MAX)
                grace = clock_limit_usec(CONTAINER_GRACE_DEFAULT);
        switch (sandbox->state) {
        case SANDBOX_CREATED:
        case SANDBOX_STOPPED:
                return sd_bus_reply_method_return(call, NULL);
        case SANDBOX_STARTING:
                bus_hold_call(&sandbox->stop_calls, call);
                sandbox_set_reason(sandbox, SANDBOX_REASON_STOPPED,
                                   "It was stopped while it started.");
                sandbox_fail(sandbox, -ECANCELED, NULL);
                break;
        case SANDBOX_RUNNING:
        case SANDBOX_PAUSED:
                bus_hold_call(&sandbox->stop_calls, call);
                stop_begin(sandbox, SANDBOX_REASON_STOPPED, "It was stopped on request.", grace);
                break;
        case SANDBOX_STOPPING:
                bus_hold_call(&sandbox->stop_calls, call);
                break;
        case SANDBOX_STATE_MAX_:
                break;
        }
        return 0;
}

int sandbox_kill(Sandbox *sandbox, sd_bus_message *call, sd_bus_error *error)
{
        switch (sandbox->state) {
        case SANDBOX_CREATED:
        case SANDBOX_STOPPED:
                return error_set(error, -ESRCH, ERROR_WRONG_STATE, "The sandbox %s is %s.",
                                 sandbox->name, sandbox_state_to_string(sandbox->state));
        case SANDBOX_STARTING:
                bus_hold_call(&sandbox->stop_calls, call);
                sandbox_set_reason(sandbox, SANDBOX_REASON_KILLED,
                                   "It was killed while it started.");
                sandbox_fail(sandbox, -ECANCELED, NULL);
                break;
        case SANDBOX_RUNNING:
        case SANDBOX_PAUSED:
                bus_hold_call(&sandbox->stop_calls, call);
                sandbox_set_reason(sandbox, SANDBOX_REASON_KILLED, "It was killed on request.");
                sandbox_set_state(sandbox, SANDBOX_STOPPING);
                stop_kill(sandbox);
                break;
        case SANDBOX_STOPPING:
                bus_hold_call(&sandbox->stop_calls, call);
                /* Once the link is gone there is nobody left to kill. */
                if (sandbox->link)
                        stop_kill(sandbox);
                break;
        case SANDBOX_STATE_MAX_:
                break;
        }
        return 0;
}

int sandbox_delete(Sandbox *sandbox, bool force, sd_bus_message *call, sd_bus_error *error)
{
        switch (sandbox->state) {
        case SANDBOX_CREATED:
        case SANDBOX_STOPPED:
                bus_hold_call(&sandbox->stop_calls, call);
                sandbox_forget(sandbox);
                return 0;
        case SANDBOX_STOPPING:
        case SANDBOX_STARTING:
        case SANDBOX_RUNNING:
        case SANDBOX_PAUSED:
                break;
        case SANDBOX_STATE_MAX_:
                return -EINVAL;
        }
        if (!force)
                return error_set(error, -EBUSY, ERROR_WRONG_STATE,
                                 "The sandbox %s is %s; stop it first, or force its removal.",
                                 sandbox->name, sandbox_state_to_string(sandbox->state));
        sandbox->next = SANDBOX_DELETE;
        return sandbox_kill(sandbox, call, error);
}
