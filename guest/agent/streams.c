/* The streams of one process; see streams.h. */
#include <assert.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

#include "agent/connect.h"
#include "agent/streams.h"

/* What a terminal may still hold after the last process wrote: its buffers are 64 KiB and some. */
#define TTY_BUDGET (256 * 1024)

static Stream *stream_of_relay(Relay *relay)
{
        return CONTAINER_OF(relay, Stream, relay);
}

static bool streams_output_ended(const Streams *streams)
{
        for (unsigned i = 0; i < STREAMS_MAX; i++) {
                const Stream *stream = &streams->streams[i];

                if (stream->which != AGENT_STREAM_STDIN && stream->attached && !stream->ended)
                        return false;
        }
        return true;
}

/* The relay has closed its fds, and with them the stream: the host sees the end. */
static void stream_on_relay_ended(Relay *relay)
{
        Stream *stream = stream_of_relay(relay);
        Streams *streams = stream->streams;

        stream->ended = true;
        if (streams->finishing && stream->which != AGENT_STREAM_STDIN &&
            streams_output_ended(streams))
                streams->ended(streams);
}

static int stream_send_preamble(Stream *stream)
{
        AgentPreamble preamble = {
                .which = stream->streams->tty ? AGENT_STREAM_TTY : stream->which,
                .token = stream->streams->token,
        };
        uint8_t data[AGENT_PREAMBLE_SIZE];
        ssize_t n;

        agent_preamble_encode(&preamble, data);
        n = send(stream->socket_fd, data, sizeof(data), MSG_NOSIGNAL);
        if (n < 0)
                return errno_neg();
        /* A fresh connection has room for more than this, whatever carries it. */
        return n == sizeof(data) ? 0 : -EIO;
}

bool streams_are_ready(const Streams *streams)
{
        for (unsigned i = 0; i < STREAMS_MAX; i++)
                if (streams->streams[i].attached && !streams->streams[i].connected)
                        return false;
        return true;
}

static void streams_check_ready(Streams *streams, int r)
{
        void (*ready)(Streams *, int) = streams->ready;

        if (!ready || (r == 0 && !streams_are_ready(streams)))
                return;
        streams->ready = NULL;
        ready(streams, r);
}

static int stream_on_connected(LoopFd *source, uint32_t events)
{
        Stream *stream = CONTAINER_OF(source, Stream, connecting);
        int r = connect_result(source->fd);

        loop_fd_remove(source);
        if (r == 0)
                r = stream_send_preamble(stream);
        stream->connected = r == 0;
        streams_check_ready(stream->streams, r);
        return 0;
}

/* Also a connection that stands at once is reported from the loop, so that there is one way. */
static int stream_connect(Stream *stream, const char *unix_directory)
{
        int r = connect_start(unix_directory, AGENT_PORT_STREAM, &stream->socket_fd);

        if (r < 0 && r != -EINPROGRESS)
                return r;
        return loop_fd_add(stream->streams->loop, &stream->connecting, stream->socket_fd, EPOLLOUT,
                           stream_on_connected);
}

/* A pipe that is non-blocking on our side only. Pipes can be reopened as /dev/stdout; sockets not. */
static int stream_make_pipe(Stream *stream)
{
        int ends[2];

        if (pipe2(ends, O_CLOEXEC) < 0)
                return errno_neg();
        stream->child_fd = ends[stream->which == AGENT_STREAM_STDIN ? 0 : 1];
        stream->local_fd = ends[stream->which == AGENT_STREAM_STDIN ? 1 : 0];
        return fd_set_nonblock(stream->local_fd, true);
}

static int stream_open(Stream *stream, const char *unix_directory)
{
        int r = stream->streams->tty ? 0 : stream_make_pipe(stream);

        stream->attached = true;
        return r < 0 ? r : stream_connect(stream, unix_directory);
}

