/* The service's side of the bus: its objects and its name. */
#pragma once

#include "uvmd/manager.h"

/* Connects to the system bus and puts the objects on it. 0 or -errno, logged. */
int bus_connect(Manager *manager);

/* Puts the objects on the manager's bus; bus_connect() does it. 0 or -errno. */
int bus_add_objects(Manager *manager);

/* Asks for the name org.uvm1; systemd is told READY=1 once it is ours. 0 or -errno, logged. */
int bus_take_name(Manager *manager);

/* Of arguments, in a vtable: there are none. */
#define NO_NAMES ""

/* Each interface's vtable. */
extern const sd_bus_vtable bus_manager_vtable[];
extern const sd_bus_vtable bus_sandbox_vtable[];
extern const sd_bus_vtable bus_container_vtable[];
extern const sd_bus_vtable bus_process_vtable[];

/* Appends all properties of @object as a{sv}, as GetAll answers them. 0 or -errno. */
int bus_append_properties(sd_bus_message *message, sd_bus *bus, const char *path,
                          const char *interface, const sd_bus_vtable *vtable, void *object);

/* Appends a map of strv.h as a{ss}. 0 or -errno. */
int bus_append_map(sd_bus_message *message, char *const *map);
