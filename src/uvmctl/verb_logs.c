/* uvmctl logs: what a container wrote, from the journal. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "client/objects.h"
#include "client/wait.h"
#include "uvmctl/verbs.h"

/* How long journald may take to make the last lines of a container readable. */
#define LOGS_SETTLE_USEC (500 * USEC_PER_MSEC)

typedef struct Logs {
        sd_journal *journal;
        sd_event *event;
        bool timestamps;
        uint64_t tail; /* UINT64_MAX: all */
} Logs;

static void print_timestamp(sd_journal *journal, FILE *to)
{
        char text[40];
        uint64_t usec;
        time_t seconds;
        struct tm utc;

        if (sd_journal_get_realtime_usec(journal, &usec) < 0)
                return;
        seconds = (time_t)(usec / USEC_PER_SEC);
        gmtime_r(&seconds, &utc);
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
        fprintf(to, "%s.%06uZ ", text, (unsigned)(usec % USEC_PER_SEC));
}

/* Whether the field @name of the entry at hand is @value. */
static bool field_is(sd_journal *journal, const char *name, const char *value)
{
        size_t size, name_size = strlen(name);
        const void *data;

        if (sd_journal_get_data(journal, name, &data, &size) < 0)
                return false;
        return size == name_size + 1 + strlen(value) &&
               memcmp((const char *)data + name_size + 1, value, strlen(value)) == 0;
}

/* Each stream goes where it came from, so that redirections see what the process wrote where. */
static void print_entry(const Logs *logs)
{
        FILE *to = field_is(logs->journal, "UVM_STREAM", "stderr") ? stderr : stdout;
        const char *message;
        size_t size;

        if (sd_journal_get_data(logs->journal, "MESSAGE", (const void **)&message, &size) < 0)
                return;
        if (logs->timestamps)
                print_timestamp(logs->journal, to);
        fwrite(message + strlen("MESSAGE="), 1, size - strlen("MESSAGE="), to);
        /* A piece of a line too long for one entry, or a last line that had no end. */
        if (!field_is(logs->journal, "UVM_PARTIAL", "1"))
                fputc('\n', to);
}

static int print_new(const Logs *logs)
{
        int r;

        while ((r = sd_journal_next(logs->journal)) > 0)
                print_entry(logs);
        fflush(NULL);
        return r;
}

/* Goes to where printing starts: the head, or as many entries from the end as were asked for. */
static int seek_start(const Logs *logs)
{
        int r;

        if (logs->tail == UINT64_MAX)
                return sd_journal_seek_head(logs->journal);
        r = sd_journal_seek_tail(logs->journal);
        if (r < 0)
                return r;
        if (logs->tail == 0)
                return sd_journal_previous(logs->journal);
        r = sd_journal_previous_skip(logs->journal, logs->tail);
        if (r < 0)
                return r;
        if ((uint64_t)r < logs->tail)
                return sd_journal_seek_head(logs->journal);
        print_entry(logs);
        return 0;
}

static int on_journal(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        Logs *logs = userdata;
        int r = sd_journal_process(logs->journal);

        return r < 0 ? r : print_new(logs);
}

static int on_settled(sd_event_source *source, uint64_t usec, void *userdata)
{
        Logs *logs = userdata;

        sd_journal_process(logs->journal);
        return sd_event_exit(logs->event, print_new(logs));
}

static void on_exited(int status, int code, void *userdata)
{
        Logs *logs = userdata;

        if (sd_event_add_time_relative(logs->event, NULL, CLOCK_MONOTONIC, LOGS_SETTLE_USEC, 0,
                                       on_settled, logs) < 0)
                sd_event_exit(logs->event, 0);
}

/* Prints what comes until the container has exited, or the user interrupts. */
static int follow(Logs *logs, sd_bus *bus, const Object *container)
{
        Wait *wait = NULL;
        int r = sd_event_new(&logs->event);

        if (r >= 0)
                r = sd_bus_attach_event(bus, logs->event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = sd_event_add_io(logs->event, NULL, sd_journal_get_fd(logs->journal),
                                    (uint32_t)sd_journal_get_events(logs->journal), on_journal,
                                    logs);
        if (r >= 0)
                r = print_new(logs);
        if (r < 0)
                r = client_fail_errno(r, "cannot follow the journal");
        else
                r = wait_start(&wait, bus, logs->event, container->path, CLIENT_CONTAINER,
                               on_exited, logs);
        if (!r && sd_event_loop(logs->event) < 0)
                r = client_fail("cannot follow the journal");
        wait_free(wait);
        sd_bus_detach_event(bus);
        sd_event_unref(logs->event);
        return r;
}

static int logs_open(Logs *logs, const Object *container)
{
        static const char *const streams[] = {"UVM_STREAM=stdout", "UVM_STREAM=stderr",
                                              "UVM_STREAM=tty"};
        char match[64];
        int r = sd_journal_open(&logs->journal, SD_JOURNAL_LOCAL_ONLY);

        snprintf(match, sizeof(match), "UVM_CONTAINER=%s",
                 client_json_string(container->properties, "Id"));
        if (r >= 0)
                r = sd_journal_add_match(logs->journal, match, 0);
        /* Not what uvmd says of it. */
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(streams); i++)
                r = sd_journal_add_match(logs->journal, streams[i], 0);
        if (r >= 0)
                r = seek_start(logs);
        if (r == -EACCES || r == -EPERM)
                return client_fail("you may not read the journal: ask to be put into group "
                                   "systemd-journal");
        return r < 0 ? client_fail_errno(r, "cannot read the journal") : 0;
}

static int run(int argc, char **argv)
{
        static const struct option options[] = {
                {"follow", no_argument, NULL, 'f'},
                {"tail", required_argument, NULL, 'n'},
                {"timestamps", no_argument, NULL, 't'},
                {0},
        };
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(objects_freep) Objects *objects = NULL;
        Logs logs = {.tail = UINT64_MAX};
        bool following = false;
        Object container;
        int option, r;

        while ((option = getopt_long(argc, argv, "fn:t", options, NULL)) >= 0) {
                if (option == 'f')
                        following = true;
                else if (option == 't')
                        logs.timestamps = true;
                else if (option != 'n' || parse_u64(optarg, 0, 1000000000, &logs.tail) < 0)
                        return verb_usage_error(&verb_logs, "these options are not understood");
        }
        if (optind + 1 != argc)
                return verb_usage_error(&verb_logs, "which container?");
        r = client_bus_open(&bus);
        if (!r)
                r = objects_load(bus, &objects);
        if (!r)
                r = objects_find_container(objects, argv[optind], &container);
        if (r)
                return r;
        if (strcmp(client_json_string(container.properties, "LogDriver"), "journald") != 0)
                return client_fail("container %s does not log (its log driver is %s)", argv[optind],
                                   client_json_string(container.properties, "LogDriver"));
        r = logs_open(&logs, &container);
        if (!r && following)
                r = follow(&logs, bus, &container);
        else if (!r && print_new(&logs) < 0)
                r = client_fail("cannot read the journal");
        sd_journal_close(logs.journal);
        return r;
}

const Verb verb_logs = {
        .name = "logs",
        .arguments = "[OPTION…] CONTAINER",
        .summary = "print what a container wrote",
        .help = "  -f, --follow       go on until it exits\n"
                "  -n, --tail N       only the last N lines\n"
                "  -t, --timestamps   before each line\n",
        .run = run,
};
