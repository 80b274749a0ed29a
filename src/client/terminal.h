/* The user's own terminal: raw while a session runs, and always given back as it was. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Puts the terminal at @fd into raw mode until terminal_restore() or exit(). 0 or -errno. */
int terminal_make_raw(int fd);

/* Harmless when nothing is to restore. Async-signal-safe. */
void terminal_restore(void);

/* 0 or -errno. A size of 0 × 0 (a terminal that does not know) is reported as 24 × 80. */
int terminal_get_size(int fd, uint32_t *ret_rows, uint32_t *ret_columns);
