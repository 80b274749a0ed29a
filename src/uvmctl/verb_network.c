/* uvmctl network and port: networks that there are, and those of containers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "client/json.h"
#include "client/late.h"
#include "client/objects.h"
#include "client/table.h"
#include "uvmctl/each.h"
#include "uvmctl/listing.h"
#include "uvmctl/network.h"
#include "uvmctl/network_ports.h"
#include "uvmctl/verbs.h"

/* ------------------------------------------------------------------ what there is */

/* The strings of the list under @key with @between, in @text; what doesn't fit is left out. */
static const char *join(json_object *object, const char *key, const char *between, char *text,
                        size_t room)
{
        json_object *array;
        size_t at = 0;

        text[0] = 0;
        if (!json_object_object_get_ex(object, key, &array) ||
            !json_object_is_type(array, json_type_array))
                return text;
        for (size_t i = 0; i < json_object_array_length(array) && at < room; i++)
                at += (size_t)snprintf(text + at, room - at, "%s%s", i ? between : "",
                                       json_object_get_string(json_object_array_get_idx(array, i)));
        return text;
}

static void print_networks(json_object *networks)
{
        static const char *const heads[] = {"NAME", "KIND", "TYPE", "BRIDGE", "SUBNETS", NULL};
        _cleanup_(table_freep) Table *table = table_new(heads);
        char text[512];

        for (size_t i = 0; i < json_object_array_length(networks); i++) {
                json_object *network = json_object_array_get_idx(networks, i);
                const char *error = client_json_string(network, "Error");

                if (error[0]) {
                        client_warn("%s", error);
                        continue;
                }
                table_row(table);
                table_cell(table, "%s", client_json_string(network, "Name"));
                table_cell(table, "%s", client_json_string(network, "Kind"));
                table_cell(table, "%s", client_json_string(network, "Type"));
                table_cell(table, "%s", client_json_string(network, "Bridge"));
                table_cell(table, "%s", join(network, "Subnets", ", ", text, sizeof(text)));
        }
        table_print(table, true);
}

static int list(int argc, char **argv)
{
        ListingOptions options;
        int r = listing_parse(&verb_network_list, argc, argv, &options);

        if (!r && optind != argc)
                r = verb_usage_error(&verb_network_list, "network list takes no arguments");
        if (r)
                return r;
        return listing_run("ListNetworks", &options, "Name", print_networks);
}

static int inspect(int argc, char **argv)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(json_object_putp) json_object *networks = NULL, *found = NULL;
        int status = 0;

        if (argc < 2)
                return verb_usage_error(&verb_network_inspect, "which network?");
        if (client_bus_open(&bus))
                return CLIENT_EXIT_FAILED;
        networks = listing_load(bus, "ListNetworks");
        if (!networks)
                return CLIENT_EXIT_FAILED;
        found = json_object_new_array();
        for (int i = 1; i < argc; i++) {
                bool any = false;

                for (size_t j = 0; j < json_object_array_length(networks); j++) {
                        json_object *network = json_object_array_get_idx(networks, j);

                        if (strcmp(client_json_string(network, "Name"), argv[i]) != 0)
                                continue;
                        json_object_array_add(found, json_object_get(network));
                        any = true;
                }
                if (!any)
                        status = client_fail("there is no network \"%s\"; see uvmctl network list",
                                             argv[i]);
        }
        client_json_print(found);
        return status;
}

/* ------------------------------------------------------------------ of a container */

/* The sandbox of a container's name: a snapshot that holds it, and the object. A status. */
static int find_sandbox(sd_bus *bus, const char *name, Objects **objects, Object *ret)
{
        Object container;
        int r = objects_load(bus, objects);

        if (!r)
                r = objects_find_container(*objects, name, &container);
        return r ? r : each_sandbox_of(*objects, &container, ret);
}

static int attach_throttle(ThrottleArg *throttle)
{
        _cleanup_(freep) char *error = NULL;
        int r;

        throttle_arg_done(throttle);
        r = throttle_arg_parse_limits(throttle, optarg, &error);
        return r >= 0 ? 0
                      : verb_usage_error(&verb_network_attach, "--throttle: %s",
                                         error ? error : strerror(-r));
}

static int attach(int argc, char **argv)
{
        static const struct option options[] = {{"publish", required_argument, NULL, 'p'},
                                                {"throttle", required_argument, NULL, 't'},
                                                {0}};
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(objects_freep) Objects *objects = NULL;
        _cleanup_(network_arg_done) NetworkArg arg = {};
        _cleanup_(freep) char *error = NULL;
        _cleanup_(network_options_done) NetworkOptions given = {};
        _cleanup_(throttle_arg_done) ThrottleArg throttle = {};
        Object sandbox;
        int option, r = 0;

        while (!r && (option = getopt_long(argc, argv, "p:", options, NULL)) >= 0) {
                if (option == 'p')
                        r = network_take_option(&given, &verb_network_attach, option);
                else if (option == 't')
                        r = attach_throttle(&throttle);
                else
                        r = verb_usage_error(&verb_network_attach,
                                             "these options are not understood");
        }
        if (r)
                return r;
        if (argc - optind != 2)
                return verb_usage_error(&verb_network_attach,
                                        "which container, and which network?");
        r = network_arg_parse(&arg, argv[optind + 1], &error);
        if (r < 0)
                return verb_usage_error(&verb_network_attach, "%s", error ? error : strerror(-r));
        if (arg.path)
                return verb_usage_error(&verb_network_attach,
                                        "a namespace is given to run or create only");
        r = client_bus_open(&bus);
        if (!r)
                r = find_sandbox(bus, argv[optind], &objects, &sandbox);
        return r ? r
                 : network_attach_one(bus, sandbox.path, &arg, &given.ports,
                                      throttle.text ? &throttle : NULL, true);
}

