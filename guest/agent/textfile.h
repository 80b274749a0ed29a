/* Small files, read and written whole. Files of a container are hostile: see text_read(). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define TEXT_SIZE_MAX (1024 * 1024)

typedef struct Text {
        char *data; /* NUL-terminated behind @size bytes; NULL: empty */
        size_t size;
} Text;

void text_done(Text *text);

/*
 * Reads @path below @directory. Never blocks on what isn't a regular file (-EINVAL); longer than
 * TEXT_SIZE_MAX is -EFBIG. 0 or -errno.
 */
int text_read(int directory, const char *path, Text *ret);

/* One write() to an existing file: a control file of the kernel. 0 or -errno. */
int text_write(int directory, const char *path, const char *data, size_t size);
int text_write_u64(int directory, const char *path, uint64_t value);

/* A file with one number; "max" is UINT64_MAX. 0 or -errno. */
int text_read_u64(int directory, const char *path, uint64_t *ret);

/* The number behind "@key " at the start of a line, as in cgroup files and meminfo; else 0. */
uint64_t text_get_u64(const Text *text, const char *key);
