/* A session; see session.h. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "client/session.h"
#include "client/stream.h"
#include "client/terminal.h"
#include "client/wait.h"

enum { STDIN, STDOUT, STDERR, N_STREAMS };

struct Session {
        SessionOptions options;
        sd_bus *bus;
        sd_event *event;
        DetachKeys detach;
        int sockets[N_STREAMS]; /* ours, until the streams own them */
        Stream *streams[N_STREAMS];
        bool open[N_STREAMS]; /* output streams that have not ended */
        Wait *wait;
        bool exited;
        int status; /* of the session itself; 0 while all is well */
        int code;
        SessionEnd end;
};

Session *session_free(Session *session)
{
        if (!session)
                return NULL;
        for (int i = 0; i < N_STREAMS; i++) {
                stream_free(session->streams[i]);
                fd_close(session->sockets[i]);
        }
        terminal_restore();
        wait_free(session->wait);
        if (session->event) {
                sd_bus_detach_event(session->bus);
                sd_event_unref(session->event);
        }
        sd_bus_unref(session->bus);
        free(session);
        return NULL;
}

/* Ends the loop once the exit code is known and every output stream has reached its end. */
static void session_check_end(Session *session)
{
        if (session->exited && !session->open[STDOUT] && !session->open[STDERR])
                sd_event_exit(session->event, 0);
}

static void session_signal(Session *session, int signal)
{
        sd_bus_call_method_async(session->bus, NULL, "org.uvm1", session->options.path,
                                 client_interface_name(session->options.interface), "Signal", NULL,
                                 NULL, "i", signal);
}

static void on_input_done(Stream *stream, int r, void *userdata)
{
        Session *session = userdata;

        if (r == -ECANCELED) {
                session->end = SESSION_DETACHED;
                sd_event_exit(session->event, 0);
        }
}

/*
 * When the reader of our output is gone, a native process would die of SIGPIPE at its next write;
 * the first process of a container ignores that signal, so it gets one that it can't.
 */
static void on_output_done(Stream *stream, int r, void *userdata)
{
        Session *session = userdata;

        for (int i = STDOUT; i < N_STREAMS; i++)
                if (session->streams[i] == stream)
                        session->open[i] = false;
        if (r == -EPIPE)
                session_signal(session, SIGKILL);
        else if (r < 0)
                session->status = client_fail_errno(r, "cannot write the output");
        session_check_end(session);
}

static void on_exited(int status, int code, void *userdata)
{
        Session *session = userdata;

        session->exited = true;
        session->code = code;
        session->status = status;
        if (status)
                sd_event_exit(session->event, 0);
        else
                session_check_end(session);
}

static int session_resize(Session *session)
{
        uint32_t rows, columns;

        if (terminal_get_size(STDOUT_FILENO, &rows, &columns) < 0)
                return 0;
        return sd_bus_call_method_async(session->bus, NULL, "org.uvm1", session->options.path,
                                        client_interface_name(session->options.interface), "Resize",
                                        NULL, NULL, "uu", rows, columns);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        Session *session = userdata;

        if (info->ssi_signo != SIGWINCH)
                session_signal(session, (int)info->ssi_signo);
        else if (session->options.terminal)
                session_resize(session);
        return 0;
}

static int session_watch_signals(Session *session)
{
        static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};
        sigset_t mask;

        sigemptyset(&mask);
        for (size_t i = 0; i < ELEMENTSOF(signals); i++)
                sigaddset(&mask, signals[i]);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return -errno;
        for (size_t i = 0; i < ELEMENTSOF(signals); i++) {
                int r = sd_event_add_signal(session->event, NULL, signals[i], on_signal, session);

                if (r < 0)
                        return r;
        }
        return 0;
}

/* Makes the pair of stream @i and appends {name: far end} to the call. */
static int session_append_stream(Session *session, sd_bus_message *message, int i, const char *name)
{
        _cleanup_(fd_closep) int far = FD_NONE;
        int pair[2], r;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        session->sockets[i] = pair[0];
        far = pair[1];
        r = sd_bus_message_append(message, "{sh}", name, far); /* duplicates it */
        return r < 0 ? r : 0;
}

