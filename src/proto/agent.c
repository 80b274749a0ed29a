/* The agent protocol's messages; see agent.h. Pure. */
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/wire.h"

#include "proto/agent_codec.h"
#include "proto/frame.h"

#define SIGNAL_MAX 64
#define SLOT_MAX   255
#define CPUS_MAX   256

#define COMPONENT_MAX 255 /* NAME_MAX */

ENUM_TABLE(agent_goodbye_reason, AgentGoodbyeReason, AGENT_GOODBYE_MAX_)
= {
        [AGENT_GOODBYE_SHUTDOWN] = "shutdown",
        [AGENT_GOODBYE_FAILED] = "failed",
};

ENUM_TABLE(agent_change_kind, AgentChangeKind, AGENT_CHANGE_MAX_)
= {
        [AGENT_CHANGE_MODIFIED] = "modified",
        [AGENT_CHANGE_ADDED] = "added",
        [AGENT_CHANGE_DELETED] = "deleted",
};

ENUM_TABLE(agent_stream, AgentStream, AGENT_STREAM_MAX_)
= {
        [AGENT_STREAM_STDIN] = "stdin",
        [AGENT_STREAM_STDOUT] = "stdout",
        [AGENT_STREAM_STDERR] = "stderr",
        [AGENT_STREAM_TTY] = "tty",
};

const char *agent_type_to_string(uint16_t type)
{
        static const char *const names[] = {
                [AGENT_HELLO] = "hello",
                [AGENT_WELCOME] = "welcome",
                [AGENT_REPLY] = "reply",
                [AGENT_ACK] = "ack",
                [AGENT_REQUEST_PING] = "ping",
                [AGENT_REQUEST_CREATE] = "create",
                [AGENT_REQUEST_START] = "start",
                [AGENT_REQUEST_DELETE] = "delete",
                [AGENT_REQUEST_EXEC] = "exec",
                [AGENT_REQUEST_SIGNAL] = "signal",
                [AGENT_REQUEST_RESIZE] = "resize",
                [AGENT_REQUEST_STATS] = "stats",
                [AGENT_REQUEST_PROCESSES] = "processes",
                [AGENT_REQUEST_PLUG] = "plug",
                [AGENT_REQUEST_UNPLUG] = "unplug",
                [AGENT_REQUEST_SHUTDOWN] = "shutdown",
                [AGENT_REQUEST_MOUNT] = "mount",
                [AGENT_REQUEST_UNMOUNT] = "unmount",
                [AGENT_REQUEST_COPY] = "copy",
                [AGENT_REQUEST_DIFF] = "diff",
                [AGENT_REQUEST_NETWORK] = "network",
                [AGENT_REQUEST_RESOLVER] = "resolver",
                [AGENT_REQUEST_CPUS] = "cpus",
                [AGENT_REQUEST_UPDATE] = "update",
                [AGENT_REQUEST_SET_TIME] = "set-time",
                [AGENT_REQUEST_STOP_COPY] = "stop-copy",
                [AGENT_REQUEST_ROUTING] = "routing",
                [AGENT_EVENT_EXITED] = "exited",
                [AGENT_EVENT_OOM] = "oom",
                [AGENT_EVENT_GOODBYE] = "goodbye",
        };

        return type < ELEMENTSOF(names) && names[type] ? names[type] : "unknown";
}

/* An id as name_is_valid() wants it. */
static void codec_id(Codec *codec, char **id)
{
        codec_string(codec, id, AGENT_ID_MAX);
        if (codec->mode != CODEC_FREE && (!*id || !name_is_valid(*id)))
                codec_fail(codec);
}

/* An id, or "" for the machine or the container's own process. */
static void codec_id_or_none(Codec *codec, char **id)
{
        codec_string(codec, id, AGENT_ID_MAX);
        if (codec->mode != CODEC_FREE && *id && **id && !name_is_valid(*id))
                codec_fail(codec);
}

