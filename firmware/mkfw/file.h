/* Whole files in, one file out that appears complete or not at all. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "mkfw/layout.h"

/* Reads a regular file of at most @max bytes into new memory (free() it). 0 or -errno: -EFBIG. */
int file_read(const char *path, size_t max, uint8_t **ret, size_t *ret_size);

/* Writes the image beside @path and moves it there. Mode 0666 less the umask. 0 or -errno. */
int file_write_image(const char *path, const Layout *layout);
