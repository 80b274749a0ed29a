/* Tasks; see task.h. What the shim tells of them is hostile: it is about its own sandbox's only. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "proto/agent.h"
#include "uvmd/bus/emit.h"
#include "uvmd/bus/hold.h"
#include "uvmd/errors.h"
#include "uvmd/events.h"
#include "uvmd/sandbox.h"
#include "uvmd/strv.h"
#include "uvmd/task.h"

ENUM_TABLE(task_state, TaskState, TASK_STATE_MAX_)
= {
        [TASK_CREATED] = "created",
        [TASK_STARTING] = "created",
        [TASK_RUNNING] = "running",
        [TASK_EXITED] = "exited",
};

/* A client that came before the shim knew the task. */
typedef struct TaskAttach {
        List link;
        int fds[SHIM_STREAM_MAX_];
        unsigned n_fds;
        uint32_t streams;
        bool input;
} TaskAttach;

static void attach_free(TaskAttach *attach)
{
        list_remove(&attach->link);
        fd_close_many(attach->fds, attach->n_fds);
        free(attach);
}

void task_init(Task *task, TaskKind kind, Sandbox *sandbox)
{
        task->kind = kind;
        task->sandbox = sandbox;
        task->code = -1;
        task->created = clock_realtime_usec();
        list_init(&task->attaches);
        list_init(&task->waits);
}

void task_done(Task *task)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        error_set(&error, -ESRCH, ERROR_WRONG_STATE, "It was removed.");
        task_answer_start(task, -ESRCH, &error);
        bus_answer_all(&task->waits, -ESRCH, &error);
        list_for_each (item, &task->attaches)
                attach_free(LIST_ENTRY(item, TaskAttach, link));
        shim_link_forget(task->sandbox->link, task);
        task->command = strv_free(task->command);
}

static Container *task_container(const Task *task)
{
        if (task->kind == TASK_CONTAINER)
                return CONTAINER_OF((Task *)task, Container, task);
        return CONTAINER_OF((Task *)task, Process, task)->container;
}

const TaskConfig *task_config(const Task *task)
{
        if (task->kind == TASK_CONTAINER)
                return &CONTAINER_OF((Task *)task, Container, task)->config.task;
        return &CONTAINER_OF((Task *)task, Process, task)->config;
}

static bool task_is_main(const Task *task)
{
        return task->kind == TASK_CONTAINER && task_container(task)->config.main;
}

char *task_path(const Task *task)
{
        char *path;
        int n;

        if (task->kind == TASK_CONTAINER)
                n = asprintf(&path, "/org/uvm1/sandbox/%s/container/%s", task->sandbox->id,
                             task_container(task)->id);
        else
                n = asprintf(&path, "/org/uvm1/sandbox/%s/process/%llu", task->sandbox->id,
                             (unsigned long long)task->token);
        return n < 0 ? NULL : path;
}

/* ------------------------------------------------------------------ streams */

static void task_on_attach_reply(void *userdata, int r, const ShimReply *reply)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *call = userdata;

        if (r == -EINVAL || r == -ENOTSOCK)
                error_set(&error, r, ERROR_INVALID_ARGUMENT, "The streams don't fit: %s",
                          reply->text);
        else if (r == -EMFILE)
                error_set(&error, r, ERROR_LIMIT_EXCEEDED,
                          "Too many clients are attached to this sandbox.");
        else if (r < 0)
                error_set(&error, r, ERROR_WRONG_STATE, "It can't be attached to: %s",
                          reply && reply->text[0] ? reply->text : strerror(-r));
        if (r < 0)
                error_reply(call, r, &error);
        else
                sd_bus_reply_method_return(call, NULL);
        sd_bus_message_unref(call);
}

