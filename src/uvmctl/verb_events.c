/*
 * uvmctl events: what happens, a line each. uvmd's signals say only what has changed: it is read then,
 * and compared with what was known before. Reading waits, and the signals that come meanwhile wait
 * behind it, so lines come in the order of the signals.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "client/bus.h"
#include "uvmctl/events.h"

#define SANDBOX_PREFIX "/org/uvm1/sandbox/"

typedef struct Events {
        sd_bus *bus;
        sd_event *event;
        json_object *known; /* path → properties as last read */
        EventFilters filters;
        int json;
        int output; /* -errno once nobody reads */
} Events;

/* ------------------------------------------------------------------ objects */

static json_object *known_get(Events *events, const char *path)
{
        json_object *properties;

        return json_object_object_get_ex(events->known, path, &properties) ? properties : NULL;
}

/* The properties of @path now, owned; NULL: it is gone already. */
static json_object *read_now(Events *events, const char *path, ClientInterface interface)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        if (sd_bus_call_method(events->bus, "org.uvm1", path, "org.freedesktop.DBus.Properties",
                               "GetAll", &error, &reply, "s", client_interface_name(interface)) < 0)
                return NULL;
        return client_json_read(reply);
}

/* Of /org/uvm1/sandbox/ID/container/ID: the sandbox's, in a new string. */
static char *sandbox_of(const char *path)
{
        const char *end = strchr(path + strlen(SANDBOX_PREFIX), '/');

        return end ? strndup(path, (size_t)(end - path)) : strdup(path);
}

static const char *sandbox_name(Events *events, const char *path)
{
        _cleanup_(freep) char *sandbox = sandbox_of(path);
        json_object *properties = sandbox ? known_get(events, sandbox) : NULL;

        return client_json_string(properties, "Name");
}

/* ------------------------------------------------------------------ events */

static void emit(Events *events, const char *path, const char *type, const char *action,
                 json_object *properties, json_object *attributes)
{
        const char *last = strrchr(path, '/') + 1, *id = client_json_string(properties, "Id");
        const char *name = client_json_string(properties, "Name");
        json_object *container = known_get(events, client_json_string(properties, "Container"));
        Event event = {
                .type = type,
                .action = action,
                .id = id[0] ? id : last,
                .name = name[0] ? name : last,
                .sandbox = sandbox_name(events, path),
                .container = container ? client_json_string(container, "Name") : NULL,
                .attributes = attributes,
        };
        int r;

        if (!event_filters_match(&events->filters, &event)) {
                json_object_put(attributes);
                return;
        }
        r = event_print(&event, events->json);
        if (r < 0) {
                events->output = r;
                sd_event_exit(events->event, 0);
        }
}

/* The named members of @properties that aren't empty. */
static json_object *attributes_of(json_object *properties, const char *const *names)
{
        json_object *attributes = json_object_new_object(), *value;

        for (; *names; names++)
                if (json_object_object_get_ex(properties, *names, &value) &&
                    (!json_object_is_type(value, json_type_string) ||
                     json_object_get_string_len(value) > 0))
                        json_object_object_add(attributes, *names, json_object_get(value));
        return attributes;
}

static bool has_changed(json_object *before, json_object *now, const char *key)
{
        json_object *a = NULL, *b = NULL;

        json_object_object_get_ex(before, key, &a);
        json_object_object_get_ex(now, key, &b);
        return !json_object_equal(a, b);
}

static void sandbox_changed(Events *events, const char *path, json_object *before, json_object *now)
{
        static const char *const ended[] = {"Reason", "ReasonText", NULL};
        static const char *const sizes[] = {"VCPUs", "Memory", "MemoryActual", NULL};
        static const char *const networks[] = {"Networks", NULL};
        const char *state = client_json_string(now, "State");
        bool is_end = strcmp(state, "stopped") == 0 || strcmp(state, "stopping") == 0;
        bool resized = false;

        if (has_changed(before, now, "State"))
                emit(events, path, "sandbox", state, now,
                     is_end ? attributes_of(now, ended) : NULL);
        for (size_t i = 0; sizes[i]; i++)
                resized |= has_changed(before, now, sizes[i]);
        /* A guest that comes or goes changes what it has, and says so by its state. */
        if (resized && strcmp(state, client_json_string(before, "State")) == 0)
                emit(events, path, "sandbox", "resize", now, attributes_of(now, sizes));
        if (has_changed(before, now, "Networks"))
                emit(events, path, "sandbox", "network", now, attributes_of(now, networks));
}

