/* Contents of a file that is copied; see copytree.h. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

#include "agent/copydata.h"

#define BLOCK 4096

void copy_hold_stop(void)
{
        sigset_t mask;

        sigemptyset(&mask);
        sigaddset(&mask, SIGTERM);
        sigprocmask(SIG_BLOCK, &mask, NULL);
}

bool copy_is_stopped(void)
{
        sigset_t pending;

        return sigpending(&pending) == 0 && sigismember(&pending, SIGTERM) == 1;
}

static int write_at(int fd, const uint8_t *data, size_t size, off_t at)
{
        while (size > 0) {
                ssize_t n = pwrite(fd, data, size, at);

                if (n < 0)
                        return errno_neg();
                data += n;
                size -= (size_t)n;
                at += n;
        }
        return 0;
}

static bool is_zero(const uint8_t *data, size_t size)
{
        return data[0] == 0 && memcmp(data, data + 1, size - 1) == 0;
}

/* Writes all but blocks of zeros. Not every file system tells where a file has holes. */
static int write_sparse(int fd, const uint8_t *data, size_t size, off_t at)
{
        size_t start = 0, end = 0;
        int r = 0;

        while (r == 0 && end < size) {
                size_t block = MIN((size_t)BLOCK, size - end);

                if (!is_zero(data + end, block)) {
                        end += block;
                        continue;
                }
                r = write_at(fd, data + start, end - start, at + (off_t)start);
                end += block;
                start = end;
        }
        return r < 0 ? r : write_at(fd, data + start, end - start, at + (off_t)start);
}

/* The next stretch of data from *@at on; a file system that can't tell has one. -ENXIO: none. */
static int next_data(int fd, off_t *at, off_t *ret_end)
{
        off_t start = lseek(fd, *at, SEEK_DATA), end;

        *ret_end = INT64_MAX;
        if (start < 0)
                return errno == ENXIO ? -ENXIO : 0;
        end = lseek(fd, start, SEEK_HOLE);
        *at = start;
        if (end > start)
                *ret_end = end;
        return 0;
}

static int copy_stretch(int from, int to, uint8_t *buffer, bool sparse, off_t *at, off_t end)
{
        while (*at < end) {
                ssize_t n = pread(from, buffer, MIN((off_t)COPY_BUFFER_SIZE, end - *at), *at);
                int r;

                if (n < 0)
                        return errno_neg();
                if (n == 0)
                        return -ENODATA;
                if (copy_is_stopped())
                        return -ECANCELED;
                r = sparse ? write_sparse(to, buffer, (size_t)n, *at)
                           : write_at(to, buffer, (size_t)n, *at);
                if (r < 0)
                        return r;
                *at += n;
        }
        return 0;
}

int copy_data(int from, const struct stat *status, int to, uint8_t *buffer, uint64_t *ret_size)
{
        bool sparse = status->st_blocks < status->st_size / 512;
        /* What grows meanwhile is as it was, which saves asking for more; some tell no size at all. */
        off_t at = 0, end = status->st_size > 0 ? status->st_size : INT64_MAX;
        int r = sparse ? next_data(from, &at, &end) : 0;

        while (r == 0) {
                r = copy_stretch(from, to, buffer, sparse, &at, end);
                if (r == 0)
                        r = sparse ? next_data(from, &at, &end) : -ENODATA;
        }
        if (r != -ENXIO && r != -ENODATA)
                return r;
        /* A hole at the end; unless the file has been cut meanwhile. */
        if (r == -ENXIO && at < status->st_size)
                at = status->st_size;
        if (sparse && ftruncate(to, at) < 0)
                return errno_neg();
        *ret_size = (uint64_t)at;
        return 0;
}
