/*
 * Messages between uvmd and uvm-shim; see shim.h. One description of each message serves both
 * directions (codec.h). Nothing here owns memory: texts are decoded into the message itself and
 * payloads are borrowed from the packet. Pure; all input is hostile.
 */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"

#include "proto/codec.h"
#include "proto/shim.h"

ENUM_TABLE(shim_state, ShimState, SHIM_STATE_MAX_)
= {
        [SHIM_WAITING] = "waiting", [SHIM_CREATED] = "created", [SHIM_STARTING] = "starting",
        [SHIM_RUNNING] = "running", [SHIM_PAUSED] = "paused",   [SHIM_STOPPING] = "stopping",
        [SHIM_STOPPED] = "stopped",
};

ENUM_TABLE(shim_reason, ShimReason, SHIM_REASON_MAX_)
= {
        [SHIM_REASON_NONE] = "",
        [SHIM_REASON_EXITED] = "exited",
        [SHIM_REASON_POWEROFF] = "poweroff",
        [SHIM_REASON_STOPPED] = "stopped",
        [SHIM_REASON_KILLED] = "killed",
        [SHIM_REASON_PANIC] = "panic",
        [SHIM_REASON_CRASH] = "crash",
        [SHIM_REASON_OOM] = "oom",
        [SHIM_REASON_BOOT_FAILED] = "boot-failed",
        [SHIM_REASON_BOOT_TIMEOUT] = "boot-timeout",
};

ENUM_TABLE(shim_phase, ShimPhase, SHIM_PHASE_MAX_)
= {
        [SHIM_PHASE_VMM_EXEC] = "vmm-exec",   [SHIM_PHASE_VMM_READY] = "vmm-ready",
        [SHIM_PHASE_FIRST_RUN] = "first-run", [SHIM_PHASE_STUB] = "stub",
        [SHIM_PHASE_KERNEL] = "kernel",       [SHIM_PHASE_AGENT] = "agent",
        [SHIM_PHASE_RUNNING] = "running",
};

ENUM_TABLE(shim_stream, ShimStream, SHIM_STREAM_MAX_)
= {
        [SHIM_STDIN] = "stdin",
        [SHIM_STDOUT] = "stdout",
        [SHIM_STDERR] = "stderr",
        [SHIM_TTY] = "tty",
};

ENUM_TABLE(shim_process_state, ShimProcessState, SHIM_PROCESS_STATE_MAX_)
= {
        [SHIM_PROCESS_ADDED] = "added",     [SHIM_PROCESS_STARTING] = "starting",
        [SHIM_PROCESS_RUNNING] = "running", [SHIM_PROCESS_FAILED] = "failed",
        [SHIM_PROCESS_EXITED] = "exited",
};

/* A string in an array of @max + 1 bytes inside the message. */
static void shim_codec_text(Codec *codec, char *text, size_t max)
{
        const uint8_t *bytes;
        size_t size;

        if (codec->mode == CODEC_ENCODE) {
                size = strnlen(text, max + 1);
                if (size > max)
                        codec_fail(codec);
                wire_put_blob(&codec->writer, text, size);
        } else if (codec->mode == CODEC_DECODE) {
                bytes = wire_get_blob(&codec->reader, max, &size);
                if (!bytes)
                        return;
                if (memchr(bytes, 0, size))
                        codec_fail(codec);
                memcpy(text, bytes, size);
                text[size] = 0;
        }
}

/* Bytes that stay in the packet. */
static void shim_codec_payload(Codec *codec, const uint8_t **data, size_t *size)
{
        if (codec->mode == CODEC_ENCODE) {
                if (*size > SHIM_PAYLOAD_MAX)
                        codec_fail(codec);
                wire_put_blob(&codec->writer, *data, *size);
        } else if (codec->mode == CODEC_DECODE) {
                *data = wire_get_blob(&codec->reader, SHIM_PAYLOAD_MAX, size);
        }
}

