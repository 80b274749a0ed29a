/* uvmctl attach and start: join a container that exists. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "client/objects.h"
#include "client/session.h"
#include "uvmctl/launch.h"

typedef struct AttachArguments {
        bool attach, interactive, no_stdin, no_signals;
        const char *detach_keys;
} AttachArguments;

static int attach_open(Session **ret, sd_bus *bus, const Object *container,
                       const AttachArguments *arguments)
{
        SessionOptions options = {
                .interface = CLIENT_CONTAINER,
                .path = container->path,
                .terminal = client_json_bool(container->properties, "Terminal"),
                .input = !arguments->no_stdin,
                .no_signals = arguments->no_signals,
                .detach_keys = arguments->detach_keys,
        };

        return session_open(ret, bus, &options);
}

static int attach_run(Session *session)
{
        SessionEnd end;
        int code;
        int r = session_run(session, &end, &code);

        if (r)
                return r;
        return end == SESSION_DETACHED ? EXIT_SUCCESS : code;
}

static int attach(int argc, char **argv)
{
        enum { OPT_NO_STDIN = 256, OPT_SIG_PROXY, OPT_DETACH_KEYS };
        static const struct option options[] = {
                {"no-stdin", no_argument, NULL, OPT_NO_STDIN},
                {"no-sig-proxy", no_argument, NULL, OPT_SIG_PROXY},
                {"detach-keys", required_argument, NULL, OPT_DETACH_KEYS},
                {0},
        };
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(objects_freep) Objects *objects = NULL;
        _cleanup_(session_freep) Session *session = NULL;
        AttachArguments arguments = {0};
        Object container;
        int option, r;

        while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                if (option == OPT_NO_STDIN)
                        arguments.no_stdin = true;
                else if (option == OPT_SIG_PROXY)
                        arguments.no_signals = true;
                else if (option == OPT_DETACH_KEYS)
                        arguments.detach_keys = optarg;
                else
                        return verb_usage_error(&verb_attach, "unknown option");
        }
        if (optind + 1 != argc)
                return verb_usage_error(&verb_attach, "which container?");
        r = client_bus_open(&bus);
        if (!r)
                r = objects_load(bus, &objects);
        if (!r)
                r = objects_find_container(objects, argv[optind], &container);
        if (r)
                return r;
        if (strcmp(client_json_string(container.properties, "State"), "running") != 0)
                return client_fail("container %s is not running: start it with uvmctl start -ai",
                                   argv[optind]);
        r = attach_open(&session, bus, &container, &arguments);
        return r ? r : attach_run(session);
}

static int start_one(sd_bus *bus, const char *name, const AttachArguments *arguments)
{
        _cleanup_(objects_freep) Objects *objects = NULL;
        _cleanup_(session_freep) Session *session = NULL;
        Object container;
        Launch launch;
        int r = objects_load(bus, &objects);

        if (!r)
                r = objects_find_container(objects, name, &container);
        if (r)
                return r;
        launch = (Launch){
                .sandbox = (char *)client_json_string(container.properties, "Sandbox"),
                .container = (char *)container.path,
        };
        if (arguments->attach)
                r = attach_open(&session, bus, &container, arguments);
        if (!r)
                r = launch_start(&launch, bus, name);
        if (!r && arguments->attach)
                return attach_run(session);
        if (!r)
                puts(name);
        return r;
}

static int start(int argc, char **argv)
{
        enum { OPT_DETACH_KEYS = 256 };
        static const struct option options[] = {
                {"attach", no_argument, NULL, 'a'},
                {"interactive", no_argument, NULL, 'i'},
                {"detach-keys", required_argument, NULL, OPT_DETACH_KEYS},
                {0},
        };
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        AttachArguments arguments = {.no_stdin = true};
        int option, r, status = 0;

        while ((option = getopt_long(argc, argv, "ai", options, NULL)) >= 0) {
                if (option == 'a')
                        arguments.attach = true;
                else if (option == 'i')
                        arguments.no_stdin = false;
                else if (option == OPT_DETACH_KEYS)
                        arguments.detach_keys = optarg;
                else
                        return verb_usage_error(&verb_start, "unknown option");
        }
        if (optind == argc)
                return verb_usage_error(&verb_start, "which container?");
        if (arguments.attach && optind + 1 != argc)
                return verb_usage_error(&verb_start, "-a takes one container");
        r = client_bus_open(&bus);
        if (r)
                return r;
        for (int i = optind; i < argc; i++) {
                r = start_one(bus, argv[i], &arguments);
                if (r)
                        status = r;
        }
        return status;
}

const Verb verb_attach = {
        .name = "attach",
        .arguments = "[OPTION…] CONTAINER",
        .summary = "join a running container",
        .help = "      --no-stdin           only watch\n"
                "      --no-sig-proxy       keep signals such as ctrl-C to yourself\n"
                "      --detach-keys KEYS   what leaves it running (ctrl-p,ctrl-q)\n",
        .run = attach,
};

const Verb verb_start = {
        .name = "start",
        .arguments = "[-a [-i]] CONTAINER…",
        .summary = "start a container that was created or has stopped",
        .help = "  -a, --attach             join it\n"
                "  -i, --interactive        with standard input\n"
                "      --detach-keys KEYS   what leaves it running (ctrl-p,ctrl-q)\n",
        .run = start,
};
