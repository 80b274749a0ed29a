/* The bus side of tasks; see bus/task.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/fd.h"
#include "uvmd/bus/task.h"
#include "uvmd/errors.h"
#include "uvmd/sandbox.h"
#include "uvmd/strv.h"

static int stream_from_string(const char *name)
{
        if (strcmp(name, "terminal") == 0)
                return SHIM_TTY;
        if (strcmp(name, "stdin") == 0)
                return SHIM_STDIN;
        if (strcmp(name, "stdout") == 0)
                return SHIM_STDOUT;
        if (strcmp(name, "stderr") == 0)
                return SHIM_STDERR;
        return -EINVAL;
}

/* A client hands over a socket, never its own terminal or file: O_NONBLOCK would show there. */
static int check_stream(int fd, const char *name, sd_bus_error *error)
{
        int type;
        socklen_t size = sizeof(type);

        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_STREAM)
                return error_set(error, -ENOTSOCK, ERROR_INVALID_ARGUMENT,
                                 "The fd for \"%s\" must be one end of a stream socket pair.",
                                 name);
        return 0;
}

/* The message owns what it carries: ours are copies. */
static int read_streams(sd_bus_message *message, int fds[SHIM_STREAM_MAX_], sd_bus_error *error)
{
        int r = sd_bus_message_enter_container(message, 'a', "{sh}");
        const char *name;
        int fd;

        while (r >= 0 && (r = sd_bus_message_read(message, "{sh}", &name, &fd)) > 0) {
                int stream = stream_from_string(name);

                if (stream < 0 || fds[stream] >= 0)
                        return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                         "\"%s\" is no stream, or is given twice: \"stdin\", "
                                         "\"stdout\", \"stderr\" or \"terminal\".",
                                         name);
                r = check_stream(fd, name, error);
                if (r < 0)
                        return r;
                fds[stream] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
                if (fds[stream] < 0)
                        return errno_neg();
        }
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

typedef struct AttachOptions {
        bool input;
} AttachOptions;

int bus_task_attach(BusCall *call, void *object, sd_bus_error *error)
{
        static const Option table[] = {
                {.key = "Input", .type = OPTION_BOOL, .offset = offsetof(AttachOptions, input)},
        };
        AttachOptions options = {.input = true};
        int fds[SHIM_STREAM_MAX_], r;

        for (unsigned i = 0; i < SHIM_STREAM_MAX_; i++)
                fds[i] = FD_NONE;
        r = read_streams(call->message, fds, error);
        if (r >= 0)
                r = options_read(call->message, table, ELEMENTSOF(table), &options, error);
        if (r < 0) {
                fd_close_many(fds, SHIM_STREAM_MAX_);
                return r;
        }
        return task_attach(object, call->message, fds, options.input, error);
}

int bus_task_signal(BusCall *call, void *object, sd_bus_error *error)
{
        int32_t number;
        int r = sd_bus_message_read(call->message, "i", &number);

        return r < 0 ? r : task_signal(object, number, call->message, error);
}

int bus_task_resize(BusCall *call, void *object, sd_bus_error *error)
{
        uint32_t rows, columns;
        int r = sd_bus_message_read(call->message, "uu", &rows, &columns);

        return r < 0 ? r : task_resize(object, rows, columns, call->message, error);
}

int bus_task_wait(BusCall *call, void *object, sd_bus_error *error)
{
        return task_wait(object, call->message);
}

int bus_task_get(sd_bus *bus, const char *path, const char *interface, const char *property,
                 sd_bus_message *reply, void *object, sd_bus_error *error)
{
        const Task *task = object;

        if (strcmp(property, "State") == 0)
                return sd_bus_message_append(reply, "s", task_state_to_string(task->state));
        if (strcmp(property, "ExitCode") == 0)
                return sd_bus_message_append(reply, "i", task->code);
        if (strcmp(property, "OOMKilled") == 0)
                return sd_bus_message_append(reply, "b", task->oom);
        return sd_bus_message_append(reply, "b", task_config(task)->terminal);
}

int bus_task_get_time(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *object, sd_bus_error *error)
{
        const Task *task = object;

        if (strcmp(property, "Created") == 0)
                return sd_bus_message_append(reply, "t", task->created);
        if (strcmp(property, "Started") == 0)
                return sd_bus_message_append(reply, "t", task->started);
        return sd_bus_message_append(reply, "t", task->finished);
}

int bus_task_get_command(sd_bus *bus, const char *path, const char *interface, const char *property,
                         sd_bus_message *reply, void *object, sd_bus_error *error)
{
        const Task *task = object;

        return sd_bus_message_append_strv(reply, task->command);
}

int bus_task_get_sandbox(sd_bus *bus, const char *path, const char *interface, const char *property,
                         sd_bus_message *reply, void *object, sd_bus_error *error)
{
        const Task *task = object;
        _cleanup_(freep) char *sandbox = sandbox_path(task->sandbox);

        return sandbox ? sd_bus_message_append(reply, "o", sandbox) : -ENOMEM;
}