/* An enum of @max values from 0. */
#define shim_codec_enum(codec, value, max)                           \
        do {                                                         \
                uint32_t number_ = (uint32_t) * (value);             \
                codec_u32_max((codec), &number_, (uint32_t)(max)-1); \
                *(value) = (__typeof__(*(value)))(number_);          \
        } while (0)

static void shim_codec_launch(Codec *codec, ShimLaunch *launch)
{
        codec_u32(codec, &launch->flags);
        codec_u32(codec, &launch->range_base);
        codec_u32(codec, &launch->range_size);
        codec_u32(codec, &launch->vcpus);
        codec_u32(codec, &launch->max_vcpus);
        codec_u32(codec, &launch->slots);
        codec_u64(codec, &launch->memory);
        codec_u64(codec, &launch->memory_max);
        codec_u64(codec, &launch->boot_usec);
        codec_u64(codec, &launch->stop_usec);
        shim_codec_text(codec, launch->vmm, SHIM_PATH_MAX);
        shim_codec_text(codec, launch->cmdline, SHIM_CMDLINE_MAX);
        shim_codec_text(codec, launch->hostname, SHIM_HOST_MAX);
        shim_codec_text(codec, launch->name, SHIM_NAME_MAX);
        shim_codec_text(codec, launch->owner, SHIM_NAME_MAX);
}

static void shim_codec_throttle(Codec *codec, ThrottleLimits *limits)
{
        codec_u64(codec, &limits->bytes);
        codec_u64(codec, &limits->bytes_burst);
        codec_u64(codec, &limits->ops);
        codec_u64(codec, &limits->ops_burst);
        if (!throttle_limits_are_valid(limits))
                codec_fail(codec);
}

static void shim_codec_bind(Codec *codec, ShimBind *bind)
{
        codec_u32(codec, &bind->slot);
        codec_u32(codec, &bind->flags);
        shim_codec_text(codec, bind->name, SHIM_NAME_MAX);
}

static void shim_codec_set_throttle(Codec *codec, ShimSetThrottle *throttle)
{
        codec_u32(codec, &throttle->slot);
        codec_u32_max(codec, &throttle->direction, THROTTLE_DIRECTION_MAX - 1);
        shim_codec_throttle(codec, &throttle->limits);
}

static void shim_codec_resize(Codec *codec, ShimResize *resize)
{
        codec_u32(codec, &resize->slot);
        codec_u64(codec, &resize->bytes);
}

static void shim_codec_set_link(Codec *codec, ShimSetLink *link)
{
        codec_u32(codec, &link->slot);
        codec_bool(codec, &link->up);
}

static void shim_codec_memory(Codec *codec, ShimMemory *memory)
{
        codec_u32(codec, &memory->slot);
        codec_u64(codec, &memory->requested);
        codec_u64(codec, &memory->actual);
}

static void shim_codec_add_device(Codec *codec, ShimAddDevice *device)
{
        codec_u32(codec, &device->kind);
        codec_u32(codec, &device->flags);
        shim_codec_text(codec, device->tag, SHIM_TAG_MAX);
        shim_codec_throttle(codec, &device->throttle);
        for (unsigned i = 0; i < CONTROL_MAC_SIZE; i++)
                codec_u8(codec, &device->mac[i]);
        codec_u16(codec, &device->mtu);
        codec_u32_max(codec, &device->queues, CONTROL_NET_QUEUES_MAX);
        shim_codec_throttle(codec, &device->receive);
}

static void shim_codec_agent_request(Codec *codec, ShimAgentRequest *request)
{
        codec_u64(codec, &request->process);
        codec_u32(codec, &request->type);
        shim_codec_payload(codec, &request->payload, &request->payload_size);
}

static void shim_codec_add_process(Codec *codec, ShimAddProcess *process)
{
        codec_u64(codec, &process->process);
        codec_u32(codec, &process->flags);
        shim_codec_text(codec, process->container_id, SHIM_NAME_MAX);
        shim_codec_text(codec, process->process_id, SHIM_NAME_MAX);
        shim_codec_text(codec, process->container, SHIM_NAME_MAX);
        shim_codec_text(codec, process->identifier, SHIM_NAME_MAX);
}

