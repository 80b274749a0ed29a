/* The machine's CPUs; see cpus.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"

#include "agent/channels.h"
#include "agent/cpulist.h"
#include "agent/cpus.h"
#include "agent/task.h"
#include "agent/textfile.h"

#define CPUS_MAX 256 /* of the request */

static const char *directory = "/sys/devices/system/cpu";

typedef struct CpusTask {
        Task task;
        uint32_t cpus;
} CpusTask;

void cpus_set_directory(const char *path)
{
        directory = path;
}

uint32_t cpus_online(void)
{
        _cleanup_(text_done) Text text = {};
        char path[256];

        if (!directory ||
            snprintf(path, sizeof(path), "%s/online", directory) >= (int)sizeof(path) ||
            text_read(AT_FDCWD, path, &text) < 0)
                return 0;
        return cpulist_count(text.data);
}

/* 0; -ENOENT: there is no such CPU, or none that can be taken off; another -errno. */
static int set_online(int cpus, uint32_t number, bool online)
{
        char path[32];
        uint64_t now;
        int r;

        snprintf(path, sizeof(path), "cpu%u/online", number);
        r = text_read_u64(cpus, path, &now);
        if (r < 0 || now == online)
                return r;
        return text_write(cpus, path, online ? "1" : "0", 1);
}

static int set_all(int cpus, uint32_t wanted, Fault *fault)
{
        int r;

        for (uint32_t i = 1; i < wanted; i++) {
                r = set_online(cpus, i, true);
                if (r < 0)
                        return fault_set(fault, r, "cannot bring CPU %u online", i);
        }
        for (uint32_t i = CPUS_MAX; i-- > wanted;) {
                r = set_online(cpus, i, false);
                if (r < 0 && r != -ENOENT)
                        return fault_set(fault, r, "cannot take CPU %u offline", i);
        }
        return 0;
}

static void put_online(TaskResult *result)
{
        AgentCpus cpus = {.cpus = cpus_online()};
        size_t size;

        if (agent_cpus_encode(&cpus, result->payload, sizeof(result->payload), &size) == 0)
                result->payload_size = (uint32_t)size;
}

static int cpus_run(const Task *task, TaskResult *ret)
{
        const CpusTask *cpus = CONTAINER_OF(task, CpusTask, task);
        _cleanup_(fd_closep) int fd = FD_NONE;
        int r;

        if (!directory)
                return fault_set(&ret->fault, -EOPNOTSUPP, "this machine's CPUs");
        fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return fault_set(&ret->fault, errno_neg(), "cannot open %s", directory);
        /* A CPU that goes leaves no queue behind that is for nobody. */
        if (cpus->cpus < cpus_online())
                channels_follow(cpus->cpus);
        r = set_all(fd, cpus->cpus, &ret->fault);
        channels_follow(cpus_online());
        put_online(ret);
        return r;
}

static void cpus_overdue(const Task *task, TaskResult *ret)
{
        put_online(ret);
}

static void cpus_free(Task *task)
{
        free(CONTAINER_OF(task, CpusTask, task));
}

static const TaskKind cpus_kind = {
        .run = cpus_run,
        .overdue = cpus_overdue,
        .free = cpus_free,
};

void cpus_start(Guest *guest, uint32_t request, uint32_t cpus)
{
        CpusTask *task = calloc(1, sizeof(*task));

        if (!task) {
                guest_reply_error(guest, request, -ENOMEM, "CPUs");
                return;
        }
        task->cpus = cpus;
        task_start(&task->task, &cpus_kind, guest, &guest->cpus, request);
}
