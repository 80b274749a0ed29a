/*
 * A task is what runs in a sandbox: a container's first process or an exec. It has streams, a
 * state, an exit code and callers who wait for it. Container and Process embed it.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "base/enum.h"
#include "base/list.h"
#include "proto/agent.h"
#include "proto/shim.h"
#include "uvmd/configuration.h"

typedef struct Sandbox Sandbox;
typedef struct Task Task;

typedef enum TaskState {
        TASK_CREATED,
        TASK_STARTING, /* the agent was asked to run it; "created" to the bus */
        TASK_RUNNING,
        TASK_EXITED,
        TASK_STATE_MAX_,
} TaskState;
ENUM_DECLARE(task_state, TaskState);

typedef enum TaskKind {
        TASK_CONTAINER,
        TASK_PROCESS,
} TaskKind;

struct Task {
        TaskKind kind;
        Sandbox *sandbox;
        uint64_t token; /* names it to shim and agent; fresh for each run; 0: not in a guest */
        TaskState state;
        int code; /* -1 until it has exited */
        bool oom;
        char **command; /* entrypoint and arguments as they run */
        uint64_t created, started, finished;

        bool known;            /* the shim has it: ADD_PROCESS was sent */
        bool has_primary;      /* a client has attached whom the process waits for */
        List attaches;         /* clients that came before the shim knew it */
        sd_bus_message *start; /* the call that waits for it to run */
        List waits;            /* Wait calls */
};

void task_init(Task *task, TaskKind kind, Sandbox *sandbox);

/* Answers what waits with WrongState, drops clients. */
void task_done(Task *task);

const TaskConfig *task_config(const Task *task);

/* The task's bus object; free() it. NULL: out of memory. */
char *task_path(const Task *task);

/*
 * Attaches a client. @fds has -EBADF for what the client doesn't give, else an fd that is taken
 * (also on failure). The call is answered here, now or later, unless the return is negative.
 */
int task_attach(Task *task, sd_bus_message *call, int fds[SHIM_STREAM_MAX_], bool input,
                sd_bus_error *error);

/* Tells the shim of it and hands the waiting clients over. 0 or -errno. */
int task_add(Task *task);

/* Keeps @call to be answered when it runs or can't. */
void task_hold_start(Task *task, sd_bus_message *call);
void task_answer_start(Task *task, int r, const sd_bus_error *error);

/* Answers now if it has exited, else keeps @call. */
int task_wait(Task *task, sd_bus_message *call);

/*
 * The agent's own answer, in @reply, to what was asked: 0, or -errno with @error named as the bus
 * has it. @what stands before the reason. @ret_code: what a shell would answer, 0, 125 to 127.
 */
int task_read_answer(const ShimReply *reply, const char *what, uint8_t *ret_code,
                     sd_bus_error *error);

/* The process's id as the agent has it: "" for a container's first. */
void task_agent_id(const Task *task, char id[AGENT_ID_MAX + 1]);

/* Both pass the call on to the agent, which answers late; @call may be NULL. */
int task_signal(Task *task, int signal, sd_bus_message *call, sd_bus_error *error);
int task_resize(Task *task, uint32_t rows, uint32_t columns, sd_bus_message *call,
                sd_bus_error *error);

/* The agent says that it runs. */
void task_run(Task *task, uint64_t started);

/* The shim says how it is. The task may be freed by it. */
void task_update(Task *task, const ShimProcess *process);

/* It will not run any more: the guest has ended, or it could not be started. */
void task_exit(Task *task, int code, bool oom, uint64_t finished);

/* Whether it takes part in the guest (starting or running). */
static inline bool task_is_live(const Task *task)
{
        return task->state == TASK_STARTING || task->state == TASK_RUNNING;
}
