/* Streams whose preamble has not come whole yet; see incoming.h. */
#include <stdlib.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"

#include "shim/incoming.h"

typedef struct IncomingStream {
        List link;
        Incoming *incoming;
        LoopFd source;
        int fd;
        size_t held;
        uint8_t preamble[AGENT_PREAMBLE_SIZE];
} IncomingStream;

static void incoming_stream_free(IncomingStream *stream)
{
        loop_fd_remove(&stream->source);
        fd_close(stream->fd);
        list_remove(&stream->link);
        stream->incoming->n--;
        free(stream);
}

/* Reads what is missing and nothing behind it. True: the stream has been dealt with. */
static bool incoming_stream_read(IncomingStream *stream)
{
        Incoming *incoming = stream->incoming;
        AgentPreamble preamble;
        ssize_t n;
        int fd;

        n = recv(stream->fd, stream->preamble + stream->held,
                 sizeof(stream->preamble) - stream->held, 0);
        if (n < 0 && error_is_transient(errno_neg()))
                return false;
        if (n > 0)
                stream->held += (size_t)n;
        if (n > 0 && stream->held < sizeof(stream->preamble))
                return false;
        if (n <= 0 || agent_preamble_decode(stream->preamble, &preamble) < 0) {
                log_warning("The guest opened a stream that says not what it is");
                incoming_stream_free(stream);
                return true;
        }
        loop_fd_remove(&stream->source);
        fd = TAKE_FD(stream->fd);
        incoming_stream_free(stream);
        incoming->arrived(incoming, &preamble, fd);
        return true;
}

static int incoming_on_readable(LoopFd *source, uint32_t events)
{
        incoming_stream_read(CONTAINER_OF(source, IncomingStream, source));
        return 0;
}

void incoming_init(Incoming *incoming, Loop *loop,
                   void (*arrived)(Incoming *incoming, const AgentPreamble *preamble, int fd))
{
        *incoming = (Incoming){.loop = loop, .arrived = arrived};
        list_init(&incoming->streams);
}

void incoming_done(Incoming *incoming)
{
        if (!incoming->loop)
                return;
        list_for_each (item, &incoming->streams)
                incoming_stream_free(LIST_ENTRY(item, IncomingStream, link));
}

void incoming_finish(Incoming *incoming)
{
        list_for_each (item, &incoming->streams) {
                IncomingStream *stream = LIST_ENTRY(item, IncomingStream, link);

                if (!incoming_stream_read(stream))
                        incoming_stream_free(stream);
        }
}

void incoming_add(Incoming *incoming, int fd)
{
        IncomingStream *stream = calloc(1, sizeof(*stream));
        int r = stream ? fd_set_nonblock(fd, true) : -ENOMEM;

        if (!stream) {
                fd_close(fd);
                return;
        }
        stream->incoming = incoming;
        stream->fd = fd;
        list_append(&incoming->streams, &stream->link);
        incoming->n++;
        if (r >= 0)
                r = loop_fd_add(incoming->loop, &stream->source, fd, EPOLLIN, incoming_on_readable);
        if (r < 0) {
                log_error_errno(r, "Failed to take a stream of the guest");
                incoming_stream_free(stream);
        } else if (incoming->n > INCOMING_MAX) {
                incoming_stream_free(
                        LIST_ENTRY(list_first(&incoming->streams), IncomingStream, link));
        }
}
