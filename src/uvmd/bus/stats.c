/*
 * Sandbox.GetStats: three sources are asked at once (systemd for the unit, the shim for monitor and
 * machine, the agent for each container); the last answer sends the reply. A source that doesn't
 * answer leaves its figures out. The guest's figures are its own word.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/agent.h"
#include "proto/control.h"
#include "uvmd/bus/stats.h"
#include "uvmd/errors.h"

typedef struct StatsCall StatsCall;

typedef struct StatsContainer {
        StatsCall *call;
        char name[NAME_SIZE_MAX + 1];
        bool known;
        AgentStats stats;
} StatsContainer;

struct StatsCall {
        sd_bus_message *message;
        unsigned n_pending;
        UnitStats unit;
        bool has_monitor, has_machine;
        ControlStats monitor;
        AgentStats machine;
        size_t n_containers;
        StatsContainer containers[];
};

static int append_u64(sd_bus_message *reply, const char *key, uint64_t value)
{
        return value == UINT64_MAX ? 0 : sd_bus_message_append(reply, "{sv}", key, "t", value);
}

static int append_exits(sd_bus_message *reply, const ControlStats *stats)
{
        int r = sd_bus_message_open_container(reply, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append(reply, "s", "Exits");
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'v', "a{st}");
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "{st}");
        for (int i = 0; r >= 0 && i < CONTROL_EXIT_MAX; i++)
                r = sd_bus_message_append(reply, "{st}", control_exit_to_string((ControlExit)i),
                                          stats->exits[i]);
        for (unsigned depth = 0; r >= 0 && depth < 3; depth++)
                r = sd_bus_message_close_container(reply);
        return r;
}

static int append_container(sd_bus_message *reply, const StatsContainer *container)
{
        const AgentStats *stats = &container->stats;

        return sd_bus_message_append(reply, "{sa{sv}}", container->name, 4, "MemoryCurrent", "t",
                                     stats->memory, "MemoryMax", "t", stats->memory_limit,
                                     "CPUUsageNSec", "t", stats->cpu_usec * 1000, "TasksCurrent",
                                     "t", stats->pids);
}

static int append_containers(sd_bus_message *reply, const StatsCall *call)
{
        int r = sd_bus_message_open_container(reply, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append(reply, "s", "Containers");
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'v', "a{sa{sv}}");
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "{sa{sv}}");
        for (size_t i = 0; r >= 0 && i < call->n_containers; i++)
                if (call->containers[i].known)
                        r = append_container(reply, &call->containers[i]);
        for (unsigned depth = 0; r >= 0 && depth < 3; depth++)
                r = sd_bus_message_close_container(reply);
        return r;
}

static int append_machine(sd_bus_message *reply, const AgentStats *stats)
{
        int r = append_u64(reply, "GuestMemoryTotal", stats->mem_total);

        if (r >= 0)
                r = append_u64(reply, "GuestMemoryFree", stats->mem_free);
        return r < 0 ? r : append_u64(reply, "GuestMemoryAvailable", stats->mem_available);
}

static int stats_send(const StatsCall *call)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r = sd_bus_message_new_method_return(call->message, &reply);

        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "{sv}");
        if (r >= 0)
                r = append_u64(reply, "CPUUsageNSec", call->unit.cpu_nsec);
        if (r >= 0)
                r = append_u64(reply, "MemoryCurrent", call->unit.memory);
        if (r >= 0)
                r = append_u64(reply, "TasksCurrent", call->unit.tasks);
        if (r >= 0 && call->has_machine)
                r = append_machine(reply, &call->machine);
        if (r >= 0 && call->has_monitor)
                r = append_u64(reply, "VCPUTimeNSec", call->monitor.vcpu_usec * 1000);
        if (r >= 0 && call->has_monitor)
                r = append_exits(reply, &call->monitor);
        if (r >= 0)
                r = append_containers(reply, call);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static void stats_answered(StatsCall *call)
{
        int r;

        if (--call->n_pending > 0)
                return;
        r = stats_send(call);
        if (r < 0)
                error_reply(call->message, r, NULL);
        sd_bus_message_unref(call->message);
        free(call);
}

static void stats_on_unit(void *userdata, const UnitStats *stats)
{
        StatsCall *call = userdata;

        call->unit = *stats;
        call->unit.limits = (UnitLimits){}; /* borrowed */
        stats_answered(call);
}

/* Statistics in an AgentReply. */
static bool read_agent_stats(const uint8_t *data, size_t size, AgentStats *ret)
{
        AgentReply answer;
        bool read;

        if (size == 0 || agent_reply_decode(data, size, &answer) < 0)
                return false;
        read = answer.code == 0 &&
               agent_stats_decode(answer.payload, answer.payload_size, ret) >= 0;
        agent_reply_done(&answer);
        return read;
}

static void stats_on_shim(void *userdata, int r, const ShimReply *reply)
{
        StatsCall *call = userdata;
        ControlMessage monitor;
        ShimStats stats;

        if (r >= 0 && shim_stats_decode(reply->payload, reply->payload_size, &stats) >= 0) {
                if (stats.vmm_size && control_decode(stats.vmm, stats.vmm_size, &monitor) >= 0 &&
                    monitor.type == CONTROL_STATS) {
                        call->monitor = monitor.stats;
                        call->has_monitor = true;
                }
                call->has_machine = read_agent_stats(stats.agent, stats.agent_size, &call->machine);
        }
        stats_answered(call);
}

static void stats_on_container(void *userdata, int r, const ShimReply *reply)
{
        StatsContainer *container = userdata;

        if (r >= 0)
                container->known = read_agent_stats(reply->payload, reply->payload_size,
                                                    &container->stats);
        stats_answered(container->call);
}

static void stats_ask_container(StatsCall *call, Container *source)
{
        StatsContainer *container = &call->containers[call->n_containers++];
        AgentContainer request = {.container = source->id};
        uint8_t payload[64];
        size_t size;

        container->call = call;
        strcpy(container->name, source->name);
        if (agent_container_encode(&request, payload, sizeof(payload), &size) >= 0 &&
            sandbox_ask_agent(source->task.sandbox, AGENT_REQUEST_STATS, 0, payload, size,
                              stats_on_container, container) >= 0)
                call->n_pending++;
}

int bus_get_stats(Sandbox *sandbox, sd_bus_message *message, sd_bus_error *error)
{
        ShimMessage request = {.type = SHIM_GET_STATS};
        Container *container, *next;
        StatsCall *call;

        if (!sandbox->link || !sandbox->unit || sandbox->state != SANDBOX_RUNNING)
                return error_set(error, -ESRCH, ERROR_WRONG_STATE,
                                 "The sandbox is not running; it is %s.",
                                 sandbox_state_to_string(sandbox->state));
        call = calloc(1, sizeof(*call) + HASH_COUNT(sandbox->containers) * sizeof(StatsContainer));
        if (!call)
                return -ENOMEM;
        call->message = sd_bus_message_ref(message);
        memset(&call->unit, 0xff, offsetof(UnitStats, limits));
        call->n_pending = 1; /* ourselves, until all are asked */
        if (unit_get_stats(sandbox->unit, stats_on_unit, call) >= 0)
                call->n_pending++;
        if (shim_link_request(sandbox->link, &request, NULL, 0, stats_on_shim, call) >= 0)
                call->n_pending++;
        HASH_ITER (hh, sandbox->containers, container, next)
                if (task_is_live(&container->task))
                        stats_ask_container(call, container);
        stats_answered(call);
        return 0;
}
