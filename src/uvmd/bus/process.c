/* org.uvm1.Process: dbus/org.uvm1.Process.xml says what each method does. */
#include <errno.h>
#include <stdio.h>

#include "uvmd/bus/bus.h"
#include "uvmd/bus/paths.h"
#include "uvmd/bus/task.h"

/* userdata is the Process; its Task comes first. */
#define MANAGER (((Process *)userdata)->task.sandbox->manager)

BUS_METHOD(bus_task_attach, BUS_ACTION_EXEC, bus_find_task, MANAGER)
BUS_METHOD(bus_task_signal, BUS_ACTION_EXEC, bus_find_task, MANAGER)
BUS_METHOD(bus_task_resize, BUS_ACTION_EXEC, bus_find_task, MANAGER)
BUS_METHOD(bus_task_wait, BUS_ACTION_READ, bus_find_task, MANAGER)

static int start(BusCall *call, void *object, sd_bus_error *error)
{
        return process_start(object, call->message, error);
}
BUS_METHOD(start, BUS_ACTION_EXEC, bus_find_process, MANAGER)

static int get_id(sd_bus *bus, const char *path, const char *interface, const char *property,
                  sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const Process *process = userdata;
        char id[24];

        snprintf(id, sizeof(id), "%llu", (unsigned long long)process->task.token);
        return sd_bus_message_append(reply, "s", id);
}

static int get_container(sd_bus *bus, const char *path, const char *interface, const char *property,
                         sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const Process *process = userdata;
        _cleanup_(freep) char *container = task_path(&process->container->task);

        return container ? sd_bus_message_append(reply, "o", container) : -ENOMEM;
}

const sd_bus_vtable bus_process_vtable[] = {
        SD_BUS_VTABLE_START(0),
        BUS_TASK_ENTRIES,
        SD_BUS_METHOD_WITH_NAMES("Start", NULL, NO_NAMES, NULL, NO_NAMES, start_method,
                                 SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Id", "s", get_id, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Container", "o", get_container, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_VTABLE_END,
};
