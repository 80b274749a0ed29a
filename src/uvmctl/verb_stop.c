/* uvmctl stop, kill and wait: the end of containers. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "base/signals.h"
#include "client/late.h"
#include "client/wait.h"
#include "uvmctl/each.h"
#include "uvmctl/verbs.h"

static bool is_running(const Object *container)
{
        return strcmp(client_json_string(container->properties, "State"), "running") == 0;
}

/* The main container stops with its virtual machine; another one alone. */
static int stop_one(sd_bus *bus, Objects *objects, const Object *container, void *userdata)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        _cleanup_(freep) char *what = NULL;
        uint64_t *grace = userdata;
        Object sandbox;
        int r = each_sandbox_of(objects, container, &sandbox);

        if (r)
                return r;
        if (!each_is_main(container)) {
                if (!is_running(container))
                        return 0;
                return client_call(bus, container->path, CLIENT_CONTAINER, "Signal", NULL, "i",
                                   *grace ? SIGTERM : SIGKILL);
        }
        if (strcmp(client_json_string(sandbox.properties, "State"), "running") != 0)
                return 0;
        r = client_message_new(bus, sandbox.path, CLIENT_SANDBOX, "Stop", &message);
        if (r)
                return r;
        if (sd_bus_message_append(message, "t", *grace) < 0)
                return client_fail("the call can't be made");
        if (asprintf(&what, "Stopping %s …", client_json_string(container->properties, "Name")) < 0)
                what = NULL;
        return client_send_late(bus, message, what, NULL);
}

static int stop(int argc, char **argv)
{
        static const struct option options[] = {
                {"time", required_argument, NULL, 't'},
                {"all", no_argument, NULL, 'a'},
                {0},
        };
        uint64_t grace = UINT64_MAX;
        bool all = false;
        int option;

        while ((option = getopt_long(argc, argv, "t:a", options, NULL)) >= 0) {
                if (option == 'a') {
                        all = true;
                } else if (option == 't') {
                        if (parse_u64(optarg, 0, 86400, &grace) < 0)
                                return verb_usage_error(&verb_stop, "-t takes seconds, 0 to 86400");
                        grace *= USEC_PER_SEC;
                } else {
                        return verb_usage_error(&verb_stop, "unknown option");
                }
        }
        if (optind == argc && !all)
                return verb_usage_error(&verb_stop, "which container?");
        return each_container(argv + optind, argc - optind, all, stop_one, &grace);
}

static int kill_one(sd_bus *bus, Objects *objects, const Object *container, void *userdata)
{
        int *signal = userdata;

        if (!is_running(container))
                return client_fail("container %s is not running",
                                   client_json_string(container->properties, "Name"));
        return client_call(bus, container->path, CLIENT_CONTAINER, "Signal", NULL, "i", *signal);
}

static int kill_verb(int argc, char **argv)
{
        static const struct option options[] = {
                {"signal", required_argument, NULL, 's'},
                {"all", no_argument, NULL, 'a'},
                {0},
        };
        int option, number = SIGKILL;
        bool all = false;

        while ((option = getopt_long(argc, argv, "s:a", options, NULL)) >= 0) {
                if (option == 'a') {
                        all = true;
                } else if (option == 's') {
                        number = signal_parse(optarg);
                        if (number < 0)
                                return verb_usage_error(&verb_kill, "there is no signal \"%s\"",
                                                        optarg);
                } else {
                        return verb_usage_error(&verb_kill, "unknown option");
                }
        }
        if (optind == argc && !all)
                return verb_usage_error(&verb_kill, "which container?");
        return each_container(argv + optind, argc - optind, all, kill_one, &number);
}

static int wait_one(sd_bus *bus, const char *name)
{
        _cleanup_(objects_freep) Objects *objects = NULL;
        Object container;
        int code, r = objects_load(bus, &objects);

        if (!r)
                r = objects_find_container(objects, name, &container);
        if (!r)
                r = wait_for_exit(bus, container.path, CLIENT_CONTAINER, &code);
        if (!r)
                printf("%d\n", code);
        return r;
}

static int wait_verb(int argc, char **argv)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        int r, status = 0;

        if (argc < 2)
                return verb_usage_error(&verb_wait, "which container?");
        r = client_bus_open(&bus);
        if (r)
                return r;
        for (int i = 1; i < argc; i++) {
                r = wait_one(bus, argv[i]);
                if (r)
                        status = r;
        }
        return status;
}

const Verb verb_stop = {
        .name = "stop",
        .arguments = "[OPTION…] CONTAINER…",
        .summary = "stop containers, asking first",
        .help = "  -t, --time SECONDS   before it is killed (10)\n"
                "  -a, --all            every container\n",
        .run = stop,
};

const Verb verb_kill = {
        .name = "kill",
        .arguments = "[OPTION…] CONTAINER…",
        .summary = "send a signal to containers",
        .help = "  -s, --signal SIGNAL  by name or number (SIGKILL)\n"
                "  -a, --all            to every container\n",
        .run = kill_verb,
};

const Verb verb_wait = {
        .name = "wait",
        .arguments = "CONTAINER…",
        .summary = "wait for containers to exit and print their codes",
        .run = wait_verb,
};
