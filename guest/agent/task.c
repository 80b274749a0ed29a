/* What is done to the machine by a worker; see task.h. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"

#include "agent/guest.h"
#include "agent/task.h"
#include "agent/worker.h"

void task_queue_init(TaskQueue *queue)
{
        list_init(&queue->tasks);
}

static void task_answer(Task *task, TaskResult *result)
{
        AgentReply reply = {
                .code = (uint32_t)-result->fault.error,
                .exit_code = result->fault.exit_code,
                .text = result->fault.text,
                .payload = result->payload,
                .payload_size = result->payload_size,
        };

        if (task->request != 0)
                link_send_reply(&task->guest->link, task->request, &reply);
        task->request = 0;
        loop_timer_cancel(&task->limit);
}

static int task_run(void *argument, int output)
{
        const Task *task = argument;
        TaskResult result = {};

        task->kind->run(task, &result);
        return io_write_full(output, &result, sizeof(result));
}

static void task_next(TaskQueue *queue);

static void task_done(void *context, int r, int output)
{
        Task *task = context;
        TaskQueue *queue = task->queue;
        TaskResult result = {};

        if (r == 0 && pread(output, &result, sizeof(result), 0) != sizeof(result))
                r = -EIO;
        if (r < 0)
                fault_set(&result.fault, r, "the operation ended");
        task_answer(task, &result);
        list_remove(&task->link);
        task->kind->free(task);
        task_next(queue);
}

static int task_on_limit(LoopTimer *timer)
{
        Task *task = CONTAINER_OF(timer, Task, limit);
        TaskResult result = {};

        fault_set(&result.fault, -ETIMEDOUT, "the guest's kernel");
        if (task->kind->overdue)
                task->kind->overdue(task, &result);
        task_answer(task, &result);
        return 0;
}

/* False: it could not be begun, and is gone. */
static bool task_begin(Task *task)
{
        WorkerJob job = {.run = task_run, .argument = task, .done = task_done, .context = task};
        Worker *worker;
        int r = worker_start_job(task->guest->loop, &job, &worker);

        if (r == 0) {
                loop_timer_arm(task->guest->loop, &task->limit, clock_now_usec() + TASK_LIMIT_USEC,
                               task_on_limit);
                return true;
        }
        guest_reply_error(task->guest, task->request, r, "cannot start a process for it");
        list_remove(&task->link);
        task->kind->free(task);
        return false;
}

static void task_next(TaskQueue *queue)
{
        List *first;

        while ((first = list_first(&queue->tasks)))
                if (task_begin(LIST_ENTRY(first, Task, link)))
                        return;
}

void task_start(Task *task, const TaskKind *kind, Guest *guest, TaskQueue *queue, uint32_t request)
{
        bool idle = list_is_empty(&queue->tasks);

        task->guest = guest;
        task->queue = queue;
        task->kind = kind;
        task->request = request;
        list_append(&queue->tasks, &task->link);
        if (idle)
                task_next(queue);
}