static void shim_codec_attach(Codec *codec, ShimAttach *attach)
{
        codec_u64(codec, &attach->process);
        codec_u32(codec, &attach->flags);
        codec_u32_max(codec, &attach->streams, (1U << SHIM_STREAM_MAX_) - 1);
}

static void shim_codec_reply(Codec *codec, ShimReply *reply)
{
        codec_i32(codec, &reply->error);
        codec_u32(codec, &reply->value);
        shim_codec_text(codec, reply->text, SHIM_TEXT_MAX);
        shim_codec_payload(codec, &reply->payload, &reply->payload_size);
}

static void shim_codec_status(Codec *codec, ShimStatus *status)
{
        shim_codec_enum(codec, &status->state, SHIM_STATE_MAX_);
        shim_codec_enum(codec, &status->reason, SHIM_REASON_MAX_);
        shim_codec_text(codec, status->text, SHIM_TEXT_MAX);
}

static void shim_codec_hello(Codec *codec, ShimHello *hello)
{
        shim_codec_status(codec, &hello->status);
        codec_u32(codec, &hello->shim_pid);
        codec_u32(codec, &hello->vmm_pid);
        for (unsigned i = 0; i < SHIM_PHASE_MAX_; i++)
                codec_u64(codec, &hello->phases[i]);
}

static void shim_codec_phase(Codec *codec, ShimPhaseEvent *event)
{
        shim_codec_enum(codec, &event->phase, SHIM_PHASE_MAX_);
        codec_u64(codec, &event->usec);
}

static void shim_codec_process(Codec *codec, ShimProcess *process)
{
        codec_u64(codec, &process->process);
        shim_codec_enum(codec, &process->state, SHIM_PROCESS_STATE_MAX_);
        codec_i32(codec, &process->code);
        codec_bool(codec, &process->oom);
        codec_bool(codec, &process->lost);
        codec_bool(codec, &process->has_primary);
        codec_u64(codec, &process->started_usec);
        codec_u64(codec, &process->finished_usec);
}

static void shim_codec_agent_event(Codec *codec, ShimAgentEvent *event)
{
        codec_u32(codec, &event->type);
        shim_codec_payload(codec, &event->payload, &event->payload_size);
}

static void shim_codec_body(Codec *codec, ShimMessage *message)
{
        switch (message->type) {
        case SHIM_LAUNCH:
                return shim_codec_launch(codec, &message->launch);
        case SHIM_ADD_DEVICE:
                return shim_codec_add_device(codec, &message->add_device);
        case SHIM_REMOVE_DEVICE:
                return codec_u32(codec, &message->remove_device.slot);
        case SHIM_ADD_BIND:
        case SHIM_REMOVE_BIND:
                return shim_codec_bind(codec, &message->add_bind);
        case SHIM_SET_THROTTLE:
                return shim_codec_set_throttle(codec, &message->set_throttle);
        case SHIM_SET_VCPUS:
                return codec_u32(codec, &message->set_vcpus.vcpus);
        case SHIM_RESIZE:
                return shim_codec_resize(codec, &message->resize);
        case SHIM_SET_LINK:
                return shim_codec_set_link(codec, &message->set_link);
        case SHIM_MEMORY:
                return shim_codec_memory(codec, &message->memory);
        case SHIM_VCPUS:
                return codec_u32(codec, &message->vcpus.online);
        case SHIM_AGENT_REQUEST:
                return shim_codec_agent_request(codec, &message->agent_request);
        case SHIM_ADD_PROCESS:
                return shim_codec_add_process(codec, &message->add_process);
        case SHIM_ATTACH:
                return shim_codec_attach(codec, &message->attach);
        case SHIM_ACK_EXIT:
                return codec_u64(codec, &message->ack_exit.process);
        case SHIM_STOP:
                return codec_u64(codec, &message->stop.grace_usec);
        case SHIM_REPLY:
                return shim_codec_reply(codec, &message->reply);
        case SHIM_HELLO:
                return shim_codec_hello(codec, &message->hello);
        case SHIM_STATE:
                return shim_codec_status(codec, &message->state);
        case SHIM_PHASE:
                return shim_codec_phase(codec, &message->phase);
        case SHIM_PROCESS:
                return shim_codec_process(codec, &message->process);
        case SHIM_AGENT_EVENT:
                return shim_codec_agent_event(codec, &message->agent_event);
        case SHIM_BOOT:
        case SHIM_PAUSE:
        case SHIM_RESUME:
        case SHIM_KILL:
        case SHIM_GET_STATS:
        case SHIM_GET_CONSOLE:
        case SHIM_SYNCED:
                return;
        }
        /* A number that is no ShimType. */
        codec_fail(codec);
}