static int session_append_streams(Session *session, sd_bus_message *message)
{
        int r;

        if (session->options.terminal) /* one stream, both ways */
                return session_append_stream(session, message, STDOUT, "terminal");
        r = session->options.input ? session_append_stream(session, message, STDIN, "stdin") : 0;
        if (r >= 0)
                r = session_append_stream(session, message, STDOUT, "stdout");
        if (r >= 0)
                r = session_append_stream(session, message, STDERR, "stderr");
        return r;
}

static int session_attach(Session *session)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        int r = client_message_new(session->bus, session->options.path, session->options.interface,
                                   "Attach", &message);

        if (r)
                return r;
        r = sd_bus_message_open_container(message, 'a', "{sh}");
        if (r >= 0)
                r = session_append_streams(session, message);
        if (r >= 0)
                r = sd_bus_message_close_container(message);
        if (r >= 0)
                r = sd_bus_message_append(message, "a{sv}", 1, "Input", "b",
                                          (int)session->options.input);
        if (r < 0)
                return client_fail_errno(r, "cannot attach");
        return client_send(session->bus, message, NULL);
}

/* A terminal is one socket both ways: each direction gets an fd of its own. */
static int session_start_input(Session *session)
{
        int socket;

        if (!session->options.input)
                return 0;
        if (session->options.terminal) {
                socket = fcntl(session->sockets[STDOUT], F_DUPFD_CLOEXEC, 3);
                if (socket < 0)
                        return -errno;
        } else {
                socket = TAKE_FD(session->sockets[STDIN]);
        }
        return stream_new(&session->streams[STDIN], session->event, STDIN_FILENO, socket, true,
                          session->options.terminal ? &session->detach : NULL, on_input_done,
                          session);
}

static int session_start_outputs(Session *session)
{
        for (int i = STDOUT; i < N_STREAMS; i++) {
                int r;

                if (session->sockets[i] < 0)
                        continue;
                r = stream_new(&session->streams[i], session->event, i,
                               TAKE_FD(session->sockets[i]), false, NULL, on_output_done, session);
                if (r < 0)
                        return r;
                session->open[i] = true;
        }
        return 0;
}

int session_open(Session **ret, sd_bus *bus, const SessionOptions *options)
{
        _cleanup_(session_freep) Session *session = calloc(1, sizeof(*session));
        const char *keys = options->detach_keys ? options->detach_keys : DETACH_KEYS_DEFAULT;
        int r;

        if (!session)
                return client_fail_errno(-ENOMEM, "cannot attach");
        session->options = *options;
        session->bus = sd_bus_ref(bus);
        for (int i = 0; i < N_STREAMS; i++)
                session->sockets[i] = FD_NONE;
        if (detach_keys_parse(&session->detach, keys) < 0)
                return client_fail("--detach-keys: \"%s\" is no sequence of keys such as %s", keys,
                                   DETACH_KEYS_DEFAULT);
        r = session_attach(session);
        if (r)
                return r;
        *ret = TAKE_PTR(session);
        return 0;
}

static int session_prepare(Session *session)
{
        int r = sd_event_new(&session->event);

        if (r >= 0)
                r = sd_bus_attach_event(session->bus, session->event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0 && !session->options.no_signals)
                r = session_watch_signals(session);
        if (r >= 0 && session->options.terminal && session->options.input && isatty(STDIN_FILENO)) {
                r = terminal_make_raw(STDIN_FILENO);
                if (r >= 0)
                        r = session_resize(session);
        }
        if (r >= 0)
                r = session_start_input(session);
        if (r >= 0)
                r = session_start_outputs(session);
        return r;
}

int session_run(Session *session, SessionEnd *ret_end, int *ret_code)
{
        int r;

        signal(SIGPIPE, SIG_IGN);
        r = session_prepare(session);
        if (r < 0)
                return client_fail_errno(r, "cannot join the streams");
        r = wait_start(&session->wait, session->bus, session->event, session->options.path,
                       session->options.interface, on_exited, session);
        if (r)
                return r;
        r = sd_event_loop(session->event);
        terminal_restore();
        if (r < 0)
                return client_fail_errno(r, "the session broke off");
        if (session->status)
                return session->status;
        *ret_end = session->end;
        *ret_code = session->code;
        return 0;
}
