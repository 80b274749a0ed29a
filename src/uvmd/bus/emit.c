/* Signals; see emit.h. A signal that can't be sent is no failure of the object it tells of. */
#include <errno.h>

#include "base/log.h"
#include "uvmd/bus/emit.h"
#include "uvmd/bus/paths.h"

static void emit_check(int r, const char *signal)
{
        if (r < 0 && r != -ENOTCONN)
                log_warning_errno(r, "Can't send the signal %s", signal);
}

/* InterfacesAdded as sd-bus sends it holds all values: ours names the interface alone. */
static void emit_interfaces_added(sd_bus *bus, const char *path, const char *interface)
{
        emit_check(sd_bus_emit_signal(bus, BUS_PATH, "org.freedesktop.DBus.ObjectManager",
                                      "InterfacesAdded", "oa{sa{sv}}", path, 1, interface, 0),
                   "InterfacesAdded");
}

static void emit_interfaces_removed(sd_bus *bus, const char *path, const char *interface)
{
        emit_check(sd_bus_emit_signal(bus, BUS_PATH, "org.freedesktop.DBus.ObjectManager",
                                      "InterfacesRemoved", "oas", path, 1, interface),
                   "InterfacesRemoved");
}

static void emit_invalidated(sd_bus *bus, const char *path, const char *interface,
                             const char *first, const char *second, const char *third)
{
        emit_check(sd_bus_emit_signal(bus, path, "org.freedesktop.DBus.Properties",
                                      "PropertiesChanged", "sa{sv}as", interface, 0, 3, first,
                                      second, third),
                   "PropertiesChanged");
}

void bus_emit_sandbox_new(const Sandbox *sandbox)
{
        _cleanup_(freep) char *path = sandbox_path(sandbox);
        sd_bus *bus = sandbox->manager->bus;

        if (!path)
                return;
        emit_interfaces_added(bus, path, BUS_SANDBOX);
        emit_check(
                sd_bus_emit_signal(bus, BUS_PATH, BUS_MANAGER_INTERFACE, "SandboxNew", "o", path),
                "SandboxNew");
}

void bus_emit_sandbox_changed(const Sandbox *sandbox)
{
        _cleanup_(freep) char *path = sandbox_path(sandbox);

        if (path)
                emit_invalidated(sandbox->manager->bus, path, BUS_SANDBOX, "State", "Reason",
                                 "Leader");
}

void bus_emit_sandbox_resized(const Sandbox *sandbox)
{
        _cleanup_(freep) char *path = sandbox_path(sandbox);

        if (path)
                emit_invalidated(sandbox->manager->bus, path, BUS_SANDBOX, "VCPUs", "Memory",
                                 "MemoryActual");
}

void bus_emit_sandbox_networks(const Sandbox *sandbox)
{
        _cleanup_(freep) char *path = sandbox_path(sandbox);

        if (path)
                emit_check(sd_bus_emit_signal(
                                   sandbox->manager->bus, path, "org.freedesktop.DBus.Properties",
                                   "PropertiesChanged", "sa{sv}as", BUS_SANDBOX, 0, 1, "Networks"),
                           "PropertiesChanged");
}

void bus_emit_sandbox_removed(const Sandbox *sandbox)
{
        _cleanup_(freep) char *path = sandbox_path(sandbox);
        sd_bus *bus = sandbox->manager->bus;

        if (!path)
                return;
        emit_check(sd_bus_emit_signal(bus, BUS_PATH, BUS_MANAGER_INTERFACE, "SandboxRemoved", "o",
                                      path),
                   "SandboxRemoved");
        emit_interfaces_removed(bus, path, BUS_SANDBOX);
}

static const char *task_interface(const Task *task)
{
        return task->kind == TASK_CONTAINER ? BUS_CONTAINER : BUS_PROCESS;
}

void bus_emit_task_new(const Task *task)
{
        _cleanup_(freep) char *path = task_path(task);

        if (path)
                emit_interfaces_added(task->sandbox->manager->bus, path, task_interface(task));
}

void bus_emit_task_changed(const Task *task)
{
        _cleanup_(freep) char *path = task_path(task);

        if (path)
                emit_invalidated(task->sandbox->manager->bus, path, task_interface(task), "State",
                                 "ExitCode", "Started");
}

void bus_emit_task_exited(const Task *task)
{
        _cleanup_(freep) char *path = task_path(task);

        if (path)
                emit_check(sd_bus_emit_signal(task->sandbox->manager->bus, path,
                                              task_interface(task), "Exited", ""),
                           "Exited");
}

void bus_emit_task_removed(const Task *task)
{
        _cleanup_(freep) char *path = task_path(task);

        if (path)
                emit_interfaces_removed(task->sandbox->manager->bus, path, task_interface(task));
}

void bus_emit_container_oom(const Container *container)
{
        _cleanup_(freep) char *path = task_path(&container->task);

        if (path)
                emit_check(sd_bus_emit_signal(container->task.sandbox->manager->bus, path,
                                              BUS_CONTAINER, "OutOfMemory", ""),
                           "OutOfMemory");
}
