/*
 * Forked workers; see worker.h. The answer is one SEQPACKET message: i32 result, string error name,
 * string text, then the payload. A worker may have met hostile data, so its answer is decoded like
 * any other message.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/wire.h"
#include "uvmd/errors.h"
#include "uvmd/worker.h"

#define WORKER_MESSAGE_MAX (WORKER_PAYLOAD_MAX + 4096)
#define WORKER_TEXT_MAX    2048

struct Worker {
        char *name;
        pid_t pid;
        int socket;
        WorkerHandler handler;
        void *userdata;
        sd_event_source *child;
        sd_event_source *timer;
};

static int worker_send(int socket, int result, const sd_bus_error *error, const void *payload,
                       size_t size, const int *fds, unsigned n_fds)
{
        _cleanup_(freep) uint8_t *buffer = malloc(WORKER_MESSAGE_MAX);
        WireWriter writer = wire_writer(buffer, WORKER_MESSAGE_MAX);
        size_t written;
        int r;

        if (!buffer)
                return -ENOMEM;
        wire_put_u32(&writer, (uint32_t)result);
        wire_put_string(&writer, error && error->name ? error->name : "");
        wire_put_string(&writer, error && error->message ? error->message : "");
        wire_put_bytes(&writer, payload, size);
        r = wire_writer_end(&writer, &written);
        return r < 0 ? r : io_send(socket, buffer, written, fds, n_fds);
}

int worker_answer(int socket, const void *payload, size_t size, const int *fds, unsigned n_fds)
{
        return worker_send(socket, 0, NULL, payload, size, fds, n_fds);
}

static int worker_child(const char *name, int socket, WorkerMain main, void *task)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        sigset_t none;
        int r;

        /* uvmd's signalfd and handlers mean nothing here. */
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        signal(SIGPIPE, SIG_IGN);
        prctl(PR_SET_NAME, name);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        r = main(socket, task, &error);
        if (r < 0)
                r = worker_send(socket, r, &error, NULL, 0, NULL, 0);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/*
 * The child is killed but may hang in the kernel (a dead network file system): its source stays
 * behind, ownerless, to reap it whenever it ends.
 */
static void worker_leave(Worker *worker)
{
        if (!worker->child)
                return;
        sd_event_source_set_userdata(worker->child, NULL);
        if (sd_event_source_set_floating(worker->child, true) >= 0)
                worker->child = sd_event_source_unref(worker->child);
}

Worker *worker_free(Worker *worker)
{
        if (!worker)
                return NULL;
        if (worker->pid > 0) {
                kill(worker->pid, SIGKILL);
                worker_leave(worker);
        }
        sd_event_source_disable_unref(worker->child);
        sd_event_source_disable_unref(worker->timer);
        fd_close(worker->socket);
        free(worker->name);
        free(worker);
        return NULL;
}

/* Takes the worker down first, so that a handler can start the next one in its place. */
static void worker_finish(Worker *worker, int r, const sd_bus_error *error, const uint8_t *payload,
                          size_t size, IoMessage *message)
{
        WorkerHandler handler = worker->handler;
        void *userdata = worker->userdata;

        if (r < 0)
                log_debug("Worker %s ends with %s", worker->name, strerror(-r));
        worker_free(worker);
        handler(userdata, r, error, payload, size, message);
}

static int worker_decode(const uint8_t *data, size_t size, sd_bus_error *error,
                         const uint8_t **ret_payload, size_t *ret_size)
{
        WireReader reader = wire_reader(data, size);
        _cleanup_(freep) char *name = NULL, *text = NULL;
        int32_t result = (int32_t)wire_get_u32(&reader);

        name = wire_get_string(&reader, WORKER_TEXT_MAX);
        text = wire_get_string(&reader, WORKER_TEXT_MAX);
        if (reader.bad || result > 0 || result < -4095)
                return -EBADMSG;
        if (name[0] && sd_bus_error_set(error, name, text) == -EINVAL)
                return -EBADMSG;
        *ret_size = wire_left(&reader);
        *ret_payload = wire_get_bytes(&reader, *ret_size);
        return result;
}

static int worker_on_exit(sd_event_source *source, const siginfo_t *info, void *userdata)
{
        Worker *worker = userdata;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(freep) uint8_t *buffer = malloc(WORKER_MESSAGE_MAX);
        _cleanup_(io_message_done) IoMessage message = {};
        const uint8_t *payload = NULL;
        size_t size = 0;
        int r = -ENOMEM;

        if (!worker) {
                sd_event_source_set_floating(source, false);
                return 0;
        }
        worker->pid = 0; /* sd-event has reaped it */
        if (buffer)
                r = io_recv(worker->socket, buffer, WORKER_MESSAGE_MAX, &message);
        /* What the worker says itself may be -EAGAIN, too. */
        if (r == -EAGAIN || (r >= 0 && message.size == 0))
                r = error_set(&error, -ECANCELED, ERROR_FAILED,
                              "The worker \"%s\" died (%s %d) before it was done.", worker->name,
                              info->si_code == CLD_EXITED ? "exit code" : "signal",
                              info->si_status);
        else if (r >= 0)
                r = worker_decode(buffer, message.size, &error, &payload, &size);
        worker_finish(worker, r, &error, payload, size, &message);
        return 0;
}

static int worker_on_limit(sd_event_source *source, uint64_t usec, void *userdata)
{
        Worker *worker = userdata;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        error_set(&error, -ETIMEDOUT, ERROR_FAILED, "The worker \"%s\" took too long.",
                  worker->name);
        worker_finish(worker, -ETIMEDOUT, &error, NULL, 0, NULL);
        return 0;
}

static int worker_watch(Worker *worker, sd_event *event, uint64_t limit_usec)
{
        int r = sd_event_add_child(event, &worker->child, worker->pid, WEXITED, worker_on_exit,
                                   worker);

        if (r < 0)
                return r;
        return sd_event_add_time_relative(event, &worker->timer, CLOCK_MONOTONIC, limit_usec, 0,
                                          worker_on_limit, worker);
}

int worker_start(Worker **ret, sd_event *event, const char *name, WorkerMain main, void *task,
                 uint64_t limit_usec, WorkerHandler handler, void *userdata)
{
        _cleanup_(worker_freep) Worker *worker = calloc(1, sizeof(*worker));
        int pair[2], r;

        if (!worker)
                return -ENOMEM;
        worker->socket = FD_NONE;
        worker->handler = handler;
        worker->userdata = userdata;
        worker->name = strdup(name);
        if (!worker->name)
                return -ENOMEM;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return errno_neg();
        worker->socket = pair[0];
        worker->pid = fork();
        if (worker->pid == 0)
                _exit(worker_child(name, pair[1], main, task));
        r = worker->pid < 0 ? errno_neg() : fd_set_nonblock(pair[0], true);
        fd_close(pair[1]);
        if (r >= 0)
                r = worker_watch(worker, event, limit_usec);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(worker);
        return 0;
}
