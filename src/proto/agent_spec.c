/* The agent protocol's specifications of containers and processes; see agent.h. Pure. */
#include "base/cleanup.h"

#include "proto/agent_codec.h"

#define RLIMIT_RESOURCES  16
#define MSIZE_MAX         512000
#define WEIGHT_MAX        10000
#define SERIAL_MAX        20 /* virtio 1.2 §5.2.6.1 */
#define CPU_PERIOD_MAX    1000000
#define UMASK_MAX         0777
#define OOM_SCORE_ADJ_MAX 1000

ENUM_TABLE(agent_mount_type, AgentMountType, AGENT_MOUNT_MAX_)
= {
        [AGENT_MOUNT_9P] = "9p",         [AGENT_MOUNT_BIND] = "bind",
        [AGENT_MOUNT_TMPFS] = "tmpfs",   [AGENT_MOUNT_PROC] = "proc",
        [AGENT_MOUNT_SYSFS] = "sysfs",   [AGENT_MOUNT_DEV] = "dev",
        [AGENT_MOUNT_DEVPTS] = "devpts", [AGENT_MOUNT_MQUEUE] = "mqueue",
        [AGENT_MOUNT_CGROUP] = "cgroup", [AGENT_MOUNT_BLOCK] = "block",
        [AGENT_MOUNT_DEVICE] = "device",
};

ENUM_TABLE(agent_cache, AgentCache, AGENT_CACHE_MAX_)
= {
        [AGENT_CACHE_NONE] = "none",
        [AGENT_CACHE_MMAP] = "mmap",
        [AGENT_CACHE_LOOSE] = "loose",
};

ENUM_TABLE(agent_upper, AgentUpper, AGENT_UPPER_MAX_)
= {
        [AGENT_UPPER_NONE] = "none",
        [AGENT_UPPER_MEMORY] = "memory",
        [AGENT_UPPER_BLOCK] = "block",
};

static void codec_root(Codec *codec, AgentRoot *root)
{
        codec_enum(codec, &root->type, AGENT_MOUNT_MAX_);
        if (root->type != AGENT_MOUNT_9P && root->type != AGENT_MOUNT_BIND)
                codec_fail(codec);
        codec_string(codec, &root->source, AGENT_PATH_MAX);
        codec_string(codec, &root->subpath, AGENT_PATH_MAX);
        codec_enum(codec, &root->cache, AGENT_CACHE_MAX_);
        codec_u32_max(codec, &root->msize, MSIZE_MAX);
        codec_bool(codec, &root->read_only);
        codec_enum(codec, &root->upper, AGENT_UPPER_MAX_);
        codec_u64(codec, &root->upper_size);
        codec_string(codec, &root->upper_source, AGENT_PATH_MAX);
}

void codec_mount(Codec *codec, void *item)
{
        AgentMount *mount = item;

        codec_enum(codec, &mount->type, AGENT_MOUNT_MAX_);
        codec_string(codec, &mount->source, AGENT_PATH_MAX);
        codec_string(codec, &mount->subpath, AGENT_PATH_MAX);
        codec_string(codec, &mount->target, AGENT_PATH_MAX);
        codec_string(codec, &mount->options, AGENT_PATH_MAX);
        codec_string(codec, &mount->fs, AGENT_PATH_MAX);
        codec_flags(codec, &mount->flags, AGENT_MOUNT_FLAGS);
        codec_enum(codec, &mount->cache, AGENT_CACHE_MAX_);
        codec_u32_max(codec, &mount->msize, MSIZE_MAX);
}

static void codec_io_limit(Codec *codec, void *item)
{
        AgentIoLimit *limit = item;

        codec_string(codec, &limit->serial, SERIAL_MAX);
        codec_u64(codec, &limit->read_bytes);
        codec_u64(codec, &limit->write_bytes);
        codec_u64(codec, &limit->read_ops);
        codec_u64(codec, &limit->write_ops);
}

