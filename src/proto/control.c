/* Messages between uvm-shim and uvm-vmm; see control.h. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/wire.h"
#include "proto/control_codec.h"

#define VSOCK_CID_MIN 3
#define VSOCK_CID_MAX (UINT32_MAX - 1ULL)

ENUM_TABLE(control_type, ControlType, CONTROL_TYPE_MAX)
= {
        [CONTROL_CONFIGURE] = "configure",
        [CONTROL_ADD_DEVICE] = "add-device",
        [CONTROL_REMOVE_DEVICE] = "remove-device",
        [CONTROL_START] = "start",
        [CONTROL_PAUSE] = "pause",
        [CONTROL_RESUME] = "resume",
        [CONTROL_STOP] = "stop",
        [CONTROL_VSOCK_LISTEN] = "vsock-listen",
        [CONTROL_VSOCK_UNLISTEN] = "vsock-unlisten",
        [CONTROL_VSOCK_CONNECT] = "vsock-connect",
        [CONTROL_GET_STATS] = "get-stats",
        [CONTROL_ADD_BIND] = "add-bind",
        [CONTROL_REMOVE_BIND] = "remove-bind",
        [CONTROL_SET_THROTTLE] = "set-throttle",
        [CONTROL_SET_VCPUS] = "set-vcpus",
        [CONTROL_RESIZE] = "resize",
        [CONTROL_SET_LINK] = "set-link",
        [CONTROL_READY] = "ready",
        [CONTROL_REPLY] = "reply",
        [CONTROL_STATS] = "stats",
        [CONTROL_PHASE] = "phase",
        [CONTROL_VSOCK_ACCEPTED] = "vsock-accepted",
        [CONTROL_MEMORY] = "memory",
        [CONTROL_ENDED] = "ended",
};

ENUM_TABLE(control_device, ControlDevice, CONTROL_DEVICE_MAX)
= {
        [CONTROL_DEVICE_RNG] = "rng", [CONTROL_DEVICE_VSOCK] = "vsock",
        [CONTROL_DEVICE_P9] = "p9",   [CONTROL_DEVICE_BLOCK] = "block",
        [CONTROL_DEVICE_NET] = "net", [CONTROL_DEVICE_BALLOON] = "balloon",
        [CONTROL_DEVICE_MEM] = "mem",
};

ENUM_TABLE(control_end, ControlEnd, CONTROL_END_MAX)
= {
        [CONTROL_END_STOPPED] = "stopped",
        [CONTROL_END_GUEST_RESET] = "guest-reset",
        [CONTROL_END_BOOT_REFUSED] = "boot-refused",
        [CONTROL_END_TRIPLE_FAULT] = "triple-fault",
        [CONTROL_END_KVM_ERROR] = "kvm-error",
        [CONTROL_END_OUT_OF_MEMORY] = "out-of-memory",
        [CONTROL_END_DEVICE_ERROR] = "device-error",
        [CONTROL_END_PROTOCOL_ERROR] = "protocol-error",
        [CONTROL_END_INTERNAL_ERROR] = "internal-error",
};

ENUM_TABLE(control_exit, ControlExit, CONTROL_EXIT_MAX)
= {
        [CONTROL_EXIT_IO] = "io",       [CONTROL_EXIT_MMIO] = "mmio",
        [CONTROL_EXIT_HALT] = "halt",   [CONTROL_EXIT_SIGNAL] = "signal",
        [CONTROL_EXIT_OTHER] = "other",
};

/* A string of at most @size - 1 bytes; longer ones are cut. */
static void put_text(WireWriter *writer, const char *text, size_t size)
{
        wire_put_blob(writer, text, strnlen(text, size - 1));
}

/* Into @text, which has room for @size bytes with the NUL. Longer ones and NULs inside are bad. */
static void get_text(WireReader *reader, char *text, size_t size)
{
        size_t n;
        const uint8_t *bytes = wire_get_blob(reader, size - 1, &n);

        if (bytes && memchr(bytes, 0, n))
                reader->bad = true;
        if (!bytes || reader->bad)
                n = 0;
        if (n > 0)
                memcpy(text, bytes, n);
        text[n] = 0;
}

