/* uvmctl stats and top: what containers use, and their processes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "client/table.h"
#include "uvmctl/each.h"
#include "uvmctl/verbs.h"

typedef struct Sample {
        uint64_t cpu_nsec;
        uint64_t at_usec;
} Sample;

typedef struct Stats {
        sd_bus *bus;
        Objects *objects;
        Table *table;
        json_object *array;
        char **names;
        int n_names;
        json_object *samples; /* path → CPU time of the round before */
        uint64_t interval_usec;
} Stats;

/* The figures of the sandbox that runs @container, or NULL when it stopped meanwhile. */
static json_object *stats_get(sd_bus *bus, const char *sandbox)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        if (sd_bus_call_method(bus, "org.uvm1", sandbox, client_interface_name(CLIENT_SANDBOX),
                               "GetStats", &error, &reply, NULL) < 0)
                return NULL;
        return client_json_read(reply);
}

/* The share of one CPU since the round before, in percent; since the start in the first. */
static double stats_cpu_percent(Stats *stats, const Object *sandbox, uint64_t cpu_nsec)
{
        json_object *before;
        uint64_t since = (uint64_t)client_json_int(sandbox->properties, "Started");
        uint64_t spent = cpu_nsec, elapsed = clock_realtime_usec() - since;

        if (json_object_object_get_ex(stats->samples, sandbox->path, &before)) {
                spent -= MIN(spent, (uint64_t)json_object_get_int64(before));
                elapsed = stats->interval_usec;
        }
        json_object_object_add(stats->samples, sandbox->path,
                               json_object_new_int64((int64_t)cpu_nsec));
        return elapsed ? 100.0 * (double)spent / 1000.0 / (double)elapsed : 0;
}

static void stats_row(Stats *stats, const Object *container, const Object *sandbox,
                      json_object *figures)
{
        uint64_t used = (uint64_t)client_json_int(figures, "MemoryCurrent");
        uint64_t limit = (uint64_t)client_json_int(sandbox->properties, "Memory");
        double cpu = stats_cpu_percent(stats, sandbox,
                                       (uint64_t)client_json_int(figures, "CPUUsageNSec"));
        char a[TABLE_TEXT_MAX], b[TABLE_TEXT_MAX];

        table_row(stats->table);
        table_cell(stats->table, "%s", client_json_string(container->properties, "Id"));
        table_cell(stats->table, "%s", client_json_string(container->properties, "Name"));
        table_cell(stats->table, "%.2f%%", cpu);
        table_cell(stats->table, "%s / %s", table_format_bytes(used, a),
                   table_format_bytes(limit, b));
        table_cell(stats->table, "%.2f%%", limit ? 100.0 * (double)used / (double)limit : 0);
        table_cell(stats->table, "%lld", (long long)client_json_int(figures, "TasksCurrent"));
}

static bool stats_wanted(const Stats *stats, const Object *container)
{
        for (int i = 0; i < stats->n_names; i++) {
                Object named;

                if (objects_find_container(stats->objects, stats->names[i], &named) == 0 &&
                    strcmp(named.path, container->path) == 0)
                        return true;
        }
        return stats->n_names == 0;
}

static int stats_visit(const Object *container, void *userdata)
{
        Stats *stats = userdata;
        _cleanup_(json_object_putp) json_object *figures = NULL;
        Object sandbox;

        if (strcmp(client_json_string(container->properties, "State"), "running") != 0 ||
            !stats_wanted(stats, container) || each_sandbox_of(stats->objects, container, &sandbox))
                return 0;
        figures = stats_get(stats->bus, sandbox.path);
        if (!figures)
                return 0;
        if (stats->array) {
                json_object_object_add(
                        figures, "Id",
                        json_object_new_string(client_json_string(container->properties, "Id")));
                json_object_object_add(
                        figures, "Name",
                        json_object_new_string(client_json_string(container->properties, "Name")));
                json_object_array_add(stats->array, TAKE_PTR(figures));
        } else {
                stats_row(stats, container, &sandbox, figures);
        }
        return 0;
}

static int stats_round(Stats *stats, bool json)
{
        _cleanup_(objects_freep) Objects *objects = NULL;
        _cleanup_(json_object_putp) json_object *array = json ? json_object_new_array() : NULL;
        int r = objects_load(stats->bus, &objects);

        if (r)
                return r;
        stats->objects = objects;
        stats->array = array;
        r = objects_each(objects, CLIENT_CONTAINER, stats_visit, stats);
        if (r)
                return r;
        if (json)
                client_json_print(array);
        else
                table_print(stats->table, true);
        fflush(stdout);
        return 0;
}

