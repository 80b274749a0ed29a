/*
 * Log lines to standard error, with the "<N>" priority prefix of sd-daemon(3) when the reader is
 * the journal (JOURNAL_STREAM is set) and the program's name otherwise. The level is the only
 * mutable state of the process; the environment variable UVM_LOG_LEVEL (error, warning, info,
 * debug) sets it.
 */
#pragma once

#include <stdarg.h>
#include <syslog.h>

/* @program must outlive the process. Reads UVM_LOG_LEVEL; the default is LOG_INFO. */
void log_open(const char *program);
void log_set_level(int level);

void log_write(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Takes lines in place of standard error. @fields: "KEY=value" for the journal, ending in NULL; NULL:
 * there are none. An option of the process, set at its start. */
typedef void (*LogSink)(int level, const char *message, const char *const *fields);
void log_set_sink(LogSink sink);

/* As log_write_errno(), without an error for @r 0, with fields for a sink. */
int log_write_fields(int level, int r, const char *const *fields, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

/* Logs "…: strerror(-r)" and returns @r, so that a caller that gives up can log and return. */
int log_write_errno(int level, int r, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

#define log_error(...)            log_write(LOG_ERR, __VA_ARGS__)
#define log_warning(...)          log_write(LOG_WARNING, __VA_ARGS__)
#define log_info(...)             log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...)            log_write(LOG_DEBUG, __VA_ARGS__)
#define log_error_errno(r, ...)   log_write_errno(LOG_ERR, r, __VA_ARGS__)
#define log_warning_errno(r, ...) log_write_errno(LOG_WARNING, r, __VA_ARGS__)
