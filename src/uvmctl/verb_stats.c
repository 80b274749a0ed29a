/* uvmctl stats: what sandboxes use, a line each, and with -a what their containers do. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "client/table.h"
#include "uvmctl/each.h"
#include "uvmctl/verbs.h"

#define STATS_INTERVAL_SECONDS 2

typedef struct Stats {
        sd_bus *bus;
        Objects *objects;
        Table *table;
        json_object *array;
        char **names;
        int n_names;
        bool containers;
        json_object
                *samples; /* path, or path and container → [CPU time, when] of the round before */
} Stats;

/* A device's figures, added up by what it is for. */
typedef struct StatsTraffic {
        uint64_t net_in, net_out, disk_in, disk_out, p9_requests;
} StatsTraffic;

static uint64_t u64(json_object *object, const char *key)
{
        json_object *value;

        return json_object_object_get_ex(object, key, &value) ? json_object_get_uint64(value) : 0;
}

/* The figures of a sandbox, or NULL when it stopped meanwhile. */
static json_object *stats_get(sd_bus *bus, const char *sandbox)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        if (sd_bus_call_method(bus, "org.uvm1", sandbox, client_interface_name(CLIENT_SANDBOX),
                               "GetStats", &error, &reply, NULL) < 0)
                return NULL;
        return client_json_read(reply);
}

/* ------------------------------------------------------------------ figures as cells */

/* The share of one CPU since the round before, in percent; since @since in the first. */
static double stats_cpu(Stats *stats, const char *key, uint64_t since, uint64_t cpu_nsec)
{
        uint64_t now = clock_realtime_usec(), before = 0, from = since;
        json_object *sample;

        if (json_object_object_get_ex(stats->samples, key, &sample)) {
                before = json_object_get_uint64(json_object_array_get_idx(sample, 0));
                from = json_object_get_uint64(json_object_array_get_idx(sample, 1));
        }
        sample = json_object_new_array();
        json_object_array_add(sample, json_object_new_uint64(cpu_nsec));
        json_object_array_add(sample, json_object_new_uint64(now));
        json_object_object_add(stats->samples, key, sample);
        if (cpu_nsec < before || now <= from)
                return 0;
        return 100.0 * (double)(cpu_nsec - before) / 1000.0 / (double)(now - from);
}

static void cell_pair(Table *table, uint64_t a, uint64_t b)
{
        char left[TABLE_TEXT_MAX], right[TABLE_TEXT_MAX];

        table_cell(table, "%s / %s", table_format_bytes(a, left), table_format_bytes(b, right));
}

static void cell_memory(Table *table, uint64_t used, uint64_t limit)
{
        char text[TABLE_TEXT_MAX];

        if (limit == UINT64_MAX)
                table_cell(table, "%s / none", table_format_bytes(used, text));
        else
                cell_pair(table, used, limit);
        table_cell(table, "%.2f%%",
                   limit && limit != UINT64_MAX ? 100.0 * (double)used / (double)limit : 0);
}

/* How much of the last 10 s something waited for CPU, memory and I/O, in percent. */
static void cell_pressure(Table *table, json_object *figures)
{
        static const char *const resources[] = {"cpu", "memory", "io"};
        json_object *pressure = NULL, *of[3] = {0};

        json_object_object_get_ex(figures, "Pressure", &pressure);
        for (int i = 0; i < 3 && pressure; i++)
                json_object_object_get_ex(pressure, resources[i], &of[i]);
        if (!of[0] && !of[1] && !of[2])
                table_cell(table, "-");
        else
                table_cell(table, "%.1f/%.1f/%.1f", (double)u64(of[0], "SomeAvg10") / 100,
                           (double)u64(of[1], "SomeAvg10") / 100,
                           (double)u64(of[2], "SomeAvg10") / 100);
}

static void add_device(StatsTraffic *traffic, json_object *device)
{
        const char *kind = client_json_string(device, "Kind");

        if (strcmp(kind, "net") == 0) {
                traffic->net_in += u64(device, "BytesToGuest");
                traffic->net_out += u64(device, "BytesFromGuest");
        } else if (strcmp(kind, "block") == 0) {
                traffic->disk_in += u64(device, "BytesToGuest");
                traffic->disk_out += u64(device, "BytesFromGuest");
        } else if (strcmp(kind, "p9") == 0) {
                traffic->p9_requests += u64(device, "Requests");
        }
}

