/* Locks between processes of one client: flock(2), fcntl(2), open file description locks. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "lock.h"
#include "posix.h"

static void flock_exclusive(void)
{
        int a = posix_file("file", ""), b = TRY(open("file", O_RDWR));

        TRY(flock(a, LOCK_EX));
        FAILS(EWOULDBLOCK, flock(b, LOCK_EX | LOCK_NB));
        FAILS(EWOULDBLOCK, flock(b, LOCK_SH | LOCK_NB));
        TRY(flock(a, LOCK_UN));
        TRY(flock(b, LOCK_EX | LOCK_NB));
        TRY(close(b));
        TRY(flock(a, LOCK_EX | LOCK_NB));
}

static void flock_shared(void)
{
        int a = posix_file("file", ""), b = TRY(open("file", O_RDONLY));

        TRY(flock(a, LOCK_SH));
        TRY(flock(b, LOCK_SH | LOCK_NB));
        FAILS(EWOULDBLOCK, flock(a, LOCK_EX | LOCK_NB));
        TRY(flock(b, LOCK_UN));
        TRY(flock(a, LOCK_EX | LOCK_NB));
        TRY(flock(a, LOCK_SH | LOCK_NB));
        TRY(flock(b, LOCK_SH | LOCK_NB));
}

/* The lock is the open file's, which a child has too. */
static void flock_inherited(void)
{
        int a = posix_file("file", ""), b = TRY(open("file", O_RDWR));
        pid_t child;

        TRY(flock(a, LOCK_EX));
        child = posix_fork();
        if (child == 0) {
                TRY(close(a));
                _exit(0);
        }
        posix_join(child);
        FAILS(EWOULDBLOCK, flock(b, LOCK_EX | LOCK_NB));
        child = posix_fork();
        if (child == 0) {
                TRY(flock(a, LOCK_UN));
                _exit(0);
        }
        posix_join(child);
        TRY(flock(b, LOCK_EX | LOCK_NB));
}

static void flock_directory(void)
{
        int a = TRY(open(".", O_RDONLY)), b = TRY(open(".", O_RDONLY));

        TRY(flock(a, LOCK_EX));
        FAILS(EWOULDBLOCK, flock(b, LOCK_EX | LOCK_NB));
}

/* One process waits, the other gives up its lock in the way of @release. */
static void waits(int (*take)(int fd), int (*release)(int fd))
{
        int fd = posix_file("file", "");
        PosixEvent taken = posix_event(), told = posix_event();
        pid_t child = posix_fork();
        double start;

        if (child == 0) {
                TRY(close(fd)); /* or the lock would be its own as well */
                fd = TRY(open("file", O_RDWR));
                posix_await(&taken);
                TRY(take(fd));
                posix_tell(&told);
                _exit(0);
        }
        TRY(take(fd));
        posix_tell(&taken);
        posix_await_asleep(child);
        start = posix_now();
        TRY(release(fd));
        posix_await(&told);
        CHECK(posix_now() - start < LOCK_SECONDS_MAX);
        posix_join(child);
}

static int flock_take(int fd)
{
        return flock(fd, LOCK_EX);
}

static int flock_release(int fd)
{
        return flock(fd, LOCK_UN);
}

static int fcntl_take(int fd)
{
        return lock_wait(fd, F_WRLCK, 0, 10);
}

static int fcntl_release(int fd)
{
        return lock_set(fd, F_UNLCK, 0, 10);
}

static void flock_waits(void)
{
        for (int i = 0; i < LOCK_TURNS; i++)
                waits(flock_take, flock_release);
}

static void flock_waits_close(void)
{
        for (int i = 0; i < LOCK_TURNS; i++)
                waits(flock_take, close);
}

static void fcntl_waits(void)
{
        for (int i = 0; i < LOCK_TURNS; i++)
                waits(fcntl_take, fcntl_release);
}

static void fcntl_waits_close(void)
{
        for (int i = 0; i < LOCK_TURNS; i++)
                waits(fcntl_take, close);
}

static void fcntl_exclusive(void)
{
        int fd = posix_file("file", "");

        TRY(lock_set(fd, F_WRLCK, 10, 10));
        CHECK(lock_other_may("file", F_WRLCK, 0, 10));
        CHECK(lock_other_may("file", F_WRLCK, 20, 10));
        CHECK(!lock_other_may("file", F_WRLCK, 15, 1));
        CHECK(!lock_other_may("file", F_RDLCK, 19, 10));
        TRY(lock_set(fd, F_UNLCK, 12, 2));
        CHECK(lock_other_may("file", F_WRLCK, 12, 2));
        CHECK(!lock_other_may("file", F_WRLCK, 11, 1));
        CHECK(!lock_other_may("file", F_WRLCK, 14, 1));
        TRY(lock_set(fd, F_RDLCK, 10, 2));
        CHECK(lock_other_may("file", F_RDLCK, 10, 2));
        CHECK(!lock_other_may("file", F_WRLCK, 10, 2));
}

