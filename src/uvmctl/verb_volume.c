/* uvmctl volume: named volumes, and mounts of containers that are there. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "client/json.h"
#include "client/late.h"
#include "client/objects.h"
#include "client/table.h"
#include "uvmctl/listing.h"
#include "uvmctl/mount.h"
#include "uvmctl/verbs.h"

/* ------------------------------------------------------------------ named volumes */

static int append_labels(sd_bus_message *message, char **labels, size_t n)
{
        int r = sd_bus_message_open_container(message, 'a', "{sv}");

        if (r >= 0 && n > 0) {
                r = sd_bus_message_open_container(message, 'e', "sv");
                if (r >= 0)
                        r = sd_bus_message_append(message, "s", "Labels");
                if (r >= 0)
                        r = sd_bus_message_open_container(message, 'v', "a{ss}");
                if (r >= 0)
                        r = sd_bus_message_open_container(message, 'a', "{ss}");
                for (size_t i = 0; r >= 0 && i < n; i++) {
                        char *value = strchr(labels[i], '=');

                        if (value)
                                *value++ = 0;
                        r = sd_bus_message_append(message, "{ss}", labels[i], value ? value : "");
                }
                for (int depth = 0; r >= 0 && depth < 3; depth++)
                        r = sd_bus_message_close_container(message);
        }
        return r < 0 ? r : sd_bus_message_close_container(message);
}

static int create(int argc, char **argv)
{
        static const struct option options[] = {{"label", required_argument, NULL, 'l'}, {0}};
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        char *labels[64];
        size_t n = 0;
        int option, r;

        while ((option = getopt_long(argc, argv, "l:", options, NULL)) >= 0) {
                if (option != 'l' || n == ELEMENTSOF(labels))
                        return verb_usage_error(&verb_volume_create,
                                                "these options are not understood");
                labels[n++] = optarg;
        }
        if (optind + 1 != argc)
                return verb_usage_error(&verb_volume_create, "which name?");
        r = client_bus_open(&bus);
        if (!r)
                r = client_message_new(bus, CLIENT_MANAGER_PATH, CLIENT_MANAGER, "CreateVolume",
                                       &message);
        if (r)
                return r;
        r = sd_bus_message_append(message, "s", argv[optind]);
        if (r >= 0)
                r = append_labels(message, labels, n);
        if (r < 0)
                return client_fail_errno(r, "cannot make the call");
        r = client_send(bus, message, NULL);
        if (!r)
                puts(argv[optind]);
        return r;
}

static void print_volumes(json_object *volumes)
{
        static const char *const heads[] = {"NAME", "OWNER", "CREATED", "MOUNTS", "IN USE", NULL};
        _cleanup_(table_freep) Table *table = table_new(heads);
        char text[TABLE_TEXT_MAX];

        for (size_t i = 0; i < json_object_array_length(volumes); i++) {
                json_object *volume = json_object_array_get_idx(volumes, i);

                table_row(table);
                table_cell(table, "%s", client_json_string(volume, "Name"));
                table_cell(table, "%lld", (long long)client_json_int(volume, "Owner"));
                table_cell(table, "%s",
                           table_format_ago((uint64_t)client_json_int(volume, "Created"), text));
                table_cell(table, "%lld", (long long)client_json_int(volume, "Mounts"));
                table_cell(table, "%s", client_json_bool(volume, "InUse") ? "yes" : "no");
        }
        table_print(table, true);
}

static int list(int argc, char **argv)
{
        ListingOptions options;
        int r = listing_parse(&verb_volume_list, argc, argv, &options);

        return r ? r : listing_run("ListVolumes", &options, "Name", print_volumes);
}

static json_object *volume_find(json_object *volumes, const char *name)
{
        for (size_t i = 0; i < json_object_array_length(volumes); i++) {
                json_object *volume = json_object_array_get_idx(volumes, i);

                if (strcmp(client_json_string(volume, "Name"), name) == 0)
                        return volume;
        }
        return NULL;
}

static int inspect(int argc, char **argv)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(json_object_putp) json_object *volumes = NULL, *found = NULL;
        int status = 0;

        if (argc < 2)
                return verb_usage_error(&verb_volume_inspect, "which volume?");
        if (client_bus_open(&bus))
                return CLIENT_EXIT_FAILED;
        volumes = listing_load(bus, "ListVolumes");
        if (!volumes)
                return CLIENT_EXIT_FAILED;
        found = json_object_new_array();
        for (int i = 1; i < argc; i++) {
                json_object *volume = volume_find(volumes, argv[i]);

                if (volume)
                        json_object_array_add(found, json_object_get(volume));
                else
                        status = client_fail("there is no volume \"%s\"", argv[i]);
        }
        client_json_print(found);
        return status;
}

static int rm(int argc, char **argv)
{
        return listing_remove(&verb_volume_rm, argc, argv, "RemoveVolume", "which volume?");
}

