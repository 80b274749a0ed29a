/* Log lines; see log.h. One write() a line, so that lines of several processes don't mix. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

static const char *log_program = "uvm";
static int log_level = LOG_INFO;
static bool log_to_journal;
static LogSink log_sink;

void log_open(const char *program)
{
        static const struct {
                const char *name;
                int level;
        } levels[] = {
                {"error", LOG_ERR},
                {"warning", LOG_WARNING},
                {"info", LOG_INFO},
                {"debug", LOG_DEBUG},
        };
        const char *wanted = getenv("UVM_LOG_LEVEL");

        log_program = program;
        log_to_journal = getenv("JOURNAL_STREAM") != NULL;
        for (size_t i = 0; wanted && i < ELEMENTSOF(levels); i++)
                if (strcmp(wanted, levels[i].name) == 0)
                        log_level = levels[i].level;
}

void log_set_level(int level)
{
        log_level = level;
}

void log_set_sink(LogSink sink)
{
        log_sink = sink;
}

static void log_line(int level, int error, const char *const *fields, const char *format,
                     va_list arguments)
{
        char line[2048];
        size_t at = 0, room = sizeof(line) - 1;
        int n = 0;

        if (!log_sink)
                n = log_to_journal ? snprintf(line, sizeof(line), "<%d>", level)
                                   : snprintf(line, sizeof(line), "%s: ", log_program);
        at = (size_t)n;
        n = vsnprintf(line + at, room - at, format, arguments);
        if (n > 0)
                at = MIN(at + (size_t)n, room - 1);
        if (error) {
                n = snprintf(line + at, room - at, ": %s", strerror(error));
                at = MIN(at + (size_t)n, room - 1);
        }
        if (log_sink) {
                line[at] = 0;
                log_sink(level, line, fields);
                return;
        }
        line[at++] = '\n';
        /* There is nobody to tell when this fails. */
        if (write(STDERR_FILENO, line, at) < 0)
                return;
}

static void log_write_arguments(int level, int r, const char *const *fields, const char *format,
                                va_list arguments)
{
        int saved = errno;

        if (level > log_level)
                return;
        log_line(level, -r, fields, format, arguments);
        errno = saved;
}

int log_write_fields(int level, int r, const char *const *fields, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        log_write_arguments(level, r, fields, format, arguments);
        va_end(arguments);
        return r;
}

void log_write(int level, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        log_write_arguments(level, 0, NULL, format, arguments);
        va_end(arguments);
}

int log_write_errno(int level, int r, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        log_write_arguments(level, r, NULL, format, arguments);
        va_end(arguments);
        return r;
}
