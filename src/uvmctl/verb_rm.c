/* uvmctl rm. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "client/json.h"
#include "client/objects.h"
#include "uvmctl/each.h"
#include "uvmctl/listing.h"
#include "uvmctl/verbs.h"

typedef struct RmOptions {
        bool force, volumes;
} RmOptions;

static int rm_container(sd_bus *bus, Objects *objects, const Object *container, bool force)
{
        Object sandbox;
        int r;

        if (!each_is_main(container))
                return client_call(bus, container->path, CLIENT_CONTAINER, "Delete", NULL, "b",
                                   (int)force);
        r = each_sandbox_of(objects, container, &sandbox);
        return r ? r
                 : client_call(bus, sandbox.path, CLIENT_SANDBOX, "Delete", NULL, "b", (int)force);
}

/* Whether the container has the volume, nobody named it, and nobody else has it. */
static bool is_its_alone(json_object *volume, json_object *mounts)
{
        if (!client_json_bool(volume, "Anonymous") || client_json_int(volume, "Mounts") != 1)
                return false;
        for (size_t i = 0; i < json_object_array_length(mounts); i++) {
                json_object *mount = json_object_array_get_idx(mounts, i);

                if (strcmp(client_json_string(mount, "Volume"),
                           client_json_string(volume, "Name")) == 0)
                        return true;
        }
        return false;
}

/* @volumes are those that there were with the container. */
static int rm_volumes(sd_bus *bus, json_object *volumes, json_object *mounts)
{
        int r, status = 0;

        for (size_t i = 0; i < json_object_array_length(volumes); i++) {
                json_object *volume = json_object_array_get_idx(volumes, i);
                char name[256];

                if (!is_its_alone(volume, mounts))
                        continue;
                snprintf(name, sizeof(name), "%lld/%s", (long long)client_json_int(volume, "Owner"),
                         client_json_string(volume, "Name"));
                r = client_call(bus, CLIENT_MANAGER_PATH, CLIENT_MANAGER, "RemoveVolume", NULL,
                                "sb", name, 0);
                if (r)
                        status = r;
        }
        return status;
}

static int rm_one(sd_bus *bus, Objects *objects, const Object *container, void *userdata)
{
        _cleanup_(json_object_putp) json_object *volumes = NULL;
        const RmOptions *options = userdata;
        json_object *mounts;
        int r;

        if (options->volumes) {
                volumes = listing_load(bus, "ListVolumes");
                if (!volumes)
                        return CLIENT_EXIT_FAILED;
        }
        r = rm_container(bus, objects, container, options->force);
        if (r || !volumes || !json_object_object_get_ex(container->properties, "Mounts", &mounts))
                return r;
        return rm_volumes(bus, volumes, mounts);
}

/* A sandbox without containers has a name of its own to be removed by. */
static int rm_sandbox(const char *name, bool force)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(objects_freep) Objects *objects = NULL;
        Object sandbox;
        int r = client_bus_open(&bus);

        if (!r)
                r = objects_load(bus, &objects);
        if (!r)
                r = objects_find_sandbox(objects, name, &sandbox);
        if (!r)
                r = client_call(bus, sandbox.path, CLIENT_SANDBOX, "Delete", NULL, "b", (int)force);
        if (!r)
                puts(name);
        return r;
}

static int rm(int argc, char **argv)
{
        enum { OPT_SANDBOX = 256 };
        static const struct option options[] = {
                {"force", no_argument, NULL, 'f'},
                {"all", no_argument, NULL, 'a'},
                {"volumes", no_argument, NULL, 'v'},
                {"sandbox", no_argument, NULL, OPT_SANDBOX},
                {0},
        };
        RmOptions rm_options = {};
        bool all = false, sandboxes = false;
        int option, status = 0;

        while ((option = getopt_long(argc, argv, "fav", options, NULL)) >= 0) {
                if (option == 'f')
                        rm_options.force = true;
                else if (option == 'v')
                        rm_options.volumes = true;
                else if (option == 'a')
                        all = true;
                else if (option == OPT_SANDBOX)
                        sandboxes = true;
                else
                        return verb_usage_error(&verb_rm, "unknown option");
        }
        if (optind == argc && !all)
                return verb_usage_error(&verb_rm, "which container?");
        if (!sandboxes)
                return each_container(argv + optind, argc - optind, all, rm_one, &rm_options);
        for (int i = optind; i < argc; i++) {
                int r = rm_sandbox(argv[i], rm_options.force);

                if (r)
                        status = r;
        }
        return status;
}

const Verb verb_rm = {
        .name = "rm",
        .arguments = "[OPTION…] CONTAINER…",
        .summary = "remove containers",
        .help = "  -f, --force          kill them first\n"
                "  -a, --all            every container\n"
                "  -v, --volumes        with their anonymous volumes\n"
                "      --sandbox        the names are sandboxes'\n",
        .run = rm,
};
