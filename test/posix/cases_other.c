/*
 * Two clients of one directory: what one does, the other sees. Only where the mount is coherent: one
 * that caches for itself has the directory for itself.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lock.h"
#include "posix.h"

static void other_content(void)
{
        int fd = posix_file("file", "text"), other = TRY(open(posix_other("file"), O_RDWR));

        CHECK(posix_fd_is(other, "text"));
        CHECK(TRY(pwrite(other, "other", 5, 0)) == 5);
        CHECK(posix_fd_is(fd, "other"));
        CHECK(posix_stat("file").st_size == 5);
        TRY(ftruncate(other, 2));
        CHECK(posix_fstat(fd).st_size == 2);
        CHECK(posix_fd_is(fd, "ot"));
}

static void other_names(void)
{
        CHECK(!posix_exists("file"));
        TRY(close(posix_file(posix_other("file"), "text")));
        CHECK(posix_file_is("file", "text"));
        TRY(rename(posix_other("file"), posix_other("moved")));
        CHECK(!posix_exists("file"));
        CHECK(posix_file_is("moved", "text"));
        TRY(unlink(posix_other("moved")));
        CHECK(!posix_exists("moved"));
        CHECK(posix_count(".") == 0);
}

static void other_replaces(void)
{
        posix_file("file", "first");
        CHECK(posix_file_is("file", "first"));
        posix_file(posix_other("new"), "second, longer");
        TRY(rename(posix_other("new"), posix_other("file")));
        CHECK(posix_file_is("file", "second, longer"));
        CHECK(posix_stat("file").st_size == 14);
}

static void other_attributes(void)
{
        posix_file("file", "");
        TRY(chmod(posix_other("file"), 0421));
        TRY(chown(posix_other("file"), POSIX_USER, POSIX_GROUP));
        CHECK((posix_stat("file").st_mode & 07777) == 0421);
        CHECK(posix_stat("file").st_uid == POSIX_USER);
}

/* Read by one, deleted by the other meanwhile; with small messages, so that it takes several. */
static void other_deletes(void)
{
        enum { N = 120 };
        unsigned n_seen = 0;
        char name[160];
        DIR *dir;

        for (int i = 0; i < N; i++) {
                snprintf(name, sizeof(name), "%0100d", i);
                TRY(close(TRY(open(name, O_CREAT | O_EXCL | O_WRONLY, 0644))));
        }
        dir = opendir(posix_other(""));
        CHECK(dir);
        for (struct dirent *entry; (entry = readdir(dir));)
                if (entry->d_name[0] != '.') {
                        TRY(unlink(entry->d_name));
                        n_seen++;
                }
        CHECK(n_seen == N);
        CHECK(posix_count(".") == 0);
}

/* An open file that the other client has taken the name of. */
static void other_unlinks(void)
{
        int fd = posix_file("file", "text");

        TRY(unlink(posix_other("file")));
        CHECK(posix_fd_is(fd, "text"));
        CHECK(TRY(pwrite(fd, "NEW", 3, 0)) == 3);
        CHECK(posix_fd_is(fd, "NEWt"));
        CHECK(posix_fstat(fd).st_nlink == 0);
        TRY(ftruncate(fd, 1));
}

static void other_renames_directory(void)
{
        int fd, dir_fd;

        TRY(mkdir("dir", 0755));
        fd = posix_file("dir/file", "text");
        dir_fd = TRY(open("dir", O_RDONLY | O_DIRECTORY));
        TRY(rename(posix_other("dir"), posix_other("moved")));
        CHECK(posix_fd_is(fd, "text"));
        CHECK(posix_file_is("moved/file", "text"));
        TRY(openat(dir_fd, "new", O_CREAT | O_WRONLY, 0644));
        CHECK(posix_exists("moved/new"));
}

static void append_both(void)
{
        enum { N = 50 };
        int fds[2], counts[2] = {}, fd = posix_file("file", "");
        char record[32];

        fds[0] = TRY(open("file", O_WRONLY | O_APPEND));
        fds[1] = TRY(open(posix_other("file"), O_WRONLY | O_APPEND));
        for (int i = 0; i < 2 * N; i++) {
                memset(record, 'a' + i % 2, sizeof(record));
                CHECK(TRY(write(fds[i % 2], record, sizeof(record))) == sizeof(record));
        }
        CHECK(posix_fstat(fd).st_size == 2 * N * (off_t)sizeof(record));
        while (TRY(read(fd, record, sizeof(record))) == sizeof(record)) {
                CHECK(record[0] == record[31] && (record[0] == 'a' || record[0] == 'b'));
                counts[record[0] - 'a']++;
        }
        CHECK(counts[0] == N && counts[1] == N);
}