static void put_configure(WireWriter *writer, const ControlConfigure *configure)
{
        wire_put_u64(writer, configure->memory_bytes);
        wire_put_u64(writer, configure->memory_max_bytes);
        wire_put_u32(writer, configure->flags);
        wire_put_u32(writer, configure->vcpus);
        wire_put_u32(writer, configure->max_vcpus);
        wire_put_u32(writer, configure->slots);
        put_text(writer, configure->cmdline, sizeof(configure->cmdline));
}

static void get_configure(WireReader *reader, ControlConfigure *ret)
{
        ret->memory_bytes = wire_get_u64(reader);
        ret->memory_max_bytes = wire_get_u64(reader);
        ret->flags = wire_get_u32(reader);
        ret->vcpus = wire_get_u32(reader);
        ret->max_vcpus = wire_get_u32(reader);
        ret->slots = wire_get_u32(reader);
        get_text(reader, ret->cmdline, sizeof(ret->cmdline));
        if (ret->vcpus == 0 || ret->vcpus > ret->max_vcpus || ret->max_vcpus > CONTROL_VCPUS_MAX ||
            ret->slots > CONTROL_SLOTS_MAX ||
            (ret->memory_max_bytes != 0 && ret->memory_max_bytes < ret->memory_bytes) ||
            (ret->flags & ~CONTROL_CONFIGURE_MERGE_PAGES) != 0)
                reader->bad = true;
}

static void put_throttle(WireWriter *writer, const ThrottleLimits *limits)
{
        wire_put_u64(writer, limits->bytes);
        wire_put_u64(writer, limits->bytes_burst);
        wire_put_u64(writer, limits->ops);
        wire_put_u64(writer, limits->ops_burst);
}

static void get_throttle(WireReader *reader, ThrottleLimits *ret)
{
        ret->bytes = wire_get_u64(reader);
        ret->bytes_burst = wire_get_u64(reader);
        ret->ops = wire_get_u64(reader);
        ret->ops_burst = wire_get_u64(reader);
        if (!throttle_limits_are_valid(ret))
                reader->bad = true;
}

static void put_net(WireWriter *writer, const ControlAddDevice *add)
{
        wire_put_bytes(writer, add->net.mac, sizeof(add->net.mac));
        wire_put_u16(writer, add->net.mtu);
        wire_put_u32(writer, add->net.queues);
        wire_put_u32(writer, add->net.flags);
        put_throttle(writer, &add->net.receive);
}

bool control_mac_is_valid(const uint8_t mac[CONTROL_MAC_SIZE])
{
        static const uint8_t none[CONTROL_MAC_SIZE];

        return !(mac[0] & 1) && memcmp(mac, none, sizeof(none)) != 0;
}

static void get_net(WireReader *reader, ControlAddDevice *ret)
{
        const uint8_t *mac = wire_get_bytes(reader, sizeof(ret->net.mac));

        if (mac)
                memcpy(ret->net.mac, mac, sizeof(ret->net.mac));
        ret->net.mtu = wire_get_u16(reader);
        ret->net.queues = wire_get_u32(reader);
        ret->net.flags = wire_get_u32(reader);
        get_throttle(reader, &ret->net.receive);
        if (!control_mac_is_valid(ret->net.mac) ||
            (ret->net.mtu != 0 && ret->net.mtu < CONTROL_NET_MTU_MIN) || ret->net.queues == 0 ||
            ret->net.queues > CONTROL_NET_QUEUES_MAX || (ret->net.flags & ~CONTROL_NET_VHOST) != 0)
                reader->bad = true;
}

static void put_add_device(WireWriter *writer, const ControlAddDevice *add)
{
        wire_put_u32(writer, add->slot);
        wire_put_u32(writer, add->kind);
        put_throttle(writer, &add->throttle);
        switch (add->kind) {
        case CONTROL_DEVICE_RNG:
        case CONTROL_DEVICE_BALLOON:
        case CONTROL_DEVICE_MEM:
                break;
        case CONTROL_DEVICE_NET:
                put_net(writer, add);
                break;
        case CONTROL_DEVICE_VSOCK:
                wire_put_u64(writer, add->vsock.guest_cid);
                break;
        case CONTROL_DEVICE_P9:
                wire_put_u32(writer, add->p9.flags);
                put_text(writer, add->p9.tag, sizeof(add->p9.tag));
                break;
        case CONTROL_DEVICE_BLOCK:
                wire_put_u32(writer, add->block.flags);
                put_text(writer, add->block.serial, sizeof(add->block.serial));
                break;
        case CONTROL_DEVICE_MAX:
                writer->bad = true;
                break;
        }
}