static StatsTraffic add_devices(json_object *figures)
{
        StatsTraffic traffic = {0};
        json_object *devices;

        if (json_object_object_get_ex(figures, "Devices", &devices))
                for (size_t i = 0; i < json_object_array_length(devices); i++)
                        add_device(&traffic, json_object_array_get_idx(devices, i));
        return traffic;
}

static uint64_t count_processes(json_object *figures)
{
        json_object *containers;
        uint64_t n = 0;

        if (!json_object_object_get_ex(figures, "Containers", &containers))
                return 0;
        json_object_object_foreach (containers, name, container) {
                (void)name;
                n += u64(container, "TasksCurrent");
        }
        return n;
}

/* ------------------------------------------------------------------ rows */

static void row_sandbox(Stats *stats, const Object *sandbox, json_object *figures)
{
        StatsTraffic traffic = add_devices(figures);
        uint64_t limit = u64(figures, "Memory");
        Table *table = stats->table;
        char text[TABLE_TEXT_MAX];

        table_row(table);
        table_cell(table, "%s", client_json_string(sandbox->properties, "Id"));
        table_cell(table, "%s", client_json_string(sandbox->properties, "Name"));
        table_cell(table, "%.2f%%",
                   stats_cpu(stats, sandbox->path, u64(sandbox->properties, "Started"),
                             u64(figures, "CPUUsageNSec")));
        cell_memory(table, u64(figures, "MemoryCurrent"), limit);
        table_cell(table, "%s",
                   table_format_bytes(
                           u64(figures, "MemoryReported") + u64(figures, "MemoryBalloon"), text));
        cell_pair(table, traffic.net_in, traffic.net_out);
        cell_pair(table, traffic.disk_in, traffic.disk_out);
        table_cell(table, "%" PRIu64, traffic.p9_requests);
        table_cell(table, "%" PRIu64, count_processes(figures));
        cell_pressure(table, figures);
}

static void row_container(Stats *stats, const Object *sandbox, const char *name,
                          json_object *figures)
{
        _cleanup_(freep) char *key = NULL;
        Table *table = stats->table;

        if (asprintf(&key, "%s %s", sandbox->path, name) < 0)
                abort();
        table_row(table);
        table_cell(table, "%s", client_json_string(figures, "Id"));
        table_cell(table, "- %s", name);
        table_cell(table, "%.2f%%",
                   stats_cpu(stats, key, u64(sandbox->properties, "Started"),
                             u64(figures, "CPUUsageNSec")));
        cell_memory(table, u64(figures, "MemoryCurrent"), u64(figures, "MemoryMax"));
        table_cell(table, "-");
        table_cell(table, "-");
        cell_pair(table, u64(figures, "IOReadBytes"), u64(figures, "IOWriteBytes"));
        table_cell(table, "-");
        table_cell(table, "%" PRIu64, u64(figures, "TasksCurrent"));
        cell_pressure(table, figures);
}

static void rows(Stats *stats, const Object *sandbox, json_object *figures)
{
        json_object *containers;

        row_sandbox(stats, sandbox, figures);
        if (!stats->containers || !json_object_object_get_ex(figures, "Containers", &containers))
                return;
        json_object_object_foreach (containers, name, container)
                row_container(stats, sandbox, name, container);
}

/* By the name of the sandbox or of a container in it. */
static bool stats_wanted(const Stats *stats, const Object *sandbox)
{
        for (int i = 0; i < stats->n_names; i++) {
                Object container;

                if (strcmp(client_json_string(sandbox->properties, "Name"), stats->names[i]) == 0 ||
                    strcmp(client_json_string(sandbox->properties, "Id"), stats->names[i]) == 0)
                        return true;
                if (objects_find_container(stats->objects, stats->names[i], &container) == 0 &&
                    strcmp(client_json_string(container.properties, "Sandbox"), sandbox->path) == 0)
                        return true;
        }
        return stats->n_names == 0;
}