static void codec_hello(Codec *codec, AgentHello *hello)
{
        codec_u32(codec, &hello->version);
        codec_string(codec, &hello->agent, AGENT_PATH_MAX);
        codec_string(codec, &hello->kernel, AGENT_PATH_MAX);
        codec_string(codec, &hello->boot_id, AGENT_PATH_MAX);
        codec_u64(codec, &hello->mem_total);
        codec_u64(codec, &hello->mem_free);
        codec_u64(codec, &hello->uptime_usec);
        codec_u32(codec, &hello->last_request);
        codec_u64(codec, &hello->last_sequence);
}

static void codec_welcome(Codec *codec, AgentWelcome *welcome)
{
        codec_u32(codec, &welcome->version);
        codec_u64(codec, &welcome->realtime_usec);
        codec_string(codec, &welcome->hostname, AGENT_ID_MAX);
        codec_u64(codec, &welcome->last_sequence);
        codec_blob(codec, &welcome->seed, &welcome->seed_size, AGENT_SEED_MAX);
}

static void codec_ack(Codec *codec, AgentAck *ack)
{
        codec_u64(codec, &ack->sequence);
}

static void codec_reply(Codec *codec, AgentReply *reply)
{
        codec_u64(codec, &reply->sequence);
        codec_u32(codec, &reply->code);
        codec_u8(codec, &reply->exit_code);
        codec_string(codec, &reply->text, AGENT_PATH_MAX);
        codec_blob(codec, &reply->payload, &reply->payload_size, FRAME_PAYLOAD_MAX);
}

static void codec_create(Codec *codec, AgentCreate *create)
{
        codec_id(codec, &create->container);
        codec_container_spec(codec, &create->spec);
        codec_process_spec(codec, &create->process);
}

static void codec_container(Codec *codec, AgentContainer *container)
{
        codec_id_or_none(codec, &container->container);
}

static void codec_exec(Codec *codec, AgentExec *exec)
{
        codec_id(codec, &exec->container);
        codec_id(codec, &exec->process);
        codec_process_spec(codec, &exec->spec);
}

static void codec_signal(Codec *codec, AgentSignal *signal)
{
        codec_id(codec, &signal->container);
        codec_id_or_none(codec, &signal->process);
        codec_u32_max(codec, &signal->signal, SIGNAL_MAX);
        codec_bool(codec, &signal->all);
}

static void codec_resize(Codec *codec, AgentResize *resize)
{
        codec_id(codec, &resize->container);
        codec_id_or_none(codec, &resize->process);
        codec_u16(codec, &resize->rows);
        codec_u16(codec, &resize->columns);
}

static void codec_slot(Codec *codec, AgentSlot *slot)
{
        codec_u32_max(codec, &slot->slot, SLOT_MAX);
}

static void codec_add_mount(Codec *codec, AgentAddMount *add)
{
        codec_id(codec, &add->container);
        codec_mount(codec, &add->mount);
}

static void codec_remove_mount(Codec *codec, AgentRemoveMount *remove)
{
        codec_id(codec, &remove->container);
        codec_string(codec, &remove->target, AGENT_PATH_MAX);
}

/* A file name, or "". */
static void codec_component(Codec *codec, char **name)
{
        codec_string(codec, name, COMPONENT_MAX);
        if (codec->mode != CODEC_FREE && *name &&
            (strchr(*name, '/') || strcmp(*name, ".") == 0 || strcmp(*name, "..") == 0))
                codec_fail(codec);
}

static void codec_copy(Codec *codec, AgentCopy *copy)
{
        codec_id(codec, &copy->container);
        codec_id(codec, &copy->tag);
        codec_component(codec, &copy->name);
        codec_string(codec, &copy->path, AGENT_PATH_MAX);
        codec_flags(codec, &copy->flags, AGENT_COPY_FLAGS);
}

static void codec_copied(Codec *codec, AgentCopied *copied)
{
        codec_u64(codec, &copied->files);
        codec_u64(codec, &copied->bytes);
}

