/*
 * How a method call reaches an object: the caller's uid is asked of the bus (asynchronously: sd-bus's
 * own way blocks), the object is looked up, the caller is authorized, then the body runs. The body
 * parses, calls the object, and answers now or keeps the message.
 */
#pragma once

#include <stdint.h>
#include <systemd/sd-bus.h>

#include "uvmd/manager.h"

/* What a caller needs the right to do; polkit's actions will be named after these. */
typedef enum BusAction {
        BUS_ACTION_READ,   /* lists and figures */
        BUS_ACTION_CREATE, /* makes sandboxes, imports images */
        BUS_ACTION_MANAGE, /* starts, stops, deletes, adds containers */
        BUS_ACTION_EXEC,   /* runs commands, attaches, signals */
} BusAction;

typedef struct BusCall {
        Manager *manager;
        sd_bus_message *message;
        uint32_t uid;
        pid_t pid; /* that connected, as the bus tells it; 0: it doesn't. It may have ended. */
} BusCall;

/* 0: answered, or kept to be answered later. Negative: answered by the frame, with @error. */
typedef int (*BusMethod)(BusCall *call, void *object, sd_bus_error *error);

/* The object of a path and interface, or NULL. */
typedef void *(*BusFinder)(Manager *manager, const char *path);

/* What the vtable's handlers call. */
int bus_call_dispatch(Manager *manager, sd_bus_message *message, BusAction action, BusFinder finder,
                      BusMethod method);

/*
 * One method of a vtable: the handler NAME_method() for the body NAME(). @manager is an expression of
 * `userdata`, the object that the vtable found. The body gets an object that is looked up anew: by the
 * time the bus has said who calls, the first may be gone.
 */
#define BUS_METHOD(name, action, finder, manager)                                              \
        static int name##_method(sd_bus_message *message, void *userdata, sd_bus_error *error) \
        {                                                                                      \
                return bus_call_dispatch((manager), message, action, finder, name);            \
        }

/* Forgets the callers that are known. */
void bus_callers_free(Manager *manager);
