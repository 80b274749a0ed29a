/* org.uvm1.Sandbox: dbus/org.uvm1.Sandbox.xml says what each method does. */
#include <errno.h>
#include <string.h>

#include "uvmd/bus/bus.h"
#include "uvmd/bus/call.h"
#include "uvmd/bus/console.h"
#include "uvmd/bus/manager_networks.h"
#include "uvmd/bus/networks.h"
#include "uvmd/bus/paths.h"
#include "uvmd/bus/stats.h"
#include "uvmd/errors.h"

#define MANAGER (((Sandbox *)userdata)->manager)

static int start(BusCall *call, void *object, sd_bus_error *error)
{
        return sandbox_start(object, call->message, error);
}
BUS_METHOD(start, BUS_ACTION_MANAGE, bus_find_sandbox, MANAGER)

static int stop(BusCall *call, void *object, sd_bus_error *error)
{
        uint64_t grace;
        int r = sd_bus_message_read(call->message, "t", &grace);

        return r < 0 ? r : sandbox_stop(object, grace, call->message, error);
}
BUS_METHOD(stop, BUS_ACTION_MANAGE, bus_find_sandbox, MANAGER)

static int kill_now(BusCall *call, void *object, sd_bus_error *error)
{
        return sandbox_kill(object, call->message, error);
}
BUS_METHOD(kill_now, BUS_ACTION_MANAGE, bus_find_sandbox, MANAGER)

static int delete (BusCall *call, void *object, sd_bus_error *error)
{
        int force, r = sd_bus_message_read(call->message, "b", &force);

        return r < 0 ? r : sandbox_delete(object, force, call->message, error);
}
BUS_METHOD(delete, BUS_ACTION_MANAGE, bus_find_sandbox, MANAGER)

static int check_container(Sandbox *sandbox, const char *name, sd_bus_error *error)
{
        if (name[0] && !name_is_valid(name))
                return error_set(error, -EINVAL, ERROR_INVALID_NAME,
                                 "\"%s\" is no name: it takes letters, digits, '_', '.' and '-', "
                                 "the first one a letter or digit, at most %d.",
                                 name, NAME_SIZE_MAX);
        if (name[0] && sandbox_find_container(sandbox, name))
                return error_set(error, -EEXIST, ERROR_NAME_IN_USE,
                                 "The sandbox has a container \"%s\" already.", name);
        if (HASH_COUNT(sandbox->containers) >= SANDBOX_CONTAINERS_MAX)
                return error_set(error, -EMFILE, ERROR_LIMIT_EXCEEDED,
                                 "A sandbox has at most %d containers.", SANDBOX_CONTAINERS_MAX);
        switch (sandbox->state) {
        case SANDBOX_CREATED:
        case SANDBOX_STARTING:
        case SANDBOX_RUNNING:
                return 0;
        case SANDBOX_PAUSED:
        case SANDBOX_STOPPING:
        case SANDBOX_STOPPED:
        case SANDBOX_STATE_MAX_:
                break;
        }
        return error_set(error, -EBUSY, ERROR_WRONG_STATE,
                         "The sandbox is %s; containers are added to one that is created or runs.",
                         sandbox_state_to_string(sandbox->state));
}

static int create_container(BusCall *call, void *object, sd_bus_error *error)
{
        _cleanup_(container_config_done) ContainerConfig config = {};
        _cleanup_(freep) char *path = NULL;
        Container *container;
        const char *name;
        int r = sd_bus_message_read(call->message, "s", &name);

        if (r >= 0)
                r = options_read(call->message, container_options, container_options_n, &config,
                                 error);
        if (r >= 0)
                r = container_config_check(&config, error);
        if (r >= 0)
                r = check_container(object, name, error);
        if (r >= 0)
                r = container_new(&container, object, name, &config, error);
        if (r < 0)
                return r;
        path = task_path(&container->task);
        return path ? sd_bus_reply_method_return(call->message, "o", path) : -ENOMEM;
}
BUS_METHOD(create_container, BUS_ACTION_MANAGE, bus_find_sandbox, MANAGER)

