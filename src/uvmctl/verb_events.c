/*
 * uvmctl events: what happens, a line each. uvmd numbers events and keeps the last of them; its signal
 * says that there are more, and they are read from the number on that was reached. So none is missed and
 * none comes twice, whatever happens to uvmd meanwhile; what is too old to be kept is said to be lost.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "client/bus.h"
#include "client/when.h"
#include "uvmctl/events.h"

typedef struct Events {
        sd_bus *bus;
        sd_event *event;
        uint64_t next;         /* the number of the last one that was read */
        uint64_t since, until; /* CLOCK_REALTIME µs; 0: none, but from now on */
        EventFilters filters;
        int json;
        bool no_stream;
        int status;
} Events;

/* ------------------------------------------------------------------ reading */

static int events_print(Events *events, json_object *object)
{
        uint64_t usec = (uint64_t)client_json_int(object, "Time");
        Event event = event_read(object);
        int r;

        if (usec < events->since || (events->until && usec >= events->until) ||
            !event_filters_match(&events->filters, &event))
                return 0;
        r = event_print(&event, events->json);
        /* Nobody reads any more. */
        return r < 0 ? CLIENT_EXIT_FAILED : 0;
}

#define CALL_RETRIES 8

/* An uvmd that ends before it answers is followed by one that has read its events: it is asked again. */
static int events_call(Events *events, sd_bus_message **ret)
{
        for (unsigned i = 0;; i++) {
                _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
                int r = sd_bus_call_method(events->bus, "org.uvm1", CLIENT_MANAGER_PATH,
                                           client_interface_name(CLIENT_MANAGER), "GetEvents",
                                           &error, ret, "t", events->next);

                if (r >= 0)
                        return 0;
                if (!sd_bus_error_is_set(&error))
                        return client_fail_errno(r, "cannot call uvmd");
                if (i == CALL_RETRIES || !client_error_is_restart(&error))
                        return client_report(&error);
        }
}

/* One answer's events. @ret_next is what to ask for then. */
static int events_read_some(Events *events, uint64_t *ret_next)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(json_object_putp) json_object *list = NULL;
        uint64_t lost;
        int r = events_call(events, &reply);

        if (r)
                return r;
        list = client_json_read(reply);
        if (!list || sd_bus_message_read(reply, "tt", ret_next, &lost) < 0)
                return client_fail("uvmd's answer can't be read");
        if (lost && events->next)
                client_warn("%" PRIu64 " events are lost: they came faster than they were read",
                            lost);
        for (size_t i = 0; !r && i < json_object_array_length(list); i++)
                r = events_print(events, json_object_array_get_idx(list, i));
        return r;
}

static int events_read(Events *events)
{
        uint64_t next;
        int r;

        for (;;) {
                r = events_read_some(events, &next);
                if (r || next == events->next)
                        return r;
                /* Numbers that began anew are all new. */
                events->next = next < events->next ? 0 : next;
        }
}

/* The newest that there is: what is told comes behind it. */
static int events_skip(Events *events)
{
        events->next = UINT64_MAX;
        return events_read_some(events, &events->next);
}

/* ------------------------------------------------------------------ waiting */

static int on_new(sd_bus_message *signal, void *userdata, sd_bus_error *error)
{
        Events *events = userdata;
        uint64_t last;

        if (sd_bus_message_read(signal, "t", &last) < 0 || last == events->next)
                return 0;
        events->status = events_read(events);
        if (events->status)
                sd_event_exit(events->event, 0);
        return 0;
}

static int on_until(sd_event_source *source, uint64_t usec, void *userdata)
{
        return sd_event_exit(((Events *)userdata)->event, 0);
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
        if (r >= 0 && events->until)
                r = sd_event_add_time(events->event, NULL, CLOCK_REALTIME, events->until, 0,
                                      on_until, events);
        if (r >= 0)
                r = sd_bus_attach_event(events->bus, events->event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = sd_bus_add_match(events->bus, NULL,
                                     "type='signal',sender='org.uvm1',path='" CLIENT_MANAGER_PATH
                                     "',interface='org.uvm1.Manager',member='EventsNew'",
                                     on_new, events);
        return r < 0 ? client_fail_errno(r, "cannot listen to uvmd") : 0;
}

/* ------------------------------------------------------------------ the verb */

static int events_take(Events *events, int option)
{
        uint64_t now = clock_realtime_usec();

        switch (option) {
        case 'f':
                return event_filters_add(&events->filters, &verb_events, optarg);
        case 'F':
                return verb_parse_format(&verb_events, optarg, &events->json);
        case 's':
        case 'u':
                if (when_parse(optarg, now, option == 's' ? &events->since : &events->until) == 0)
                        return 0;
                return verb_usage_error(&verb_events,
                                        "\"%s\" is no time such as 10m or 2026-01-31T12:00:00Z",
                                        optarg);
        case 'n':
                events->no_stream = true;
                return 0;
        default:
                return verb_usage_error(&verb_events, "these options are not understood");
        }
}

static int events_parse(Events *events, int argc, char **argv)
{
        static const struct option options[] = {
                {"filter", required_argument, NULL, 'f'}, {"format", required_argument, NULL, 'F'},
                {"since", required_argument, NULL, 's'},  {"until", required_argument, NULL, 'u'},
                {"no-stream", no_argument, NULL, 'n'},    {0},
        };
        int option, r = 0;

        while (!r && (option = getopt_long(argc, argv, "f:", options, NULL)) >= 0)
                r = events_take(events, option);
        if (!r && optind != argc)
                r = verb_usage_error(&verb_events, "this takes no arguments");
        return r;
}

static int events_verb(int argc, char **argv)
{
        Events events = {0};
        int r = events_parse(&events, argc, argv);

        if (r)
                return r;
        signal(SIGPIPE, SIG_IGN);
        r = events_open(&events);
        if (!r && !events.since && !events.no_stream)
                r = events_skip(&events);
        else if (!r)
                r = events_read(&events);
        if (!r && !events.no_stream && sd_event_loop(events.event) < 0)
                r = client_fail("cannot wait for events");
        sd_bus_flush_close_unref(events.bus);
        sd_event_unref(events.event);
        return r ? r : events.status;
}

const Verb verb_events = {
        .name = "events",
        .arguments = "[OPTION…]",
        .summary = "print what happens, as it happens",
        .help = "  -f, --filter KEY=VALUE  only these: type, event, id, name, sandbox, container\n"
                "      --format FORMAT     table, or json: an object a line\n"
                "      --since TIME        what has happened from then on, too: 10m, or\n"
                "                          2026-01-31T12:00:00Z\n"
                "      --until TIME        end then\n"
                "      --no-stream         what has happened, and no more\n",
        .run = events_verb,
};
