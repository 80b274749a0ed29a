/* org.uvm1.Container: dbus/org.uvm1.Container.xml says what each method does. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "uvmd/bus/bus.h"
#include "uvmd/bus/files.h"
#include "uvmd/bus/mounts.h"
#include "uvmd/bus/paths.h"
#include "uvmd/bus/processes.h"
#include "uvmd/bus/task.h"
#include "uvmd/container_limits.h"

/* userdata is the Container; its Task comes first. */
#define MANAGER (((Container *)userdata)->task.sandbox->manager)

BUS_METHOD(bus_task_attach, BUS_ACTION_EXEC, bus_find_task, MANAGER)
BUS_METHOD(bus_task_signal, BUS_ACTION_EXEC, bus_find_task, MANAGER)
BUS_METHOD(bus_task_resize, BUS_ACTION_EXEC, bus_find_task, MANAGER)
BUS_METHOD(bus_task_wait, BUS_ACTION_READ, bus_find_task, MANAGER)

static int start(BusCall *call, void *object, sd_bus_error *error)
{
        return container_start(object, call->message, error);
}
BUS_METHOD(start, BUS_ACTION_MANAGE, bus_find_container, MANAGER)

static int delete (BusCall *call, void *object, sd_bus_error *error)
{
        int force, r = sd_bus_message_read(call->message, "b", &force);

        return r < 0 ? r : container_delete(object, force, call->message, error);
}
BUS_METHOD(delete, BUS_ACTION_MANAGE, bus_find_container, MANAGER)

static int get_processes(BusCall *call, void *object, sd_bus_error *error)
{
        return bus_list_processes(object, call->message, error);
}
BUS_METHOD(get_processes, BUS_ACTION_READ, bus_find_container, MANAGER)

BUS_METHOD(bus_attach_volume, BUS_ACTION_MANAGE, bus_find_container, MANAGER)
BUS_METHOD(bus_detach_volume, BUS_ACTION_MANAGE, bus_find_container, MANAGER)

BUS_METHOD(bus_copy_in, BUS_ACTION_EXEC, bus_find_container, MANAGER)
BUS_METHOD(bus_copy_out, BUS_ACTION_EXEC, bus_find_container, MANAGER)
BUS_METHOD(bus_get_changes, BUS_ACTION_READ, bus_find_container, MANAGER)
BUS_METHOD(bus_commit, BUS_ACTION_CREATE, bus_find_container, MANAGER)
BUS_METHOD(bus_set_throttle, BUS_ACTION_MANAGE, bus_find_container, MANAGER)

static int set_limits(BusCall *call, void *object, sd_bus_error *error)
{
        ContainerLimits limits = {};
        int r = options_read(call->message, container_limits_options, container_limits_options_n,
                             &limits, error);

        if (r >= 0)
                r = container_limits_set(object, &limits, call->message, error);
        options_done(container_limits_options, container_limits_options_n, &limits);
        return r;
}
BUS_METHOD(set_limits, BUS_ACTION_MANAGE, bus_find_container, MANAGER)

static int get_oom_kills(sd_bus *bus, const char *path, const char *interface, const char *property,
                         sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        return sd_bus_message_append(reply, "t", ((const Container *)userdata)->oom_kills);
}

static int get_limits(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const ContainerLimits *limits = &((const Container *)userdata)->config.limits;
        int r = sd_bus_message_open_container(reply, 'a', "{sv}");

        if (r >= 0)
                r = options_append(reply, container_limits_options, container_limits_options_n,
                                   limits);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int get_string(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const Container *container = userdata;
        const char *value = container->id;

        if (strcmp(property, "Name") == 0)
                value = container->name;
        else if (strcmp(property, "Image") == 0)
                value = container->config.image;
        else if (strcmp(property, "ImageId") == 0)
                value = container->image_id;
        else if (strcmp(property, "LogDriver") == 0)
                value = container->config.task.log_driver ?: "journald";
        return sd_bus_message_append(reply, "s", value ?: "");
}

static int get_main(sd_bus *bus, const char *path, const char *interface, const char *property,
                    sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        return sd_bus_message_append(reply, "b", ((const Container *)userdata)->config.main);
}

static int get_labels(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        return bus_append_map(reply, ((const Container *)userdata)->config.labels);
}

const sd_bus_vtable bus_container_vtable[] = {
        SD_BUS_VTABLE_START(0),
        BUS_TASK_ENTRIES,
        SD_BUS_METHOD_WITH_NAMES("Start", NULL, NO_NAMES, NULL, NO_NAMES, start_method,
                                 SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_NAMES("Delete", "b", SD_BUS_PARAM(force), NULL, NO_NAMES, delete_method,
                                 SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_NAMES("GetProcesses", NULL, NO_NAMES, "aa{sv}", SD_BUS_PARAM(processes),
                                 get_processes_method, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_NAMES("AttachVolume", "a{sv}", SD_BUS_PARAM(mount), NULL, NO_NAMES,
                                 bus_attach_volume_method, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_NAMES("DetachVolume", "s", SD_BUS_PARAM(target), NULL, NO_NAMES,
                                 bus_detach_volume_method, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_NAMES("CopyIn", "hssa{sv}",
                                 SD_BUS_PARAM(transfer) SD_BUS_PARAM(name) SD_BUS_PARAM(path)
                                         SD_BUS_PARAM(options),
                                 "tt", SD_BUS_PARAM(files) SD_BUS_PARAM(bytes), bus_copy_in_method,
                                 SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_NAMES("CopyOut", "hssa{sv}",
                                 SD_BUS_PARAM(transfer) SD_BUS_PARAM(path) SD_BUS_PARAM(name)
                                         SD_BUS_PARAM(options),
                                 "tt", SD_BUS_PARAM(files) SD_BUS_PARAM(bytes), bus_copy_out_method,
                                 SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_NAMES("GetChanges", NULL, NO_NAMES, "a(ss)", SD_BUS_PARAM(changes),
                                 bus_get_changes_method, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_NAMES("Commit", "sa{sv}", SD_BUS_PARAM(image) SD_BUS_PARAM(options), "s",
                                 SD_BUS_PARAM(id), bus_commit_method, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_NAMES("SetThrottle", "sa{sv}", SD_BUS_PARAM(target) SD_BUS_PARAM(limits),
                                 NULL, NO_NAMES, bus_set_throttle_method,
                                 SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_NAMES("SetLimits", "a{sv}", SD_BUS_PARAM(limits), NULL, NO_NAMES,
                                 set_limits_method, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL("OutOfMemory", "", 0),
        SD_BUS_PROPERTY("OOMKills", "t", get_oom_kills, 0, 0),
        SD_BUS_PROPERTY("Limits", "a{sv}", get_limits, 0, 0),
        SD_BUS_PROPERTY("Storage", "s", bus_get_storage, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("StorageSize", "t", bus_get_storage_size, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Throttle", "a{sv}", bus_get_throttle, 0, 0),
        SD_BUS_PROPERTY("Mounts", "aa{sv}", bus_get_mounts, 0, 0),
        SD_BUS_PROPERTY("Id", "s", get_string, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Name", "s", get_string, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Image", "s", get_string, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("ImageId", "s", get_string, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Main", "b", get_main, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("LogDriver", "s", get_string, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Labels", "a{ss}", get_labels, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_VTABLE_END,
};