static int exec(BusCall *call, void *object, sd_bus_error *error)
{
        _cleanup_(task_config_done) TaskConfig config = {};
        _cleanup_(freep) char *path = NULL;
        Container *container;
        Process *process;
        const char *name;
        int r = sd_bus_message_read(call->message, "s", &name);

        if (r >= 0)
                r = options_read(call->message, process_options, process_options_n, &config, error);
        if (r < 0)
                return r;
        container = sandbox_find_container(object, name);
        if (!container)
                return error_set(error, -ENOENT, ERROR_NO_SUCH_CONTAINER,
                                 "The sandbox has no container \"%s\".", name);
        r = process_new(&process, container, &config, error);
        if (r < 0)
                return r;
        path = task_path(&process->task);
        return path ? sd_bus_reply_method_return(call->message, "o", path) : -ENOMEM;
}
BUS_METHOD(exec, BUS_ACTION_EXEC, bus_find_sandbox, MANAGER)

static int set_vcpus(BusCall *call, void *object, sd_bus_error *error)
{
        uint32_t vcpus;
        int r = sd_bus_message_read(call->message, "u", &vcpus);

        return r < 0 ? r : hotplug_set_vcpus(object, vcpus, call->message, error);
}
BUS_METHOD(set_vcpus, BUS_ACTION_MANAGE, bus_find_sandbox, MANAGER)

static int set_memory(BusCall *call, void *object, sd_bus_error *error)
{
        uint64_t bytes;
        int r = sd_bus_message_read(call->message, "t", &bytes);

        return r < 0 ? r : hotplug_set_memory(object, bytes, call->message, error);
}
BUS_METHOD(set_memory, BUS_ACTION_MANAGE, bus_find_sandbox, MANAGER)

static int set_limits(BusCall *call, void *object, sd_bus_error *error)
{
        _cleanup_(limits_done) UnitLimits limits = {};
        int r = options_read(call->message, limits_options, limits_options_n, &limits, error);

        if (r >= 0)
                r = limits_check(&limits, error);
        return r < 0 ? r : limits_set(object, &limits, call->message, error);
}
BUS_METHOD(set_limits, BUS_ACTION_MANAGE, bus_find_sandbox, MANAGER)

static int get_limits(BusCall *call, void *object, sd_bus_error *error)
{
        return limits_get(object, call->message, error);
}
BUS_METHOD(get_limits, BUS_ACTION_READ, bus_find_sandbox, MANAGER)

BUS_METHOD(bus_attach_network, BUS_ACTION_MANAGE, bus_find_sandbox, MANAGER)
BUS_METHOD(bus_detach_network, BUS_ACTION_MANAGE, bus_find_sandbox, MANAGER)
BUS_METHOD(bus_check_network, BUS_ACTION_READ, bus_find_sandbox, MANAGER)
BUS_METHOD(bus_set_network_throttle, BUS_ACTION_MANAGE, bus_find_sandbox, MANAGER)

static int get_stats(BusCall *call, void *object, sd_bus_error *error)
{
        return bus_get_stats(object, call->message, error);
}
BUS_METHOD(get_stats, BUS_ACTION_READ, bus_find_sandbox, MANAGER)

static int get_console(BusCall *call, void *object, sd_bus_error *error)
{
        return bus_get_console(object, call->message, error);
}
BUS_METHOD(get_console, BUS_ACTION_READ, bus_find_sandbox, MANAGER)

/* ------------------------------------------------------------------ properties */

static int get_string(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const Sandbox *sandbox = userdata;
        _cleanup_(freep) char *unit = sandbox_unit_name(sandbox);
        const struct {
                const char *property, *value;
        } values[] = {
                {"Id", sandbox->id},
                {"Name", sandbox->name},
                {"State", sandbox_state_to_string(sandbox->state)},
                {"Reason", sandbox_reason_to_string(sandbox->reason)},
                {"ReasonText", sandbox->reason_text},
                {"Unit", unit},
                {"Slice", sandbox->config.slice ?: "uvm.slice"},
                {"Hostname", sandbox_hostname(sandbox)},
        };

        for (size_t i = 0; i < ELEMENTSOF(values); i++)
                if (strcmp(values[i].property, property) == 0)
                        return sd_bus_message_append(reply, "s", values[i].value ?: "");
        return -EINVAL;
}