static int stats_visit(const Object *sandbox, void *userdata)
{
        Stats *stats = userdata;
        _cleanup_(json_object_putp) json_object *figures = NULL;

        if (strcmp(client_json_string(sandbox->properties, "State"), "running") != 0 ||
            !stats_wanted(stats, sandbox))
                return 0;
        figures = stats_get(stats->bus, sandbox->path);
        if (!figures)
                return 0;
        if (!stats->array) {
                rows(stats, sandbox, figures);
                return 0;
        }
        for (int i = 0; i < 2; i++) {
                const char *key = i ? "Name" : "Id";

                json_object_object_add(
                        figures, key,
                        json_object_new_string(client_json_string(sandbox->properties, key)));
        }
        json_object_array_add(stats->array, TAKE_PTR(figures));
        return 0;
}

static int stats_round(Stats *stats, bool json, bool redraw)
{
        _cleanup_(objects_freep) Objects *objects = NULL;
        _cleanup_(json_object_putp) json_object *array = json ? json_object_new_array() : NULL;
        int r = objects_load(stats->bus, &objects);

        if (r)
                return r;
        stats->objects = objects;
        stats->array = array;
        r = objects_each(objects, CLIENT_SANDBOX, stats_visit, stats);
        if (r)
                return r;
        /* Not before all is known: the old figures stay until the new ones are there. */
        if (redraw)
                fputs("\033[H\033[2J", stdout);
        if (json)
                client_json_print(array);
        else
                table_print(stats->table, true);
        fflush(stdout);
        return ferror(stdout) ? CLIENT_EXIT_FAILED : 0;
}

/* Rounds until the user interrupts; on a terminal each takes the place of the one before. */
static int stats_stream(Stats *stats, bool json)
{
        bool redraw = !json && isatty(STDOUT_FILENO);

        for (;;) {
                struct timespec pause = {.tv_sec = STATS_INTERVAL_SECONDS};
                int r = stats_round(stats, json, redraw);

                if (r)
                        return r;
                nanosleep(&pause, NULL);
        }
}

/* Names that nobody has are said before anything is shown. */
static int stats_check_names(Stats *stats)
{
        _cleanup_(objects_freep) Objects *objects = NULL;
        int r = stats->n_names ? objects_load(stats->bus, &objects) : 0;

        for (int i = 0; i < stats->n_names && !r; i++) {
                Object found;

                r = objects_find_container(objects, stats->names[i], &found);
        }
        return r;
}

static int stats_verb(int argc, char **argv)
{
        enum { OPT_NO_STREAM = 256 };
        static const char *const heads[] = {"ID",     "NAME",      "CPU %",    "MEM USAGE / LIMIT",
                                            "MEM %",  "RETURNED",  "NET I/O",  "BLOCK I/O",
                                            "9P OPS", "PROCESSES", "PRESSURE", NULL};
        static const struct option options[] = {
                {"no-stream", no_argument, NULL, OPT_NO_STREAM},
                {"all", no_argument, NULL, 'a'},
                {"format", required_argument, NULL, 'f'},
                {0},
        };
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(table_freep) Table *table = table_new(heads);
        _cleanup_(json_object_putp) json_object *samples = json_object_new_object();
        Stats stats = {.table = table, .samples = samples};
        int option, r, json = 0;
        bool stream = true;

        while ((option = getopt_long(argc, argv, "a", options, NULL)) >= 0) {
                if (option == OPT_NO_STREAM)
                        stream = false;
                else if (option == 'a')
                        stats.containers = true;
                else if (option != 'f' || verb_parse_format(&verb_stats, optarg, &json))
                        return verb_usage_error(&verb_stats, "these options are not understood");
        }
        r = client_bus_open(&bus);
        stats.bus = bus;
        stats.names = argv + optind;
        stats.n_names = argc - optind;
        if (!r)
                r = stats_check_names(&stats);
        if (r)
                return r;
        return stream ? stats_stream(&stats, json) : stats_round(&stats, json, false);
}

const Verb verb_stats = {
        .name = "stats",
        .arguments = "[OPTION…] [CONTAINER…]",
        .summary = "show what running sandboxes use",
        .help = "      --no-stream       once, instead of every two seconds\n"
                "  -a, --all             with a line for each container\n"
                "      --format FORMAT   table or json\n",
        .run = stats_verb,
};