static void task_changed(Events *events, const char *path, const char *type, json_object *before,
                         json_object *now)
{
        static const char *const exit[] = {"ExitCode", "OOMKilled", NULL};
        const char *state = client_json_string(now, "State");

        if (!has_changed(before, now, "State"))
                return;
        if (strcmp(state, "running") == 0)
                emit(events, path, type, "start", now, NULL);
        else if (strcmp(state, "exited") == 0)
                emit(events, path, type, "exit", now, attributes_of(now, exit));
}

static const char *type_of(ClientInterface interface)
{
        return interface == CLIENT_SANDBOX     ? "sandbox"
               : interface == CLIENT_CONTAINER ? "container"
                                               : "process";
}

/* Reads what changed; @is_new: it wasn't there before. */
static void refresh(Events *events, const char *path, ClientInterface interface, bool is_new)
{
        json_object *before = json_object_get(known_get(events, path));
        json_object *now = read_now(events, path, interface);

        if (!now) {
                json_object_put(before);
                return;
        }
        json_object_object_add(events->known, path, now);
        if (is_new && !before) {
                static const char *const made[] = {"Image", "Labels", NULL};

                emit(events, path, type_of(interface), "create", now, attributes_of(now, made));
        } else if (interface == CLIENT_SANDBOX) {
                sandbox_changed(events, path, before, now);
        } else {
                task_changed(events, path, type_of(interface), before, now);
        }
        json_object_put(before);
}

static void removed(Events *events, const char *path, ClientInterface interface)
{
        json_object *before = json_object_get(known_get(events, path));

        if (before)
                emit(events, path, type_of(interface), "remove", before, NULL);
        json_object_object_del(events->known, path);
        json_object_put(before);
}

/* ------------------------------------------------------------------ signals */

static int interface_of(const char *name)
{
        for (int i = CLIENT_SANDBOX; i < CLIENT_INTERFACE_MAX_; i++)
                if (strcmp(client_interface_name((ClientInterface)i), name) == 0)
                        return i;
        return -ENOENT;
}

static int on_interfaces(Events *events, sd_bus_message *signal, bool added)
{
        const char *path, *name;
        int r = sd_bus_message_read(signal, "o", &path);

        if (r >= 0)
                r = sd_bus_message_enter_container(signal, 'a', added ? "{sa{sv}}" : "s");
        if (r > 0 && added)
                r = sd_bus_message_enter_container(signal, 'e', "sa{sv}");
        if (r > 0)
                r = sd_bus_message_read(signal, "s", &name);
        if (r <= 0 || strncmp(path, SANDBOX_PREFIX, strlen(SANDBOX_PREFIX)) != 0)
                return 0;
        r = interface_of(name);
        if (r >= 0 && added)
                refresh(events, path, (ClientInterface)r, true);
        else if (r >= 0)
                removed(events, path, (ClientInterface)r);
        return 0;
}

static int on_changed(Events *events, sd_bus_message *signal)
{
        const char *path = sd_bus_message_get_path(signal), *name;
        int r = sd_bus_message_read(signal, "s", &name);

        if (r <= 0 || strncmp(path, SANDBOX_PREFIX, strlen(SANDBOX_PREFIX)) != 0)
                return 0;
        r = interface_of(name);
        if (r >= 0)
                refresh(events, path, (ClientInterface)r, false);
        return 0;
}

static int on_oom(Events *events, sd_bus_message *signal)
{
        static const char *const kills[] = {"OOMKills", NULL};
        const char *path = sd_bus_message_get_path(signal);
        json_object *now = read_now(events, path, CLIENT_CONTAINER);

        if (now)
                emit(events, path, "container", "oom", now, attributes_of(now, kills));
        json_object_put(now);
        return 0;
}

