/* uvmctl run and create: a new container, in a virtual machine of its own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "client/late.h"
#include "client/session.h"
#include "uvmctl/launch.h"

/* The id is the last part of the object's path. */
static void print_id(const char *path)
{
        puts(strrchr(path, '/') + 1);
}

static int run_attached(const Launch *launch, sd_bus *bus, const Setup *setup)
{
        _cleanup_(session_freep) Session *session = NULL;
        SessionOptions options = {
                .interface = CLIENT_CONTAINER,
                .path = launch->container,
                .terminal = setup->terminal,
                .input = setup->interactive,
                .detach_keys = setup->detach_keys,
        };
        SessionEnd end;
        int code, r;

        r = session_open(&session, bus, &options);
        if (!r)
                r = launch_start(launch, bus, setup->name);
        if (r) {
                /* What never ran is of no use to anyone; a failed boot stays to be inspected. */
                if (setup->remove || r == CLIENT_EXIT_INTERRUPTED)
                        launch_undo(launch, bus);
                return r;
        }
        r = session_run(session, &end, &code);
        if (r)
                return r;
        if (end == SESSION_DETACHED)
                return EXIT_SUCCESS;
        /* A sandbox of its own goes with it, by AutoRemove. */
        if (setup->remove && !launch->owns_sandbox)
                launch_undo(launch, bus);
        return code;
}

static int run_detached(const Launch *launch, sd_bus *bus, const Setup *setup)
{
        int r = launch_start(launch, bus, setup->name);

        if (r) {
                if (setup->remove || r == CLIENT_EXIT_INTERRUPTED)
                        launch_undo(launch, bus);
                return r;
        }
        print_id(launch->container);
        return EXIT_SUCCESS;
}

static int run(int argc, char **argv)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(setup_done) Setup setup = {0};
        _cleanup_(launch_done) Launch launch = {0};
        int r = setup_parse(&setup, &verb_run, argc, argv, false);

        if (r)
                return r;
        if (optind == argc)
                return verb_usage_error(&verb_run, "which image?");
        if (setup.detach && setup.remove && setup.sandbox)
                return verb_usage_error(&verb_run, "--rm with -d needs a sandbox of its own: "
                                                   "nobody is there to remove it from --sandbox");
        r = client_bus_open(&bus);
        if (!r)
                r = launch_create(&launch, bus, &setup, argv[optind], argv + optind + 1);
        if (r)
                return r;
        return setup.detach ? run_detached(&launch, bus, &setup)
                            : run_attached(&launch, bus, &setup);
}

static int create(int argc, char **argv)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(setup_done) Setup setup = {0};
        _cleanup_(launch_done) Launch launch = {0};
        int r = setup_parse(&setup, &verb_create, argc, argv, false);

        if (r)
                return r;
        if (optind == argc)
                return verb_usage_error(&verb_create, "which image?");
        r = client_bus_open(&bus);
        if (!r)
                r = launch_create(&launch, bus, &setup, argv[optind], argv + optind + 1);
        if (r)
                return r;
        if (!setup.remove && setup.storage && strcmp(setup.storage, "memory") == 0)
                client_warn("note: what the container writes is kept in the guest's memory and "
                            "is gone once it has stopped");
        print_id(launch.container);
        return EXIT_SUCCESS;
}

const Verb verb_run = {
        .name = "run",
        .arguments = "[OPTION…] IMAGE [COMMAND [ARGUMENT…]]",
        .summary = "run a command in a new container",
        .help = setup_help,
        .run = run,
};

const Verb verb_create = {
        .name = "create",
        .arguments = "[OPTION…] IMAGE [COMMAND [ARGUMENT…]]",
        .summary = "make a container without starting it",
        .help = setup_help,
        .run = create,
};
