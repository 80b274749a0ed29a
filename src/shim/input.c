/* The input of a process; see input.h. */
#include <assert.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"

#include "shim/input.h"

static int feed_on_readable(LoopFd *source, uint32_t events);

/* Clients are in the loop only while a chunk of theirs can be taken: a hang-up would be reported
 * again and again. */
static void input_watch_feeds(Input *input)
{
        bool on = input->state == INPUT_OPEN && !input->held;

        list_for_each (item, &input->feeds) {
                Feed *feed = LIST_ENTRY(item, Feed, link);

                if (!on)
                        loop_fd_remove(&feed->source);
                else if (!feed->source.loop && loop_fd_add(input->loop, &feed->source, feed->fd,
                                                           EPOLLIN, feed_on_readable) < 0)
                        feed_close(feed);
        }
}

static void input_end(Input *input)
{
        input->state = INPUT_ENDED;
        loop_fd_remove(&input->source);
        input->fd = fd_close(input->fd);
        free(TAKE_PTR(input->held));
        list_for_each (item, &input->feeds)
                feed_close(LIST_ENTRY(item, Feed, link));
}

/* The end of file for the process. The guest's side stays open until it closes it: a close of ours
 * could be taken for a reset. */
static void input_shut_down(Input *input)
{
        if (shutdown(input->fd, SHUT_WR) < 0) {
                input_end(input);
                return;
        }
        list_for_each (item, &input->feeds)
                feed_close(LIST_ENTRY(item, Feed, link));
}

static void input_advance(Input *input)
{
        ssize_t n;

        if (input->held) {
                n = write(input->fd, input->held + input->held_at, input->held_size);
                if (n < 0 && !error_is_transient(errno_neg())) {
                        input_end(input);
                        return;
                }
                input->held_at += n > 0 ? (size_t)n : 0;
                input->held_size -= n > 0 ? (size_t)n : 0;
                if (input->held_size > 0)
                        return;
                free(TAKE_PTR(input->held));
        }
        loop_fd_watch(&input->source, 0);
        if (input->state == INPUT_ENDING)
                input_shut_down(input);
        else
                input_watch_feeds(input);
}

static int input_on_ready(LoopFd *source, uint32_t events)
{
        Input *input = CONTAINER_OF(source, Input, source);

        /* The process has closed its input, or is gone. */
        if (events & (EPOLLHUP | EPOLLERR))
                input_end(input);
        else
                input_advance(input);
        return 0;
}

static void input_take(Input *input, const uint8_t *data, size_t size)
{
        ssize_t n = write(input->fd, data, size);

        if (n < 0 && !error_is_transient(errno_neg())) {
                input_end(input);
                return;
        }
        if (n < 0)
                n = 0;
        if ((size_t)n == size)
                return;
        input->held = malloc(size - (size_t)n);
        if (!input->held) {
                log_write_fields(LOG_ERR, 0, input->about,
                                 "Out of memory: the input of a process is cut off");
                input_end(input);
                return;
        }
        memcpy(input->held, data + n, size - (size_t)n);
        input->held_at = 0;
        input->held_size = size - (size_t)n;
        loop_fd_watch(&input->source, EPOLLOUT);
        input_watch_feeds(input);
}

bool feed_is_hung_up(const Feed *feed)
{
        struct pollfd poll_fd = {.fd = feed->fd};

        return feed->fd >= 0 && poll(&poll_fd, 1, 0) > 0 && (poll_fd.revents & POLLHUP);
}

/*
 * The client has nothing more to say. By shutdown() it says so and stays; a socket that was closed
 * means that the client is gone, which ends nothing. A pipe can only be closed.
 */
static void feed_end(Feed *feed)
{
        Input *input = feed->input;
        struct stat status;
        bool gone = feed_is_hung_up(feed) && fstat(feed->fd, &status) == 0 &&
                    S_ISSOCK(status.st_mode);
        bool end = feed->primary && !gone && !input->terminal;

        feed_close(feed);
        if (end && input->state == INPUT_OPEN) {
                input->state = INPUT_ENDING;
                input_advance(input);
        }
}

static int feed_on_readable(LoopFd *source, uint32_t events)
{
        Feed *feed = CONTAINER_OF(source, Feed, source);
        Input *input = feed->input;
        ssize_t n = read(feed->fd, input->scratch, INPUT_CHUNK);

        if (n > 0)
                input_take(input, input->scratch, (size_t)n);
        else if (n == 0)
                feed_end(feed);
        else if (!error_is_transient(errno_neg()))
                feed_close(feed);
        return 0;
}

void feed_close(Feed *feed)
{
        if (feed->fd < 0)
                return;
        loop_fd_remove(&feed->source);
        feed->fd = fd_close(feed->fd);
        list_remove(&feed->link);
        feed->closed(feed);
}

void feed_open(Feed *feed, Input *input, int fd, bool primary, void (*closed)(Feed *feed))
{
        *feed = (Feed){.input = input, .fd = fd, .primary = primary, .closed = closed};
        list_append(&input->feeds, &feed->link);
        if (input->state == INPUT_ENDED || input->state == INPUT_ENDING)
                feed_close(feed);
        else
                input_watch_feeds(input);
}

void input_init(Input *input, Loop *loop, uint8_t *scratch, bool terminal)
{
        *input = (Input){.loop = loop, .scratch = scratch, .terminal = terminal, .fd = FD_NONE};
        list_init(&input->feeds);
}

int input_open(Input *input, int fd)
{
        int r;

        assert(input->state == INPUT_EXPECTED);
        r = loop_fd_add(input->loop, &input->source, fd, 0, input_on_ready);
        if (r < 0) {
                fd_close(fd);
                return r;
        }
        input->fd = fd;
        input->state = INPUT_OPEN;
        input_watch_feeds(input);
        return 0;
}

void input_finish(Input *input)
{
        input_end(input);
}

void input_done(Input *input)
{
        if (input->loop)
                input_end(input);
}
