/*
 * Log lines about a sandbox or a container: "Sandbox ID: …", in the journal with the fields UVM_SANDBOX=,
 * UVM_NAME= and, of a container, UVM_CONTAINER= and UVM_CONTAINER_NAME=, as the shim's lines have them.
 * Any other line is base/log.h's.
 */
#pragma once

#include <syslog.h>

typedef struct Container Container;
typedef struct Sandbox Sandbox;

/* Lines go to the journal by its own protocol from now on, if that is where standard error goes. */
void journal_open(void);

/* In a worker, once: all lines of this process are about @sandbox, those of base/log.h as well. */
void journal_about(const Sandbox *sandbox);

/* @r: 0, or a negative errno that is added to the text. Both return @r. */
int sandbox_log(const Sandbox *sandbox, int level, int r, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
int container_log(const Container *container, int level, int r, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

#define sandbox_log_error(sandbox, ...)            sandbox_log(sandbox, LOG_ERR, 0, __VA_ARGS__)
#define sandbox_log_warning(sandbox, ...)          sandbox_log(sandbox, LOG_WARNING, 0, __VA_ARGS__)
#define sandbox_log_info(sandbox, ...)             sandbox_log(sandbox, LOG_INFO, 0, __VA_ARGS__)
#define sandbox_log_debug(sandbox, ...)            sandbox_log(sandbox, LOG_DEBUG, 0, __VA_ARGS__)
#define sandbox_log_error_errno(sandbox, r, ...)   sandbox_log(sandbox, LOG_ERR, r, __VA_ARGS__)
#define sandbox_log_warning_errno(sandbox, r, ...) sandbox_log(sandbox, LOG_WARNING, r, __VA_ARGS__)

#define container_log_warning(container, ...) container_log(container, LOG_WARNING, 0, __VA_ARGS__)
#define container_log_info(container, ...)    container_log(container, LOG_INFO, 0, __VA_ARGS__)
#define container_log_debug(container, ...)   container_log(container, LOG_DEBUG, 0, __VA_ARGS__)
