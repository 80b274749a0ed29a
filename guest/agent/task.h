/*
 * What the host asks to be done to the machine by a worker, because it may wait for the kernel: one
 * after the other where they would be in each other's way. The answer is the worker's word; a task
 * that takes longer than TASK_LIMIT_USEC is answered with ETIMEDOUT, and the next one still waits
 * until it has ended.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/loop.h"

#include "agent/fault.h"

#define TASK_LIMIT_USEC  (30 * UINT64_C(1000000))
#define TASK_PAYLOAD_MAX 64

typedef struct Guest Guest;
typedef struct Task Task;

/* What a worker hands back: with both, the reply has both. */
typedef struct TaskResult {
        Fault fault; /* error 0: done */
        uint8_t payload[TASK_PAYLOAD_MAX];
        uint32_t payload_size;
} TaskResult;

typedef struct TaskKind {
        /* In the worker. 0 or -errno with ret->fault filled in. */
        int (*run)(const Task *task, TaskResult *ret);
        /* In the agent, when the time is over: what is to be said besides ETIMEDOUT. May be NULL. */
        void (*overdue)(const Task *task, TaskResult *ret);
        void (*free)(Task *task);
} TaskKind;

/* Embedded; all zero but what task_start() is given. */
struct Task {
        List link;
        Guest *guest;
        struct TaskQueue *queue;
        const TaskKind *kind;
        uint32_t request; /* 0: answered */
        LoopTimer limit;
};

/* The first one runs. */
typedef struct TaskQueue {
        List tasks;
} TaskQueue;

void task_queue_init(TaskQueue *queue);

/* Runs it when those before it have ended, and answers @request. Takes @task, which its kind frees. */
void task_start(Task *task, const TaskKind *kind, Guest *guest, TaskQueue *queue, uint32_t request);
