/*
 * What org.uvm1.Container and org.uvm1.Process have in common: methods and properties of a Task. The
 * vtables of both are found with the Task as userdata.
 */
#pragma once

#include "uvmd/bus/bus.h"
#include "uvmd/bus/call.h"
#include "uvmd/task.h"

int bus_task_attach(BusCall *call, void *task, sd_bus_error *error);
int bus_task_signal(BusCall *call, void *task, sd_bus_error *error);
int bus_task_resize(BusCall *call, void *task, sd_bus_error *error);
int bus_task_wait(BusCall *call, void *task, sd_bus_error *error);

int bus_task_get(sd_bus *bus, const char *path, const char *interface, const char *property,
                 sd_bus_message *reply, void *task, sd_bus_error *error);
int bus_task_get_time(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *task, sd_bus_error *error);
int bus_task_get_command(sd_bus *bus, const char *path, const char *interface, const char *property,
                         sd_bus_message *reply, void *task, sd_bus_error *error);
int bus_task_get_sandbox(sd_bus *bus, const char *path, const char *interface, const char *property,
                         sd_bus_message *reply, void *task, sd_bus_error *error);

/* The common entries of both vtables. METHOD_ names the handlers of the file that uses it. */
#define BUS_TASK_ENTRIES                                                                           \
        SD_BUS_METHOD_WITH_NAMES("Attach", "a{sh}a{sv}",                                           \
                                 SD_BUS_PARAM(streams) SD_BUS_PARAM(options), NULL, NO_NAMES,      \
                                 bus_task_attach_method, SD_BUS_VTABLE_UNPRIVILEGED),              \
                SD_BUS_METHOD_WITH_NAMES("Signal", "i", SD_BUS_PARAM(signal), NULL, NO_NAMES,      \
                                         bus_task_signal_method, SD_BUS_VTABLE_UNPRIVILEGED),      \
                SD_BUS_METHOD_WITH_NAMES("Resize", "uu", SD_BUS_PARAM(rows) SD_BUS_PARAM(columns), \
                                         NULL, NO_NAMES, bus_task_resize_method,                   \
                                         SD_BUS_VTABLE_UNPRIVILEGED),                              \
                SD_BUS_METHOD_WITH_NAMES("Wait", NULL, NO_NAMES, "i", SD_BUS_PARAM(code),          \
                                         bus_task_wait_method, SD_BUS_VTABLE_UNPRIVILEGED),        \
                SD_BUS_SIGNAL("Exited", "", 0),                                                    \
                SD_BUS_PROPERTY("State", "s", bus_task_get, 0,                                     \
                                SD_BUS_VTABLE_PROPERTY_EMITS_INVALIDATION),                        \
                SD_BUS_PROPERTY("ExitCode", "i", bus_task_get, 0,                                  \
                                SD_BUS_VTABLE_PROPERTY_EMITS_INVALIDATION),                        \
                SD_BUS_PROPERTY("OOMKilled", "b", bus_task_get, 0, 0),                             \
                SD_BUS_PROPERTY("Command", "as", bus_task_get_command, 0,                          \
                                SD_BUS_VTABLE_PROPERTY_CONST),                                     \
                SD_BUS_PROPERTY("Terminal", "b", bus_task_get, 0, SD_BUS_VTABLE_PROPERTY_CONST),   \
                SD_BUS_PROPERTY("Sandbox", "o", bus_task_get_sandbox, 0,                           \
                                SD_BUS_VTABLE_PROPERTY_CONST),                                     \
                SD_BUS_PROPERTY("Created", "t", bus_task_get_time, 0,                              \
                                SD_BUS_VTABLE_PROPERTY_CONST),                                     \
                SD_BUS_PROPERTY("Started", "t", bus_task_get_time, 0,                              \
                                SD_BUS_VTABLE_PROPERTY_EMITS_INVALIDATION),                        \
                SD_BUS_PROPERTY("Finished", "t", bus_task_get_time, 0, 0)
