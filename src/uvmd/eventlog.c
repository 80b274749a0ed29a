/* The log of events; see eventlog.h. A line that a kill has cut is no JSON, and left out. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/io.h"
#include "uvmd/eventlog.h"
#include "uvmd/jsonfile.h"

/* The file is written anew when this many lines are in it. */
#define LINES_MAX (2 * EVENTLOG_MAX)

#define FILE_SIZE_MAX ((size_t)LINES_MAX * (EVENTLOG_TEXT_MAX + 1))

struct EventLog {
        LoggedEvent events[EVENTLOG_MAX]; /* that of number n at n % EVENTLOG_MAX */
        uint64_t last;
        char *path;
        int fd;
        size_t n_lines;
};

/* ------------------------------------------------------------------ in memory */

uint64_t eventlog_last(const EventLog *log)
{
        return log->last;
}

static uint64_t eventlog_oldest(const EventLog *log)
{
        return log->last > EVENTLOG_MAX ? log->last - EVENTLOG_MAX + 1 : 1;
}

uint64_t eventlog_lost(const EventLog *log, uint64_t number)
{
        uint64_t oldest = eventlog_oldest(log);

        return number < oldest - 1 ? oldest - 1 - number : 0;
}

const LoggedEvent *eventlog_next(const EventLog *log, uint64_t number)
{
        if (number >= log->last)
                return NULL;
        for (uint64_t n = MAX(number + 1, eventlog_oldest(log)); n <= log->last; n++) {
                const LoggedEvent *event = &log->events[n % EVENTLOG_MAX];

                if (event->text && event->number == n)
                        return event;
        }
        return NULL;
}

/* Takes @text. */
static void eventlog_keep(EventLog *log, uint64_t number, uint32_t owner, char *text)
{
        LoggedEvent *event = &log->events[number % EVENTLOG_MAX];

        free(event->text);
        *event = (LoggedEvent){.number = number, .owner = owner, .text = text};
        log->last = number;
}

/* ------------------------------------------------------------------ in the file */

static int write_line(int fd, const char *text)
{
        _cleanup_(freep) char *line = NULL;
        int n = asprintf(&line, "%s\n", text);

        return n < 0 ? -ENOMEM : io_write_full(fd, line, (size_t)n);
}

/* The file as it is in memory, at once or not at all. */
static int eventlog_rewrite(EventLog *log)
{
        _cleanup_(fd_closep) int fd = FD_NONE;
        _cleanup_(freep) char *path = NULL;
        const LoggedEvent *event = NULL;
        size_t n = 0;
        int r = 0;

        if (asprintf(&path, "%s.tmp", log->path) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return errno_neg();
        while (r >= 0 && (event = eventlog_next(log, event ? event->number : 0))) {
                r = write_line(fd, event->text);
                n++;
        }
        if (r >= 0 && rename(path, log->path) < 0)
                r = errno_neg();
        if (r < 0) {
                unlink(path);
                return r;
        }
        fd_close(log->fd);
        log->fd = TAKE_FD(fd);
        log->n_lines = n;
        return 0;
}

static int eventlog_append(EventLog *log, const char *text)
{
        int r;

        if (log->fd < 0 || log->n_lines >= LINES_MAX)
                return eventlog_rewrite(log);
        r = write_line(log->fd, text);
        if (r < 0) {
                log->fd = fd_close(log->fd); /* half a line may be there: begin anew */
                return r;
        }
        log->n_lines++;
        return 0;
}

static uint64_t member(json_object *json, const char *key)
{
        json_object *value;

        return json_object_object_get_ex(json, key, &value) ? json_object_get_uint64(value) : 0;
}

static int eventlog_take_line(EventLog *log, const char *line, size_t size)
{
        _cleanup_(json_putp) json_object *json = NULL;
        uint64_t number;
        char *text;

        if (size > EVENTLOG_TEXT_MAX || jsonfile_parse(line, size, &json) < 0 ||
            !json_object_is_type(json, json_type_object))
                return 0;
        number = member(json, "Number");
        if (number <= log->last || number == UINT64_MAX)
                return 0;
        text = strndup(line, size);
        if (!text)
                return -ENOMEM;
        eventlog_keep(log, number, (uint32_t)member(json, "Owner"), text);
        return 0;
}

static int eventlog_read(EventLog *log)
{
        _cleanup_(fd_closep) int fd = open(log->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        _cleanup_(freep) char *text = NULL;
        struct stat st;
        size_t size;
        int r = 0;

        if (fd < 0 || fstat(fd, &st) < 0)
                return errno == ENOENT ? 0 : errno_neg();
        size = MIN((size_t)st.st_size, FILE_SIZE_MAX);
        text = malloc(size + 1);
        if (!text)
                return -ENOMEM;
        r = io_read_full(fd, text, size);
        for (char *line = text, *end; r >= 0 && (end = memchr(line, '\n', size)); line = end + 1) {
                size -= (size_t)(end + 1 - line);
                r = eventlog_take_line(log, line, (size_t)(end - line));
        }
        return r;
}

/* ------------------------------------------------------------------ the log */

int eventlog_open(EventLog **ret, const char *path)
{
        _cleanup_(eventlog_closep) EventLog *log = calloc(1, sizeof(*log));
        int r;

        if (!log)
                return -ENOMEM;
        log->fd = FD_NONE;
        log->path = strdup(path);
        if (!log->path)
                return -ENOMEM;
        r = eventlog_read(log);
        if (r >= 0)
                r = eventlog_rewrite(log);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(log);
        return 0;
}

EventLog *eventlog_close(EventLog *log)
{
        if (!log)
                return NULL;
        for (size_t i = 0; i < EVENTLOG_MAX; i++)
                free(log->events[i].text);
        fd_close(log->fd);
        free(log->path);
        free(log);
        return NULL;
}

static char *event_text(json_object *event)
{
        const char *text = json_object_to_json_string_ext(
                event, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

        if (text && strlen(text) > EVENTLOG_TEXT_MAX) {
                json_object_object_del(event, "Attributes");
                text = json_object_to_json_string_ext(
                        event, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
        }
        return text ? strdup(text) : NULL;
}

int eventlog_add(EventLog *log, uint32_t owner, json_object *event)
{
        uint64_t number = log->last + 1;
        char *text = NULL;

        if (event) {
                json_object_object_add(event, "Number", json_object_new_uint64(number));
                json_object_object_add(event, "Time",
                                       json_object_new_uint64(clock_realtime_usec()));
                json_object_object_add(event, "Owner", json_object_new_uint64(owner));
                text = event_text(event);
                json_object_put(event);
        }
        if (!text)
                return -ENOMEM;
        eventlog_keep(log, number, owner, text);
        return eventlog_append(log, text);
}
