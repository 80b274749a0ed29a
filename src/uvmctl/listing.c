/* Verbs over what uvmd lists; see listing.h. */
#include <stdio.h>

#include "base/cleanup.h"
#include "uvmctl/listing.h"

int listing_parse(const Verb *verb, int argc, char **argv, ListingOptions *ret)
{
        static const struct option options[] = {
                {"quiet", no_argument, NULL, 'q'},
                {"format", required_argument, NULL, 'f'},
                {0},
        };
        int option, json = 0;

        *ret = (ListingOptions){};
        while ((option = getopt_long(argc, argv, "q", options, NULL)) >= 0) {
                if (option == 'q')
                        ret->quiet = true;
                else if (option != 'f' || verb_parse_format(verb, optarg, &json))
                        return verb_usage_error(verb, "these options are not understood");
        }
        ret->json = json;
        return 0;
}

json_object *listing_load(sd_bus *bus, const char *member)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;

        if (client_call(bus, CLIENT_MANAGER_PATH, CLIENT_MANAGER, member, &reply, NULL))
                return NULL;
        return client_json_read(reply);
}

static void print_keys(json_object *all, const char *key)
{
        for (size_t i = 0; i < json_object_array_length(all); i++) {
                const char *text = client_json_string(json_object_array_get_idx(all, i), key);

                if (text[0]) /* a network whose configuration is broken has no name */
                        puts(text);
        }
}

int listing_run(const char *member, const ListingOptions *options, const char *key,
                ListingPrint print)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(json_object_putp) json_object *all = NULL;

        if (client_bus_open(&bus))
                return CLIENT_EXIT_FAILED;
        all = listing_load(bus, member);
        if (!all)
                return CLIENT_EXIT_FAILED;
        if (options->quiet)
                print_keys(all, key);
        else if (options->json)
                client_json_print(all);
        else
                print(all);
        return 0;
}

int listing_remove(const Verb *verb, int argc, char **argv, const char *member, const char *none)
{
        static const struct option options[] = {{"force", no_argument, NULL, 'f'}, {0}};
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        int option, r, force = 0, status = 0;

        while ((option = getopt_long(argc, argv, "f", options, NULL)) >= 0) {
                if (option != 'f')
                        return verb_usage_error(verb, "unknown option");
                force = 1;
        }
        if (optind == argc)
                return verb_usage_error(verb, "%s", none);
        r = client_bus_open(&bus);
        if (r)
                return r;
        for (int i = optind; i < argc; i++) {
                r = client_call(bus, CLIENT_MANAGER_PATH, CLIENT_MANAGER, member, NULL, "sb",
                                argv[i], force);
                if (r)
                        status = r;
                else
                        puts(argv[i]);
        }
        return status;
}
