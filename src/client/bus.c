/* Calls to uvmd; see bus.h. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "client/bus.h"

#define CLIENT_BUS_NAME     "org.uvm1"
#define CLIENT_ERROR_PREFIX "org.uvm1.Error."

static const char *const client_interfaces[CLIENT_INTERFACE_MAX_] = {
        [CLIENT_MANAGER] = "org.uvm1.Manager",
        [CLIENT_SANDBOX] = "org.uvm1.Sandbox",
        [CLIENT_CONTAINER] = "org.uvm1.Container",
        [CLIENT_PROCESS] = "org.uvm1.Process",
};

const char *client_interface_name(ClientInterface interface)
{
        return client_interfaces[interface];
}

/* A guest's words may be in the text: none of them may steer the user's terminal. */
static void client_print(int error, const char *format, va_list arguments)
{
        _cleanup_(freep) char *text = NULL;

        if (vasprintf(&text, format, arguments) < 0) {
                text = NULL;
                return;
        }
        for (char *at = text; *at; at++)
                if (iscntrl((unsigned char)*at) && *at != '\n' && *at != '\t')
                        *at = '?';
        fprintf(stderr, "%s: %s%s%s\n", program_invocation_short_name, text, error ? ": " : "",
                error ? strerror(error) : "");
}

void client_warn(const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        client_print(0, format, arguments);
        va_end(arguments);
}

int client_fail(const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        client_print(0, format, arguments);
        va_end(arguments);
        return CLIENT_EXIT_FAILED;
}

int client_fail_errno(int r, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        client_print(-r, format, arguments);
        va_end(arguments);
        return CLIENT_EXIT_FAILED;
}

static int client_bus_open_address(const char *address, sd_bus **ret)
{
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        int r = sd_bus_new(&bus);

        if (r >= 0)
                r = sd_bus_set_address(bus, address);
        if (r >= 0)
                r = sd_bus_set_bus_client(bus, true);
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r >= 0)
                *ret = TAKE_PTR(bus);
        return r;
}

int client_bus_open(sd_bus **ret)
{
        const char *address = getenv("UVM_BUS_ADDRESS");
        int r = address ? client_bus_open_address(address, ret) : sd_bus_open_system(ret);

        if (r < 0)
                return client_fail_errno(r, "cannot reach the system bus");
        /* Each wait has an event loop of its own: leaving one must not close the connection. */
        sd_bus_set_close_on_exit(*ret, false);
        return 0;
}

int client_message_new(sd_bus *bus, const char *path, ClientInterface interface, const char *member,
                       sd_bus_message **ret)
{
        int r = sd_bus_message_new_method_call(bus, ret, CLIENT_BUS_NAME, path,
                                               client_interfaces[interface], member);

        if (r < 0)
                return client_fail_errno(r, "cannot make the call %s", member);
        return 0;
}

int client_report(const sd_bus_error *error)
{
        const char *name = error->name;

        if (strcmp(name, SD_BUS_ERROR_ACCESS_DENIED) == 0) {
                return client_fail("not allowed: only root and members of group uvm may use uvmd "
                                   "(%s)",
                                   error->message);
        }
        if (strcmp(name, SD_BUS_ERROR_SERVICE_UNKNOWN) == 0) {
                return client_fail("uvmd is not installed here, or the bus has not read its "
                                   "service file yet (try: systemctl reload dbus)");
        }
        client_warn("%s", error->message && *error->message ? error->message : name);
        if (strcmp(name, CLIENT_ERROR_PREFIX "CommandNotFound") == 0)
                return CLIENT_EXIT_NOT_FOUND;
        if (strcmp(name, CLIENT_ERROR_PREFIX "CommandNotExecutable") == 0)
                return CLIENT_EXIT_NOT_EXECUTABLE;
        return CLIENT_EXIT_FAILED;
}

bool client_error_is_restart(const sd_bus_error *error)
{
        return sd_bus_error_has_names(error, SD_BUS_ERROR_NO_REPLY, SD_BUS_ERROR_NAME_HAS_NO_OWNER,
                                      SD_BUS_ERROR_DISCONNECTED);
}

int client_send(sd_bus *bus, sd_bus_message *message, sd_bus_message **ret_reply)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = sd_bus_call(bus, message, UINT64_MAX, &error, ret_reply);

        if (sd_bus_error_is_set(&error))
                return client_report(&error);
        if (r < 0)
                return client_fail_errno(r, "cannot call uvmd");
        return 0;
}

int client_call(sd_bus *bus, const char *path, ClientInterface interface, const char *member,
                sd_bus_message **ret_reply, const char *types, ...)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        int r = client_message_new(bus, path, interface, member, &message);

        if (r)
                return r;
        if (types) {
                va_list arguments;

                va_start(arguments, types);
                r = sd_bus_message_appendv(message, types, arguments);
                va_end(arguments);
                if (r < 0)
                        return client_fail_errno(r, "cannot make the call %s", member);
        }
        return client_send(bus, message, ret_reply);
}

int client_read_path(sd_bus_message *reply, char **ret)
{
        const char *path;
        int r = sd_bus_message_read(reply, "o", &path);

        if (r < 0)
                return client_fail_errno(r, "uvmd's answer can't be read");
        *ret = strdup(path);
        return *ret ? 0 : client_fail_errno(-ENOMEM, "cannot go on");
}
