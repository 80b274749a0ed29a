/* Container.GetProcesses: the agent's list as a{sv}s. The list is the guest's: its texts are made
 * fit for the bus, its numbers are passed on. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "proto/agent.h"
#include "uvmd/bus/console.h"
#include "uvmd/bus/processes.h"
#include "uvmd/errors.h"
#include "uvmd/sandbox.h"

static int append_process(sd_bus_message *message, const AgentProcessInfo *info)
{
        char terminal[16] = "?", state[2] = {(char)info->state, 0};
        _cleanup_(freep) char *user = console_to_text(info->user ?: "", strlen(info->user ?: ""));
        _cleanup_(freep) char *command = console_to_text(info->command ?: "",
                                                         strlen(info->command ?: ""));
        uint64_t now = clock_realtime_usec(), started = now - MIN(info->age_usec, now);

        if (!user || !command)
                return -ENOMEM;
        if (info->tty)
                snprintf(terminal, sizeof(terminal), "pts/%u", info->tty - 1);
        if (info->state < ' ' || info->state > '~')
                state[0] = '?';
        return sd_bus_message_append(message, "a{sv}", 9, "Pid", "u", info->pid, "ParentPid", "u",
                                     info->ppid, "User", "s", user, "CPUUsageUSec", "t",
                                     info->cpu_usec, "MemoryRSS", "t", info->rss, "Started", "t",
                                     started, "Terminal", "s", terminal, "State", "s", state,
                                     "Command", "s", command);
}

static int send_processes(sd_bus_message *call, const AgentProcesses *list)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r = sd_bus_message_new_method_return(call, &reply);

        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        for (uint32_t i = 0; r >= 0 && i < list->n_processes; i++)
                r = append_process(reply, &list->processes[i]);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int read_processes(const ShimReply *reply, AgentProcesses *ret, sd_bus_error *error)
{
        AgentReply answer;
        int r = agent_reply_decode(reply->payload, reply->payload_size, &answer);

        if (r < 0)
                return r;
        if (answer.code != 0)
                r = error_set(error, -EIO, ERROR_FAILED, "The guest can't list them: %s",
                              answer.text ?: "");
        else
                r = agent_processes_decode(answer.payload, answer.payload_size, ret);
        agent_reply_done(&answer);
        return r;
}

static void processes_on_reply(void *userdata, int r, const ShimReply *reply)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *call = userdata;
        AgentProcesses list = {};

        if (r >= 0)
                r = read_processes(reply, &list, &error);
        if (r >= 0)
                r = send_processes(call, &list);
        if (r < 0)
                error_reply(call, r, &error);
        agent_processes_done(&list);
        sd_bus_message_unref(call);
}

int bus_list_processes(Container *container, sd_bus_message *call, sd_bus_error *error)
{
        AgentContainer request = {.container = container->id};
        uint8_t payload[64];
        size_t size;
        int r;

        if (container->task.state != TASK_RUNNING)
                return error_set(error, -ESRCH, ERROR_WRONG_STATE,
                                 "The container is not running; it is %s.",
                                 task_state_to_string(container->task.state));
        r = agent_container_encode(&request, payload, sizeof(payload), &size);
        if (r >= 0)
                r = sandbox_ask_agent(container->task.sandbox, AGENT_REQUEST_PROCESSES, 0, payload,
                                      size, processes_on_reply, call);
        if (r >= 0)
                sd_bus_message_ref(call);
        return r;
}