static int detach(int argc, char **argv)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(objects_freep) Objects *objects = NULL;
        Object sandbox;
        int r;

        if (argc != 3)
                return verb_usage_error(&verb_network_detach,
                                        "which container, and which interface?");
        r = client_bus_open(&bus);
        if (!r)
                r = find_sandbox(bus, argv[1], &objects, &sandbox);
        if (!r)
                r = client_call_late_string(bus, sandbox.path, CLIENT_SANDBOX, "DetachNetwork",
                                            argv[2], "Detaching …");
        if (!r)
                puts(argv[2]);
        return r;
}

/* Each that was attached and is there. A status: what the first failure makes. */
static int check_all(sd_bus *bus, const Object *sandbox, const char *name)
{
        json_object *networks = NULL;
        int status = 0;

        json_object_object_get_ex(sandbox->properties, "Networks", &networks);
        for (size_t i = 0; networks && i < json_object_array_length(networks); i++) {
                json_object *network = json_object_array_get_idx(networks, i);
                const char *interface = client_json_string(network, "Interface");
                const char *of = client_json_string(network, "Network");
                int r;

                if (!of[0] || strncmp(of, "host:", 5) == 0)
                        continue;
                r = client_call_late_string(bus, sandbox->path, CLIENT_SANDBOX, "CheckNetwork",
                                            interface, NULL);
                if (!r)
                        printf("%s: %s (%s) is as it was made\n", name, interface, of);
                status = status ? status : r;
        }
        return status;
}

static int check(int argc, char **argv)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        int status = 0;

        if (argc < 2)
                return verb_usage_error(&verb_network_check, "which container?");
        if (client_bus_open(&bus))
                return CLIENT_EXIT_FAILED;
        for (int i = 1; i < argc; i++) {
                _cleanup_(objects_freep) Objects *objects = NULL;
                Object sandbox;
                int r = find_sandbox(bus, argv[i], &objects, &sandbox);

                if (!r)
                        r = check_all(bus, &sandbox, argv[i]);
                status = status ? status : r;
        }
        return status;
}

static int port(int argc, char **argv)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(objects_freep) Objects *objects = NULL;
        Object sandbox;
        int r;

        if (argc != 2 && argc != 3)
                return verb_usage_error(&verb_port, "which container?");
        r = client_bus_open(&bus);
        if (!r)
                r = find_sandbox(bus, argv[1], &objects, &sandbox);
        if (r)
                return r;
        if (argc == 2)
                network_print_ports(sandbox.properties, stdout, "", network_print_port_line);
        else if (network_print_port_of(sandbox.properties, stdout, argv[2]) == 0)
                return client_fail("no port of this host leads to %s of \"%s\"", argv[2], argv[1]);
        return 0;
}

const Verb verb_network_list = {
        .name = "network list",
        .arguments = "[OPTION…]",
        .summary = "list networks",
        .help = "  -q, --quiet           names only\n"
                "      --format FORMAT   table or json\n",
        .run = list,
};

const Verb verb_network_inspect = {
        .name = "network inspect",
        .arguments = "NETWORK…",
        .summary = "print what is known of networks, as JSON",
        .run = inspect,
};

const Verb verb_network_attach = {
        .name = "network attach",
        .arguments = "[OPTION…] CONTAINER NETWORK[:OPTION=VALUE,…]",
        .summary = "give a container's machine an interface in a network",
        .help = "Prints the interface's name. It is there in the running machine at once, and "
                "again\n"
                "whenever that starts.\n"
                "  -p, --publish [[ADDRESS:][HOST]:]GUEST[/tcp|udp]\n"
                "                        have a port of the host lead to one of the container\n"
                "      --throttle bps=SIZE,pps=N[,bps-burst=SIZE][,pps-burst=N]\n"
                "                        how fast it may be; tx- or rx- in front: one direction\n"
                "Options of the network are ip, mac, alias, interface_name, ingress and egress.\n",
        .run = attach,
};

const Verb verb_network_detach = {
        .name = "network detach",
        .arguments = "CONTAINER INTERFACE",
        .summary = "take an interface away from a container's machine",
        .run = detach,
};

const Verb verb_network_check = {
        .name = "network check",
        .arguments = "CONTAINER…",
        .summary = "ask those who made a container's networks whether all is there",
        .run = check,
};

const Verb verb_port = {
        .name = "port",
        .arguments = "CONTAINER [PORT[/tcp|udp]]",
        .summary = "list a container's published ports, or where one is",
        .run = port,
};