/* Rounds until the user interrupts; on a terminal each takes the place of the one before. */
static int stats_stream(Stats *stats, bool json)
{
        bool redraw = !json && isatty(STDOUT_FILENO);

        for (;;) {
                struct timespec pause = {.tv_sec = (time_t)(stats->interval_usec / USEC_PER_SEC)};
                int r;

                if (redraw)
                        fputs("\033[H\033[2J", stdout);
                r = stats_round(stats, json);
                if (r)
                        return r;
                nanosleep(&pause, NULL);
        }
}

static int stats_verb(int argc, char **argv)
{
        enum { OPT_NO_STREAM = 256 };
        static const char *const heads[] = {"ID",    "NAME", "CPU %", "MEM USAGE / LIMIT",
                                            "MEM %", "PIDS", NULL};
        static const struct option options[] = {
                {"no-stream", no_argument, NULL, OPT_NO_STREAM},
                {"format", required_argument, NULL, 'f'},
                {0},
        };
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(table_freep) Table *table = table_new(heads);
        _cleanup_(json_object_putp) json_object *samples = json_object_new_object();
        Stats stats = {.table = table, .samples = samples, .interval_usec = 2 * USEC_PER_SEC};
        int option, r, json = 0;
        bool stream = true;

        while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                if (option == OPT_NO_STREAM)
                        stream = false;
                else if (option != 'f' || verb_parse_format(&verb_stats, optarg, &json))
                        return verb_usage_error(&verb_stats, "these options are not understood");
        }
        r = client_bus_open(&bus);
        if (r)
                return r;
        stats.bus = bus;
        stats.names = argv + optind;
        stats.n_names = argc - optind;
        return stream ? stats_stream(&stats, json) : stats_round(&stats, json);
}

static void top_print(json_object *processes)
{
        static const char *const heads[] = {"USER", "PID",  "PPID",    "%CPU", "RSS",
                                            "TTY",  "TIME", "COMMAND", NULL};
        _cleanup_(table_freep) Table *table = table_new(heads);
        char text[TABLE_TEXT_MAX];

        for (size_t i = 0; i < json_object_array_length(processes); i++) {
                json_object *process = json_object_array_get_idx(processes, i);
                uint64_t cpu = (uint64_t)client_json_int(process, "CPUUsageUSec");
                uint64_t started = (uint64_t)client_json_int(process, "Started");
                uint64_t now = clock_realtime_usec(), seconds = cpu / USEC_PER_SEC;
                double share = now > started ? 100.0 * (double)cpu / (double)(now - started) : 0;

                table_row(table);
                table_cell(table, "%s", client_json_string(process, "User"));
                table_cell(table, "%lld", (long long)client_json_int(process, "Pid"));
                table_cell(table, "%lld", (long long)client_json_int(process, "ParentPid"));
                table_cell(table, "%.3f", share);
                table_cell(
                        table, "%s",
                        table_format_bytes((uint64_t)client_json_int(process, "MemoryRSS"), text));
                table_cell(table, "%s", client_json_string(process, "Terminal"));
                table_cell(table, "%llu:%02llu", (unsigned long long)seconds / 60,
                           (unsigned long long)seconds % 60);
                table_cell(table, "%s", client_json_string(process, "Command"));
        }
        table_print(table, true);
}

static int top(int argc, char **argv)
{
        static const struct option options[] = {{"format", required_argument, NULL, 'f'}, {0}};
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(objects_freep) Objects *objects = NULL;
        _cleanup_(json_object_putp) json_object *processes = NULL;
        Object container;
        int option, r, json = 0;

        while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0)
                if (option != 'f' || verb_parse_format(&verb_top, optarg, &json))
                        return verb_usage_error(&verb_top, "these options are not understood");
        if (optind + 1 != argc)
                return verb_usage_error(&verb_top, "which container?");
        r = client_bus_open(&bus);
        if (!r)
                r = objects_load(bus, &objects);
        if (!r)
                r = objects_find_container(objects, argv[optind], &container);
        if (!r)
                r = client_call(bus, container.path, CLIENT_CONTAINER, "GetProcesses", &reply,
                                NULL);
        if (r)
                return r;
        processes = client_json_read(reply);
        if (!processes)
                return CLIENT_EXIT_FAILED;
        if (json)
                client_json_print(processes);
        else
                top_print(processes);
        return 0;
}

const Verb verb_stats = {
        .name = "stats",
        .arguments = "[OPTION…] [CONTAINER…]",
        .summary = "show what running containers use",
        .help = "      --no-stream       once, instead of every two seconds\n"
                "      --format FORMAT   table or json\n",
        .run = stats_verb,
};

const Verb verb_top = {
        .name = "top",
        .arguments = "[--format FORMAT] CONTAINER",
        .summary = "list the processes of a container",
        .help = "      --format FORMAT   table or json\n",
        .run = top,
};
