/* Owner, mode, times and extended attributes of what an archive's entry made. */
#pragma once

#include <archive.h>
#include <archive_entry.h>
#include <stddef.h>
#include <time.h>

/* On an open file or directory / on directory @parent's @name, which is not followed. 0 or -errno. */
int metadata_apply_fd(int fd, struct archive_entry *entry);
int metadata_apply_at(int parent, const char *name, struct archive_entry *entry);

/* Access and modification time, as utimensat(2) takes them. */
void metadata_times(struct archive_entry *entry, struct timespec ret[2]);

/* The names in @directory but "." and "..", each in new memory. 0 or -errno. */
int metadata_list(int directory, char ***ret, size_t *ret_n);
