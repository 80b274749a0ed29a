/* Byte-range locks in one line. */
#pragma once

#include <fcntl.h>
#include <stdbool.h>

/* A lock is granted well before the 30 s after which the 9p client asks again by itself. */
#define LOCK_SECONDS_MAX 10
/* How often a process waits for another's lock: what goes wrong there is a matter of timing. */
#define LOCK_TURNS 5

int lock_set(int fd, short type, off_t start, off_t length);
int lock_wait(int fd, short type, off_t start, off_t length);
int lock_ofd(int fd, short type, off_t start, off_t length);

/* Whether another process could lock that range of the file. */
bool lock_other_may(const char *path, short type, off_t start, off_t length);
