/*
 * Sandbox.GetStats: three sources are asked at once (systemd for the unit, the shim for monitor and
 * machine, the agent for each container); the last answer sends the reply. A source that doesn't
 * answer leaves its figures out. The guest's figures are its own word.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "uvmd/bus/stats.h"
#include "uvmd/bus/stats_reply.h"
#include "uvmd/errors.h"
#include "uvmd/pressure.h"

static int stats_send(const StatsCall *call)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r = sd_bus_message_new_method_return(call->message, &reply);

        if (r >= 0)
                r = stats_reply_append(reply, call);
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
        for (size_t i = 0; i < CONTROL_SLOTS_MAX; i++)
                free(call->devices[i].target);
        free(call);
}

static void stats_on_unit(void *userdata, const UnitStats *stats)
{
        StatsCall *call = userdata;

        call->unit = *stats;
        /* The rest of it is borrowed. */
        call->unit.limits = (UnitLimits){.memory_max = stats->limits.memory_max,
                                         .tasks_max = stats->limits.tasks_max};
        call->unit.control_group = call->unit.result = NULL;
        for (int i = 0; stats->control_group && i < STATS_PRESSURES_; i++)
                call->has_pressure[i] = pressure_read(stats->control_group, stats_pressure_names[i],
                                                      &call->pressure[i]) >= 0;
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
        strcpy(container->id, source->id);
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
        memset(&call->unit, 0xff, offsetof(UnitStats, control_group));
        call->memory = sandbox->config.memory;
        stats_name_devices(sandbox, call);
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
