/* Attributes of a file that is copied. Part of copytree.h. */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

/*
 * Fds are of any kind, O_PATH too: what takes none of these is done by their names in the working
 * directory, which is /proc/self/fd of a proc file system that can be trusted.
 */
#define COPY_NUMBER_SIZE 16
const char *copy_number(int fd, char buffer[COPY_NUMBER_SIZE]);

/* Gives @to the owner, mode, extended attributes and times of @from, which has @status. @plain: it
 * is not to keep an access control list that it has inherited. 0 or -errno. */
int copy_attributes(int from, const struct stat *status, int to, bool plain);

/* True if what is made in the directory @fd inherits an access control list. */
bool copy_inherits(int fd);
