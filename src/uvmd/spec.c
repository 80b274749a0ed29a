/*
 * Specifications; see spec.h. The structs of the agent protocol only borrow here: their strings are
 * the configuration's, so that encoding needs no copies. The codec never writes through them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/agent.h"
#include "uvmd/capability.h"
#include "uvmd/rlimit.h"
#include "uvmd/spec.h"
#include "uvmd/strv.h"

#define PERIOD_USEC 100000 /* of CPU quotas */

#define QUIET (AGENT_MOUNT_NOSUID | AGENT_MOUNT_NOEXEC | AGENT_MOUNT_NODEV)

/* What podman mounts into every container. */
/* The protocol's structs own what they hold when it was decoded; here they only borrow. */
#define TEXT(literal) ((char *)(literal))

static const AgentMount default_mounts[] = {
        {.type = AGENT_MOUNT_PROC, .target = TEXT("/proc"), .flags = QUIET},
        {.type = AGENT_MOUNT_DEV, .target = TEXT("/dev"), .flags = AGENT_MOUNT_NOSUID},
        {.type = AGENT_MOUNT_DEVPTS,
         .target = TEXT("/dev/pts"),
         .flags = AGENT_MOUNT_NOSUID | AGENT_MOUNT_NOEXEC},
        {.type = AGENT_MOUNT_TMPFS,
         .target = TEXT("/dev/shm"),
         .options = TEXT("mode=1777,size=65536k"),
         .flags = QUIET},
        {.type = AGENT_MOUNT_MQUEUE, .target = TEXT("/dev/mqueue"), .flags = QUIET},
        {.type = AGENT_MOUNT_SYSFS, .target = TEXT("/sys"), .flags = QUIET | AGENT_MOUNT_READ_ONLY},
        {.type = AGENT_MOUNT_CGROUP,
         .target = TEXT("/sys/fs/cgroup"),
         .flags = QUIET | AGENT_MOUNT_READ_ONLY},
};

static const char *const masked_paths[] = {
        "/proc/acpi",        "/proc/kcore",
        "/proc/keys",        "/proc/latency_stats",
        "/proc/sched_debug", "/proc/scsi",
        "/proc/timer_list",  "/proc/timer_stats",
        "/sys/dev/block",    "/sys/devices/virtual/powercap",
        "/sys/firmware",     "/sys/fs/selinux",
};

static const char *const readonly_paths[] = {
        "/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

static CodecStrings borrow(char *const *array, size_t n)
{
        return (CodecStrings){.items = (char **)array, .n = (uint32_t)n};
}

static CodecStrings borrow_strv(char *const *array)
{
        return borrow(array, strv_length(array));
}

char **spec_command(const ContainerConfig *config, const ImageConfig *image)
{
        _cleanup_(strv_freep) char **command = strv_new();
        char *const *arguments = config->task.command;
        int r;

        if (!command)
                return NULL;
        if (!arguments && !config->entrypoint)
                arguments = image->command;
        r = strv_append_all(&command, config->entrypoint ?: image->entrypoint);
        if (r >= 0)
                r = strv_append_all(&command, arguments);
        return r < 0 ? NULL : TAKE_PTR(command);
}

/* Later assignments win: the image's, the container's, the process's. */
static char **spec_environment(const ImageConfig *image, char *const *container,
                               char *const *process)
{
        _cleanup_(strv_freep) char **environment = strv_new();
        char *const *layers[] = {image ? image->environment : NULL, container, process};
        int r = environment ? strv_append(&environment, "container=uvm") : -ENOMEM;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(layers); i++)
                for (char *const *at = layers[i]; r >= 0 && at && *at; at++) {
                        r = strv_set_environment(&environment, *at);
                        /* An image may hold a name without a value: podman drops it too. */
                        r = r == -EINVAL ? 0 : r;
                }
        return r < 0 ? NULL : TAKE_PTR(environment);
}