static int task_send_attach(Task *task, const TaskAttach *attach, bool primary,
                            sd_bus_message *call)
{
        ShimMessage message = {
                .type = SHIM_ATTACH,
                .attach =
                        {
                                .process = task->token,
                                .flags = primary ? SHIM_ATTACH_PRIMARY : 0,
                                .streams = attach->streams,
                        },
        };
        int r = shim_link_request(task->sandbox->link, &message, attach->fds, attach->n_fds,
                                  call ? task_on_attach_reply : NULL, call);

        if (r >= 0)
                sd_bus_message_ref(call);
        return r;
}

static int task_check_streams(const Task *task, uint32_t streams, sd_bus_error *error)
{
        const TaskConfig *config = task_config(task);

        if (streams == 0)
                return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                 "Attach needs at least one stream.");
        if (config->terminal != (streams == 1 << SHIM_TTY))
                return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                 config->terminal
                                         ? "It has a terminal: attach \"terminal\" alone."
                                         : "It has no terminal: attach \"stdin\", \"stdout\" "
                                           "and \"stderr\".");
        if ((streams & (1 << SHIM_STDIN)) && !config->open_stdin)
                return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                 "Its standard input is not open; it was made without OpenStdin.");
        return 0;
}

int task_attach(Task *task, sd_bus_message *call, int fds[SHIM_STREAM_MAX_], bool input,
                sd_bus_error *error)
{
        TaskAttach *attach = calloc(1, sizeof(*attach));
        bool first = task->state == TASK_CREATED && !task->has_primary;
        int r;

        if (!attach) {
                fd_close_many(fds, SHIM_STREAM_MAX_);
                return -ENOMEM;
        }
        list_init(&attach->link);
        attach->input = input;
        for (unsigned i = 0; i < SHIM_STREAM_MAX_; i++) {
                if (fds[i] < 0)
                        continue;
                attach->streams |= 1U << i;
                attach->fds[attach->n_fds++] = TAKE_FD(fds[i]);
        }
        r = task_check_streams(task, attach->streams, error);
        if (r < 0) {
                attach_free(attach);
                return r;
        }
        task->has_primary = task->has_primary || first;
        if (!task->known) {
                list_append(&task->attaches, &attach->link);
                return sd_bus_reply_method_return(call, NULL);
        }
        r = task->sandbox->link ? task_send_attach(task, attach, first, call) : -ENOTCONN;
        attach_free(attach);
        return r;
}

int task_add(Task *task)
{
        const TaskConfig *config = task_config(task);
        const Container *container = task_container(task);
        const char *journal = config->log_driver
                                      ?: task->kind == TASK_CONTAINER ? "journald"
                                                                      : "none";
        ShimMessage message = {
                .type = SHIM_ADD_PROCESS,
                .add_process =
                        {
                                .process = task->token,
                                .flags = (config->terminal ? SHIM_PROCESS_TTY : 0) |
                                         (config->open_stdin ? SHIM_PROCESS_STDIN : 0) |
                                         (strcmp(journal, "journald") == 0 ? SHIM_PROCESS_JOURNAL
                                                                           : 0) |
                                         (task_is_main(task) ? SHIM_PROCESS_MAIN : 0),
                        },
        };
        ShimAddProcess *add = &message.add_process;
        bool primary = true;
        int r;

        snprintf(add->container_id, sizeof(add->container_id), "%s", container->id);
        task_agent_id(task, add->process_id);
        snprintf(add->container, sizeof(add->container), "%s", container->name);
        snprintf(add->identifier, sizeof(add->identifier), "%s", container->name);
        r = shim_link_request(task->sandbox->link, &message, NULL, 0, NULL, NULL);
        if (r < 0)
                return r;
        task->known = true;
        list_for_each (item, &task->attaches) {
                TaskAttach *attach = LIST_ENTRY(item, TaskAttach, link);

                r = task_send_attach(task, attach, primary, NULL);
                if (r < 0)
                        log_warning_errno(r, "A client of %s is lost", container->name);
                primary = false;
                attach_free(attach);
        }
        return 0;
}

/* ------------------------------------------------------------------ calls */

void task_hold_start(Task *task, sd_bus_message *call)
{
        task->start = sd_bus_message_ref(call);
}

