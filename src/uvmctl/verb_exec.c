/* uvmctl exec: one more process in a running container. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "client/late.h"
#include "client/objects.h"
#include "client/session.h"
#include "uvmctl/setup.h"

/* Asks for the process; *ret_path is its object. */
static int exec_create(sd_bus *bus, const Setup *setup, const char *name, char **command,
                       char **ret_path)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL, *reply = NULL;
        _cleanup_(objects_freep) Objects *objects = NULL;
        Object container;
        int r = objects_load(bus, &objects);

        if (!r)
                r = objects_find_container(objects, name, &container);
        if (!r)
                r = client_message_new(bus, client_json_string(container.properties, "Sandbox"),
                                       CLIENT_SANDBOX, "Exec", &message);
        if (r)
                return r;
        if (sd_bus_message_append(message, "s", client_json_string(container.properties, "Id")) < 0)
                return client_fail("the name can't be sent");
        r = setup_append_process(setup, message, command);
        if (!r)
                r = client_send(bus, message, &reply);
        return r ? r : client_read_path(reply, ret_path);
}

static int exec_attached(sd_bus *bus, const Setup *setup, const char *path)
{
        _cleanup_(session_freep) Session *session = NULL;
        SessionOptions options = {
                .interface = CLIENT_PROCESS,
                .path = path,
                .terminal = setup->terminal,
                .input = setup->interactive,
                .detach_keys = setup->detach_keys,
        };
        SessionEnd end;
        int code, r;

        r = session_open(&session, bus, &options);
        if (!r)
                r = client_call_late(bus, path, CLIENT_PROCESS, "Start", NULL);
        if (!r)
                r = session_run(session, &end, &code);
        if (r)
                return r;
        return end == SESSION_DETACHED ? EXIT_SUCCESS : code;
}

static int run(int argc, char **argv)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(setup_done) Setup setup = {0};
        _cleanup_(freep) char *path = NULL;
        int r = setup_parse(&setup, &verb_exec, argc, argv, true);

        if (r)
                return r;
        if (optind + 1 >= argc)
                return verb_usage_error(&verb_exec, "which container, and which command?");
        r = client_bus_open(&bus);
        if (!r)
                r = exec_create(bus, &setup, argv[optind], argv + optind + 1, &path);
        if (r)
                return r;
        if (setup.detach)
                return client_call_late(bus, path, CLIENT_PROCESS, "Start", NULL);
        return exec_attached(bus, &setup, path);
}

const Verb verb_exec = {
        .name = "exec",
        .arguments = "[OPTION…] CONTAINER COMMAND [ARGUMENT…]",
        .summary = "run a command in a running container",
        .help = SETUP_HELP_PROCESS "  -d, --detach              leave it running\n",
        .run = run,
};
