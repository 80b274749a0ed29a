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

/* Logs "…: strerror(-r)" and returns @r, so that a caller that gives up can log and return. */
int log_write_errno(int level, int r, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

#define log_error(...)            log_write(LOG_ERR, __VA_ARGS__)
#define log_warning(...)          log_write(LOG_WARNING, __VA_ARGS__)
#define log_info(...)             log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...)            log_write(LOG_DEBUG, __VA_ARGS__)
#define log_error_errno(r, ...)   log_write_errno(LOG_ERR, r, __VA_ARGS__)
#define log_warning_errno(r, ...) log_write_errno(LOG_WARNING, r, __VA_ARGS__)
