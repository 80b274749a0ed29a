/* The payload of CONTROL_STATS; see control.h. */
#include "base/cleanup.h"
#include "base/wire.h"
#include "proto/control_codec.h"

static void put_fields(WireWriter *writer, const uint64_t *const *fields, size_t n)
{
        for (size_t i = 0; i < n; i++)
                wire_put_u64(writer, *fields[i]);
}

static void get_fields(WireReader *reader, uint64_t *const *fields, size_t n)
{
        for (size_t i = 0; i < n; i++)
                *fields[i] = wire_get_u64(reader);
}

/* The counters of a ControlDeviceStats in wire order. */
#define DEVICE_STATS_FIELDS(stats)                                                     \
        {                                                                              \
                &(stats)->notifies, &(stats)->interrupts, &(stats)->requests,          \
                        &(stats)->bytes_from_guest, &(stats)->bytes_to_guest,          \
                        &(stats)->delayed_usec, &(stats)->deliveries, &(stats)->drops, \
                        &(stats)->waiting,                                             \
        }

static void put_device_stats(WireWriter *writer, const ControlDeviceStats *device)
{
        const uint64_t *const fields[] = DEVICE_STATS_FIELDS(device);

        wire_put_u32(writer, device->slot);
        wire_put_u32(writer, device->kind);
        put_fields(writer, fields, ELEMENTSOF(fields));
}

static void get_device_stats(WireReader *reader, ControlDeviceStats *ret)
{
        uint64_t *const fields[] = DEVICE_STATS_FIELDS(ret);
        uint32_t kind;

        ret->slot = wire_get_u32(reader);
        kind = wire_get_u32(reader);
        ret->kind = (ControlDevice)kind;
        get_fields(reader, fields, ELEMENTSOF(fields));
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

        put_fields(writer, fields, ELEMENTSOF(fields));
}

static void get_memory_stats(WireReader *reader, ControlMemoryStats *ret)
{
        uint64_t *const fields[] = MEMORY_STATS_FIELDS(ret);

        get_fields(reader, fields, ELEMENTSOF(fields));
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
