/* One sandbox's states, from the barrier to the end; see sandbox.h. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"

#include "shim/cgroup.h"
#include "shim/sandbox.h"

#define FROM(state) (1U << (state))
#define FROM_LIVE \
        (FROM(SHIM_CREATED) | FROM(SHIM_STARTING) | FROM(SHIM_RUNNING) | FROM(SHIM_PAUSED))

/* From which states each may be entered. */
static const unsigned sandbox_transitions[SHIM_STATE_MAX_] = {
        [SHIM_CREATED] = FROM(SHIM_WAITING),
        [SHIM_STARTING] = FROM(SHIM_CREATED),
        [SHIM_RUNNING] = FROM(SHIM_STARTING) | FROM(SHIM_PAUSED),
        [SHIM_PAUSED] = FROM(SHIM_RUNNING),
        [SHIM_STOPPING] = FROM_LIVE,
        [SHIM_STOPPED] = FROM(SHIM_WAITING) | FROM_LIVE | FROM(SHIM_STOPPING),
};

static void sandbox_send_state(Sandbox *sandbox)
{
        ShimMessage message = {.type = SHIM_STATE, .state = sandbox->status};

        link_send(&sandbox->link, &message);
}

void sandbox_set_state(Sandbox *sandbox, ShimState state)
{
        ShimState old = sandbox->status.state;

        assert(sandbox_transitions[state] & FROM(old));
        log_debug("Sandbox %s: %s -> %s", sandbox->id, shim_state_to_string(old),
                  shim_state_to_string(state));
        sandbox->status.state = state;
        /* Each limit is one of the state that began it; created keeps none, paused has none. */
        if (old == SHIM_WAITING || old == SHIM_STARTING || state == SHIM_STOPPED)
                loop_timer_cancel(&sandbox->limit);
        sandbox_send_state(sandbox);
        sandbox_answer_waiting(sandbox);
}

void sandbox_set_phase(Sandbox *sandbox, ShimPhase phase, uint64_t usec)
{
        ShimMessage message = {.type = SHIM_PHASE, .phase = {.phase = phase, .usec = usec}};

        if (sandbox->phases[phase] != 0)
                return;
        sandbox->phases[phase] = usec;
        link_send(&sandbox->link, &message);
}

static void sandbox_send_process(Sandbox *sandbox, const Process *process)
{
        ShimMessage message = {.type = SHIM_PROCESS};

        process_describe(process, &message.process);
        link_send(&sandbox->link, &message);
}

static void sandbox_on_process(Process *process)
{
        Sandbox *sandbox = CONTAINER_OF(process->table, Sandbox, table);

        sandbox_send_process(sandbox, process);
        if (process->state == PROCESS_EXITED && (process->spec.flags & SHIM_PROCESS_MAIN))
                sandbox_stop(sandbox, SHIM_REASON_EXITED,
                             clock_limit_usec(sandbox->launch.stop_usec));
        sandbox_settle(sandbox);
}

/* ---- uvmd */

static void sandbox_on_connected(Link *link)
{
        Sandbox *sandbox = CONTAINER_OF(link, Sandbox, link);
        ShimMessage message = {
                .type = SHIM_HELLO,
                .hello =
                        {
                                .status = sandbox->status,
                                .shim_pid = (uint32_t)getpid(),
                                .vmm_pid = (uint32_t)sandbox->vmm.pid,
                        },
        };

        memcpy(message.hello.phases, sandbox->phases, sizeof(sandbox->phases));
        link_send(link, &message);
        list_for_each (item, &sandbox->table.processes)
                sandbox_send_process(sandbox, LIST_ENTRY(item, Process, link));
        link_send(link, &(ShimMessage){.type = SHIM_SYNCED});
}

static void sandbox_on_disconnected(Link *link)
{
        Sandbox *sandbox = CONTAINER_OF(link, Sandbox, link);

        sandbox_forget_requests(sandbox);
        sandbox_settle(sandbox);
}

/* A guest that makes more events than uvmd reads has to wait. */
static void sandbox_on_congested(Link *link, bool on)
{
        Sandbox *sandbox = CONTAINER_OF(link, Sandbox, link);

        agent_link_hold(&sandbox->agent, on);
        if (!on)
                sandbox_settle(sandbox);
}

/* ---- the guest */

