/*
 * What a sandbox hears from its shim, and how it finds its shim again. All of it is hostile: a shim
 * can end its own sandbox and nothing else.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "uvmd/boot.h"
#include "uvmd/errors.h"
#include "uvmd/journal.h"
#include "uvmd/rundir.h"
#include "uvmd/sandbox.h"

static void sandbox_take_reason(Sandbox *sandbox, ShimReason reason, const char *text)
{
        /* A stop that was asked for looks to the shim like any end that is no fault. */
        bool fault = reason == SHIM_REASON_PANIC || reason == SHIM_REASON_CRASH ||
                     reason == SHIM_REASON_OOM;
        /* When the shim begins to stop it knows why; what there is to tell it knows at the end. */
        bool untold = (int)sandbox->reason == (int)reason &&
                      (!sandbox->reason_text || !sandbox->reason_text[0]);

        if (sandbox->reason != SANDBOX_REASON_NONE && !fault && !untold)
                return;
        _Static_assert((int)SHIM_REASON_BOOT_TIMEOUT == (int)SANDBOX_REASON_BOOT_TIMEOUT,
                       "the reasons of the shim come first and in the same order");
        if (reason == SHIM_REASON_OOM)
                sandbox_set_reason_oom(sandbox, 0);
        else
                sandbox_set_reason(sandbox, (SandboxReason)reason, text);
}

static void sandbox_on_shim_state(Sandbox *sandbox, const ShimStatus *status)
{
        switch (status->state) {
        case SHIM_RUNNING:
                sandbox->boot = SANDBOX_BOOT_GREETED;
                if (sandbox->state == SANDBOX_PAUSED)
                        sandbox_set_state(sandbox, SANDBOX_RUNNING);
                /* Devices that go were kept until now. */
                network_continue(sandbox);
                boot_continue(sandbox);
                break;
        case SHIM_PAUSED:
                if (sandbox->state == SANDBOX_RUNNING)
                        sandbox_set_state(sandbox, SANDBOX_PAUSED);
                break;
        case SHIM_STOPPING:
                if (sandbox->state != SANDBOX_STOPPING) {
                        sandbox_take_reason(sandbox, status->reason, status->text);
                        sandbox_set_state(sandbox, SANDBOX_STOPPING);
                }
                break;
        case SHIM_STOPPED:
                sandbox_take_reason(sandbox, status->reason, status->text);
                sandbox_on_stopped(sandbox);
                break;
        case SHIM_WAITING:
        case SHIM_CREATED:
        case SHIM_STARTING:
        case SHIM_STATE_MAX_:
                break;
        }
}

/* A shim that waits was left in the middle of a start whose caller has got no answer: it goes. */
static void sandbox_on_hello(Sandbox *sandbox, const ShimHello *hello)
{
        bool adopting = !sandbox->leader;
        Container *container, *next;

        for (unsigned i = 0; i < SHIM_PHASE_MAX_; i++)
                if (hello->phases[i])
                        sandbox->phases[SANDBOX_PHASE_SHIM + i] = hello->phases[i];
        if (!adopting)
                return;
        shim_link_pid(sandbox->link, &sandbox->leader);
        if (hello->status.state == SHIM_WAITING || hello->status.state == SHIM_CREATED ||
            network_was_interrupted(sandbox)) {
                sandbox_set_reason(sandbox, SANDBOX_REASON_LOST,
                                   "The service was restarted before the start was complete.");
                sandbox_kill_hard(sandbox);
                sandbox_tear_down(sandbox);
                return;
        }
        sandbox->boot = hello->status.state >= SHIM_RUNNING ? SANDBOX_BOOT_GREETED
                                                            : SANDBOX_BOOT_BOOTED;
        hotplug_adopt(sandbox);
        sandbox_on_shim_state(sandbox, &hello->status);
        if (sandbox->state != SANDBOX_STOPPING)
                network_adopt(sandbox);
        HASH_ITER (hh, sandbox->containers, container, next)
                if (sandbox->state == SANDBOX_RUNNING)
                        mounts_adopt(container);
        if (sandbox->state == SANDBOX_RUNNING)
                sweep_begin(sandbox);
}

/* Of the events only this one concerns uvmd; the others the shim keeps to itself. */
static void sandbox_on_agent_event(Sandbox *sandbox, const ShimAgentEvent *event)
{
        Container *container;
        AgentOom oom;

        if (event->type != AGENT_EVENT_OOM ||
            agent_oom_decode(event->payload, event->payload_size, &oom) < 0)
                return;
        container = sandbox_find_container(sandbox, oom.container);
        if (container)
                container_on_oom(container, oom.kills);
        agent_oom_done(&oom);
}