static void fcntl_get(void)
{
        int fd = posix_file("file", "");
        pid_t self = getpid(), child;

        TRY(lock_set(fd, F_WRLCK, 10, 10));
        child = posix_fork();
        if (child == 0) {
                struct flock lock = {.l_type = F_RDLCK, .l_start = 5, .l_len = 100};

                TRY(fcntl(fd, F_GETLK, &lock));
                CHECK(lock.l_type == F_WRLCK && lock.l_start == 10 && lock.l_len == 10);
                CHECK(lock.l_pid == self);
                lock = (struct flock){.l_type = F_WRLCK, .l_start = 30, .l_len = 1};
                TRY(fcntl(fd, F_GETLK, &lock));
                CHECK(lock.l_type == F_UNLCK);
                _exit(0);
        }
        posix_join(child);
}

static void fcntl_modes(void)
{
        posix_file("file", "");
        FAILS(EBADF, lock_set(TRY(open("file", O_RDONLY)), F_WRLCK, 0, 1));
        FAILS(EBADF, lock_set(TRY(open("file", O_WRONLY)), F_RDLCK, 0, 1));
        TRY(lock_set(TRY(open("file", O_RDONLY)), F_RDLCK, 0, 1));
}

/* The process is the owner, by whichever fd it asks. */
static void fcntl_two_fds(void)
{
        int a = posix_file("file", ""), b = TRY(open("file", O_RDWR));

        TRY(lock_set(a, F_WRLCK, 0, 10));
        TRY(lock_set(b, F_WRLCK, 5, 10));
        TRY(lock_set(b, F_UNLCK, 0, 100));
        CHECK(lock_other_may("file", F_WRLCK, 0, 100));
}

static void fcntl_close_any(void)
{
        int a = posix_file("file", ""), b = TRY(open("file", O_RDWR));

        TRY(lock_set(a, F_WRLCK, 0, 10));
        TRY(close(b));
        CHECK(lock_other_may("file", F_WRLCK, 0, 10));
}

static void fcntl_child(void)
{
        int fd = posix_file("file", "");
        pid_t child;

        TRY(lock_set(fd, F_WRLCK, 0, 10));
        child = posix_fork();
        if (child == 0) {
                FAILS(EAGAIN, lock_set(fd, F_WRLCK, 0, 10));
                TRY(close(fd));
                _exit(0);
        }
        posix_join(child);
        CHECK(!lock_other_may("file", F_WRLCK, 0, 10));
}

static void fcntl_deadlock(void)
{
        int fd = posix_file("file", "");
        PosixEvent taken = posix_event();
        pid_t child;

        TRY(lock_set(fd, F_WRLCK, 0, 1));
        child = posix_fork();
        if (child == 0) {
                TRY(lock_set(fd, F_WRLCK, 1, 1));
                posix_tell(&taken);
                TRY(lock_wait(fd, F_WRLCK, 0, 1));
                _exit(0);
        }
        posix_await(&taken);
        posix_await_asleep(child);
        FAILS(EDEADLK, lock_wait(fd, F_WRLCK, 1, 1));
        TRY(lock_set(fd, F_UNLCK, 0, 1));
        posix_join(child);
}

static void ofd_locks(void)
{
        int a = posix_file("file", ""), b = TRY(open("file", O_RDWR));

        TRY(lock_ofd(a, F_WRLCK, 0, 10));
        FAILS(EAGAIN, lock_ofd(b, F_WRLCK, 5, 10));
        TRY(lock_ofd(b, F_WRLCK, 10, 10));
        FAILS(EAGAIN, lock_set(b, F_WRLCK, 0, 1)); /* nor are they the process's */
        TRY(close(a));
        TRY(lock_ofd(b, F_WRLCK, 0, 10));
}

static void flock_and_fcntl(void)
{
        int fd = posix_file("file", "");

        TRY(flock(fd, LOCK_EX));
        CHECK(lock_other_may("file", F_WRLCK, 0, 0));
}

const PosixCase posix_cases_lock[] = {
        {"flock-exclusive", flock_exclusive, 0}, {"flock-shared", flock_shared, 0},
        {"flock-inherited", flock_inherited, 0}, {"flock-directory", flock_directory, 0},
        {"flock-waits", flock_waits, 0},         {"flock-waits-for-close", flock_waits_close, 0},
        {"fcntl-exclusive", fcntl_exclusive, 0}, {"fcntl-get", fcntl_get, 0},
        {"fcntl-modes", fcntl_modes, 0},         {"fcntl-two-fds", fcntl_two_fds, 0},
        {"fcntl-close-any", fcntl_close_any, 0}, {"fcntl-child", fcntl_child, 0},
        {"fcntl-waits", fcntl_waits, 0},         {"fcntl-waits-for-close", fcntl_waits_close, 0},
        {"fcntl-deadlock", fcntl_deadlock, 0},   {"ofd-locks", ofd_locks, 0},
        {"flock-and-fcntl", flock_and_fcntl, 0}, {},
};
