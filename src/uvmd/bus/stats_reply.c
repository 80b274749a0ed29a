/* GetStats's answer; see stats_reply.h. The guest's figures are its own word. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "uvmd/bus/stats_reply.h"

const char *const stats_pressure_names[STATS_PRESSURES_] = {
        [STATS_PRESSURE_CPU] = "cpu",
        [STATS_PRESSURE_MEMORY] = "memory",
        [STATS_PRESSURE_IO] = "io",
};

typedef struct StatsItem {
        const char *key;
        uint64_t value; /* UINT64_MAX: unknown, or no limit; left out */
} StatsItem;

static int append_items(sd_bus_message *reply, const StatsItem *items, size_t n)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < n; i++)
                if (items[i].value != UINT64_MAX)
                        r = sd_bus_message_append(reply, "{sv}", items[i].key, "t", items[i].value);
        return r;
}

/* Opens the entry @key: a variant of @type, an array of @contents; closed by close_entry(). */
static int open_entry(sd_bus_message *reply, const char *key, const char *type,
                      const char *contents)
{
        int r = sd_bus_message_open_container(reply, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append(reply, "s", key);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'v', type);
        return r < 0 ? r : sd_bus_message_open_container(reply, 'a', contents);
}

static int close_entry(sd_bus_message *reply, int r)
{
        for (unsigned depth = 0; r >= 0 && depth < 3; depth++)
                r = sd_bus_message_close_container(reply);
        return r;
}

static int append_pressure(sd_bus_message *reply, const char *name, const AgentPressure *pressure)
{
        return sd_bus_message_append(reply, "{sa{st}}", name, 4, "SomeUSec", pressure->some_usec,
                                     "FullUSec", pressure->full_usec, "SomeAvg10",
                                     (uint64_t)pressure->some_avg10, "FullAvg10",
                                     (uint64_t)pressure->full_avg10);
}

static int append_guest_pressure(sd_bus_message *reply, const char *key, const AgentStats *stats)
{
        int r = open_entry(reply, key, "a{sa{st}}", "{sa{st}}");

        if (r >= 0)
                r = append_pressure(reply, "cpu", &stats->cpu_pressure);
        if (r >= 0)
                r = append_pressure(reply, "memory", &stats->memory_pressure);
        if (r >= 0)
                r = append_pressure(reply, "io", &stats->io_pressure);
        return close_entry(reply, r);
}

static int append_unit(sd_bus_message *reply, const StatsCall *call)
{
        const UnitStats *unit = &call->unit;
        const StatsItem items[] = {
                {"CPUUsageNSec", unit->cpu_nsec},
                {"MemoryCurrent", unit->memory},
                {"MemoryMax", unit->limits.memory_max ?: UINT64_MAX},
                {"TasksCurrent", unit->tasks},
                {"TasksMax", unit->limits.tasks_max ?: UINT64_MAX},
                {"IOReadBytes", unit->read_bytes},
                {"IOWriteBytes", unit->write_bytes},
                {"IOReadOperations", unit->read_ops},
                {"IOWriteOperations", unit->write_ops},
                {"Memory", call->memory},
        };
        int r = append_items(reply, items, ELEMENTSOF(items));

        if (r >= 0)
                r = open_entry(reply, "Pressure", "a{sa{st}}", "{sa{st}}");
        for (int i = 0; r >= 0 && i < STATS_PRESSURES_; i++)
                if (call->has_pressure[i])
                        r = append_pressure(reply, stats_pressure_names[i], &call->pressure[i]);
        return close_entry(reply, r);
}

static int append_exits(sd_bus_message *reply, const ControlStats *stats)
{
        int r = open_entry(reply, "Exits", "a{st}", "{st}");

        for (int i = 0; r >= 0 && i < CONTROL_EXIT_MAX; i++)
                r = sd_bus_message_append(reply, "{st}", control_exit_to_string((ControlExit)i),
                                          stats->exits[i]);
        return close_entry(reply, r);
}

