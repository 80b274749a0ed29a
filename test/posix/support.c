/* What behaviours share; see posix.h. */
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "posix.h"

int posix_file(const char *name, const char *text)
{
        int fd = TRY(open(name, O_RDWR | O_CREAT | O_TRUNC, 0644));
        size_t size = strlen(text);

        CHECK(TRY(pwrite(fd, text, size, 0)) == (ssize_t)size);
        return fd;
}

bool posix_fd_is(int fd, const char *text)
{
        char buffer[4096];
        ssize_t n = TRY(pread(fd, buffer, sizeof(buffer), 0));

        return (size_t)n == strlen(text) && memcmp(buffer, text, (size_t)n) == 0;
}

bool posix_file_is(const char *name, const char *text)
{
        int fd = TRY(open(name, O_RDONLY));
        bool is = posix_fd_is(fd, text);

        close(fd);
        return is;
}

struct stat posix_stat(const char *name)
{
        struct stat st;

        TRY(lstat(name, &st));
        return st;
}

struct stat posix_fstat(int fd)
{
        struct stat st;

        TRY(fstat(fd, &st));
        return st;
}

bool posix_exists(const char *name)
{
        struct stat st;

        return lstat(name, &st) == 0;
}

const char *posix_other(const char *name)
{
        static char paths[4][PATH_MAX];
        static unsigned turn;
        char *path = paths[turn++ % 4];

        snprintf(path, PATH_MAX, "%s/%s", posix_options.other, name);
        return path;
}

pid_t posix_fork(void)
{
        return TRY(fork());
}

void posix_join(pid_t pid)
{
        int status;

        TRY(waitpid(pid, &status, 0));
        if (WIFSIGNALED(status))
                posix_failed("child", WTERMSIG(status), strsignal(WTERMSIG(status)), 0);
        if (WEXITSTATUS(status) != 0)
                _exit(WEXITSTATUS(status)); /* it has said why */
}

void posix_as_user(void (*run)(void))
{
        pid_t child = posix_fork();

        if (child == 0) {
                TRY(setgroups(0, NULL));
                TRY(setresgid(POSIX_GROUP, POSIX_GROUP, POSIX_GROUP));
                TRY(setresuid(POSIX_USER, POSIX_USER, POSIX_USER));
                run();
                _exit(0);
        }
        posix_join(child);
}

PosixEvent posix_event(void)
{
        PosixEvent event;

        TRY(pipe2(event.fds, O_CLOEXEC));
        return event;
}

void posix_tell(PosixEvent *event)
{
        CHECK(TRY(write(event->fds[1], "", 1)) == 1);
}

void posix_await(PosixEvent *event)
{
        char byte;

        CHECK(TRY(read(event->fds[0], &byte, 1)) == 1);
}

static char process_state(pid_t pid)
{
        char path[32], text[256] = "", *end;
        int fd;

        snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
        fd = TRY(open(path, O_RDONLY));
        TRY(read(fd, text, sizeof(text) - 1));
        close(fd);
        end = strrchr(text, ')');
        return end ? end[2] : 0;
}

void posix_await_asleep(pid_t pid)
{
        const struct timespec moment = {.tv_nsec = 1000000};

        while (process_state(pid) != 'S')
                nanosleep(&moment, NULL);
}

double posix_now(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void *posix_map(int fd, size_t size, int protection, int flags)
{
        void *map = mmap(NULL, size, protection, flags, fd, 0);

        if (map == MAP_FAILED)
                posix_failed(__FILE__, __LINE__, "mmap", errno);
        return map;
}

unsigned posix_count(const char *directory)
{
        DIR *dir = opendir(directory);
        unsigned count = 0;

        CHECK(dir);
        errno = 0;
        for (struct dirent *entry; (entry = readdir(dir));)
                if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                        count++;
        if (errno != 0)
                posix_failed(__FILE__, __LINE__, "readdir", errno);
        closedir(dir);
        return count;
}

bool posix_not_after(struct timespec a, struct timespec b)
{
        return a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec <= b.tv_nsec);
}
