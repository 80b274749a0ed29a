/* uvmctl top: the processes of a container. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "client/objects.h"
#include "client/table.h"
#include "uvmctl/verbs.h"

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

const Verb verb_top = {
        .name = "top",
        .arguments = "[--format FORMAT] CONTAINER",
        .summary = "list the processes of a container",
        .help = "      --format FORMAT   table or json\n",
        .run = top,
};