static void codec_diff(Codec *codec, AgentDiff *diff)
{
        codec_id(codec, &diff->container);
        codec_u32(codec, &diff->skip);
}

static void codec_change(Codec *codec, void *item)
{
        AgentChange *change = item;

        codec_enum(codec, &change->kind, AGENT_CHANGE_MAX_);
        codec_string(codec, &change->path, AGENT_PATH_MAX);
}

static void codec_changes(Codec *codec, AgentChanges *changes)
{
        codec_array(codec, (void **)&changes->changes, &changes->n_changes, AGENT_STRINGS_MAX,
                    sizeof(*changes->changes), codec_change);
        codec_bool(codec, &changes->more);
}

static void codec_cpus(Codec *codec, AgentCpus *cpus)
{
        codec_u32_max(codec, &cpus->cpus, CPUS_MAX);
        if (codec->mode != CODEC_FREE && cpus->cpus == 0)
                codec_fail(codec);
}

static void codec_update(Codec *codec, AgentUpdate *update)
{
        codec_id(codec, &update->container);
        codec_limits(codec, &update->limits);
}

static void codec_time(Codec *codec, AgentTime *time)
{
        codec_u64(codec, &time->realtime_usec);
}

static void codec_shutdown(Codec *codec, AgentShutdown *shutdown)
{
        codec_u64(codec, &shutdown->grace_usec);
}

static void codec_pressure(Codec *codec, AgentPressure *pressure)
{
        codec_u64(codec, &pressure->some_usec);
        codec_u64(codec, &pressure->full_usec);
        codec_u32(codec, &pressure->some_avg10);
        codec_u32(codec, &pressure->full_avg10);
}

static void codec_stats(Codec *codec, AgentStats *stats)
{
        codec_pressure(codec, &stats->cpu_pressure);
        codec_pressure(codec, &stats->memory_pressure);
        codec_pressure(codec, &stats->io_pressure);
        codec_u64(codec, &stats->cpu_usec);
        codec_u64(codec, &stats->cpu_user_usec);
        codec_u64(codec, &stats->cpu_system_usec);
        codec_u64(codec, &stats->memory);
        codec_u64(codec, &stats->memory_peak);
        codec_u64(codec, &stats->memory_limit);
        codec_u64(codec, &stats->memory_cache);
        codec_u64(codec, &stats->pids);
        codec_u64(codec, &stats->pids_limit);
        codec_u64(codec, &stats->oom_kills);
        codec_u64(codec, &stats->read_bytes);
        codec_u64(codec, &stats->write_bytes);
        codec_u64(codec, &stats->read_ops);
        codec_u64(codec, &stats->write_ops);
        codec_u64(codec, &stats->receive_packets);
        codec_u64(codec, &stats->transmit_packets);
        codec_u32(codec, &stats->cpus);
        codec_u64(codec, &stats->receive_bytes);
        codec_u64(codec, &stats->transmit_bytes);
        codec_u64(codec, &stats->uptime_usec);
        codec_u64(codec, &stats->mem_total);
        codec_u64(codec, &stats->mem_available);
        codec_u64(codec, &stats->mem_free);
}

static void codec_process_info(Codec *codec, void *item)
{
        AgentProcessInfo *process = item;

        codec_u32(codec, &process->pid);
        codec_u32(codec, &process->ppid);
        codec_u32(codec, &process->machine_pid);
        codec_u32(codec, &process->uid);
        codec_string(codec, &process->user, AGENT_PATH_MAX);
        codec_u8(codec, &process->state);
        codec_u32(codec, &process->tty);
        codec_u64(codec, &process->cpu_usec);
        codec_u64(codec, &process->rss);
        codec_u64(codec, &process->size);
        codec_u64(codec, &process->age_usec);
        codec_string(codec, &process->command, AGENT_PATH_MAX);
}

static void codec_processes(Codec *codec, AgentProcesses *processes)
{
        codec_array(codec, (void **)&processes->processes, &processes->n_processes,
                    AGENT_STRINGS_MAX, sizeof(*processes->processes), codec_process_info);
        codec_bool(codec, &processes->truncated);
}

