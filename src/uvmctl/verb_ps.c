/* uvmctl ps, inspect, sandbox list, sandbox show: what there is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "client/table.h"
#include "uvmctl/each.h"
#include "uvmctl/listing.h"
#include "uvmctl/network_ports.h"
#include "uvmctl/verbs.h"

typedef struct Listing {
        Objects *objects;
        Table *table;
        json_object *array; /* instead of the table */
        bool all, quiet;
} Listing;

static bool state_is(const Object *object, const char *state)
{
        return strcmp(client_json_string(object->properties, "State"), state) == 0;
}

/* "Up 5 minutes", "Exited (0) 2 hours ago", "Created". */
static void cell_status(Table *table, const Object *container)
{
        char ago[TABLE_TEXT_MAX], *cut;

        if (state_is(container, "running")) {
                table_format_ago((uint64_t)client_json_int(container->properties, "Started"), ago);
                cut = strstr(ago, " ago");
                if (cut)
                        *cut = 0;
                table_cell(table, "Up %s", ago);
        } else if (state_is(container, "exited")) {
                table_format_ago((uint64_t)client_json_int(container->properties, "Finished"), ago);
                table_cell(table, "Exited (%d) %s",
                           (int)client_json_int(container->properties, "ExitCode"), ago);
        } else {
                table_cell(table, "%s", "Created");
        }
}

/* The command line, cut as podman cuts it. */
static void cell_command(Table *table, json_object *properties)
{
        json_object *words;
        char text[21] = "";
        size_t at = 0;

        if (json_object_object_get_ex(properties, "Command", &words))
                for (size_t i = 0; i < json_object_array_length(words) && at + 1 < sizeof(text);
                     i++) {
                        int n = snprintf(
                                text + at, sizeof(text) - at, "%s%s", i ? " " : "",
                                json_object_get_string(json_object_array_get_idx(words, i)));

                        at = MIN(at + (size_t)n, sizeof(text));
                }
        table_cell(table, at >= sizeof(text) ? "%.17s..." : "%s", text);
}

/* Those that are published for its machine, as podman writes them. */
static void cell_ports(const Listing *listing, const Object *container)
{
        _cleanup_(freep) char *text = NULL;
        size_t room;
        FILE *stream = open_memstream(&text, &room);
        Object sandbox;

        if (!stream)
                abort();
        if (each_is_main(container) && each_sandbox_of(listing->objects, container, &sandbox) == 0)
                network_print_ports(sandbox.properties, stream, ", ", network_print_port_arrow);
        fclose(stream);
        table_cell(listing->table, "%s", text);
}

static int list_container(const Object *container, void *userdata)
{
        Listing *listing = userdata;
        json_object *properties = container->properties;
        char ago[TABLE_TEXT_MAX];

        if (!listing->all && !state_is(container, "running"))
                return 0;
        if (listing->quiet) {
                puts(client_json_string(properties, "Id"));
                return 0;
        }
        if (listing->array) {
                json_object_array_add(listing->array, json_object_get(properties));
                return 0;
        }
        table_row(listing->table);
        table_cell(listing->table, "%s", client_json_string(properties, "Id"));
        table_cell(listing->table, "%s", client_json_string(properties, "Image"));
        cell_command(listing->table, properties);
        table_cell(listing->table, "%s",
                   table_format_ago((uint64_t)client_json_int(properties, "Created"), ago));
        cell_status(listing->table, container);
        cell_ports(listing, container);
        table_cell(listing->table, "%s", client_json_string(properties, "Name"));
        return 0;
}

static int list_sandbox(const Object *sandbox, void *userdata)
{
        Listing *listing = userdata;
        json_object *properties = sandbox->properties, *containers = NULL;
        char text[TABLE_TEXT_MAX];

        if (listing->quiet) {
                puts(client_json_string(properties, "Id"));
                return 0;
        }
        if (listing->array) {
                json_object_array_add(listing->array, json_object_get(properties));
                return 0;
        }
        json_object_object_get_ex(properties, "Containers", &containers);
        table_row(listing->table);
        table_cell(listing->table, "%s", client_json_string(properties, "Id"));
        table_cell(listing->table, "%s", client_json_string(properties, "Name"));
        table_cell(listing->table, "%s", client_json_string(properties, "State"));
        table_cell(listing->table, "%s", client_json_string(properties, "Reason"));
        table_cell(listing->table, "%d", (int)client_json_int(properties, "VCPUs"));
        table_cell(listing->table, "%s",
                   table_format_bytes((uint64_t)client_json_int(properties, "Memory"), text));
        table_cell(listing->table, "%zu", containers ? json_object_array_length(containers) : 0);
        table_cell(listing->table, "%s", client_json_string(properties, "Unit"));
        return 0;
}

static int list_objects(ClientInterface interface, Listing *listing, int json,
                        int (*visit)(const Object *, void *))
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(objects_freep) Objects *objects = NULL;
        _cleanup_(json_object_putp) json_object *array = json ? json_object_new_array() : NULL;
        int r = client_bus_open(&bus);

        if (!r)
                r = objects_load(bus, &objects);
        if (r)
                return r;
        listing->objects = objects;
        listing->array = array;
        r = objects_each(objects, interface, visit, listing);
        if (r || listing->quiet)
                return r;
        if (array)
                client_json_print(array);
        else
                table_print(listing->table, true);
        return 0;
}

