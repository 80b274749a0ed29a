/*
 * The shim's own lines in the journal: by its native protocol, so that each has the sandbox's fields,
 * UVM_SANDBOX= and, once it has been launched, UVM_NAME= and UVM_OWNER=; one about a process has
 * UVM_CONTAINER= and the like beside (Process.about). They have no UVM_STREAM=, which a container's
 * output has.
 *
 * State of the process, like the log's level. Never blocks: a line that the journal can't take now goes
 * to standard error.
 */
#pragma once

#include <stddef.h>

/* Lines go to the journal's socket at @path from now on. @id, @path: borrowed for ever. */
void shimlog_open(const char *path, const char *id);

/* What is known of the sandbox since; newlines in it become blanks. */
void shimlog_name(const char *name, const char *owner);
