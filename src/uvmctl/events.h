/* One thing that happened, as uvmctl events prints it, and which of them are wanted. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "client/json.h"
#include "uvmctl/verbs.h"

/* Everything but Time is text; attributes hold what belongs to the action. */
typedef struct Event {
        const char *type;   /* sandbox, container, process */
        const char *action; /* create, start, exit, stopped … */
        const char *id, *name;
        const char *sandbox, *container; /* names; NULL where it doesn't apply */
        json_object *attributes;         /* owned; NULL: none */
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

/* Prints a line, JSON or text, and flushes it; frees the attributes. 0, or -errno of the output. */
int event_print(Event *event, bool json);
