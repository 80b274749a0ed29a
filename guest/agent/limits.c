/* Limits of a container's cgroup; see limits.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"

#include "agent/cgroup.h"
#include "agent/limits.h"
#include "agent/operation.h"
#include "agent/textfile.h"

#define CPU_PERIOD_DEFAULT 100000

/* A kernel without that controller has no limit to take away. */
static int set_text(int cgroup, const char *file, const char *text, bool none, Fault *fault)
{
        int r = text_write(cgroup, file, text, strlen(text));

        if (r == -ENOENT && none)
                return 0;
        return r < 0 ? fault_set(fault, r, "cannot set %s to \"%s\"", file, text) : 0;
}

/* @none: what stands for no limit. */
static int set_number(int cgroup, const char *file, uint64_t value, const char *none, bool fresh,
                      Fault *fault)
{
        char text[24];

        if (value == 0)
                return fresh ? 0 : set_text(cgroup, file, none, true, fault);
        snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
        return set_text(cgroup, file, text, false, fault);
}

static int set_cpu_quota(int cgroup, const AgentLimits *limits, bool fresh, Fault *fault)
{
        uint64_t period = limits->cpu_period ? limits->cpu_period : CPU_PERIOD_DEFAULT;
        char text[64];

        if (limits->cpu_quota == 0)
                return fresh ? 0 : set_text(cgroup, "cpu.max", "max", true, fault);
        snprintf(text, sizeof(text), "%llu %llu", (unsigned long long)limits->cpu_quota,
                 (unsigned long long)period);
        return set_text(cgroup, "cpu.max", text, false, fault);
}

/* A group with processes in it can't go back to having no list (kernel/cgroup/cpuset.c,
 * validate_change()): it gets that of all CPUs there may ever be. */
static int unset_cpuset(int cgroup, Fault *fault)
{
        _cleanup_(text_done) Text now = {}, possible = {};
        int r = text_read(cgroup, "cpuset.cpus", &now);

        if (r == -ENOENT || (r == 0 && (now.size == 0 || *now.data == '\n')))
                return 0;
        if (r == 0)
                r = text_read(AT_FDCWD, "/sys/devices/system/cpu/possible", &possible);
        if (r < 0)
                return fault_set(fault, r, "cannot take cpuset.cpus away");
        return set_text(cgroup, "cpuset.cpus", possible.data, false, fault);
}

static int set_cpuset(int cgroup, const AgentLimits *limits, bool fresh, Fault *fault)
{
        if (limits->cpuset && *limits->cpuset)
                return set_text(cgroup, "cpuset.cpus", limits->cpuset, false, fault);
        return fresh ? 0 : unset_cpuset(cgroup, fault);
}

int limits_set(int cgroup, const AgentLimits *limits, bool fresh, Fault *fault)
{
        const struct {
                const char *file;
                uint64_t value;
                const char *none;
        } numbers[] = {
                {"memory.low", limits->memory_low, "0"},
                {"memory.high", limits->memory_high, "max"},
                {"memory.max", limits->memory, "max"},
                {"pids.max", limits->pids, "max"},
                {"cpu.weight", limits->cpu_weight, "100"},
                {"io.weight", limits->io_weight, "100"},
        };
        int r = 0;

        for (size_t i = 0; r == 0 && i < ELEMENTSOF(numbers); i++)
                r = set_number(cgroup, numbers[i].file, numbers[i].value, numbers[i].none, fresh,
                               fault);
        if (r == 0)
                r = set_cpu_quota(cgroup, limits, fresh, fault);
        return r < 0 ? r : set_cpuset(cgroup, limits, fresh, fault);
}

typedef struct LimitsUpdate {
        Operation operation;
        AgentLimits limits;
} LimitsUpdate;

static int update_run(Operation *operation, int output, Fault *fault)
{
        const LimitsUpdate *update = CONTAINER_OF(operation, LimitsUpdate, operation);
        _cleanup_(fd_closep) int cgroup = FD_NONE;
        int r = cgroup_open(operation->container->id, &cgroup);

        if (r < 0)
                return fault_set(fault, r, "cannot open the cgroup of the container");
        r = limits_set(cgroup, &update->limits, false, fault);
        return r < 0 ? r : limits_set_io(cgroup, &update->limits, false, fault);
}

static void update_free(Operation *operation)
{
        LimitsUpdate *update = CONTAINER_OF(operation, LimitsUpdate, operation);
        /* Limits have no message of their own: this one frees them. */
        AgentUpdate message = {.limits = update->limits};

        agent_update_done(&message);
        free(update);
}

static const OperationKind update_kind = {
        .ends_with_container = true,
        .run = update_run,
        .free = update_free,
};

void limits_update(Container *container, uint32_t request, AgentUpdate *message)
{
        LimitsUpdate *update;

        if (container->cgroup.fd < 0) {
                guest_reply_error(container->guest, request, -EOPNOTSUPP, "limits without cgroups");
                return;
        }
        update = calloc(1, sizeof(*update));
        if (!update) {
                guest_reply_error(container->guest, request, -ENOMEM, "limits");
                return;
        }
        update->limits = message->limits;
        message->limits = (AgentLimits){};
        operation_start(&update->operation, &update_kind, container, request);
}