static void other_map(void)
{
        int fd = posix_file("file", "text"), other = TRY(open(posix_other("file"), O_RDWR));
        char *map = posix_map(fd, 4, PROT_READ | PROT_WRITE, MAP_SHARED);

        map[0] = 'm';
        TRY(msync(map, 4, MS_SYNC));
        CHECK(posix_fd_is(other, "mext"));
}

static void other_flock(void)
{
        int fd = posix_file("file", ""), other = TRY(open(posix_other("file"), O_RDWR));

        TRY(flock(fd, LOCK_EX));
        FAILS(EWOULDBLOCK, flock(other, LOCK_EX | LOCK_NB));
        TRY(flock(fd, LOCK_UN));
        TRY(flock(other, LOCK_EX | LOCK_NB));
        FAILS(EWOULDBLOCK, flock(fd, LOCK_SH | LOCK_NB));
        TRY(close(other));
        TRY(flock(fd, LOCK_SH | LOCK_NB));
}

static void other_fcntl(void)
{
        int fd = posix_file("file", "");

        TRY(lock_set(fd, F_WRLCK, 10, 10));
        CHECK(!lock_other_may(posix_other("file"), F_WRLCK, 15, 10));
        CHECK(lock_other_may(posix_other("file"), F_WRLCK, 20, 10));
        TRY(lock_set(fd, F_UNLCK, 10, 10));
        CHECK(lock_other_may(posix_other("file"), F_WRLCK, 15, 10));
}

/* A lock by one fd, given up by another of the same process. */
static void other_fcntl_two_fds(void)
{
        int a = posix_file("file", ""), b = TRY(open("file", O_RDWR));

        TRY(lock_set(a, F_WRLCK, 0, 10));
        TRY(lock_set(b, F_WRLCK, 5, 10));
        CHECK(!lock_other_may(posix_other("file"), F_WRLCK, 14, 1));
        TRY(lock_set(b, F_UNLCK, 0, 100));
        CHECK(lock_other_may(posix_other("file"), F_WRLCK, 0, 100));
}

/* A child that had the fd too ends: the lock was not its own. */
static void other_fcntl_child(void)
{
        int fd = posix_file("file", "");
        pid_t child;

        TRY(lock_set(fd, F_WRLCK, 0, 10));
        child = posix_fork();
        if (child == 0)
                _exit(0);
        posix_join(child);
        CHECK(!lock_other_may(posix_other("file"), F_WRLCK, 0, 10));
}

/* flock -u of a shell: taken by one child with the shell's fd, given up by the next. */
static void other_flock_children(void)
{
        int fd = posix_file("file", ""), other = TRY(open(posix_other("file"), O_RDWR));

        for (int i = 0; i < 2; i++) {
                pid_t child = posix_fork();

                if (child == 0) {
                        TRY(flock(fd, i == 0 ? LOCK_EX : LOCK_UN));
                        _exit(0);
                }
                posix_join(child);
                if (i == 0)
                        FAILS(EWOULDBLOCK, flock(other, LOCK_EX | LOCK_NB));
        }
        TRY(flock(other, LOCK_EX | LOCK_NB));
}

/* The other client asks again once a second (locktimeout=1): soon enough. */
static void other_waits(void)
{
        int fd = posix_file("file", "");
        PosixEvent taken = posix_event(), told = posix_event();
        pid_t child = posix_fork();
        double start;

        if (child == 0) {
                int other = TRY(open(posix_other("file"), O_RDWR));

                posix_await(&taken);
                TRY(flock(other, LOCK_EX));
                posix_tell(&told);
                _exit(0);
        }
        TRY(flock(fd, LOCK_EX));
        posix_tell(&taken);
        posix_await_asleep(child);
        start = posix_now();
        TRY(flock(fd, LOCK_UN));
        posix_await(&told);
        CHECK(posix_now() - start < LOCK_SECONDS_MAX);
        posix_join(child);
}

const PosixCase posix_cases_other[] = {
        {"other-content", other_content, POSIX_OTHER},
        {"other-names", other_names, POSIX_OTHER},
        {"other-replaces", other_replaces, POSIX_OTHER},
        {"other-attributes", other_attributes, POSIX_OTHER},
        {"other-deletes", other_deletes, POSIX_OTHER},
        {"other-unlinks", other_unlinks, POSIX_OTHER},
        {"other-renames-directory", other_renames_directory, POSIX_OTHER},
        {"other-append", append_both, POSIX_OTHER},
        {"other-mmap", other_map, POSIX_OTHER},
        {"other-flock", other_flock, POSIX_OTHER},
        {"other-flock-children", other_flock_children, POSIX_OTHER},
        {"other-flock-waits", other_waits, POSIX_OTHER},
        {"other-fcntl", other_fcntl, POSIX_OTHER},
        {"other-fcntl-two-fds", other_fcntl_two_fds, POSIX_OTHER},
        {"other-fcntl-child", other_fcntl_child, POSIX_OTHER},
        {},
};