void codec_limits(Codec *codec, AgentLimits *limits)
{
        codec_u64(codec, &limits->memory);
        codec_u64(codec, &limits->memory_high);
        codec_u64(codec, &limits->memory_low);
        codec_string(codec, &limits->cpuset, AGENT_PATH_MAX);
        codec_u32_max(codec, &limits->io_weight, WEIGHT_MAX);
        codec_array(codec, (void **)&limits->io, &limits->n_io, AGENT_LIST_MAX, sizeof(*limits->io),
                    codec_io_limit);
        codec_u64(codec, &limits->pids);
        codec_u64(codec, &limits->cpu_quota);
        codec_u64(codec, &limits->cpu_period);
        if (limits->cpu_period > CPU_PERIOD_MAX)
                codec_fail(codec);
        codec_u32_max(codec, &limits->cpu_weight, WEIGHT_MAX);
}

void codec_container_spec(Codec *codec, AgentContainerSpec *spec)
{
        codec_root(codec, &spec->root);
        codec_array(codec, (void **)&spec->mounts, &spec->n_mounts, AGENT_LIST_MAX,
                    sizeof(*spec->mounts), codec_mount);
        codec_string(codec, &spec->hostname, AGENT_ID_MAX);
        codec_flags(codec, &spec->namespaces, AGENT_NAMESPACE_FLAGS);
        codec_strings(codec, &spec->masked_paths, AGENT_LIST_MAX, AGENT_PATH_MAX);
        codec_strings(codec, &spec->readonly_paths, AGENT_LIST_MAX, AGENT_PATH_MAX);
        codec_strings(codec, &spec->sysctls, AGENT_LIST_MAX, AGENT_PATH_MAX);
        codec_limits(codec, &spec->limits);
}

static void codec_capabilities(Codec *codec, AgentCapabilities *capabilities)
{
        codec_u64(codec, &capabilities->bounding);
        codec_u64(codec, &capabilities->effective);
        codec_u64(codec, &capabilities->permitted);
        codec_u64(codec, &capabilities->inheritable);
        codec_u64(codec, &capabilities->ambient);
}

static void codec_rlimit(Codec *codec, void *item)
{
        AgentRlimit *rlimit = item;

        codec_u32_max(codec, &rlimit->resource, RLIMIT_RESOURCES - 1);
        codec_u64(codec, &rlimit->soft);
        codec_u64(codec, &rlimit->hard);
}

void codec_process_spec(Codec *codec, AgentProcessSpec *spec)
{
        codec_u64(codec, &spec->token);
        codec_flags(codec, &spec->attach, AGENT_ATTACH_FLAGS);
        codec_u16(codec, &spec->rows);
        codec_u16(codec, &spec->columns);
        codec_strings(codec, &spec->argv, AGENT_STRINGS_MAX, AGENT_STRING_MAX);
        if (spec->argv.n == 0)
                codec_fail(codec);
        codec_strings(codec, &spec->env, AGENT_STRINGS_MAX, AGENT_STRING_MAX);
        codec_string(codec, &spec->cwd, AGENT_PATH_MAX);
        codec_string(codec, &spec->user, AGENT_PATH_MAX);
        codec_strings(codec, &spec->groups, AGENT_LIST_MAX, AGENT_PATH_MAX);
        codec_capabilities(codec, &spec->capabilities);
        codec_array(codec, (void **)&spec->rlimits, &spec->n_rlimits, RLIMIT_RESOURCES,
                    sizeof(*spec->rlimits), codec_rlimit);
        codec_bool(codec, &spec->no_new_privileges);
        codec_i32(codec, &spec->oom_score_adj);
        if (spec->oom_score_adj < -OOM_SCORE_ADJ_MAX || spec->oom_score_adj > OOM_SCORE_ADJ_MAX)
                codec_fail(codec);
        codec_u32_max(codec, &spec->umask, UMASK_MAX);
}

AGENT_MESSAGE_DEFINE(container_spec, AgentContainerSpec)
AGENT_MESSAGE_DEFINE(process_spec, AgentProcessSpec)