static void codec_exited(Codec *codec, AgentExited *exited)
{
        codec_u64(codec, &exited->sequence);
        codec_id(codec, &exited->container);
        codec_id_or_none(codec, &exited->process);
        codec_u8(codec, &exited->exit_code);
        codec_u8(codec, &exited->signal);
        codec_bool(codec, &exited->oom);
        codec_u64(codec, &exited->stdout_bytes);
        codec_u64(codec, &exited->stderr_bytes);
        codec_u64(codec, &exited->realtime_usec);
}

static void codec_oom(Codec *codec, AgentOom *oom)
{
        codec_u64(codec, &oom->sequence);
        codec_id(codec, &oom->container);
        codec_u64(codec, &oom->kills);
}

static void codec_goodbye(Codec *codec, AgentGoodbye *goodbye)
{
        codec_u64(codec, &goodbye->sequence);
        codec_enum(codec, &goodbye->reason, AGENT_GOODBYE_MAX_);
        codec_string(codec, &goodbye->text, AGENT_PATH_MAX);
}

AGENT_MESSAGE_DEFINE(hello, AgentHello)
AGENT_MESSAGE_DEFINE(welcome, AgentWelcome)
AGENT_MESSAGE_DEFINE(ack, AgentAck)
AGENT_MESSAGE_DEFINE(reply, AgentReply)
AGENT_MESSAGE_DEFINE(create, AgentCreate)
AGENT_MESSAGE_DEFINE(container, AgentContainer)
AGENT_MESSAGE_DEFINE(exec, AgentExec)
AGENT_MESSAGE_DEFINE(signal, AgentSignal)
AGENT_MESSAGE_DEFINE(resize, AgentResize)
AGENT_MESSAGE_DEFINE(slot, AgentSlot)
AGENT_MESSAGE_DEFINE(add_mount, AgentAddMount)
AGENT_MESSAGE_DEFINE(remove_mount, AgentRemoveMount)
AGENT_MESSAGE_DEFINE(copy, AgentCopy)
AGENT_MESSAGE_DEFINE(copied, AgentCopied)
AGENT_MESSAGE_DEFINE(diff, AgentDiff)
AGENT_MESSAGE_DEFINE(changes, AgentChanges)
AGENT_MESSAGE_DEFINE(cpus, AgentCpus)
AGENT_MESSAGE_DEFINE(update, AgentUpdate)
AGENT_MESSAGE_DEFINE(time, AgentTime)
AGENT_MESSAGE_DEFINE(shutdown, AgentShutdown)
AGENT_MESSAGE_DEFINE(stats, AgentStats)
AGENT_MESSAGE_DEFINE(processes, AgentProcesses)
AGENT_MESSAGE_DEFINE(exited, AgentExited)
AGENT_MESSAGE_DEFINE(oom, AgentOom)
AGENT_MESSAGE_DEFINE(goodbye, AgentGoodbye)

void agent_preamble_encode(const AgentPreamble *preamble, uint8_t data[AGENT_PREAMBLE_SIZE])
{
        WireWriter wire = wire_writer(data, AGENT_PREAMBLE_SIZE);

        wire_put_u32(&wire, AGENT_STREAM_MAGIC);
        wire_put_u32(&wire, (uint32_t)preamble->which);
        wire_put_u64(&wire, preamble->token);
}

int agent_preamble_decode(const uint8_t data[AGENT_PREAMBLE_SIZE], AgentPreamble *ret)
{
        WireReader wire = wire_reader(data, AGENT_PREAMBLE_SIZE);
        uint32_t magic = wire_get_u32(&wire), which = wire_get_u32(&wire);
        uint64_t token = wire_get_u64(&wire);

        if (magic != AGENT_STREAM_MAGIC || which >= AGENT_STREAM_MAX_)
                return -EBADMSG;
        *ret = (AgentPreamble){.which = (AgentStream)which, .token = token};
        return 0;
}
