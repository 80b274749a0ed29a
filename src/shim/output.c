/* One stream of output from the guest; see output.h. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"

#include "shim/output.h"

/* ---- sinks */

/* Writes without SIGPIPE, which the shim ignores for pipes' sake. How many bytes, 0: none now; -errno. */
static ssize_t sink_write(Sink *sink, const uint8_t *data, size_t size)
{
        ssize_t n = write(sink->fd, data, size);

        if (n >= 0)
                return n;
        return error_is_transient(errno_neg()) ? 0 : errno_neg();
}

void sink_close(Sink *sink)
{
        Output *output = sink->output;

        if (sink->fd < 0)
                return;
        loop_fd_remove(&sink->source);
        sink->fd = fd_close(sink->fd);
        list_remove(&sink->link);
        free(TAKE_PTR(sink->backlog));
        if (output->primary == sink)
                output->primary = NULL;
        sink->closed(sink);
}

static void output_advance(Output *output);

/* Writes what a further client has not taken yet. */
static void sink_advance(Sink *sink)
{
        ssize_t n = sink_write(sink, sink->backlog + sink->backlog_at, sink->backlog_size);

        if (n < 0) {
                sink_close(sink);
                return;
        }
        sink->backlog_at += (size_t)n;
        sink->backlog_size -= (size_t)n;
        if (sink->backlog_size > 0)
                return;
        free(TAKE_PTR(sink->backlog));
        sink->backlog_at = sink->backlog_capacity = 0;
        if (sink->closing)
                sink_close(sink);
        else
                loop_fd_watch(&sink->source, 0);
}

static int sink_on_ready(LoopFd *source, uint32_t events)
{
        Sink *sink = CONTAINER_OF(source, Sink, source);
        Output *output = sink->output;
        bool primary = sink->primary;

        if (events & (EPOLLHUP | EPOLLERR)) {
                sink_close(sink);
        } else if (sink->backlog_size > 0) {
                sink_advance(sink);
        } else {
                loop_fd_watch(source, 0);
        }
        if (primary)
                output_advance(output);
        return 0;
}

int sink_open(Sink *sink, Output *output, int fd, bool primary, void (*closed)(Sink *sink))
{
        int r;

        assert(!primary || !output->primary);
        *sink = (Sink){.output = output, .fd = FD_NONE, .primary = primary, .closed = closed};
        r = loop_fd_add(output->loop, &sink->source, fd, 0, sink_on_ready);
        if (r < 0)
                return r;
        sink->fd = fd;
        list_append(&output->sinks, &sink->link);
        if (primary)
                output->primary = sink;
        return 0;
}

static int sink_reserve(Sink *sink, size_t size)
{
        size_t wanted = sink->backlog_size + size;
        uint8_t *grown;

        if (wanted > OUTPUT_BACKLOG_MAX)
                return -ENOBUFS;
        if (sink->backlog_at > 0) {
                memmove(sink->backlog, sink->backlog + sink->backlog_at, sink->backlog_size);
                sink->backlog_at = 0;
        }
        if (wanted <= sink->backlog_capacity)
                return 0;
        grown = realloc(sink->backlog, wanted);
        if (!grown)
                return -ENOMEM;
        sink->backlog = grown;
        sink->backlog_capacity = wanted;
        return 0;
}

/* Hands a chunk to a further client, or drops the client. */
static void sink_offer(Sink *sink, const uint8_t *data, size_t size)
{
        ssize_t n = 0;
        int r;

        if (sink->backlog_size == 0)
                n = sink_write(sink, data, size);
        if (n == (ssize_t)size)
                return;
        r = n < 0 ? (int)n : sink_reserve(sink, size - (size_t)n);
        if (r < 0) {
                if (r == -ENOBUFS)
                        log_write_fields(LOG_INFO, 0, sink->output->about,
                                         "An attached client does not read and is dropped");
                sink_close(sink);
                return;
        }
        memcpy(sink->backlog + sink->backlog_size, data + n, size - (size_t)n);
        sink->backlog_size += size - (size_t)n;
        loop_fd_watch(&sink->source, EPOLLOUT);
}

/* ---- the stream */

static void output_watch(Output *output, bool on)
{
        /* Out of the loop while it stalls: a hang-up would be reported again and again. */
        if (!on)
                loop_fd_remove(&output->source);
        else if (output->fd >= 0 && !output->source.loop)
                (void)loop_fd_add(output->loop, &output->source, output->fd, EPOLLIN,
                                  output->source.handler);
}

/* How much of @size bytes the primary client has taken; all if there is none. */
static size_t output_to_primary(Output *output, const uint8_t *data, size_t size)
{
        ssize_t n;

        if (!output->primary || size == 0)
                return size;
        n = sink_write(output->primary, data, size);
        if (n < 0) {
                sink_close(output->primary);
                return size;
        }
        if ((size_t)n < size)
                loop_fd_watch(&output->primary->source, EPOLLOUT);
        return (size_t)n;
}

