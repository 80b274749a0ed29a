/* One thing that happened, as uvmctl events prints it, and which of them are wanted. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/json.h"
#include "uvmctl/verbs.h"

/* All of it borrows from the object that it was read from. */
typedef struct Event {
        uint64_t usec;      /* CLOCK_REALTIME */
        const char *type;   /* sandbox, container, process, network, image, volume */
        const char *action; /* create, start, exit, stopped … */
        const char *id, *name;
        const char *sandbox, *container; /* names; "" where it belongs to none */
        json_object *attributes;         /* NULL: none */
} Event;

/* "KEY=VALUE" of --filter: equal keys are alternatives, different ones must all hold. */
typedef struct EventFilters {
        struct EventFilter {
                const char *key, *value; /* into the command line */
        } items[32];
        size_t n;
} EventFilters;

/* Takes one argument, which it cuts at the "=". A status. */
int event_filters_add(EventFilters *filters, const Verb *verb, char *text);
bool event_filters_match(const EventFilters *filters, const Event *event);

/* One of GetEvents' (dbus/org.uvm1.Manager.xml). */
Event event_read(json_object *object);

/* Prints a line, JSON or text, and flushes it. 0, or -errno of the output. */
int event_print(const Event *event, bool json);