static void sandbox_on_message(void *userdata, const ShimMessage *message)
{
        Sandbox *sandbox = userdata;
        Task *task;

        switch (message->type) {
        case SHIM_HELLO:
                sandbox_on_hello(sandbox, &message->hello);
                break;
        case SHIM_STATE:
                sandbox_on_shim_state(sandbox, &message->state);
                break;
        case SHIM_PHASE:
                sandbox->phases[SANDBOX_PHASE_SHIM + message->phase.phase] = message->phase.usec;
                break;
        case SHIM_PROCESS:
                task = sandbox_find_task(sandbox, message->process.process);
                if (task)
                        task_update(task, &message->process);
                break;
        case SHIM_MEMORY:
                hotplug_on_memory(sandbox, &message->memory);
                break;
        case SHIM_VCPUS:
                hotplug_on_vcpus(sandbox, message->vcpus.online);
                break;
        case SHIM_AGENT_EVENT:
                sandbox_on_agent_event(sandbox, &message->agent_event);
                break;
        case SHIM_SYNCED:
        case SHIM_REPLY:
        case SHIM_LAUNCH:
        case SHIM_ADD_DEVICE:
        case SHIM_REMOVE_DEVICE:
        case SHIM_BOOT:
        case SHIM_PAUSE:
        case SHIM_RESUME:
        case SHIM_AGENT_REQUEST:
        case SHIM_ADD_PROCESS:
        case SHIM_ATTACH:
        case SHIM_ACK_EXIT:
        case SHIM_STOP:
        case SHIM_KILL:
        case SHIM_GET_STATS:
        case SHIM_GET_CONSOLE:
        case SHIM_ADD_BIND:
        case SHIM_REMOVE_BIND:
        case SHIM_SET_THROTTLE:
        case SHIM_SET_VCPUS:
        case SHIM_RESIZE:
        case SHIM_SET_LINK:
                break;
        }
}

/* The shim is gone, or has dropped us: another link, or the last word it left. */
static void sandbox_connect(Sandbox *sandbox)
{
        _cleanup_(freep) char *path = rundir_path(sandbox->manager->paths.run_dir, sandbox->id,
                                                  "shim.sock");
        ShimEndRecord end;
        int r = -ENOMEM;

        if (path)
                r = shim_link_connect(&sandbox->link, sandbox->manager->event, path,
                                      &sandbox_link_events, sandbox);
        if (r >= 0)
                return;
        if (rundir_read_end(sandbox->manager->paths.run_dir, sandbox->id, &end) >= 0)
                sandbox_take_reason(sandbox, end.reason, end.text);
        else if (sandbox->reason == SANDBOX_REASON_NONE)
                sandbox_set_reason(sandbox, SANDBOX_REASON_LOST,
                                   "The process that held the virtual machine has gone.");
        sandbox_kill_hard(sandbox);
        sandbox_tear_down(sandbox);
}

static void sandbox_on_link_end(void *userdata, int r)
{
        Sandbox *sandbox = userdata;

        sandbox_log_debug(sandbox, "the link to its shim ended: %s", strerror(-r));
        shim_link_free(TAKE_PTR(sandbox->link));
        if (sandbox->state == SANDBOX_STARTING && sandbox->boot < SANDBOX_BOOT_BOOTED) {
                _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

                error_set(&error, -EIO, ERROR_BOOT_FAILED,
                          "uvm-shim ended before the virtual machine was ready; see journalctl -u "
                          "uvmd.");
                sandbox_fail(sandbox, -EIO, &error);
                return;
        }
        sandbox_connect(sandbox);
}

const ShimLinkEvents sandbox_link_events = {
        .on_message = sandbox_on_message,
        .on_end = sandbox_on_link_end,
};

int sandbox_ask_agent(Sandbox *sandbox, uint32_t type, uint64_t process, const void *payload,
                      size_t size, ShimReplyHandler handler, void *userdata)
{
        ShimMessage message = {
                .type = SHIM_AGENT_REQUEST,
                .agent_request =
                        {
                                .process = process,
                                .type = type,
                                .payload = payload,
                                .payload_size = size,
                        },
        };

        if (!sandbox->link)
                return -ENOTCONN;
        return shim_link_request(sandbox->link, &message, NULL, 0, handler, userdata);
}

void sandbox_adopt(Sandbox *sandbox)
{
        _cleanup_(freep) char *name = NULL;

        switch (sandbox->state) {
        case SANDBOX_CREATED:
        case SANDBOX_STOPPED:
                return;
        case SANDBOX_STARTING:
        case SANDBOX_RUNNING:
        case SANDBOX_PAUSED:
        case SANDBOX_STOPPING:
        case SANDBOX_STATE_MAX_:
                break;
        }
        idranges_take_base(sandbox->manager->ranges, sandbox->range_base);
        name = sandbox_unit_name(sandbox);
        if (name && unit_new(&sandbox->unit, sandbox->manager->bus, name, sandbox) >= 0)
                unit_adopt(sandbox->unit);
        sandbox_connect(sandbox);
}