static void sandbox_on_hello(AgentLink *agent, const AgentHello *hello)
{
        Sandbox *sandbox = CONTAINER_OF(agent, Sandbox, agent);

        sandbox->agent_seen = true;
        if (sandbox->status.state != SHIM_STARTING)
                return;
        log_debug("The guest runs Linux %s, agent %s", hello->kernel, hello->agent);
        sandbox_set_phase(sandbox, SHIM_PHASE_AGENT, clock_now_usec());
        sandbox_set_state(sandbox, SHIM_RUNNING);
        sandbox_set_phase(sandbox, SHIM_PHASE_RUNNING, clock_now_usec());
}

static void sandbox_on_exited(Sandbox *sandbox, const uint8_t *payload, size_t size)
{
        AgentExited exited;

        if (agent_exited_decode(payload, size, &exited) < 0) {
                log_warning("The guest's agent reports an exit that can't be read");
                return;
        }
        process_table_exited(&sandbox->table, &exited);
        agent_exited_done(&exited);
}

static void sandbox_on_event(AgentLink *agent, uint16_t type, const uint8_t *payload, size_t size)
{
        Sandbox *sandbox = CONTAINER_OF(agent, Sandbox, agent);
        ShimMessage message = {
                .type = SHIM_AGENT_EVENT,
                .agent_event = {.type = type, .payload = payload, .payload_size = size},
        };

        if (type == AGENT_EVENT_EXITED)
                sandbox_on_exited(sandbox, payload, size);
        else if (type == AGENT_EVENT_GOODBYE)
                sandbox_on_goodbye(sandbox, payload, size);
        else
                link_send(&sandbox->link, &message);
}

static void sandbox_on_stream(Incoming *incoming, const AgentPreamble *preamble, int fd)
{
        process_table_connect(&CONTAINER_OF(incoming, Sandbox, incoming)->table, preamble, fd);
}

/* ---- life */

int sandbox_new(Sandbox **ret, Loop *loop, const char *id, uid_t peer)
{
        static const LinkOps link_ops = {
                .connected = sandbox_on_connected,
                .message = sandbox_on_message,
                .disconnected = sandbox_on_disconnected,
                .congested = sandbox_on_congested,
        };
        static const AgentLinkOps agent_ops = {
                .hello = sandbox_on_hello,
                .event = sandbox_on_event,
        };
        Sandbox *sandbox = calloc(1, sizeof(*sandbox));

        if (!sandbox)
                return -ENOMEM;
        sandbox->loop = loop;
        sandbox->id = id;
        sandbox->memory_events = sandbox->end_fd = sandbox->console.fd = FD_NONE;
        sandbox->kvm_fd = sandbox->firmware_fd = FD_NONE;
        list_init(&sandbox->requests);
        link_init(&sandbox->link, loop, &link_ops, peer);
        vmm_init(&sandbox->vmm, loop, &sandbox_vmm_ops);
        agent_link_init(&sandbox->agent, loop, &agent_ops);
        hostclock_init(&sandbox->clock, loop, &sandbox->agent);
        sandbox->agent.hostname = sandbox->launch.hostname;
        journal_init(&sandbox->journal, loop, NULL, NULL);
        incoming_init(&sandbox->incoming, loop, sandbox_on_stream);
        process_table_init(&sandbox->table, loop, &sandbox->journal, sandbox_on_process);
        *ret = sandbox;
        return 0;
}

Sandbox *sandbox_free(Sandbox *sandbox)
{
        if (!sandbox)
                return NULL;
        link_done(&sandbox->link);
        vmm_done(&sandbox->vmm);
        agent_link_done(&sandbox->agent);
        hostclock_done(&sandbox->clock);
        sandbox_forget_requests(sandbox);
        incoming_done(&sandbox->incoming);
        process_table_done(&sandbox->table);
        console_done(&sandbox->console);
        journal_done(&sandbox->journal);
        agent_goodbye_done(&sandbox->goodbye);
        loop_timer_cancel(&sandbox->limit);
        loop_timer_cancel(&sandbox->farewell);
        fd_close(sandbox->memory_events);
        fd_close(sandbox->end_fd);
        fd_close(sandbox->kvm_fd);
        fd_close(sandbox->firmware_fd);
        free(sandbox);
        return NULL;
}
