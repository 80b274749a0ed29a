/* Events on the bus; see events.h. The signal carries a number and nothing else: it reaches everybody. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "uvmd/bus/events.h"
#include "uvmd/bus/paths.h"
#include "uvmd/eventlog.h"
#include "uvmd/jsonfile.h"

/* In one answer. */
#define EVENTS_MAX 256

/* ------------------------------------------------------------------ the signal */

static int events_on_new(sd_event_source *source, void *userdata)
{
        Manager *manager = userdata;
        int r = sd_bus_emit_signal(manager->bus, BUS_PATH, BUS_MANAGER_INTERFACE, "EventsNew", "t",
                                   eventlog_last(manager->events));

        manager->events_new = sd_event_source_disable_unref(manager->events_new);
        if (r < 0 && r != -ENOTCONN)
                log_warning_errno(r, "Can't send the signal EventsNew");
        return 0;
}

void bus_events_tell(Manager *manager)
{
        int r = 0;

        if (!manager->events_new)
                r = sd_event_add_defer(manager->event, &manager->events_new, events_on_new,
                                       manager);
        if (r < 0)
                log_warning_errno(r, "Nobody is told of an event");
}

/* ------------------------------------------------------------------ the method */

static int append_dictionary(sd_bus_message *reply, json_object *object, const char *entry);

/* As "s", "t", "b" or, of labels, "a{ss}"; there is nothing else in an event. */
static int append_value(sd_bus_message *reply, json_object *value)
{
        int r;

        switch (json_object_get_type(value)) {
        case json_type_int:
                return sd_bus_message_append(reply, "v", "t", json_object_get_uint64(value));
        case json_type_boolean:
                return sd_bus_message_append(reply, "v", "b", json_object_get_boolean(value));
        case json_type_object:
                r = sd_bus_message_open_container(reply, 'v', "a{ss}");
                if (r >= 0)
                        r = append_dictionary(reply, value, "{ss}");
                return r < 0 ? r : sd_bus_message_close_container(reply);
        case json_type_string:
        case json_type_null:
        case json_type_double:
        case json_type_array:
                break;
        }
        return sd_bus_message_append(reply, "v", "s", json_object_get_string(value) ?: "");
}

static int append_attributes(sd_bus_message *reply, json_object *attributes)
{
        int r = sd_bus_message_open_container(reply, 'v', "a{sv}");

        if (r >= 0)
                r = append_dictionary(reply, attributes, "{sv}");
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* @entry: "{sv}", or "{ss}" of texts alone. */
static int append_dictionary(sd_bus_message *reply, json_object *object, const char *entry)
{
        int r = sd_bus_message_open_container(reply, 'a', entry);

        json_object_object_foreach (object, key, value) {
                if (r >= 0 && entry[2] == 's') {
                        r = sd_bus_message_append(reply, "{ss}", key,
                                                  json_object_get_string(value) ?: "");
                        continue;
                }
                if (r >= 0)
                        r = sd_bus_message_open_container(reply, 'e', "sv");
                if (r >= 0)
                        r = sd_bus_message_append(reply, "s", key);
                if (r >= 0)
                        r = strcmp(key, "Attributes") == 0 ? append_attributes(reply, value)
                                                           : append_value(reply, value);
                if (r >= 0)
                        r = sd_bus_message_close_container(reply);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_event(sd_bus_message *reply, const LoggedEvent *event)
{
        _cleanup_(json_putp) json_object *object = NULL;
        int r = jsonfile_parse(event->text, strlen(event->text), &object);

        return r < 0 ? r : append_dictionary(reply, object, "{sv}");
}

int bus_get_events(BusCall *call, void *object, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const EventLog *log = ((Manager *)object)->events;
        const LoggedEvent *event;
        uint64_t after, last;
        unsigned n = 0;
        int r = sd_bus_message_read(call->message, "t", &after);

        if (r >= 0)
                r = sd_bus_message_new_method_return(call->message, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        for (last = after; r >= 0 && n < EVENTS_MAX && (event = eventlog_next(log, last)); n++) {
                last = event->number;
                if (call->uid == 0 || call->uid == event->owner ||
                    event->owner == EVENTLOG_EVERYBODY)
                        r = append_event(reply, event);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_message_append(reply, "tt", MIN(last, eventlog_last(log)),
                                          eventlog_lost(log, after));
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}
