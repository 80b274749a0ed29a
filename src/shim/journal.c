/* Lines to the journal; see journal.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"

#include "shim/journal.h"

#define JOURNAL_PARTIAL_FIELD "UVM_PARTIAL=1\n"

static void journal_connect(Journal *journal)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        _cleanup_(fd_closep) int fd = FD_NONE;

        if (!journal->path || strlen(journal->path) >= sizeof(address.sun_path))
                return;
        memcpy(address.sun_path, journal->path, strlen(journal->path) + 1);
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return;
        journal->fd = TAKE_FD(fd);
}

static void journal_disconnect(Journal *journal)
{
        loop_fd_remove(&journal->source);
        journal->fd = fd_close(journal->fd);
}

static void journal_wake(Journal *journal)
{
        List woken;

        /* Those that still find it full wait again, on the journal's own list. */
        list_init(&woken);
        while (!list_is_empty(&journal->waiters)) {
                List *item = list_first(&journal->waiters);

                list_remove(item);
                list_append(&woken, item);
        }
        while (!list_is_empty(&woken)) {
                JournalWaiter *waiter = LIST_ENTRY(list_first(&woken), JournalWaiter, link);

                list_remove(&waiter->link);
                waiter->ready(waiter);
        }
}

static int journal_on_writable(LoopFd *source, uint32_t events)
{
        Journal *journal = CONTAINER_OF(source, Journal, source);

        loop_fd_remove(source);
        journal_wake(journal);
        return 0;
}

void journal_init(Journal *journal, Loop *loop, const char *path, char *fields)
{
        *journal = (Journal){
                .loop = loop,
                .path = path,
                .fd = FD_NONE,
                .fields = fields,
                .fields_size = fields ? strlen(fields) : 0,
        };
        list_init(&journal->waiters);
        journal_connect(journal);
}

void journal_done(Journal *journal)
{
        if (!journal->loop)
                return;
        journal_disconnect(journal);
        free(journal->fields);
        *journal = (Journal){.fd = FD_NONE};
}

void journal_wait(Journal *journal, JournalWaiter *waiter)
{
        list_remove(&waiter->link);
        list_append(&journal->waiters, &waiter->link);
        if (journal->source.loop)
                return;
        /* A journal that can't be waited for is no journal: its lines go nowhere, at once. */
        if (journal->fd < 0 || loop_fd_add(journal->loop, &journal->source, journal->fd, EPOLLOUT,
                                           journal_on_writable) < 0) {
                journal_disconnect(journal);
                journal_wake(journal);
        }
}

int journal_field_append(char **fields, const char *key, const char *value)
{
        size_t held = *fields ? strlen(*fields) : 0;
        size_t key_size = strlen(key), value_size = strlen(value);
        char *grown = realloc(*fields, held + key_size + value_size + 3);
        char *at;

        if (!grown)
                return -ENOMEM;
        *fields = grown;
        at = grown + held;
        memcpy(at, key, key_size);
        at += key_size;
        *at++ = '=';
        for (size_t i = 0; i < value_size; i++)
                *at++ = value[i] == '\n' ? ' ' : value[i];
        *at++ = '\n';
        *at = 0;
        return 0;
}

static struct iovec journal_text(const char *text)
{
        return (struct iovec){.iov_base = (void *)text, .iov_len = text ? strlen(text) : 0};
}

/* Sends the kept part of a line and @data behind it. 0, or -EAGAIN. */
static int journal_lines_send(JournalLines *lines, const uint8_t *data, size_t size, bool partial)
{
        Journal *journal = lines->journal;
        struct iovec parts[] = {
                {.iov_base = journal->fields, .iov_len = journal->fields_size},
                journal_text(lines->fields[0]),
                journal_text(lines->fields[1]),
                journal_text(partial ? JOURNAL_PARTIAL_FIELD : NULL),
                journal_text("MESSAGE="),
                {.iov_base = lines->partial, .iov_len = lines->partial_size},
                {.iov_base = (void *)data, .iov_len = size},
                journal_text("\n"),
        };
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = ELEMENTSOF(parts)};
        int r = 0;

        if (journal->fd < 0)
                journal_connect(journal);
        if (journal->fd < 0)
                return 0;
        if (sendmsg(journal->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                r = errno_neg();
        if (r == -EAGAIN || r == -EINTR)
                return -EAGAIN;
        if (r < 0) {
                log_warning_errno(r, "A line is lost to the journal");
                journal_disconnect(journal);
        }
        return 0;
}

static int journal_lines_keep(JournalLines *lines, const uint8_t *data, size_t size)
{
        size_t wanted = lines->partial_size + size;

        if (wanted > lines->partial_capacity) {
                size_t capacity = MIN((wanted + 255) & ~(size_t)255, (size_t)JOURNAL_LINE_MAX);
                uint8_t *grown = realloc(lines->partial, capacity);

                if (!grown)
                        return -ENOMEM;
                lines->partial = grown;
                lines->partial_capacity = capacity;
        }
        memcpy(lines->partial + lines->partial_size, data, size);
        lines->partial_size = wanted;
        return 0;
}

static void journal_lines_forget(JournalLines *lines)
{
        free(TAKE_PTR(lines->partial));
        lines->partial_size = lines->partial_capacity = 0;
}

/* Takes one line or one piece of a line. How many bytes, or -errno. */
static ssize_t journal_lines_take(JournalLines *lines, const uint8_t *data, size_t size)
{
        size_t room = JOURNAL_LINE_MAX - lines->partial_size;
        const uint8_t *newline = memchr(data, '\n', MIN(size, room));
        size_t n = newline ? (size_t)(newline - data) : MIN(size, room);
        int r;

        if (newline || n == room) {
                r = journal_lines_send(lines, data, n, !newline);
                if (r < 0)
                        return r;
                journal_lines_forget(lines);
                return (ssize_t)(newline ? n + 1 : n);
        }
        r = journal_lines_keep(lines, data, n);
        return r < 0 ? r : (ssize_t)n;
}

ssize_t journal_lines_feed(JournalLines *lines, const uint8_t *data, size_t size)
{
        size_t at = 0;

        while (at < size) {
                ssize_t n = journal_lines_take(lines, data + at, size - at);

                if (n == -EAGAIN)
                        break;
                if (n < 0)
                        return n;
                at += (size_t)n;
        }
        return (ssize_t)at;
}

int journal_lines_flush(JournalLines *lines)
{
        int r;

        if (lines->partial_size == 0)
                return 0;
        r = journal_lines_send(lines, NULL, 0, true);
        if (r == 0)
                journal_lines_forget(lines);
        return r;
}

void journal_lines_done(JournalLines *lines)
{
        journal_lines_forget(lines);
}