static int prune(int argc, char **argv)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(json_object_putp) json_object *volumes = NULL;
        int r, status = 0;

        if (argc != 1)
                return verb_usage_error(&verb_volume_prune, "it takes no arguments");
        if (client_bus_open(&bus))
                return CLIENT_EXIT_FAILED;
        volumes = listing_load(bus, "ListVolumes");
        if (!volumes)
                return CLIENT_EXIT_FAILED;
        for (size_t i = 0; i < json_object_array_length(volumes); i++) {
                json_object *volume = json_object_array_get_idx(volumes, i);
                _cleanup_(freep) char *name = NULL;

                if (client_json_int(volume, "Mounts") > 0)
                        continue;
                if (asprintf(&name, "%lld/%s", (long long)client_json_int(volume, "Owner"),
                             client_json_string(volume, "Name")) < 0)
                        return client_fail("out of memory");
                r = client_call(bus, CLIENT_MANAGER_PATH, CLIENT_MANAGER, "RemoveVolume", NULL,
                                "sb", name, 0);
                if (r)
                        status = r;
                else
                        puts(client_json_string(volume, "Name"));
        }
        return status;
}

/* ------------------------------------------------------------------ mounts */

static int parse_attach(int argc, char **argv, MountSpec *spec, char **ret_error)
{
        static const struct option options[] = {
                {"volume", required_argument, NULL, 'v'},
                {"mount", required_argument, NULL, 'm'},
                {0},
        };
        int option, r = 0, n = 0;

        while (r >= 0 && (option = getopt_long(argc, argv, "v:", options, NULL)) >= 0) {
                if (n++ > 0 || (option != 'v' && option != 'm'))
                        return -EINVAL;
                r = option == 'v' ? mount_spec_parse_volume(spec, optarg, ret_error)
                                  : mount_spec_parse_mount(spec, optarg, ret_error);
        }
        if (r >= 0 && n == 0 && optind + 2 == argc)
                return mount_spec_parse_volume(spec, argv[optind + 1], ret_error);
        return r < 0 ? r : n == 1 && optind + 1 == argc ? 0 : -EINVAL;
}

static int attach(int argc, char **argv)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(freep) char *path = NULL, *error = NULL;
        _cleanup_(mount_spec_done) MountSpec spec = {};
        int r = parse_attach(argc, argv, &spec, &error);

        if (r < 0)
                return verb_usage_error(&verb_volume_attach, "%s",
                                        error ? error : "which container, and what where?");
        r = client_bus_open(&bus);
        if (!r)
                r = objects_find_container_path(bus, argv[optind], &path);
        return r ? r : mount_attach(bus, path, &spec);
}

static int detach(int argc, char **argv)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        _cleanup_(freep) char *path = NULL;
        int r;

        if (argc != 3)
                return verb_usage_error(&verb_volume_detach, "which container, and where?");
        r = client_bus_open(&bus);
        if (!r)
                r = objects_find_container_path(bus, argv[1], &path);
        if (!r)
                r = client_message_new(bus, path, CLIENT_CONTAINER, "DetachVolume", &message);
        if (r)
                return r;
        if (sd_bus_message_append(message, "s", argv[2]) < 0)
                return client_fail("the target can't be sent");
        return client_send_late(bus, message, "Detaching …", NULL);
}

const Verb verb_volume_create = {
        .name = "volume create",
        .arguments = "[-l K=V]… NAME",
        .summary = "make a named volume",
        .help = "  -l, --label K=V\n",
        .run = create,
};

const Verb verb_volume_list = {
        .name = "volume list",
        .arguments = "[OPTION…]",
        .summary = "list named volumes",
        .help = "  -q, --quiet           names only\n"
                "      --format FORMAT   table or json\n",
        .run = list,
};

const Verb verb_volume_inspect = {
        .name = "volume inspect",
        .arguments = "VOLUME…",
        .summary = "show all about volumes",
        .run = inspect,
};

const Verb verb_volume_rm = {
        .name = "volume rm",
        .arguments = "[-f] VOLUME…",
        .summary = "remove volumes with all that is in them",
        .help = "  -f, --force   although containers that don't run are to have them\n",
        .run = rm,
};

const Verb verb_volume_prune = {
        .name = "volume prune",
        .arguments = "",
        .summary = "remove the volumes that no container is to have",
        .run = prune,
};

const Verb verb_volume_attach = {
        .name = "volume attach",
        .arguments = "CONTAINER {SOURCE:TARGET[:OPTIONS] | -v … | --mount …}",
        .summary = "mount something into a container that may be running",
        .help = "  -v, --volume SOURCE:TARGET[:OPTIONS]   as in run\n"
                "      --mount type=TYPE,…                as in run\n",
        .run = attach,
};

const Verb verb_volume_detach = {
        .name = "volume detach",
        .arguments = "CONTAINER TARGET",
        .summary = "take a mount away",
        .run = detach,
};