static void get_add_device(WireReader *reader, ControlAddDevice *ret)
{
        uint32_t kind;

        ret->slot = wire_get_u32(reader);
        kind = wire_get_u32(reader);
        if (kind < CONTROL_DEVICE_RNG || kind >= CONTROL_DEVICE_MAX ||
            (ret->slot >= CONTROL_SLOTS_MAX && ret->slot != CONTROL_SLOT_ANY)) {
                reader->bad = true;
                return;
        }
        ret->kind = (ControlDevice)kind;
        get_throttle(reader, &ret->throttle);
        switch (ret->kind) {
        case CONTROL_DEVICE_VSOCK:
                ret->vsock.guest_cid = wire_get_u64(reader);
                if (ret->vsock.guest_cid < VSOCK_CID_MIN || ret->vsock.guest_cid > VSOCK_CID_MAX)
                        reader->bad = true;
                break;
        case CONTROL_DEVICE_P9:
                ret->p9.flags = wire_get_u32(reader);
                get_text(reader, ret->p9.tag, sizeof(ret->p9.tag));
                if (ret->p9.tag[0] == 0 ||
                    (ret->p9.flags & ~(CONTROL_P9_READ_ONLY | CONTROL_P9_BINDS)) != 0)
                        reader->bad = true;
                break;
        case CONTROL_DEVICE_BLOCK:
                ret->block.flags = wire_get_u32(reader);
                get_text(reader, ret->block.serial, sizeof(ret->block.serial));
                if (ret->block.serial[0] == 0 || (ret->block.flags & ~CONTROL_BLOCK_READ_ONLY) != 0)
                        reader->bad = true;
                break;
        case CONTROL_DEVICE_NET:
                get_net(reader, ret);
                break;
        case CONTROL_DEVICE_RNG:
        case CONTROL_DEVICE_BALLOON:
        case CONTROL_DEVICE_MEM:
        case CONTROL_DEVICE_MAX:
                break;
        }
}

bool control_bind_name_is_valid(const char *name)
{
        return name[0] != 0 && !strchr(name, '/') && strcmp(name, ".") != 0 &&
               strcmp(name, "..") != 0;
}

static void put_bind(WireWriter *writer, const ControlBind *bind)
{
        wire_put_u32(writer, bind->slot);
        wire_put_u32(writer, bind->flags);
        put_text(writer, bind->name, sizeof(bind->name));
}

static void get_bind(WireReader *reader, ControlBind *ret, uint32_t flags)
{
        ret->slot = wire_get_u32(reader);
        ret->flags = wire_get_u32(reader);
        get_text(reader, ret->name, sizeof(ret->name));
        if (!control_bind_name_is_valid(ret->name) || (ret->flags & ~flags) != 0)
                reader->bad = true;
}

static void put_reply(WireWriter *writer, const ControlReply *reply)
{
        wire_put_u32(writer, reply->code);
        wire_put_u32(writer, reply->value);
        put_text(writer, reply->text, sizeof(reply->text));
}

static void get_reply(WireReader *reader, ControlReply *ret)
{
        ret->code = wire_get_u32(reader);
        ret->value = wire_get_u32(reader);
        get_text(reader, ret->text, sizeof(ret->text));
}

