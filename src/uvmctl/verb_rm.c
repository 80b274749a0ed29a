/* uvmctl rm. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "client/json.h"
#include "client/objects.h"
#include "uvmctl/anonymous.h"
#include "uvmctl/each.h"
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

static int rm_one(sd_bus *bus, Objects *objects, const Object *container, void *userdata)
{
        _cleanup_(json_object_putp) json_object *volumes = NULL;
        const RmOptions *options = userdata;
        int r = options->volumes ? anonymous_find(bus, container, &volumes) : 0;

        if (!r)
                r = rm_container(bus, objects, container, options->force);
        return r || !volumes ? r : anonymous_remove(bus, volumes);
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
