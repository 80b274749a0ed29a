/*
 * Object paths:
 *
 *      /org/uvm1
 *      /org/uvm1/sandbox/ID
 *      /org/uvm1/sandbox/ID/container/ID
 *      /org/uvm1/sandbox/ID/process/NUMBER
 */
#pragma once

#include "uvmd/container.h"
#include "uvmd/manager.h"
#include "uvmd/process.h"
#include "uvmd/sandbox.h"

#define BUS_NAME              "org.uvm1"
#define BUS_PATH              "/org/uvm1"
#define BUS_SANDBOXES         BUS_PATH "/sandbox"
#define BUS_MANAGER_INTERFACE "org.uvm1.Manager"
#define BUS_SANDBOX           "org.uvm1.Sandbox"
#define BUS_CONTAINER         "org.uvm1.Container"
#define BUS_PROCESS           "org.uvm1.Process"

/* Finders of bus/call.h: the object at exactly this path, or NULL. */
void *bus_find_manager(Manager *manager, const char *path);
void *bus_find_sandbox(Manager *manager, const char *path);
void *bus_find_container(Manager *manager, const char *path);
void *bus_find_process(Manager *manager, const char *path);

/* The task of a container or process. */
void *bus_find_task(Manager *manager, const char *path);