static AgentCapabilities spec_capabilities(const ContainerConfig *config, bool privileged,
                                           const char *user)
{
        uint64_t set = privileged ? CAPABILITIES_ALL
                                  : capability_set(AGENT_CAPABILITIES_DEFAULT,
                                                   config->capabilities_add,
                                                   config->capabilities_drop);
        bool root = !user || !user[0] || strcmp(user, "root") == 0 || strcmp(user, "0") == 0 ||
                    strncmp(user, "0:", 2) == 0 || strncmp(user, "root:", 5) == 0;

        /* Another user has them only as a bound on what a set-user-id program may gain. */
        return (AgentCapabilities){
                .bounding = set,
                .effective = root ? set : 0,
                .permitted = root ? set : 0,
        };
}

static uint32_t spec_attach(const TaskConfig *config)
{
        if (config->terminal)
                return AGENT_ATTACH_TTY;
        return AGENT_ATTACH_STDOUT | AGENT_ATTACH_STDERR |
               (config->open_stdin ? AGENT_ATTACH_STDIN : 0);
}

/* Fills what containers' first processes and execs share; @rlimits has room for all. */
static void spec_process(AgentProcessSpec *spec, const TaskConfig *config,
                         const ContainerConfig *container, AgentRlimit *rlimits)
{
        spec->attach = spec_attach(config);
        spec->rows = (uint16_t)config->rows;
        spec->columns = (uint16_t)config->columns;
        spec->umask = AGENT_UMASK_DEFAULT;
        spec->no_new_privileges = container->no_new_privileges;
        spec->rlimits = rlimits;
        spec->n_rlimits = (uint32_t)container->rlimits.n;
        for (size_t i = 0; i < container->rlimits.n; i++) {
                const OptionListItem *item = &container->rlimits.items[i];

                rlimits[i] = (AgentRlimit){
                        .resource = (uint32_t)rlimit_from_string(item->name),
                        .soft = item->values[0],
                        .hard = item->values[1],
                };
        }
}

AgentLimits spec_limits(const ContainerLimits *limits, AgentIoLimit *disks, uint32_t n_disks)
{
        return (AgentLimits){
                .memory = limits->memory,
                .memory_high = limits->memory_high,
                .memory_low = limits->memory_low,
                .pids = limits->pids_max,
                /* µs of CPU time a second; the agent counts in periods. */
                .cpu_quota = limits->cpu_quota / (1000000 / PERIOD_USEC),
                .cpu_period = PERIOD_USEC,
                .cpu_weight = (uint32_t)limits->cpu_weight,
                .cpuset = limits->cpuset,
                .io_weight = (uint32_t)limits->io_weight,
                .io = disks,
                .n_io = n_disks,
        };
}

/* Strings compare such that what is mounted below another mount comes behind it. */
static int mount_compare(const void *a, const void *b)
{
        return strcmp(((const AgentMount *)a)->target, ((const AgentMount *)b)->target);
}

static AgentMount *spec_mounts(const SpecContainer *source, uint32_t *ret_n)
{
        const ContainerConfig *config = source->config;
        size_t n = ELEMENTSOF(default_mounts), tmpfs = strv_length(config->tmpfs) / 2;
        AgentMount *mounts = calloc(n + tmpfs + source->n_mounts, sizeof(*mounts));

        if (!mounts)
                return NULL;
        memcpy(mounts, default_mounts, sizeof(default_mounts));
        for (size_t i = 0; config->task.privileged && i < n; i++)
                mounts[i].flags &= ~AGENT_MOUNT_READ_ONLY;
        for (size_t i = 0; i < tmpfs; i++)
                mounts[n + i] = (AgentMount){
                        .type = AGENT_MOUNT_TMPFS,
                        .target = config->tmpfs[2 * i],
                        .options = config->tmpfs[2 * i + 1],
                        .flags = AGENT_MOUNT_NOSUID | AGENT_MOUNT_NODEV,
                };
        if (source->n_mounts > 0)
                memcpy(mounts + n + tmpfs, source->mounts, source->n_mounts * sizeof(*mounts));
        qsort(mounts + n, tmpfs + source->n_mounts, sizeof(*mounts), mount_compare);
        *ret_n = (uint32_t)(n + tmpfs) + source->n_mounts;
        return mounts;
}