static size_t output_to_journal(Output *output, const uint8_t *data, size_t size)
{
        ssize_t n;

        if (!output->lines.journal || size == 0)
                return size;
        n = journal_lines_feed(&output->lines, data, size);
        /* Out of memory: better a hole in the log than a process that never goes on. */
        return n < 0 ? size : (size_t)n;
}

static void output_wait(Output *output)
{
        output_watch(output, false);
        if (output->journal_at < output->held_size)
                journal_wait(output->lines.journal, &output->waiter);
}

static void output_chunk_done(Output *output, size_t size)
{
        output->delivered += size;
        free(TAKE_PTR(output->held));
        output->held_size = output->primary_at = output->journal_at = 0;
        output_watch(output, true);
        output->progressed(output);
}

/* Goes on with the chunk that is held. */
static void output_advance(Output *output)
{
        if (!output->held)
                return;
        output->primary_at += output_to_primary(output, output->held + output->primary_at,
                                                output->held_size - output->primary_at);
        output->journal_at += output_to_journal(output, output->held + output->journal_at,
                                                output->held_size - output->journal_at);
        if (output->primary_at == output->held_size && output->journal_at == output->held_size)
                output_chunk_done(output, output->held_size);
        else
                output_wait(output);
}

static void output_on_journal(JournalWaiter *waiter)
{
        Output *output = CONTAINER_OF(waiter, Output, waiter);

        if (output->held)
                output_advance(output);
        else
                output->progressed(output);
}

static void output_offer(Output *output, const uint8_t *data, size_t size)
{
        list_for_each (item, &output->sinks) {
                Sink *sink = LIST_ENTRY(item, Sink, link);

                if (!sink->primary)
                        sink_offer(sink, data, size);
        }
        output->primary_at = output_to_primary(output, data, size);
        output->journal_at = output_to_journal(output, data, size);
        if (output->primary_at == size && output->journal_at == size) {
                output_chunk_done(output, size);
                return;
        }
        output->held = malloc(size);
        if (!output->held) {
                log_write_fields(LOG_ERR, 0, output->about,
                                 "Out of memory: output of a process is lost");
                output_chunk_done(output, size);
                return;
        }
        memcpy(output->held, data, size);
        output->held_size = size;
        output_wait(output);
}

static void output_end(Output *output)
{
        if (output->state == OUTPUT_ENDED)
                return;
        output->state = OUTPUT_ENDED;
        loop_fd_remove(&output->source);
        output->fd = fd_close(output->fd);
        output->progressed(output);
}

static int output_on_readable(LoopFd *source, uint32_t events)
{
        Output *output = CONTAINER_OF(source, Output, source);
        ssize_t n = read(output->fd, output->scratch, OUTPUT_CHUNK);

        if (n > 0)
                output_offer(output, output->scratch, (size_t)n);
        else if (n == 0 || !error_is_transient(errno_neg()))
                output_end(output);
        return 0;
}

void output_init(Output *output, Loop *loop, uint8_t *scratch, void (*progressed)(Output *output))
{
        *output = (Output){
                .loop = loop,
                .scratch = scratch,
                .fd = FD_NONE,
                .waiter.ready = output_on_journal,
                .progressed = progressed,
        };
        list_init(&output->sinks);
}

int output_open(Output *output, int fd)
{
        int r;

        assert(output->state == OUTPUT_EXPECTED);
        r = loop_fd_add(output->loop, &output->source, fd, EPOLLIN, output_on_readable);
        if (r < 0) {
                fd_close(fd);
                return r;
        }
        output->fd = fd;
        output->state = OUTPUT_OPEN;
        return 0;
}

bool output_is_delivered(Output *output, uint64_t count)
{
        if (output->held || (output->state != OUTPUT_ENDED && output->delivered < count))
                return false;
        if (!output->lines.journal || journal_lines_flush(&output->lines) == 0)
                return true;
        journal_wait(output->lines.journal, &output->waiter);
        return false;
}

void output_expect_no_more(Output *output)
{
        /* An open one comes to its own end: the VMM's side of it is closed. */
        if (output->state == OUTPUT_EXPECTED)
                output_end(output);
}

void output_finish(Output *output)
{
        output->state = OUTPUT_ENDED;
        loop_fd_remove(&output->source);
        output->fd = fd_close(output->fd);
        list_remove(&output->waiter.link);
        list_for_each (item, &output->sinks) {
                Sink *sink = LIST_ENTRY(item, Sink, link);

                if (sink->backlog_size > 0)
                        sink->closing = true;
                else
                        sink_close(sink);
        }
}

void output_done(Output *output)
{
        if (!output->loop)
                return;
        output_finish(output);
        list_for_each (item, &output->sinks)
                sink_close(LIST_ENTRY(item, Sink, link));
        free(TAKE_PTR(output->held));
        journal_lines_done(&output->lines);
}
