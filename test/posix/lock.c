/* Byte-range locks; see lock.h. */
#include <sys/wait.h>
#include <unistd.h>

#include "lock.h"
#include "posix.h"

static int lock_by(int fd, int command, short type, off_t start, off_t length)
{
        struct flock lock = {.l_type = type, .l_start = start, .l_len = length};

        return fcntl(fd, command, &lock);
}

int lock_set(int fd, short type, off_t start, off_t length)
{
        return lock_by(fd, F_SETLK, type, start, length);
}

int lock_wait(int fd, short type, off_t start, off_t length)
{
        return lock_by(fd, F_SETLKW, type, start, length);
}

int lock_ofd(int fd, short type, off_t start, off_t length)
{
        return lock_by(fd, F_OFD_SETLK, type, start, length);
}

bool lock_other_may(const char *path, short type, off_t start, off_t length)
{
        pid_t child = posix_fork();
        int status;

        if (child == 0) {
                int fd = TRY(open(path, O_RDWR));

                if (lock_set(fd, type, start, length) == 0)
                        _exit(42);
                if (errno != EAGAIN && errno != EACCES)
                        posix_failed(__FILE__, __LINE__, "another's lock", errno);
                _exit(43);
        }
        TRY(waitpid(child, &status, 0));
        CHECK(WIFEXITED(status) && (WEXITSTATUS(status) == 42 || WEXITSTATUS(status) == 43));
        return WEXITSTATUS(status) == 42;
}