static int on_signal(sd_bus_message *signal, void *userdata, sd_bus_error *error)
{
        Events *events = userdata;
        const char *member = sd_bus_message_get_member(signal);

        if (strcmp(member, "InterfacesAdded") == 0)
                return on_interfaces(events, signal, true);
        if (strcmp(member, "InterfacesRemoved") == 0)
                return on_interfaces(events, signal, false);
        if (strcmp(member, "PropertiesChanged") == 0)
                return on_changed(events, signal);
        if (strcmp(member, "OutOfMemory") == 0)
                return on_oom(events, signal);
        return 0;
}

/* ------------------------------------------------------------------ the verb */

/* What is there already, so that only what is new from now on is told. */
static int events_load(Events *events)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL, *reply = NULL;
        _cleanup_(json_object_putp) json_object *all = NULL;
        int r;

        if (sd_bus_message_new_method_call(events->bus, &message, "org.uvm1", CLIENT_MANAGER_PATH,
                                           "org.freedesktop.DBus.ObjectManager",
                                           "GetManagedObjects") < 0)
                return client_fail("cannot call uvmd");
        r = client_send(events->bus, message, &reply);
        if (r)
                return r;
        all = client_json_read(reply);
        if (!all)
                return CLIENT_EXIT_FAILED;
        json_object_object_foreach (all, path, interfaces) {
                json_object_object_foreach (interfaces, name, properties)
                        if (interface_of(name) >= 0)
                                json_object_object_add(events->known, path,
                                                       json_object_get(properties));
        }
        return 0;
}

static int events_open(Events *events)
{
        sigset_t mask;
        int r = client_bus_open(&events->bus);

        if (r)
                return r;
        sigemptyset(&mask);
        sigaddset(&mask, SIGINT);
        sigaddset(&mask, SIGTERM);
        sigprocmask(SIG_BLOCK, &mask, NULL);
        r = sd_event_new(&events->event);
        if (r >= 0)
                r = sd_event_add_signal(events->event, NULL, SIGINT, NULL, NULL);
        if (r >= 0)
                r = sd_event_add_signal(events->event, NULL, SIGTERM, NULL, NULL);
        if (r >= 0)
                r = sd_bus_attach_event(events->bus, events->event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = sd_bus_add_match(events->bus, NULL, "type='signal',sender='org.uvm1'",
                                     on_signal, events);
        return r < 0 ? client_fail_errno(r, "cannot listen to uvmd") : 0;
}

static int events_verb(int argc, char **argv)
{
        static const struct option options[] = {
                {"filter", required_argument, NULL, 'f'},
                {"format", required_argument, NULL, 'F'},
                {0},
        };
        Events events = {0};
        int option, r = 0;

        while (!r && (option = getopt_long(argc, argv, "f:", options, NULL)) >= 0) {
                if (option == 'f')
                        r = event_filters_add(&events.filters, &verb_events, optarg);
                else if (option != 'F' || verb_parse_format(&verb_events, optarg, &events.json))
                        r = verb_usage_error(&verb_events, "these options are not understood");
        }
        if (!r && optind != argc)
                r = verb_usage_error(&verb_events, "this takes no arguments");
        if (r)
                return r;
        signal(SIGPIPE, SIG_IGN);
        events.known = json_object_new_object();
        r = events_open(&events);
        if (!r)
                r = events_load(&events);
        if (!r && sd_event_loop(events.event) < 0)
                r = client_fail("cannot wait for events");
        json_object_put(events.known);
        sd_bus_flush_close_unref(events.bus);
        sd_event_unref(events.event);
        return r;
}

const Verb verb_events = {
        .name = "events",
        .arguments = "[OPTION…]",
        .summary = "print what happens, as it happens",
        .help = "  -f, --filter KEY=VALUE  only these: type, event, id, name, sandbox, container\n"
                "      --format FORMAT     table, or json: an object a line\n",
        .run = events_verb,
};
