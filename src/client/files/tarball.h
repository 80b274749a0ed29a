/*
 * Trees to and from tar streams, and from one place to another, with modes, times, extended
 * attributes, hard links, holes and special files. Blocking; each changes the working directory.
 * A status as in client/bus.h, reported.
 */
#pragma once

#include <stdbool.h>

/*
 * Writes @name of @directory (or, NULL, all that is in it) to @to as a tar archive. @owners: with the
 * files' ids; otherwise all belongs to root, as it does in the container of a caller who has one id.
 */
int tarball_write(int directory, const char *name, bool owners, int to);

/* Unpacks the tar stream @from, of any common compression, into @directory. */
int tarball_read(int from, int directory, bool owners);

/* Copies what @path is to @name of the directory @to, an absolute path (@name NULL: what is in the
 * directory @path). */
int tarball_copy(const char *path, const char *to, const char *name, bool owners);
