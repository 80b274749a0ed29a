/* File descriptors with one owner each; see fd.h. */
#include <assert.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

int fd_close(int fd)
{
        int saved = errno;

        if (fd >= 0)
                close(fd);
        errno = saved;
        return FD_NONE;
}

void fd_close_many(int *fds, unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                fds[i] = fd_close(fds[i]);
}

static int fd_change_flag(int fd, int get, int set, int flag, bool on)
{
        int flags = fcntl(fd, get);
        int wanted;

        if (flags < 0)
                return errno_neg();
        wanted = on ? flags | flag : flags & ~flag;
        if (wanted != flags && fcntl(fd, set, wanted) < 0)
                return errno_neg();
        return 0;
}

int fd_set_nonblock(int fd, bool on)
{
        return fd_change_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, on);
}

int fd_set_cloexec(int fd, bool on)
{
        return fd_change_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on);
}

static int fd_compare(const void *a, const void *b)
{
        return *(const int *)a - *(const int *)b;
}

int fd_close_others(int *keep, unsigned n)
{
        unsigned first = 3;

        qsort(keep, n, sizeof(*keep), fd_compare);
        for (unsigned i = 0; i <= n; i++) {
                unsigned next = i < n ? (unsigned)keep[i] : ~0U;

                if (i < n && keep[i] < (int)first)
                        continue;
                if (next > first && syscall(SYS_close_range, first, i < n ? next - 1 : ~0U, 0U) < 0)
                        return errno_neg();
                first = next + 1;
        }
        return 0;
}

int fd_pass_to_exec(int *fds, unsigned n, int first)
{
        int high = first + (int)n;

        /* First out of the way of the target numbers, so that no dup2() hits a source. */
        for (unsigned i = 0; i < n; i++) {
                int moved = fcntl(fds[i], F_DUPFD, high);

                if (moved < 0)
                        return errno_neg();
                fd_close(fds[i]);
                fds[i] = moved;
        }
        for (unsigned i = 0; i < n; i++) {
                if (dup2(fds[i], first + (int)i) < 0)
                        return errno_neg();
                fds[i] = fd_close(fds[i]);
        }
        if (syscall(SYS_close_range, (unsigned)high, ~0U, 0U) < 0)
                return errno_neg();
        return 0;
}
