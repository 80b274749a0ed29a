/* Processes that Exec adds; see process.h. */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "uvmd/bus/emit.h"
#include "uvmd/errors.h"
#include "uvmd/events.h"
#include "uvmd/process.h"
#include "uvmd/sandbox.h"
#include "uvmd/spec.h"
#include "uvmd/strv.h"

int process_new_empty(Process **ret, Container *container, uint64_t token)
{
        Sandbox *sandbox = container->task.sandbox;
        Process *process = calloc(1, sizeof(*process));

        if (!process)
                return -ENOMEM;
        task_init(&process->task, TASK_PROCESS, sandbox);
        process->container = container;
        process->task.token = token;
        HASH_ADD(hh, sandbox->processes, task.token, sizeof(token), process);
        *ret = process;
        return 0;
}

int process_new(Process **ret, Container *container, TaskConfig *config, sd_bus_error *error)
{
        Sandbox *sandbox = container->task.sandbox;
        Process *process;
        int r;

        if (container->task.state != TASK_RUNNING)
                return error_set(error, -ESRCH, ERROR_WRONG_STATE,
                                 "The container %s is not running; it is %s.", container->name,
                                 task_state_to_string(container->task.state));
        if (!config->command || !config->command[0])
                return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                 "Command is required: there is nothing to run.");
        if (HASH_COUNT(sandbox->processes) >= PROCESSES_MAX)
                return error_set(error, -EMFILE, ERROR_LIMIT_EXCEEDED,
                                 "The sandbox has %d processes that were made by Exec and not "
                                 "waited for.",
                                 PROCESSES_MAX);
        r = process_new_empty(&process, container, sandbox->next_token);
        if (r < 0)
                return r;
        sandbox->next_token++;
        process->config = *config;
        *config = (TaskConfig){};
        process->task.command = strv_copy(process->config.command);
        if (!process->task.command) {
                process_free(process);
                return -ENOMEM;
        }
        event_task_new(&process->task);
        bus_emit_task_new(&process->task);
        *ret = process;
        return 0;
}

Process *process_free(Process *process)
{
        Sandbox *sandbox;

        if (!process)
                return NULL;
        sandbox = process->task.sandbox;
        bus_emit_task_removed(&process->task);
        HASH_DEL(sandbox->processes, process);
        task_done(&process->task);
        shim_link_forget(sandbox->link, process);
        task_config_done(&process->config);
        free(process);
        return NULL;
}

static void process_on_started(void *userdata, int r, const ShimReply *reply)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        Process *process = userdata;
        uint8_t code = 125;

        if (!reply)
                return;
        if (r < 0)
                error_set(&error, r, ERROR_FAILED, "The guest ended: %s", reply->text);
        else
                r = task_read_answer(reply, process->task.command[0], &code, &error);
        if (r >= 0) {
                task_run(&process->task, 0);
                return;
        }
        task_answer_start(&process->task, r, &error);
        task_exit(&process->task, code ?: 125, false, 0);
}

static int process_run(Process *process)
{
        _cleanup_(freep) uint8_t *buffer = malloc(SHIM_PAYLOAD_MAX);
        Container *container = process->container;
        char id[AGENT_ID_MAX + 1];
        SpecProcess spec = {
                .container = container->id,
                .id = id,
                .token = process->task.token,
                .config = &process->config,
                .container_config = &container->config,
                .image = container->image ? &container->image->config : &(const ImageConfig){},
        };
        size_t size;
        int r;

        if (!buffer)
                return -ENOMEM;
        task_agent_id(&process->task, id);
        r = spec_encode_exec(&spec, buffer, SHIM_PAYLOAD_MAX, &size);
        if (r >= 0)
                r = task_add(&process->task);
        if (r >= 0)
                r = sandbox_ask_agent(process->task.sandbox, AGENT_REQUEST_EXEC,
                                      process->task.token, buffer, size, process_on_started,
                                      process);
        return r;
}

int process_start(Process *process, sd_bus_message *call, sd_bus_error *error)
{
        Sandbox *sandbox = process->task.sandbox;
        int r;

        if (process->task.state != TASK_CREATED)
                return error_set(error, -EBUSY, ERROR_WRONG_STATE,
                                 "The process was started before.");
        if (process->container->task.state != TASK_RUNNING || !sandbox->link)
                return error_set(error, -ESRCH, ERROR_WRONG_STATE,
                                 "The container is not running any more.");
        r = process_run(process);
        if (r == -ENOBUFS || r == -EINVAL)
                return error_set(error, r, ERROR_INVALID_ARGUMENT,
                                 "The command and its environment are too long.");
        if (r < 0)
                return r;
        process->task.state = TASK_STARTING;
        sandbox_save(sandbox);
        task_hold_start(&process->task, call);
        return 0;
}
