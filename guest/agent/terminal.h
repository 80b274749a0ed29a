/* Terminals of containers: pairs of the container's own devpts instance. */
#pragma once

#include <stdint.h>

#include "agent/fault.h"

typedef struct Terminal {
        int master; /* CLOEXEC */
        int slave;
} Terminal;

/*
 * In the child, inside the container's root: a new pair that belongs to @uid, with its size. 0 or
 * -errno with @fault filled in.
 */
int terminal_open(uint32_t uid, uint16_t rows, uint16_t columns, Terminal *ret, Fault *fault);

/* In the child, a session leader: makes the slave its controlling terminal. 0 or -errno. */
int terminal_take(int slave, Fault *fault);

/* Shows the terminal as /dev/console too, for programs that ask for that by name. Harmless where
 * there is no /dev to put it in. */
void terminal_make_console(int slave);

/* Tells the size; the foreground processes get SIGWINCH. 0 or -errno. */
int terminal_resize(int fd, uint16_t rows, uint16_t columns);