static void shim_codec_message(Codec *codec, void *item)
{
        ShimMessage *message = item;
        uint16_t type = (uint16_t)message->type, zero = 0;

        codec_u16(codec, &type);
        codec_u16(codec, &zero);
        codec_u32(codec, &message->serial);
        if (zero != 0)
                codec_fail(codec);
        message->type = (ShimType)type;
        shim_codec_body(codec, message);
}

int shim_encode(const ShimMessage *message, void *buffer, size_t size, size_t *ret_size)
{
        return codec_encode(shim_codec_message, message, buffer, size, ret_size);
}

int shim_decode(const void *data, size_t size, ShimMessage *ret)
{
        return codec_decode(shim_codec_message, data, size, ret, sizeof(*ret));
}

static void shim_codec_stats(Codec *codec, void *item)
{
        ShimStats *stats = item;

        shim_codec_payload(codec, &stats->vmm, &stats->vmm_size);
        shim_codec_payload(codec, &stats->agent, &stats->agent_size);
}

int shim_stats_encode(const ShimStats *stats, void *buffer, size_t size, size_t *ret_size)
{
        return codec_encode(shim_codec_stats, stats, buffer, size, ret_size);
}

int shim_stats_decode(const void *data, size_t size, ShimStats *ret)
{
        return codec_decode(shim_codec_stats, data, size, ret, sizeof(*ret));
}

/* IEEE 802.3, bit by bit: it runs once in a sandbox's life. */
static uint32_t shim_crc32(const uint8_t *data, size_t size)
{
        uint32_t crc = ~0U;

        for (size_t i = 0; i < size; i++) {
                crc ^= data[i];
                for (unsigned bit = 0; bit < 8; bit++)
                        crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320U : 0);
        }
        return ~crc;
}

static void shim_codec_end(Codec *codec, void *item)
{
        ShimEndRecord *record = item;

        shim_codec_enum(codec, &record->reason, SHIM_REASON_MAX_);
        codec_i32(codec, &record->vmm_status);
        codec_u64(codec, &record->usec);
        shim_codec_text(codec, record->text, SHIM_TEXT_MAX);
}

int shim_end_encode(const ShimEndRecord *record, void *buffer, size_t size, size_t *ret_size)
{
        WireWriter writer = wire_writer(buffer, size);
        uint8_t *body = (uint8_t *)buffer + 8;
        size_t body_size;
        int r;

        if (size < 8)
                return -ENOBUFS;
        r = codec_encode(shim_codec_end, record, body, size - 8, &body_size);
        if (r < 0)
                return r;
        wire_put_u32(&writer, (uint32_t)body_size);
        wire_put_u32(&writer, shim_crc32(body, body_size));
        *ret_size = 8 + body_size;
        return 0;
}

int shim_end_decode(const void *data, size_t size, ShimEndRecord *ret)
{
        WireReader reader = wire_reader(data, size);
        size_t body_size = wire_get_u32(&reader);
        uint32_t crc = wire_get_u32(&reader);
        const uint8_t *body = wire_get_bytes(&reader, body_size);

        if (!body || wire_reader_end(&reader) < 0 || shim_crc32(body, body_size) != crc)
                return -EBADMSG;
        return codec_decode(shim_codec_end, body, body_size, ret, sizeof(*ret));
}
