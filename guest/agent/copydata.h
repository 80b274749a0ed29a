/* Contents of a file that is copied. Part of copytree.h. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* What fills one message of 9p, less its header, in whole pages. */
#define COPY_BUFFER_SIZE (124 * 4096)

/* SIGTERM has the process stop where that leaves nothing half: held back from here on, and whether it
 * has come. */
void copy_hold_stop(void);
bool copy_is_stopped(void);

/* Copies the contents of @from, which had @status, to the empty file @to. Holes stay holes: told by
 * the file system, or zeros in a file that occupies less than its size. 0 and how long it was, or
 * -errno; -ECANCELED: it was stopped. */
int copy_data(int from, const struct stat *status, int to, uint8_t *buffer, uint64_t *ret_size);
