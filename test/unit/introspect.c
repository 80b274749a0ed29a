/*
 * Prints the introspection of one object of each kind, as uvmd's own tables give it to the bus:
 * introspection.py compares it with dbus/org.uvm1.*.xml. A child serves the objects on one end of a
 * socket pair, without any bus.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "uvmd/bus/bus.h"
#include "uvmd/record.h"

#define SANDBOX "aaaaaaaaaaaaaaaa"

static const char record[] =
        "{\"Version\": 1, \"Name\": \"s\", \"State\": \"stopped\", \"Config\": {},"
        " \"Containers\": [{\"Id\": \"bbbbbbbbbbbbbbbb\", \"Name\": \"c\","
        "  \"ImageId\": \"cccccccccccccccc\", \"Task\": {\"State\": \"exited\", \"Token\": 1,"
        "   \"Command\": [\"sh\"]}, \"Config\": {\"Image\": \"i\"}}],"
        " \"Processes\": [{\"Container\": \"bbbbbbbbbbbbbbbb\", \"Task\": {\"State\": \"exited\","
        "  \"Token\": 2, \"Command\": [\"ls\"]}, \"Config\": {}}]}";

static const char *const paths[] = {
        "/org/uvm1",
        "/org/uvm1/sandbox/" SANDBOX,
        "/org/uvm1/sandbox/" SANDBOX "/container/bbbbbbbbbbbbbbbb",
        "/org/uvm1/sandbox/" SANDBOX "/process/2",
};

static int serve(int fd)
{
        Manager manager = {};
        json_object *json = json_tokener_parse(record);
        sd_id128_t id = SD_ID128_NULL;
        char images[] = "/tmp/uvm-introspect-XXXXXX";
        Sandbox *sandbox;
        int r;

        if (!mkdtemp(images) || image_store_open(&manager.images, NULL, images) < 0 ||
            rmdir(images) < 0)
                return EXIT_FAILURE;
        if (record_from_json(&manager, SANDBOX, json, &sandbox) < 0)
                return EXIT_FAILURE;
        r = sd_bus_new(&manager.bus);
        if (r >= 0)
                r = sd_bus_set_fd(manager.bus, fd, fd);
        if (r >= 0)
                r = sd_bus_set_server(manager.bus, 1, id);
        if (r >= 0)
                r = bus_add_objects(&manager);
        if (r >= 0)
                r = sd_bus_start(manager.bus);
        while (r >= 0 && (r = sd_bus_process(manager.bus, NULL)) >= 0)
                if (r == 0)
                        r = sd_bus_wait(manager.bus, UINT64_MAX);
        return EXIT_SUCCESS;
}

static int print(sd_bus *bus, const char *path)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        const char *xml;
        int r = sd_bus_call_method(bus, NULL, path, "org.freedesktop.DBus.Introspectable",
                                   "Introspect", &error, &reply, NULL);

        if (r >= 0)
                r = sd_bus_message_read(reply, "s", &xml);
        if (r < 0) {
                fprintf(stderr, "%s: %s\n", path, error.message ?: strerror(-r));
                return r;
        }
        printf("%s%c", xml, 0);
        return 0;
}

int main(void)
{
        sd_bus *bus = NULL;
        int pair[2], r;
        pid_t pid;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
                return EXIT_FAILURE;
        pid = fork();
        if (pid == 0) {
                fd_close(pair[0]);
                _exit(serve(pair[1]));
        }
        fd_close(pair[1]);
        r = sd_bus_new(&bus);
        if (r >= 0)
                r = sd_bus_set_fd(bus, pair[0], pair[0]);
        if (r >= 0)
                r = sd_bus_start(bus);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(paths); i++)
                r = print(bus, paths[i]);
        sd_bus_close_unref(bus);
        waitpid(pid, NULL, 0);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