static void put_payload(WireWriter *writer, const ControlMessage *message)
{
        switch (message->type) {
        case CONTROL_CONFIGURE:
                put_configure(writer, &message->configure);
                break;
        case CONTROL_ADD_DEVICE:
                put_add_device(writer, &message->add_device);
                break;
        case CONTROL_REMOVE_DEVICE:
                wire_put_u32(writer, message->remove_device.slot);
                break;
        case CONTROL_VSOCK_LISTEN:
        case CONTROL_VSOCK_UNLISTEN:
                wire_put_u32(writer, message->vsock_listen.port);
                break;
        case CONTROL_VSOCK_CONNECT:
                wire_put_u32(writer, message->vsock_connect.guest_port);
                break;
        case CONTROL_ADD_BIND:
        case CONTROL_REMOVE_BIND:
                put_bind(writer, &message->add_bind);
                break;
        case CONTROL_SET_THROTTLE:
                wire_put_u32(writer, message->set_throttle.slot);
                wire_put_u32(writer, message->set_throttle.direction);
                put_throttle(writer, &message->set_throttle.limits);
                break;
        case CONTROL_SET_VCPUS:
                wire_put_u32(writer, message->set_vcpus.vcpus);
                break;
        case CONTROL_RESIZE:
                wire_put_u32(writer, message->resize.slot);
                wire_put_u64(writer, message->resize.bytes);
                break;
        case CONTROL_SET_LINK:
                wire_put_u32(writer, message->set_link.slot);
                wire_put_u8(writer, message->set_link.up);
                break;
        case CONTROL_MEMORY:
                wire_put_u32(writer, message->memory.slot);
                wire_put_u64(writer, message->memory.requested_bytes);
                wire_put_u64(writer, message->memory.actual_bytes);
                break;
        case CONTROL_REPLY:
                put_reply(writer, &message->reply);
                break;
        case CONTROL_STATS:
                control_put_stats(writer, &message->stats);
                break;
        case CONTROL_PHASE:
                wire_put_u32(writer, message->phase.id);
                wire_put_u64(writer, message->phase.usec);
                break;
        case CONTROL_VSOCK_ACCEPTED:
                wire_put_u32(writer, message->vsock_accepted.guest_port);
                wire_put_u32(writer, message->vsock_accepted.host_port);
                break;
        case CONTROL_ENDED:
                wire_put_u32(writer, message->ended.reason);
                put_text(writer, message->ended.text, sizeof(message->ended.text));
                break;
        case CONTROL_START:
        case CONTROL_PAUSE:
        case CONTROL_RESUME:
        case CONTROL_STOP:
        case CONTROL_GET_STATS:
        case CONTROL_READY:
                break;
        case CONTROL_TYPE_MAX:
                writer->bad = true;
                break;
        }
}

static void get_ended(WireReader *reader, ControlMessage *ret)
{
        uint32_t reason = wire_get_u32(reader);

        if (reason < CONTROL_END_STOPPED || reason >= CONTROL_END_MAX)
                reader->bad = true;
        ret->ended.reason = (ControlEnd)reason;
        get_text(reader, ret->ended.text, sizeof(ret->ended.text));
}

static void get_set_throttle(WireReader *reader, ControlMessage *ret)
{
        uint32_t direction;

        ret->set_throttle.slot = wire_get_u32(reader);
        direction = wire_get_u32(reader);
        get_throttle(reader, &ret->set_throttle.limits);
        if (direction >= THROTTLE_DIRECTION_MAX)
                reader->bad = true;
        ret->set_throttle.direction = (ThrottleDirection)direction;
}

static void get_set_link(WireReader *reader, ControlMessage *ret)
{
        uint8_t up;

        ret->set_link.slot = wire_get_u32(reader);
        up = wire_get_u8(reader);
        if (up > 1)
                reader->bad = true;
        ret->set_link.up = up;
}

static void get_payload(WireReader *reader, ControlMessage *ret)
{
        switch (ret->type) {
        case CONTROL_CONFIGURE:
                get_configure(reader, &ret->configure);
                break;
        case CONTROL_ADD_DEVICE:
                get_add_device(reader, &ret->add_device);
                break;
        case CONTROL_REMOVE_DEVICE:
                ret->remove_device.slot = wire_get_u32(reader);
                break;
        case CONTROL_VSOCK_LISTEN:
        case CONTROL_VSOCK_UNLISTEN:
                ret->vsock_listen.port = wire_get_u32(reader);
                break;
        case CONTROL_VSOCK_CONNECT:
                ret->vsock_connect.guest_port = wire_get_u32(reader);
                break;
        case CONTROL_ADD_BIND:
                get_bind(reader, &ret->add_bind, CONTROL_BIND_READ_ONLY);
                break;
        case CONTROL_REMOVE_BIND:
                get_bind(reader, &ret->remove_bind, 0);
                break;
        case CONTROL_SET_THROTTLE:
                get_set_throttle(reader, ret);
                break;
        case CONTROL_SET_VCPUS:
                ret->set_vcpus.vcpus = wire_get_u32(reader);
                if (ret->set_vcpus.vcpus == 0 || ret->set_vcpus.vcpus > CONTROL_VCPUS_MAX)
                        reader->bad = true;
                break;
        case CONTROL_RESIZE:
                ret->resize.slot = wire_get_u32(reader);
                ret->resize.bytes = wire_get_u64(reader);
                break;
        case CONTROL_SET_LINK:
                get_set_link(reader, ret);
                break;
        case CONTROL_MEMORY:
                ret->memory.slot = wire_get_u32(reader);
                ret->memory.requested_bytes = wire_get_u64(reader);
                ret->memory.actual_bytes = wire_get_u64(reader);
                break;
        case CONTROL_REPLY:
                get_reply(reader, &ret->reply);
                break;
        case CONTROL_STATS:
                control_get_stats(reader, &ret->stats);
                break;
        case CONTROL_PHASE:
                ret->phase.id = wire_get_u32(reader);
                ret->phase.usec = wire_get_u64(reader);
                break;
        case CONTROL_VSOCK_ACCEPTED:
                ret->vsock_accepted.guest_port = wire_get_u32(reader);
                ret->vsock_accepted.host_port = wire_get_u32(reader);
                break;
        case CONTROL_ENDED:
                get_ended(reader, ret);
                break;
        case CONTROL_START:
        case CONTROL_PAUSE:
        case CONTROL_RESUME:
        case CONTROL_STOP:
        case CONTROL_GET_STATS:
        case CONTROL_READY:
        case CONTROL_TYPE_MAX:
                break;
        }
}