int streams_open(Streams *streams, Loop *loop, uint8_t *scratch, const char *unix_directory,
                 uint64_t token, uint32_t attach, void (*ready)(Streams *streams, int r),
                 void (*ended)(Streams *streams))
{
        int r = 0;

        *streams = (Streams){
                .loop = loop,
                .scratch = scratch,
                .token = token,
                .tty = attach & AGENT_ATTACH_TTY,
                .ready = ready,
                .ended = ended,
        };
        if (streams->tty)
                attach = AGENT_ATTACH_STDOUT;
        for (unsigned i = 0; i < STREAMS_MAX; i++) {
                Stream *stream = &streams->streams[i];

                stream->streams = streams;
                stream->which = (AgentStream)i;
                stream->socket_fd = stream->local_fd = stream->child_fd = FD_NONE;
                if (r == 0 && (attach & (1u << i)))
                        r = stream_open(stream, unix_directory);
        }
        if (r < 0)
                streams_done(streams);
        return r;
}

int streams_child_fd(const Streams *streams, unsigned number)
{
        assert(number < STREAMS_MAX);
        return streams->streams[number].child_fd;
}

void streams_close_child(Streams *streams)
{
        for (unsigned i = 0; i < STREAMS_MAX; i++)
                streams->streams[i].child_fd = fd_close(streams->streams[i].child_fd);
}

/* One relay for each direction, on copies of the two fds: the loop watches an fd for one. */
static int streams_start_terminal(Streams *streams, int terminal)
{
        Stream *input = &streams->streams[AGENT_STREAM_STDIN];
        Stream *output = &streams->streams[AGENT_STREAM_STDOUT];
        _cleanup_(fd_closep) int master = terminal;
        _cleanup_(fd_closep) int master_copy = fcntl(master, F_DUPFD_CLOEXEC, 3);
        _cleanup_(fd_closep) int socket_copy = fcntl(output->socket_fd, F_DUPFD_CLOEXEC, 3);
        int r;

        if (master_copy < 0 || socket_copy < 0)
                return errno_neg();
        r = fd_set_nonblock(master, true);
        if (r < 0)
                return r;
        r = relay_start(&output->relay, streams->loop, streams->scratch, TAKE_FD(master),
                        TAKE_FD(output->socket_fd), true, stream_on_relay_ended);
        if (r < 0)
                return r;
        input->attached = true;
        return relay_start(&input->relay, streams->loop, streams->scratch, TAKE_FD(socket_copy),
                           TAKE_FD(master_copy), false, stream_on_relay_ended);
}

int streams_start(Streams *streams, int terminal)
{
        if (streams->tty)
                return streams_start_terminal(streams, terminal);
        for (unsigned i = 0; i < STREAMS_MAX; i++) {
                Stream *stream = &streams->streams[i];
                int local = TAKE_FD(stream->local_fd), socket = TAKE_FD(stream->socket_fd);
                bool input = i == AGENT_STREAM_STDIN;
                int r;

                if (!stream->attached)
                        continue;
                r = relay_start(&stream->relay, streams->loop, streams->scratch,
                                input ? socket : local, input ? local : socket, !input,
                                stream_on_relay_ended);
                if (r < 0)
                        return r;
        }
        return 0;
}

void streams_finish(Streams *streams)
{
        relay_stop(&streams->streams[AGENT_STREAM_STDIN].relay);
        /* Relays that end right here only say so in their stream: `ended` frees the owner, so it
         * is called when all have been told. */
        for (unsigned i = AGENT_STREAM_STDOUT; i < STREAMS_MAX; i++) {
                Stream *stream = &streams->streams[i];

                if (!stream->relay.loop)
                        stream->ended = true; /* the process never ran */
                relay_finish(&stream->relay, TTY_BUDGET);
        }
        streams->finishing = true;
        if (streams_output_ended(streams))
                streams->ended(streams);
}

uint64_t streams_moved(const Streams *streams, AgentStream which)
{
        return streams->streams[which == AGENT_STREAM_TTY ? AGENT_STREAM_STDOUT : which]
                .relay.moved;
}

void streams_done(Streams *streams)
{
        streams->ready = NULL;
        if (!streams->loop)
                return;
        for (unsigned i = 0; i < STREAMS_MAX; i++) {
                Stream *stream = &streams->streams[i];

                loop_fd_remove(&stream->connecting);
                relay_stop(&stream->relay);
                stream->socket_fd = fd_close(stream->socket_fd);
                stream->local_fd = fd_close(stream->local_fd);
                stream->child_fd = fd_close(stream->child_fd);
        }
        streams->loop = NULL;
}
