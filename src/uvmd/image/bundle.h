/*
 * Named files inside what a caller handed in: a directory, or a tar archive that holds one. OCI layouts
 * and docker archives are read through this, so that both come in either form.
 *
 * A tar archive is read anew for each file: nothing is unpacked twice, and the files that matter are
 * few. Seekable, uncompressed ones (the usual case) are skipped through without being read.
 */
#pragma once

#include <archive.h>
#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-bus.h>

typedef struct Bundle Bundle;

/* Borrows @fd: a directory, or a file that can be read and rewound. 0 or -errno with @error. */
int bundle_open(Bundle **ret, int fd, sd_bus_error *error);
Bundle *bundle_close(Bundle *bundle);

static inline void bundle_closep(Bundle **bundle)
{
        bundle_close(*bundle);
}

/* 1 it is there, 0 it isn't, -errno with @error. */
int bundle_has(Bundle *bundle, const char *name, sd_bus_error *error);

/* The whole of a file of at most @max bytes, in new memory with a NUL behind. */
int bundle_read(Bundle *bundle, const char *name, size_t max, char **ret, size_t *ret_size,
                sd_bus_error *error);

/* The file as an archive of its own, of any compression. Borrowed until the next call. */
int bundle_open_archive(Bundle *bundle, const char *name, struct archive **ret,
                        sd_bus_error *error);

/* A reader for tar archives of the compressions that libarchive does by itself. NULL: no memory. */
struct archive *bundle_reader_new(void);
