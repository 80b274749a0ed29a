/*
 * What has happened, in order. Events are numbered without gaps and kept until EVENTLOG_MAX newer ones
 * have come. Each is a line of a file as well, which the next uvmd reads: numbers go on, and who listens
 * misses nothing that happened before the end of an uvmd. The file is root's and goes with the host's end.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "uvmd/json.h"

#define EVENTLOG_MAX 2048

/* Of one event as text; one that would be longer goes without its attributes. */
#define EVENTLOG_TEXT_MAX 4096

/* For @owner: an event that everybody may know of. */
#define EVENTLOG_EVERYBODY UINT32_MAX

typedef struct EventLog EventLog;

typedef struct LoggedEvent {
        uint64_t number;
        uint32_t owner; /* the uid that may know of it, besides root */
        char *text;     /* a JSON object: Number, Time, Owner, and what eventlog_add() was given */
} LoggedEvent;

/* What can't be read in the file at @path is left out. 0 or -errno. */
int eventlog_open(EventLog **ret, const char *path);
EventLog *eventlog_close(EventLog *log);
DEFINE_CLEANUP(EventLog *, eventlog_close)

/*
 * Adds @event, an object, which it completes with Number, Time and Owner, and consumes. -ENOMEM, or
 * -errno of the file: the event is kept in memory then.
 */
int eventlog_add(EventLog *log, uint32_t owner, json_object *event);

/* The number of the newest; 0: there was none yet. */
uint64_t eventlog_last(const EventLog *log);

/* How many after @number are not kept any more. */
uint64_t eventlog_lost(const EventLog *log, uint64_t number);

/* The oldest that is kept of those after @number, or NULL: there is none. */
const LoggedEvent *eventlog_next(const EventLog *log, uint64_t number);