static int get_u32(sd_bus *bus, const char *path, const char *interface, const char *property,
                   sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const Sandbox *sandbox = userdata;
        uint32_t value = sandbox->owner;

        if (strcmp(property, "Leader") == 0)
                value = (uint32_t)sandbox->leader;
        else if (strcmp(property, "VCPUs") == 0)
                value = sandbox->config.vcpus;
        else if (strcmp(property, "VCPUsMax") == 0)
                value = hotplug_vcpus_max(sandbox);
        return sd_bus_message_append(reply, "u", value);
}

static int get_u64(sd_bus *bus, const char *path, const char *interface, const char *property,
                   sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const Sandbox *sandbox = userdata;
        uint64_t value = sandbox->config.memory;

        if (strcmp(property, "Created") == 0)
                value = sandbox->created;
        else if (strcmp(property, "Started") == 0)
                value = sandbox->started;
        else if (strcmp(property, "Stopped") == 0)
                value = sandbox->stopped;
        else if (strcmp(property, "MemoryActual") == 0)
                value = hotplug_memory(sandbox);
        else if (strcmp(property, "MemoryLimit") == 0)
                value = hotplug_memory_limit(sandbox);
        return sd_bus_message_append(reply, "t", value);
}

static int get_boot_timestamps(sd_bus *bus, const char *path, const char *interface,
                               const char *property, sd_bus_message *reply, void *userdata,
                               sd_bus_error *error)
{
        const Sandbox *sandbox = userdata;
        int r = sd_bus_message_open_container(reply, 'a', "{st}");

        for (unsigned i = 0; r >= 0 && i < SANDBOX_PHASES; i++)
                if (sandbox->phases[i])
                        r = sd_bus_message_append(reply, "{st}", sandbox_phase_to_string(i),
                                                  sandbox->phases[i]);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int get_auto_remove(sd_bus *bus, const char *path, const char *interface,
                           const char *property, sd_bus_message *reply, void *userdata,
                           sd_bus_error *error)
{
        return sd_bus_message_append(reply, "b", ((const Sandbox *)userdata)->config.auto_remove);
}

static int get_labels(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        return bus_append_map(reply, ((const Sandbox *)userdata)->config.labels);
}

static int get_containers(sd_bus *bus, const char *path, const char *interface,
                          const char *property, sd_bus_message *reply, void *userdata,
                          sd_bus_error *error)
{
        Sandbox *sandbox = userdata;
        Container *container, *next;
        int r = sd_bus_message_open_container(reply, 'a', "o");

        HASH_ITER (hh, sandbox->containers, container, next) {
                _cleanup_(freep) char *object = task_path(&container->task);

                if (r >= 0)
                        r = object ? sd_bus_message_append(reply, "o", object) : -ENOMEM;
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

#define METHOD(name, in, in_names, out, out_names, handler)                            \
        SD_BUS_METHOD_WITH_NAMES(name, in, in_names, out, out_names, handler##_method, \
                                 SD_BUS_VTABLE_UNPRIVILEGED)
#define CONSTANT SD_BUS_VTABLE_PROPERTY_CONST
#define CHANGES  SD_BUS_VTABLE_PROPERTY_EMITS_INVALIDATION

const sd_bus_vtable bus_sandbox_vtable[] = {
        SD_BUS_VTABLE_START(0),
        METHOD("Start", NULL, NO_NAMES, NULL, NO_NAMES, start),
        METHOD("Stop", "t", SD_BUS_PARAM(grace), NULL, NO_NAMES, stop),
        METHOD("Kill", NULL, NO_NAMES, NULL, NO_NAMES, kill_now),
        METHOD("Delete", "b", SD_BUS_PARAM(force), NULL, NO_NAMES, delete),
        METHOD("CreateContainer", "sa{sv}", SD_BUS_PARAM(name) SD_BUS_PARAM(config), "o",
               SD_BUS_PARAM(container), create_container),
        METHOD("Exec", "sa{sv}", SD_BUS_PARAM(container) SD_BUS_PARAM(config), "o",
               SD_BUS_PARAM(process), exec),
        METHOD("SetVCPUs", "u", SD_BUS_PARAM(vcpus), "u", SD_BUS_PARAM(online), set_vcpus),
        METHOD("SetMemory", "t", SD_BUS_PARAM(bytes), "t", SD_BUS_PARAM(actual), set_memory),
        METHOD("SetLimits", "a{sv}", SD_BUS_PARAM(limits), NULL, NO_NAMES, set_limits),
        METHOD("GetLimits", NULL, NO_NAMES, "a{sv}", SD_BUS_PARAM(limits), get_limits),
        METHOD("AttachNetwork", "a{sv}", SD_BUS_PARAM(options), "s", SD_BUS_PARAM(interface),
               bus_attach_network),
        METHOD("DetachNetwork", "s", SD_BUS_PARAM(interface), NULL, NO_NAMES, bus_detach_network),
        METHOD("CheckNetwork", "s", SD_BUS_PARAM(interface), NULL, NO_NAMES, bus_check_network),
        METHOD("SetNetworkThrottle", "ssa{sv}",
               SD_BUS_PARAM(interface) SD_BUS_PARAM(direction) SD_BUS_PARAM(limits), NULL, NO_NAMES,
               bus_set_network_throttle),
        METHOD("GetStats", NULL, NO_NAMES, "a{sv}", SD_BUS_PARAM(stats), get_stats),
        METHOD("GetConsole", NULL, NO_NAMES, "s", SD_BUS_PARAM(tail), get_console),
        SD_BUS_PROPERTY("Id", "s", get_string, 0, CONSTANT),
        SD_BUS_PROPERTY("Name", "s", get_string, 0, CONSTANT),
        SD_BUS_PROPERTY("Owner", "u", get_u32, 0, CONSTANT),
        SD_BUS_PROPERTY("State", "s", get_string, 0, CHANGES),
        SD_BUS_PROPERTY("Reason", "s", get_string, 0, CHANGES),
        SD_BUS_PROPERTY("ReasonText", "s", get_string, 0, 0),
        SD_BUS_PROPERTY("Unit", "s", get_string, 0, CONSTANT),
        SD_BUS_PROPERTY("Slice", "s", get_string, 0, CONSTANT),
        SD_BUS_PROPERTY("Leader", "u", get_u32, 0, CHANGES),
        SD_BUS_PROPERTY("VCPUs", "u", get_u32, 0, CHANGES),
        SD_BUS_PROPERTY("VCPUsMax", "u", get_u32, 0, 0),
        SD_BUS_PROPERTY("Memory", "t", get_u64, 0, CHANGES),
        SD_BUS_PROPERTY("MemoryActual", "t", get_u64, 0, CHANGES),
        SD_BUS_PROPERTY("MemoryLimit", "t", get_u64, 0, 0),
        SD_BUS_PROPERTY("Hostname", "s", get_string, 0, CONSTANT),
        SD_BUS_PROPERTY("Created", "t", get_u64, 0, CONSTANT),
        SD_BUS_PROPERTY("Started", "t", get_u64, 0, 0),
        SD_BUS_PROPERTY("Stopped", "t", get_u64, 0, 0),
        SD_BUS_PROPERTY("BootTimestamps", "a{st}", get_boot_timestamps, 0, 0),
        SD_BUS_PROPERTY("AutoRemove", "b", get_auto_remove, 0, CONSTANT),
        SD_BUS_PROPERTY("Labels", "a{ss}", get_labels, 0, CONSTANT),
        SD_BUS_PROPERTY("Containers", "ao", get_containers, 0, 0),
        SD_BUS_PROPERTY("Networks", "aa{sv}", bus_get_networks, 0, CHANGES),
        SD_BUS_PROPERTY("NetworkNamespace", "s", bus_get_network_namespace, 0, 0),
        SD_BUS_VTABLE_END,
};