void task_answer_start(Task *task, int r, const sd_bus_error *error)
{
        sd_bus_message *call = TAKE_PTR(task->start);

        if (!call)
                return;
        if (r < 0)
                error_reply(call, r, error);
        else
                sd_bus_reply_method_return(call, NULL);
        sd_bus_message_unref(call);
}

int task_wait(Task *task, sd_bus_message *call)
{
        int r;

        if (task->state != TASK_EXITED) {
                bus_hold_call(&task->waits, call);
                return 0;
        }
        r = sd_bus_reply_method_return(call, "i", task->code);
        if (task->kind == TASK_PROCESS)
                process_free(CONTAINER_OF(task, Process, task));
        return r;
}

int task_read_answer(const ShimReply *reply, const char *what, uint8_t *ret_code,
                     sd_bus_error *error)
{
        AgentReply answer;
        const char *name = ERROR_FAILED;
        int r = agent_reply_decode(reply->payload, reply->payload_size, &answer);

        if (r < 0)
                return error_set(error, r, ERROR_FAILED, "The guest's answer makes no sense.");
        *ret_code = answer.exit_code;
        if (answer.code != 0) {
                r = answer.code < 4096 ? -(int)answer.code : -EIO;
                if (answer.exit_code == 127)
                        name = ERROR_COMMAND_NOT_FOUND;
                else if (answer.exit_code == 126)
                        name = ERROR_COMMAND_NOT_EXECUTABLE;
                error_set(error, r, name, "%s: %s", what,
                          answer.text && answer.text[0] ? answer.text : strerror(-r));
        }
        agent_reply_done(&answer);
        return r;
}

/* The answer to a call that was passed on to the agent: done, or why not. */
static void task_on_request_reply(void *userdata, int r, const ShimReply *reply)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *call = userdata;
        uint8_t code;

        if (r < 0)
                error_set(&error, r, ERROR_WRONG_STATE, "The guest doesn't answer: %s",
                          reply && reply->text[0] ? reply->text : strerror(-r));
        else
                r = task_read_answer(reply, sd_bus_message_get_member(call), &code, &error);
        if (r < 0)
                error_reply(call, r, &error);
        else
                sd_bus_reply_method_return(call, NULL);
        sd_bus_message_unref(call);
}

static int task_request(Task *task, uint32_t type, const void *payload, size_t size,
                        sd_bus_message *call)
{
        int r = sandbox_ask_agent(task->sandbox, type, 0, payload, size,
                                  call ? task_on_request_reply : NULL, call);

        if (r >= 0)
                sd_bus_message_ref(call);
        return r;
}

static int task_require_live(const Task *task, sd_bus_error *error)
{
        if (task_is_live(task))
                return 0;
        return error_set(error, -ESRCH, ERROR_WRONG_STATE, "It is not running; it is %s.",
                         task_state_to_string(task->state));
}

void task_agent_id(const Task *task, char id[AGENT_ID_MAX + 1])
{
        if (task->kind == TASK_CONTAINER)
                id[0] = 0;
        else
                snprintf(id, AGENT_ID_MAX + 1, "%llu", (unsigned long long)task->token);
}

int task_signal(Task *task, int number, sd_bus_message *call, sd_bus_error *error)
{
        char process[AGENT_ID_MAX + 1];
        uint8_t payload[256];
        AgentSignal request = {
                .container = task_container(task)->id,
                .process = process,
                .signal = (uint32_t)number,
                /* The first process of a pid namespace takes all others with it; one without its
                 * own would leave them behind. */
                .all = task->kind == TASK_CONTAINER && number == SIGKILL,
        };
        size_t size;
        int r;

        if (number < 1 || number > 64)
                return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                 "There is no signal %d: 1 to 64 are allowed.", number);
        r = task_require_live(task, error);
        if (r < 0)
                return r;
        task_agent_id(task, process);
        r = agent_signal_encode(&request, payload, sizeof(payload), &size);
        if (r >= 0)
                r = task_request(task, AGENT_REQUEST_SIGNAL, payload, size, call);
        if (r >= 0)
                event_task_signal(task, number);
        return r;
}