static void spec_container(AgentContainerSpec *spec, const SpecContainer *source)
{
        const ContainerConfig *config = source->config;

        spec->root = (AgentRoot){
                .type = AGENT_MOUNT_9P,
                .source = (char *)source->tag,
                /* Nobody else changes an image. */
                .cache = AGENT_CACHE_LOOSE,
                .read_only = config->read_only,
                .upper = config->read_only ? AGENT_UPPER_NONE
                         : source->upper   ? AGENT_UPPER_BLOCK
                                           : AGENT_UPPER_MEMORY,
                .upper_source = (char *)source->upper,
                .upper_size = source->upper ? 0 : config->storage_size,
        };
        spec->hostname = (char *)source->hostname;
        spec->namespaces = AGENT_NAMESPACE_PID | AGENT_NAMESPACE_IPC | AGENT_NAMESPACE_UTS |
                           AGENT_NAMESPACE_CGROUP;
        spec->limits = spec_limits(&config->limits, source->disks, source->n_disks);
        if (config->task.privileged)
                return;
        spec->masked_paths = borrow((char *const *)masked_paths, ELEMENTSOF(masked_paths));
        spec->readonly_paths = borrow((char *const *)readonly_paths, ELEMENTSOF(readonly_paths));
}

int spec_encode_create(const SpecContainer *source, void *buffer, size_t size, size_t *ret)
{
        const ContainerConfig *config = source->config;
        const TaskConfig *task = &config->task;
        _cleanup_(strv_freep) char **command = spec_command(config, source->image);
        _cleanup_(strv_freep) char **environment = spec_environment(source->image,
                                                                    task->environment, NULL);
        _cleanup_(freep) AgentRlimit *rlimits = calloc(config->rlimits.n + 1, sizeof(*rlimits));
        _cleanup_(freep) AgentMount *mounts = NULL;
        const char *user = task->user ?: source->image->user;
        AgentCreate create = {.container = (char *)source->id};

        mounts = spec_mounts(source, &create.spec.n_mounts);
        if (!command || !environment || !rlimits || !mounts)
                return -ENOMEM;
        spec_container(&create.spec, source);
        create.spec.mounts = mounts;
        spec_process(&create.process, task, config, rlimits);
        create.process.token = source->token;
        create.process.argv = borrow_strv(command);
        create.process.env = borrow_strv(environment);
        create.process.cwd = task->working_directory ?: source->image->working_directory;
        create.process.user = (char *)user;
        create.process.capabilities = spec_capabilities(config, task->privileged, user);
        return agent_create_encode(&create, buffer, size, ret);
}

int spec_encode_exec(const SpecProcess *source, void *buffer, size_t size, size_t *ret)
{
        const ContainerConfig *container = source->container_config;
        const TaskConfig *task = source->config;
        _cleanup_(strv_freep) char **environment = spec_environment(
                source->image, container->task.environment, task->environment);
        _cleanup_(freep) AgentRlimit *rlimits = calloc(container->rlimits.n + 1, sizeof(*rlimits));
        const char *user = task->user ?: container->task.user ?: source->image->user;
        AgentExec exec = {.container = (char *)source->container, .process = (char *)source->id};

        if (!environment || !rlimits)
                return -ENOMEM;
        spec_process(&exec.spec, task, container, rlimits);
        exec.spec.token = source->token;
        exec.spec.argv = borrow_strv(task->command);
        exec.spec.env = borrow_strv(environment);
        exec.spec.cwd = task->working_directory ?: container->task.working_directory
                                ?: source->image->working_directory;
        exec.spec.user = (char *)user;
        exec.spec.capabilities = spec_capabilities(
                container, task->privileged || container->task.privileged, user);
        return agent_exec_encode(&exec, buffer, size, ret);
}
