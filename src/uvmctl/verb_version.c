/* uvmctl version: of the program, and of the service if it answers. */
#include <stdio.h>
#include <stdlib.h>

#include "config.h"

#include "base/cleanup.h"
#include "client/json.h"
#include "uvmctl/verbs.h"

#include "client/bus.h"

static int run(int argc, char **argv)
{
        static const struct option options[] = {{"format", required_argument, NULL, 'f'}, {0}};
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(json_object_putp) json_object *versions = json_object_new_object();
        _cleanup_(freep) char *service = NULL;
        int option, json = 0;

        while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0)
                if (option != 'f' || verb_parse_format(&verb_version, optarg, &json))
                        return verb_usage_error(&verb_version, "these options are not understood");
        if (sd_bus_open_system(&bus) >= 0)
                sd_bus_get_property_string(bus, "org.uvm1", CLIENT_MANAGER_PATH,
                                           client_interface_name(CLIENT_MANAGER), "Version", NULL,
                                           &service);
        if (json) {
                json_object_object_add(versions, "Client", json_object_new_string(UVM_VERSION));
                json_object_object_add(versions, "Service",
                                       service ? json_object_new_string(service) : NULL);
                client_json_print(versions);
                return EXIT_SUCCESS;
        }
        printf("uvmctl %s\nuvmd   %s\n", UVM_VERSION, service ? service : "does not answer");
        return EXIT_SUCCESS;
}

const Verb verb_version = {
        .name = "version",
        .arguments = "[--format FORMAT]",
        .summary = "print the versions of uvmctl and uvmd",
        .help = "      --format FORMAT   table or json\n",
        .run = run,
};
