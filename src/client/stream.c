/* One direction between the user's file and a socket; see stream.h. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "client/stream.h"

#define STREAM_BUFFER 65536

struct Stream {
        int from, to;
        int socket; /* the one of the two that is ours */
        bool input;
        DetachKeys *detach;
        StreamDone done;
        void *userdata;
        sd_event_source *readable, *writable; /* one of them is on */
        size_t at, size;
        uint8_t buffer[STREAM_BUFFER + DETACH_KEYS_MAX];
};

Stream *stream_free(Stream *stream)
{
        if (!stream)
                return NULL;
        sd_event_source_disable_unref(stream->readable);
        sd_event_source_disable_unref(stream->writable);
        fd_close(stream->socket);
        free(stream);
        return NULL;
}

static void stream_finish(Stream *stream, int r)
{
        sd_event_source_set_enabled(stream->readable, SD_EVENT_OFF);
        sd_event_source_set_enabled(stream->writable, SD_EVENT_OFF);
        if (stream->input)
                shutdown(stream->socket, SHUT_WR);
        else
                stream->socket = fd_close(stream->socket);
        stream->done(stream, r, stream->userdata);
}

/* Waits for room if there is something to write, else for something to read. */
static void stream_turn(Stream *stream)
{
        bool full = stream->size > 0;

        sd_event_source_set_enabled(stream->readable, full ? SD_EVENT_OFF : SD_EVENT_ON);
        sd_event_source_set_enabled(stream->writable, full ? SD_EVENT_ON : SD_EVENT_OFF);
}

static int stream_read(Stream *stream)
{
        uint8_t typed[STREAM_BUFFER];
        uint8_t *to = stream->detach ? typed : stream->buffer;
        ssize_t n = read(stream->from, to, STREAM_BUFFER);

        if (n < 0) {
                int r = errno_neg();

                if (error_is_transient(r))
                        return 0;
                /* EIO is how a terminal says that it hung up. */
                stream_finish(stream, error_is_disconnect(r) || r == -EIO ? 0 : r);
                return 0;
        }
        if (n == 0) {
                stream_finish(stream, 0);
                return 0;
        }
        stream->at = 0;
        stream->size = (size_t)n;
        if (stream->detach &&
            detach_keys_feed(stream->detach, typed, (size_t)n, stream->buffer, &stream->size)) {
                stream_finish(stream, -ECANCELED);
                return 0;
        }
        stream_turn(stream);
        return 0;
}

static int stream_write(Stream *stream)
{
        size_t size = stream->input ? stream->size : MIN(stream->size, (size_t)PIPE_BUF);
        ssize_t n = write(stream->to, stream->buffer + stream->at, size);

        if (n < 0) {
                int r = errno_neg();

                if (!error_is_transient(r))
                        stream_finish(stream, error_is_disconnect(r) ? -EPIPE : r);
                return 0;
        }
        stream->at += (size_t)n;
        stream->size -= (size_t)n;
        stream_turn(stream);
        return 0;
}

static int on_readable(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        return stream_read(userdata);
}

static int on_writable(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        return stream_write(userdata);
}

static int on_always_readable(sd_event_source *source, void *userdata)
{
        return stream_read(userdata);
}

static int on_always_writable(sd_event_source *source, void *userdata)
{
        return stream_write(userdata);
}

static int stream_watch(Stream *stream, sd_event *event)
{
        int r = sd_event_add_io(event, &stream->readable, stream->from, EPOLLIN, on_readable,
                                stream);

        if (r == -EPERM)
                r = sd_event_add_defer(event, &stream->readable, on_always_readable, stream);
        if (r < 0)
                return r;
        r = sd_event_add_io(event, &stream->writable, stream->to, EPOLLOUT, on_writable, stream);
        if (r == -EPERM)
                r = sd_event_add_defer(event, &stream->writable, on_always_writable, stream);
        return r;
}

int stream_new(Stream **ret, sd_event *event, int file, int socket, bool input, DetachKeys *detach,
               StreamDone done, void *userdata)
{
        Stream *stream = calloc(1, sizeof(*stream));
        int r;

        if (!stream) {
                fd_close(socket);
                return -ENOMEM;
        }
        stream->from = input ? file : socket;
        stream->to = input ? socket : file;
        stream->socket = socket;
        stream->input = input;
        stream->detach = detach;
        stream->done = done;
        stream->userdata = userdata;
        r = fd_set_nonblock(socket, true);
        if (r >= 0)
                r = stream_watch(stream, event);
        if (r < 0) {
                stream_free(stream);
                return r;
        }
        stream_turn(stream);
        *ret = stream;
        return 0;
}