static int ps(int argc, char **argv)
{
        static const char *const heads[] = {"CONTAINER ID", "IMAGE", "COMMAND", "CREATED",
                                            "STATUS",       "PORTS", "NAMES",   NULL};
        static const struct option options[] = {
                {"all", no_argument, NULL, 'a'},
                {"quiet", no_argument, NULL, 'q'},
                {"format", required_argument, NULL, 'f'},
                {0},
        };
        _cleanup_(table_freep) Table *table = table_new(heads);
        Listing listing = {.table = table};
        int option, json = 0;

        while ((option = getopt_long(argc, argv, "aq", options, NULL)) >= 0) {
                if (option == 'a')
                        listing.all = true;
                else if (option == 'q')
                        listing.quiet = true;
                else if (option != 'f' || verb_parse_format(&verb_ps, optarg, &json))
                        return verb_usage_error(&verb_ps, "these options are not understood");
        }
        if (optind != argc)
                return verb_usage_error(&verb_ps, "ps takes no arguments");
        return list_objects(CLIENT_CONTAINER, &listing, json, list_container);
}

static int sandbox_list(int argc, char **argv)
{
        static const char *const heads[] = {"SANDBOX ID", "NAME",       "STATE", "REASON", "VCPUS",
                                            "MEMORY",     "CONTAINERS", "UNIT",  NULL};
        _cleanup_(table_freep) Table *table = table_new(heads);
        Listing listing = {.table = table};
        ListingOptions options;
        int r = listing_parse(&verb_sandbox_list, argc, argv, &options);

        if (r)
                return r;
        if (optind != argc)
                return verb_usage_error(&verb_sandbox_list, "this takes no arguments");
        listing.quiet = options.quiet;
        return list_objects(CLIENT_SANDBOX, &listing, options.json, list_sandbox);
}

typedef int (*FindObject)(sd_bus *bus, Objects *objects, const char *name, Object *ret);

/* Prints what @find finds for each name, as one JSON array. */
static int show_objects(const Verb *verb, int argc, char **argv, FindObject find)
{
        static const struct option options[] = {{"format", required_argument, NULL, 'f'}, {0}};
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(objects_freep) Objects *objects = NULL;
        _cleanup_(json_object_putp) json_object *array = json_object_new_array();
        int option, json, r, status = 0;

        while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0)
                if (option != 'f' || verb_parse_format(verb, optarg, &json))
                        return verb_usage_error(verb, "these options are not understood");
        if (optind == argc)
                return verb_usage_error(verb, "which one?");
        r = client_bus_open(&bus);
        if (!r)
                r = objects_load(bus, &objects);
        if (r)
                return r;
        for (int i = optind; i < argc; i++) {
                Object object;

                r = find(bus, objects, argv[i], &object);
                if (r)
                        status = r;
                else
                        json_object_array_add(array, json_object_get(object.properties));
        }
        client_json_print(array);
        return status;
}

/* What its scope may use as systemd has it now; no property, for it has to be asked. */
static void add_limits(sd_bus *bus, const Object *sandbox)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        if (sd_bus_call_method(bus, "org.uvm1", sandbox->path,
                               client_interface_name(CLIENT_SANDBOX), "GetLimits", &error, &reply,
                               NULL) >= 0)
                json_object_object_add(sandbox->properties, "Limits", client_json_read(reply));
}

static int find_whole_sandbox(sd_bus *bus, Objects *objects, const char *name, Object *ret)
{
        int r = objects_find_sandbox(objects, name, ret);

        if (!r)
                add_limits(bus, ret);
        return r;
}

/* The container with its sandbox inside, for people see them as one thing. */
static int find_whole_container(sd_bus *bus, Objects *objects, const char *name, Object *ret)
{
        Object sandbox;
        int r = objects_find_container(objects, name, ret);

        if (r)
                return r;
        if (each_sandbox_of(objects, ret, &sandbox))
                return 0;
        add_limits(bus, &sandbox);
        json_object_object_add(ret->properties, "SandboxProperties",
                               json_object_get(sandbox.properties));
        return 0;
}

static int inspect(int argc, char **argv)
{
        return show_objects(&verb_inspect, argc, argv, find_whole_container);
}

static int sandbox_show(int argc, char **argv)
{
        return show_objects(&verb_sandbox_show, argc, argv, find_whole_sandbox);
}

const Verb verb_ps = {
        .name = "ps",
        .arguments = "[OPTION…]",
        .summary = "list containers",
        .help = "  -a, --all             also those that don't run\n"
                "  -q, --quiet           ids only\n"
                "      --format FORMAT   table or json\n",
        .run = ps,
};

const Verb verb_inspect = {
        .name = "inspect",
        .arguments = "CONTAINER…",
        .summary = "print all that is known of containers, as JSON",
        .run = inspect,
};

const Verb verb_sandbox_list = {
        .name = "sandbox list",
        .arguments = "[OPTION…]",
        .summary = "list virtual machines",
        .help = "  -q, --quiet           ids only\n"
                "      --format FORMAT   table or json\n",
        .run = sandbox_list,
};

const Verb verb_sandbox_show = {
        .name = "sandbox show",
        .arguments = "SANDBOX…",
        .summary = "print all that is known of virtual machines, as JSON",
        .run = sandbox_show,
};
