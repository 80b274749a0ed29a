/* Objects on the bus; see bus.h. */
#include <errno.h>
#include <systemd/sd-daemon.h>

#include "base/log.h"
#include "uvmd/bus/bus.h"
#include "uvmd/bus/paths.h"
#include "uvmd/strv.h"

static int bus_on_find_sandbox(sd_bus *bus, const char *path, const char *interface, void *userdata,
                               void **ret, sd_bus_error *error)
{
        *ret = bus_find_sandbox(userdata, path);
        return *ret ? 1 : 0;
}

static int bus_on_find_container(sd_bus *bus, const char *path, const char *interface,
                                 void *userdata, void **ret, sd_bus_error *error)
{
        *ret = bus_find_container(userdata, path);
        return *ret ? 1 : 0;
}

static int bus_on_find_process(sd_bus *bus, const char *path, const char *interface, void *userdata,
                               void **ret, sd_bus_error *error)
{
        *ret = bus_find_process(userdata, path);
        return *ret ? 1 : 0;
}

/* The paths of one sandbox and all that is in it. */
static int bus_list_sandbox(Sandbox *sandbox, char ***paths)
{
        Container *container, *next_container;
        Process *process, *next_process;
        int r = strv_append_take(paths, sandbox_path(sandbox));

        HASH_ITER (hh, sandbox->containers, container, next_container)
                if (r >= 0)
                        r = strv_append_take(paths, task_path(&container->task));
        HASH_ITER (hh, sandbox->processes, process, next_process)
                if (r >= 0)
                        r = strv_append_take(paths, task_path(&process->task));
        return r;
}

static int bus_on_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret,
                            sd_bus_error *error)
{
        _cleanup_(strv_freep) char **paths = strv_new();
        Manager *manager = userdata;
        Sandbox *sandbox, *next;
        int r = paths ? 0 : -ENOMEM;

        HASH_ITER (hh, manager->sandboxes, sandbox, next)
                if (r >= 0)
                        r = bus_list_sandbox(sandbox, &paths);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(paths);
        return 0;
}

int bus_add_objects(Manager *manager)
{
        sd_bus *bus = manager->bus;
        int r = sd_bus_add_object_vtable(bus, NULL, BUS_PATH, BUS_MANAGER_INTERFACE,
                                         bus_manager_vtable, manager);

        if (r >= 0)
                r = sd_bus_add_object_manager(bus, NULL, BUS_PATH);
        if (r >= 0)
                r = sd_bus_add_fallback_vtable(bus, NULL, BUS_SANDBOXES, BUS_SANDBOX,
                                               bus_sandbox_vtable, bus_on_find_sandbox, manager);
        if (r >= 0)
                r = sd_bus_add_fallback_vtable(bus, NULL, BUS_SANDBOXES, BUS_CONTAINER,
                                               bus_container_vtable, bus_on_find_container,
                                               manager);
        if (r >= 0)
                r = sd_bus_add_fallback_vtable(bus, NULL, BUS_SANDBOXES, BUS_PROCESS,
                                               bus_process_vtable, bus_on_find_process, manager);
        if (r >= 0)
                r = sd_bus_add_node_enumerator(bus, NULL, BUS_SANDBOXES, bus_on_enumerate, manager);
        return r;
}

int bus_connect(Manager *manager)
{
        int r = sd_bus_open_system(&manager->bus);

        if (r < 0)
                return log_error_errno(r, "Can't connect to the system bus");
        r = sd_bus_attach_event(manager->bus, manager->event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = bus_add_objects(manager);
        /* systemd sends its signals only to those who subscribe. */
        if (r >= 0)
                r = sd_bus_call_method_async(
                        manager->bus, NULL, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                        "org.freedesktop.systemd1.Manager", "Subscribe", NULL, NULL, NULL);
        if (r < 0)
                return log_error_errno(r, "Can't put the objects on the bus");
        return 0;
}

static int bus_on_name(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        Manager *manager = userdata;
        const sd_bus_error *refused = sd_bus_message_get_error(reply);
        uint32_t code;
        int r;

        if (refused) {
                log_error("The bus refuses the name " BUS_NAME ": %s", refused->message);
                return sd_event_exit(manager->event, -EPERM);
        }
        r = sd_bus_message_read(reply, "u", &code);
        /* 1: ours; 4: it was already (DBUS_REQUEST_NAME_REPLY_*). */
        if (r < 0 || (code != 1 && code != 4)) {
                log_error("Another process has the name " BUS_NAME);
                return sd_event_exit(manager->event, -EEXIST);
        }
        sd_notify(0, "READY=1");
        return 0;
}

int bus_take_name(Manager *manager)
{
        int r = sd_bus_request_name_async(manager->bus, NULL, BUS_NAME, 0, bus_on_name, manager);

        return r < 0 ? log_error_errno(r, "Can't ask for the name " BUS_NAME) : 0;
}

static int append_property(sd_bus_message *message, sd_bus *bus, const char *path,
                           const char *interface, const sd_bus_vtable *entry, void *object)
{
        const char *name = entry->x.property.member, *signature = entry->x.property.signature;
        int r = sd_bus_message_open_container(message, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append(message, "s", name);
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'v', signature);
        if (r >= 0)
                r = entry->x.property.get(bus, path, interface, name, message, object, NULL);
        if (r >= 0)
                r = sd_bus_message_close_container(message);
        return r < 0 ? r : sd_bus_message_close_container(message);
}

int bus_append_properties(sd_bus_message *message, sd_bus *bus, const char *path,
                          const char *interface, const sd_bus_vtable *vtable, void *object)
{
        int r = sd_bus_message_open_container(message, 'a', "{sv}");

        for (const sd_bus_vtable *entry = vtable; entry->type != _SD_BUS_VTABLE_END; entry++)
                if (r >= 0 && entry->type == _SD_BUS_VTABLE_PROPERTY)
                        r = append_property(message, bus, path, interface, entry, object);
        return r < 0 ? r : sd_bus_message_close_container(message);
}

int bus_append_map(sd_bus_message *message, char *const *map)
{
        int r = sd_bus_message_open_container(message, 'a', "{ss}");

        for (; r >= 0 && map && map[0]; map += 2)
                r = sd_bus_message_append(message, "{ss}", map[0], map[1]);
        return r < 0 ? r : sd_bus_message_close_container(message);
}
