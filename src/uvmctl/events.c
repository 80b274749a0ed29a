/* Events of uvmctl; see events.h. Names and texts may be anybody's: control characters aren't printed. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "client/bus.h"
#include "uvmctl/events.h"

static const char *const filter_keys[] = {"type", "event", "id", "name", "sandbox", "container"};

int event_filters_add(EventFilters *filters, const Verb *verb, char *text)
{
        char *value = strchr(text, '=');

        if (filters->n == ELEMENTSOF(filters->items))
                return verb_usage_error(verb, "--filter: that is too many");
        if (value)
                *value++ = 0;
        for (size_t i = 0; value && i < ELEMENTSOF(filter_keys); i++)
                if (strcmp(text, filter_keys[i]) == 0) {
                        filters->items[filters->n].key = text;
                        filters->items[filters->n++].value = value;
                        return 0;
                }
        return verb_usage_error(verb,
                                "--filter takes type=, event=, id=, name=, sandbox= or container=, "
                                "not \"%s\"",
                                text);
}

static const char *event_field(const Event *event, const char *key)
{
        const struct {
                const char *key, *value;
        } fields[] = {
                {"type", event->type}, {"event", event->action},    {"id", event->id},
                {"name", event->name}, {"sandbox", event->sandbox}, {"container", event->container},
        };

        for (size_t i = 0; i < ELEMENTSOF(fields); i++)
                if (strcmp(fields[i].key, key) == 0)
                        return fields[i].value;
        return "";
}

static bool key_matches(const EventFilters *filters, const Event *event, const char *key)
{
        bool wanted = false;

        for (size_t i = 0; i < filters->n; i++) {
                if (strcmp(filters->items[i].key, key) != 0)
                        continue;
                if (strcmp(filters->items[i].value, event_field(event, key)) == 0)
                        return true;
                wanted = true;
        }
        return !wanted;
}

bool event_filters_match(const EventFilters *filters, const Event *event)
{
        for (size_t i = 0; i < ELEMENTSOF(filter_keys); i++)
                if (!key_matches(filters, event, filter_keys[i]))
                        return false;
        return true;
}

Event event_read(json_object *object)
{
        Event event = {
                .usec = (uint64_t)client_json_int(object, "Time"),
                .type = client_json_string(object, "Type"),
                .action = client_json_string(object, "Event"),
                .id = client_json_string(object, "Id"),
                .name = client_json_string(object, "Name"),
                .sandbox = client_json_string(object, "Sandbox"),
                .container = client_json_string(object, "Container"),
        };

        json_object_object_get_ex(object, "Attributes", &event.attributes);
        return event;
}

/* ------------------------------------------------------------------ output */

static void print_clean(const char *text)
{
        for (; *text; text++)
                putchar(iscntrl((unsigned char)*text) ? ' ' : *text);
}

static void print_member(const char *key, const char *value)
{
        if (!value || !value[0])
                return;
        putchar(' ');
        print_clean(key);
        putchar('=');
        print_clean(value);
}

static void print_text(const Event *event)
{
        time_t seconds = (time_t)(event->usec / USEC_PER_SEC);
        char stamp[32];
        struct tm tm;

        strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &tm));
        printf("%s.%06uZ %s %s ", stamp, (unsigned)(event->usec % USEC_PER_SEC), event->type,
               event->action);
        print_clean(event->name);
        if (strcmp(event->sandbox, event->name) != 0)
                print_member("sandbox", event->sandbox);
        print_member("container", event->container);
        if (event->attributes) {
                json_object_object_foreach (event->attributes, key, value)
                        print_member(key, json_object_get_string(value));
        }
        putchar('\n');
}

static void add_text(json_object *line, const char *key, const char *value)
{
        if (value[0])
                json_object_object_add(line, key, json_object_new_string(value));
}

static void print_json(const Event *event)
{
        _cleanup_(json_object_putp) json_object *line = json_object_new_object();

        json_object_object_add(line, "Time", json_object_new_uint64(event->usec));
        add_text(line, "Type", event->type);
        add_text(line, "Event", event->action);
        add_text(line, "Id", event->id);
        add_text(line, "Name", event->name);
        add_text(line, "Sandbox", event->sandbox);
        add_text(line, "Container", event->container);
        if (event->attributes)
                json_object_object_add(line, "Attributes", json_object_get(event->attributes));
        puts(json_object_to_json_string_ext(line, JSON_C_TO_STRING_PLAIN |
                                                          JSON_C_TO_STRING_NOSLASHESCAPE));
}

int event_print(const Event *event, bool json)
{
        if (json)
                print_json(event);
        else
                print_text(event);
        return fflush(stdout) == 0 ? 0 : -errno;
}