static int append_device(sd_bus_message *reply, const ControlDeviceStats *device,
                         const StatsDevice *what)
{
        bool net = device->kind == CONTROL_DEVICE_NET;
        bool block = device->kind == CONTROL_DEVICE_BLOCK;
        const StatsItem items[] = {
                {"Requests", device->requests},
                {"BytesFromGuest", device->bytes_from_guest},
                {"BytesToGuest", device->bytes_to_guest},
                {"DelayedUSec", device->delayed_usec},
                {"Notifies", device->notifies},
                {"Interrupts", device->interrupts},
                {"Deliveries", net ? device->deliveries : UINT64_MAX},
                {"Drops", net ? device->drops : UINT64_MAX},
                {"Waiting", block ? device->waiting : UINT64_MAX},
        };
        const char *kind = control_device_to_string(device->kind);
        const char *name = what->target ?: what->name;
        int r = sd_bus_message_open_container(reply, 'a', "{sv}");

        if (r >= 0)
                r = sd_bus_message_append(reply, "{sv}{sv}{sv}", "Slot", "u", device->slot, "Kind",
                                          "s", kind, "Name", "s", name[0] ? name : kind);
        if (r >= 0 && what->container[0])
                r = sd_bus_message_append(reply, "{sv}", "Container", "s", what->container);
        if (r >= 0)
                r = append_items(reply, items, ELEMENTSOF(items));
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_devices(sd_bus_message *reply, const StatsCall *call)
{
        static const StatsDevice nameless = {};
        int r = open_entry(reply, "Devices", "aa{sv}", "a{sv}");

        for (uint32_t i = 0; r >= 0 && i < call->monitor.n_devices; i++) {
                const ControlDeviceStats *device = &call->monitor.devices[i];

                r = append_device(reply, device,
                                  device->slot < CONTROL_SLOTS_MAX ? &call->devices[device->slot]
                                                                   : &nameless);
        }
        return close_entry(reply, r);
}

static int append_monitor(sd_bus_message *reply, const StatsCall *call)
{
        const ControlStats *stats = &call->monitor;
        const ControlMemoryStats *memory = &stats->memory;
        const StatsItem items[] = {
                {"VCPUs", stats->vcpus},
                {"VCPUTimeNSec", stats->vcpu_usec * 1000},
                {"MonitorTimeNSec", stats->io_usec * 1000},
                {"MemoryBoot", memory->boot_bytes},
                {"MemoryPlugged", memory->plugged_bytes},
                {"MemoryBalloon", memory->balloon_bytes},
                {"MemoryReported", memory->reported_bytes},
                {"ConsoleBytes", stats->console_bytes},
        };
        int r = append_items(reply, items, ELEMENTSOF(items));

        if (r >= 0)
                r = append_exits(reply, stats);
        return r < 0 ? r : append_devices(reply, call);
}

static int append_machine(sd_bus_message *reply, const AgentStats *stats)
{
        const StatsItem items[] = {
                {"GuestMemoryTotal", stats->mem_total},
                {"GuestMemoryFree", stats->mem_free},
                {"GuestMemoryAvailable", stats->mem_available},
                {"GuestCPUs", stats->cpus ? stats->cpus : UINT64_MAX},
                {"GuestUptimeUSec", stats->uptime_usec},
                {"GuestReceiveBytes", stats->receive_bytes},
                {"GuestReceivePackets", stats->receive_packets},
                {"GuestTransmitBytes", stats->transmit_bytes},
                {"GuestTransmitPackets", stats->transmit_packets},
        };
        int r = append_items(reply, items, ELEMENTSOF(items));

        return r < 0 ? r : append_guest_pressure(reply, "GuestPressure", stats);
}

static int append_container(sd_bus_message *reply, const StatsContainer *container)
{
        const AgentStats *stats = &container->stats;
        const StatsItem items[] = {
                {"CPUUsageNSec", stats->cpu_usec * 1000},
                {"CPUUserNSec", stats->cpu_user_usec * 1000},
                {"CPUSystemNSec", stats->cpu_system_usec * 1000},
                {"MemoryCurrent", stats->memory},
                {"MemoryPeak", stats->memory_peak},
                {"MemoryCache", stats->memory_cache},
                {"TasksCurrent", stats->pids},
                {"TasksMax", stats->pids_limit},
                {"OOMKills", stats->oom_kills},
                {"IOReadBytes", stats->read_bytes},
                {"IOWriteBytes", stats->write_bytes},
                {"IOReadOperations", stats->read_ops},
                {"IOWriteOperations", stats->write_ops},
        };
        int r = sd_bus_message_open_container(reply, 'e', "sa{sv}");

        if (r >= 0)
                r = sd_bus_message_append(reply, "s", container->name);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(reply, "{sv}{sv}", "Id", "s", container->id, "MemoryMax",
                                          "t", stats->memory_limit);
        if (r >= 0)
                r = append_items(reply, items, ELEMENTSOF(items));
        if (r >= 0)
                r = append_guest_pressure(reply, "Pressure", stats);
        for (unsigned depth = 0; r >= 0 && depth < 2; depth++)
                r = sd_bus_message_close_container(reply);
        return r;
}

static int append_containers(sd_bus_message *reply, const StatsCall *call)
{
        int r = open_entry(reply, "Containers", "a{sa{sv}}", "{sa{sv}}");

        for (size_t i = 0; r >= 0 && i < call->n_containers; i++)
                if (call->containers[i].known)
                        r = append_container(reply, &call->containers[i]);
        return close_entry(reply, r);
}

int stats_reply_append(sd_bus_message *reply, const StatsCall *call)
{
        int r = sd_bus_message_open_container(reply, 'a', "{sv}");

        if (r >= 0)
                r = append_unit(reply, call);
        if (r >= 0 && call->has_monitor)
                r = append_monitor(reply, call);
        if (r >= 0 && call->has_machine)
                r = append_machine(reply, &call->machine);
        if (r >= 0)
                r = append_containers(reply, call);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}