int task_resize(Task *task, uint32_t rows, uint32_t columns, sd_bus_message *call,
                sd_bus_error *error)
{
        char process[AGENT_ID_MAX + 1];
        uint8_t payload[256];
        AgentResize request = {
                .container = task_container(task)->id,
                .process = process,
                .rows = (uint16_t)rows,
                .columns = (uint16_t)columns,
        };
        size_t size;
        int r;

        if (!task_config(task)->terminal)
                return error_set(error, -ENOTTY, ERROR_WRONG_STATE, "It has no terminal.");
        if (rows > UINT16_MAX || columns > UINT16_MAX)
                return error_set(error, -ERANGE, ERROR_INVALID_ARGUMENT,
                                 "A terminal has at most %d rows and columns.", UINT16_MAX);
        r = task_require_live(task, error);
        if (r < 0)
                return r;
        task_agent_id(task, process);
        r = agent_resize_encode(&request, payload, sizeof(payload), &size);
        return r < 0 ? r : task_request(task, AGENT_REQUEST_RESIZE, payload, size, call);
}

/* ------------------------------------------------------------------ life */

void task_run(Task *task, uint64_t started)
{
        if (task->state != TASK_CREATED && task->state != TASK_STARTING)
                return;
        task->state = TASK_RUNNING;
        task->started = started ?: clock_realtime_usec();
        event_task_started(task);
        sandbox_save(task->sandbox);
        bus_emit_task_changed(task);
        task_answer_start(task, 0, NULL);
}

/* The record has the code: the shim may forget it. */
static void task_acknowledge(Task *task)
{
        ShimMessage message = {.type = SHIM_ACK_EXIT, .ack_exit = {.process = task->token}};

        if (task->known && task->sandbox->link)
                shim_link_request(task->sandbox->link, &message, NULL, 0, NULL, NULL);
        task->known = task->has_primary = false;
}

void task_exit(Task *task, int code, bool oom, uint64_t finished)
{
        bool told = !list_is_empty(&task->waits);
        Sandbox *sandbox = task->sandbox;

        if (task->state == TASK_EXITED)
                return;
        task->state = TASK_EXITED;
        task->code = code;
        task->oom = oom;
        task->finished = finished ?: clock_realtime_usec();
        event_task_exited(task);
        sandbox_save(task->sandbox);
        task_acknowledge(task);
        task_answer_start(task, 0, NULL);
        bus_answer_all_i32(&task->waits, code);
        bus_emit_task_exited(task);
        bus_emit_task_changed(task);
        if (task->kind == TASK_CONTAINER)
                container_on_exit(CONTAINER_OF(task, Container, task));
        else if (told)
                process_free(CONTAINER_OF(task, Process, task));
        sandbox_on_task_exit(sandbox);
}

void task_update(Task *task, const ShimProcess *process)
{
        task->known = true;
        task->has_primary = task->has_primary || process->has_primary;
        switch (process->state) {
        case SHIM_PROCESS_ADDED:
                break;
        case SHIM_PROCESS_STARTING:
                if (task->state == TASK_CREATED)
                        task->state = TASK_STARTING;
                break;
        case SHIM_PROCESS_RUNNING:
                task_run(task, process->started_usec);
                break;
        case SHIM_PROCESS_FAILED:
                /* The agent's answer to the start says why, and comes next; after an adoption
                 * nobody waits for it any more. */
                if (!task->start && task->state == TASK_STARTING)
                        task_exit(task, process->code, false, process->finished_usec);
                break;
        case SHIM_PROCESS_EXITED:
                if (process->started_usec)
                        task->started = process->started_usec;
                task_exit(task, process->code, process->oom, process->finished_usec);
                break;
        case SHIM_PROCESS_STATE_MAX_:
                break;
        }
}
