/* The payload of CONTROL_STATS; see control.h. */
#include "base/cleanup.h"
#include "base/wire.h"
#include "proto/control_codec.h"

static void put_device_stats(WireWriter *writer, const ControlDeviceStats *device)
{
        wire_put_u32(writer, device->slot);
        wire_put_u32(writer, device->kind);
        wire_put_u64(writer, device->notifies);
        wire_put_u64(writer, device->interrupts);
        wire_put_u64(writer, device->requests);
        wire_put_u64(writer, device->bytes_from_guest);
        wire_put_u64(writer, device->bytes_to_guest);
        wire_put_u64(writer, device->delayed_usec);
        wire_put_u64(writer, device->deliveries);
        wire_put_u64(writer, device->drops);
}

static void get_device_stats(WireReader *reader, ControlDeviceStats *ret)
{
        uint32_t kind;

        ret->slot = wire_get_u32(reader);
        kind = wire_get_u32(reader);
        ret->kind = (ControlDevice)kind;
        ret->notifies = wire_get_u64(reader);
        ret->interrupts = wire_get_u64(reader);
        ret->requests = wire_get_u64(reader);
        ret->bytes_from_guest = wire_get_u64(reader);
        ret->bytes_to_guest = wire_get_u64(reader);
        ret->delayed_usec = wire_get_u64(reader);
        ret->deliveries = wire_get_u64(reader);
        ret->drops = wire_get_u64(reader);
        if (kind < CONTROL_DEVICE_RNG || kind >= CONTROL_DEVICE_MAX)
                reader->bad = true;
}

/* The fields of a ControlMemoryStats in wire order. */
#define MEMORY_STATS_FIELDS(stats)                                                                 \
        {                                                                                          \
                &(stats)->boot_bytes, &(stats)->requested_bytes, &(stats)->plugged_bytes,          \
                        &(stats)->target_bytes, &(stats)->balloon_bytes, &(stats)->reported_bytes, \
                        &(stats)->stats_usec, &(stats)->free, &(stats)->available,                 \
                        &(stats)->total, &(stats)->caches, &(stats)->major_faults,                 \
                        &(stats)->minor_faults, &(stats)->swap_in, &(stats)->swap_out,             \
        }

static void put_memory_stats(WireWriter *writer, const ControlMemoryStats *stats)
{
        const uint64_t *const fields[] = MEMORY_STATS_FIELDS(stats);

        for (size_t i = 0; i < ELEMENTSOF(fields); i++)
                wire_put_u64(writer, *fields[i]);
}

static void get_memory_stats(WireReader *reader, ControlMemoryStats *ret)
{
        uint64_t *const fields[] = MEMORY_STATS_FIELDS(ret);

        for (size_t i = 0; i < ELEMENTSOF(fields); i++)
                *fields[i] = wire_get_u64(reader);
}

void control_put_stats(WireWriter *writer, const ControlStats *stats)
{
        wire_put_u64(writer, stats->vcpu_usec);
        wire_put_u64(writer, stats->io_usec);
        wire_put_u64(writer, stats->all_exits);
        for (unsigned i = 0; i < CONTROL_EXIT_MAX; i++)
                wire_put_u64(writer, stats->exits[i]);
        wire_put_u64(writer, stats->console_bytes);
        wire_put_u64(writer, stats->console_dropped);
        wire_put_u32(writer, stats->vcpus);
        put_memory_stats(writer, &stats->memory);
        wire_put_u32(writer, stats->n_devices);
        for (unsigned i = 0; i < stats->n_devices; i++)
                put_device_stats(writer, &stats->devices[i]);
}

void control_get_stats(WireReader *reader, ControlStats *ret)
{
        ret->vcpu_usec = wire_get_u64(reader);
        ret->io_usec = wire_get_u64(reader);
        ret->all_exits = wire_get_u64(reader);
        for (unsigned i = 0; i < CONTROL_EXIT_MAX; i++)
                ret->exits[i] = wire_get_u64(reader);
        ret->console_bytes = wire_get_u64(reader);
        ret->console_dropped = wire_get_u64(reader);
        ret->vcpus = wire_get_u32(reader);
        get_memory_stats(reader, &ret->memory);
        ret->n_devices = wire_get_u32(reader);
        if (ret->n_devices > CONTROL_SLOTS_MAX)
                reader->bad = true;
        for (unsigned i = 0; i < ret->n_devices && !reader->bad; i++)
                get_device_stats(reader, &ret->devices[i]);
}