static unsigned device_fd_count(const ControlAddDevice *add)
{
        switch (add->kind) {
        case CONTROL_DEVICE_P9:
                return add->p9.flags & CONTROL_P9_BINDS ? 0 : 1;
        case CONTROL_DEVICE_BLOCK:
                return 1;
        case CONTROL_DEVICE_NET:
                return add->net.queues * (add->net.flags & CONTROL_NET_VHOST ? 2 : 1);
        case CONTROL_DEVICE_BALLOON:
        case CONTROL_DEVICE_MEM:
        case CONTROL_DEVICE_RNG:
        case CONTROL_DEVICE_VSOCK:
        case CONTROL_DEVICE_MAX:
                break;
        }
        return 0;
}

unsigned control_fd_count(const ControlMessage *message)
{
        switch (message->type) {
        case CONTROL_CONFIGURE:
                return 3;
        case CONTROL_ADD_DEVICE:
                return device_fd_count(&message->add_device);
        case CONTROL_ADD_BIND:
        case CONTROL_VSOCK_CONNECT:
        case CONTROL_VSOCK_ACCEPTED:
                return 1;
        case CONTROL_REMOVE_DEVICE:
        case CONTROL_START:
        case CONTROL_PAUSE:
        case CONTROL_RESUME:
        case CONTROL_STOP:
        case CONTROL_VSOCK_LISTEN:
        case CONTROL_VSOCK_UNLISTEN:
        case CONTROL_GET_STATS:
        case CONTROL_REMOVE_BIND:
        case CONTROL_SET_THROTTLE:
        case CONTROL_SET_VCPUS:
        case CONTROL_RESIZE:
        case CONTROL_SET_LINK:
        case CONTROL_MEMORY:
        case CONTROL_READY:
        case CONTROL_REPLY:
        case CONTROL_STATS:
        case CONTROL_PHASE:
        case CONTROL_ENDED:
        case CONTROL_TYPE_MAX:
                break;
        }
        return 0;
}

int control_encode(const ControlMessage *message, void *buffer, size_t size, size_t *ret_size)
{
        WireWriter writer = wire_writer(buffer, MIN(size, (size_t)CONTROL_MESSAGE_SIZE_MAX));

        wire_put_u16(&writer, message->type);
        wire_put_u16(&writer, 0);
        wire_put_u32(&writer, message->serial);
        put_payload(&writer, message);
        return wire_writer_end(&writer, ret_size);
}

int control_decode(const void *data, size_t size, ControlMessage *ret)
{
        WireReader reader = wire_reader(data, size);
        ControlMessage message = {};
        uint16_t type, flags;
        int r;

        type = wire_get_u16(&reader);
        flags = wire_get_u16(&reader);
        message.serial = wire_get_u32(&reader);
        if (size > CONTROL_MESSAGE_SIZE_MAX || type < CONTROL_CONFIGURE ||
            type >= CONTROL_TYPE_MAX || flags != 0)
                return -EBADMSG;
        message.type = (ControlType)type;
        get_payload(&reader, &message);
        r = wire_reader_end(&reader);
        if (r < 0)
                return r;
        *ret = message;
        return 0;
}
