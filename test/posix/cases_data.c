/* Content: appending, holes, sizes, copying, syncing. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "posix.h"

#define RECORDS 100

static void append_records(const char *path, char who)
{
        char record[64];
        int fd = TRY(open(path, O_WRONLY | O_APPEND));

        memset(record, who, sizeof(record));
        for (int i = 0; i < RECORDS; i++)
                CHECK(TRY(write(fd, record, sizeof(record))) == sizeof(record));
        TRY(close(fd));
}

/* Each writer's records are there, whole, in whatever order. */
static void check_records(const char *path)
{
        int fd = TRY(open(path, O_RDONLY)), count[2] = {};
        char record[64];

        while (TRY(read(fd, record, sizeof(record))) == sizeof(record)) {
                CHECK(record[0] == 'a' || record[0] == 'b');
                for (size_t i = 1; i < sizeof(record); i++)
                        CHECK(record[i] == record[0]);
                count[record[0] == 'b']++;
        }
        CHECK(count[0] == RECORDS && count[1] == RECORDS);
}

static void append_two(void)
{
        pid_t child;

        posix_file("file", "");
        child = posix_fork();
        if (child == 0) {
                append_records("file", 'b');
                _exit(0);
        }
        append_records("file", 'a');
        posix_join(child);
        CHECK(posix_stat("file").st_size == 2 * RECORDS * 64);
        check_records("file");
}

static void append_position(void)
{
        int fd, other = posix_file("file", "0123");

        fd = TRY(open("file", O_RDWR | O_APPEND));
        TRY(lseek(fd, 0, SEEK_SET));
        CHECK(TRY(write(fd, "45", 2)) == 2);
        CHECK(TRY(lseek(fd, 0, SEEK_CUR)) == 6);
        CHECK(TRY(pwrite(other, "6789", 4, 6)) == 4);
        CHECK(TRY(write(fd, "ab", 2)) == 2);
        CHECK(posix_file_is("file", "0123456789ab"));
        TRY(ftruncate(other, 1));
        CHECK(TRY(write(fd, "z", 1)) == 1);
        CHECK(posix_file_is("file", "0z"));
        TRY(fcntl(other, F_SETFL, O_APPEND));
        CHECK(TRY(pwrite(other, "!", 1, 0)) == 1); /* at the end, as Linux has it */
        CHECK(posix_file_is("file", "0z!"));
}

static void sparse_blocks(void)
{
        int fd = posix_file("file", "");
        char byte;

        CHECK(TRY(pwrite(fd, "x", 1, 10 << 20)) == 1);
        TRY(fsync(fd));
        CHECK(posix_fstat(fd).st_size == (10 << 20) + 1);
        CHECK(posix_fstat(fd).st_blocks > 0 && posix_fstat(fd).st_blocks < 1000);
        CHECK(TRY(pread(fd, &byte, 1, 5 << 20)) == 1 && byte == 0);
}

/* That there are holes need not be told, but what is told must be so. */
static void sparse_seek(void)
{
        int fd = posix_file("file", "");
        off_t hole, data;

        CHECK(TRY(pwrite(fd, "x", 1, 1 << 20)) == 1);
        data = TRY(lseek(fd, 0, SEEK_DATA));
        CHECK(data <= 1 << 20);
        hole = TRY(lseek(fd, 1 << 20, SEEK_HOLE));
        CHECK(hole == (1 << 20) + 1);
        FAILS(ENXIO, lseek(fd, (1 << 20) + 1, SEEK_DATA));
        CHECK(TRY(lseek(fd, 0, SEEK_END)) == (1 << 20) + 1);
}

static void truncate_zeros(void)
{
        char buffer[6000], zeros[6000] = {};
        int fd = posix_file("file", "");

        memset(buffer, 'x', sizeof(buffer));
        CHECK(TRY(pwrite(fd, buffer, sizeof(buffer), 0)) == sizeof(buffer));
        TRY(ftruncate(fd, 10));
        TRY(truncate("file", 6000));
        CHECK(TRY(pread(fd, buffer, sizeof(buffer), 0)) == sizeof(buffer));
        CHECK(memcmp(buffer, "xxxxxxxxxx", 10) == 0);
        CHECK(memcmp(buffer + 10, zeros, sizeof(buffer) - 10) == 0);
        FAILS(EINVAL, ftruncate(fd, -1));
        FAILS(EISDIR, truncate(".", 0));
        FAILS(ENOENT, truncate("nothing", 0));
}

static void large_offsets(void)
{
        static const off_t offsets[] = {(4LL << 30) - 1, (4LL << 30) + 5, 1LL << 40};
        int fd = posix_file("file", "");
        char byte;

        for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
                char mark = (char)('a' + i);

                CHECK(TRY(pwrite(fd, &mark, 1, offsets[i])) == 1);
                CHECK(posix_fstat(fd).st_size == offsets[i] + 1);
        }
        for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
                CHECK(TRY(pread(fd, &byte, 1, offsets[i])) == 1);
                CHECK(byte == (char)('a' + i));
        }
        CHECK(TRY(lseek(fd, 0, SEEK_END)) == (1LL << 40) + 1);
        TRY(ftruncate(fd, 3LL << 32));
        CHECK(posix_fstat(fd).st_size == 3LL << 32);
}

static void size_limit(void)
{
        const struct rlimit limit = {.rlim_cur = 1000, .rlim_max = 1000};
        int fd = posix_file("file", "");
        char buffer[600] = {};

        signal(SIGXFSZ, SIG_IGN);
        TRY(setrlimit(RLIMIT_FSIZE, &limit));
        CHECK(TRY(write(fd, buffer, 600)) == 600);
        CHECK(TRY(write(fd, buffer, 600)) == 400);
        FAILS(EFBIG, write(fd, buffer, 1));
        FAILS(EFBIG, ftruncate(fd, 2000));
}

static void read_and_write(void)
{
        struct iovec parts[2] = {{(void *)(uintptr_t) "ab", 2}, {(void *)(uintptr_t) "cd", 2}};
        int fd = posix_file("file", ""), other;
        char buffer[8];

        CHECK(TRY(pwritev(fd, parts, 2, 2)) == 4);
        CHECK(TRY(read(fd, buffer, sizeof(buffer))) == 6);
        CHECK(memcmp(buffer, "\0\0abcd", 6) == 0);
        CHECK(TRY(read(fd, buffer, sizeof(buffer))) == 0);
        CHECK(TRY(write(fd, buffer, 0)) == 0);
        CHECK(TRY(pread(fd, buffer, 4, 1000)) == 0);
        FAILS(EINVAL, pread(fd, buffer, 4, -1));
        /* What is written is read at once, by any fd. */
        other = TRY(open("file", O_RDONLY));
        CHECK(TRY(pwrite(fd, "0123456789", 10, 0)) == 10);
        CHECK(posix_fd_is(other, "0123456789"));
        CHECK(posix_fstat(other).st_size == 10);
        CHECK(posix_stat("file").st_size == 10);
}

static void copy_calls(void)
{
        int from = posix_file("from", "0123456789"), to = posix_file("to", ""), pipes[2];
        off_t in = 2, out = 0;

        CHECK(TRY(copy_file_range(from, &in, to, &out, 4, 0)) == 4);
        CHECK(posix_file_is("to", "2345"));
        in = 0;
        TRY(lseek(to, 0, SEEK_END));
        CHECK(TRY(sendfile(to, from, &in, 3)) == 3);
        CHECK(posix_file_is("to", "2345012"));
        TRY(pipe(pipes));
        in = 7;
        CHECK(TRY(splice(from, &in, pipes[1], NULL, 3, 0)) == 3);
        out = 0;
        CHECK(TRY(splice(pipes[0], NULL, to, &out, 3, 0)) == 3);
        CHECK(posix_file_is("to", "7895012"));
}

static void sync_calls(void)
{
        int fd = posix_file("file", "text");

        TRY(fsync(fd));
        TRY(fdatasync(fd));
        TRY(syncfs(fd));
        TRY(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE));
        TRY(close(fd));
        fd = TRY(open("file", O_RDONLY));
        TRY(fsync(fd));
}

static void allocate(void)
{
        int fd = posix_file("file", "text");

        TRY(fallocate(fd, 0, 0, 10000));
        CHECK(posix_fstat(fd).st_size == 10000);
        TRY(fallocate(fd, FALLOC_FL_KEEP_SIZE, 10000, 10000));
        CHECK(posix_fstat(fd).st_size == 10000);
        CHECK(posix_fstat(fd).st_blocks >= 36);
}

static void allocate_punch(void)
{
        int fd = posix_file("file", "text");

        TRY(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1, 2));
        CHECK(TRY(pread(fd, (char[4]){}, 4, 0)) == 4);
        CHECK(!posix_fd_is(fd, "text"));
}

/* Where fallocate() is refused, the C library writes. */
static void allocate_posix(void)
{
        int fd = posix_file("file", "text");

        CHECK(posix_fallocate(fd, 0, 100000) == 0);
        CHECK(posix_fstat(fd).st_size == 100000);
}

static void file_system(void)
{
        struct statfs st;

        TRY(statfs(".", &st));
        CHECK(st.f_bsize >= 512 && st.f_blocks > 0 && st.f_bfree <= st.f_blocks);
        CHECK(st.f_bavail <= st.f_bfree);
        CHECK(st.f_namelen == 255);
        CHECK(posix_stat(".").st_blksize >= 512);
}

/* Either the write or the sync says so; never neither. */
static void full(void)
{
        static char buffer[65536];
        char path[256];
        int fd, error = 0;

        snprintf(path, sizeof(path), "../%s/full", posix_options.small);
        fd = TRY(open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644));
        for (int i = 0; i < 48 && error == 0; i++)
                if (write(fd, buffer, sizeof(buffer)) < 0)
                        error = errno;
        if (error == 0 && fsync(fd) < 0)
                error = errno;
        if (error != ENOSPC)
                posix_failed(__FILE__, __LINE__, "not ENOSPC", error);
        close(fd);
        TRY(unlink(path));
}

static void second_device(void)
{
        char path[256], new_path[256];
        struct stat here, there;

        snprintf(path, sizeof(path), "../%s/file", posix_options.small);
        snprintf(new_path, sizeof(new_path), "../%s/new", posix_options.small);
        posix_file("file", "here");
        posix_file(path, "there");
        here = posix_stat("file"), there = posix_stat(path);
        CHECK(here.st_dev != there.st_dev || here.st_ino != there.st_ino);
        FAILS(EXDEV, rename("file", path));
        FAILS(EXDEV, link("file", new_path));
        CHECK(posix_file_is("file", "here"));
        CHECK(posix_file_is(path, "there"));
        TRY(unlink(path));
}

const PosixCase posix_cases_data[] = {
        {"append-two-writers", append_two, 0},
        {"append-position", append_position, 0},
        {"sparse-blocks", sparse_blocks, 0},
        {"sparse-seek", sparse_seek, 0},
        {"truncate-zeros", truncate_zeros, 0},
        {"large-offsets", large_offsets, 0},
        {"size-limit", size_limit, 0},
        {"read-and-write", read_and_write, 0},
        {"copy-calls", copy_calls, 0},
        {"sync-calls", sync_calls, 0},
        {"fallocate", allocate, 0},
        {"fallocate-punch", allocate_punch, 0},
        {"posix-fallocate", allocate_posix, 0},
        {"statfs", file_system, 0},
        {"full-disk", full, POSIX_SMALL},
        {"second-device", second_device, POSIX_SMALL},
        {},
};
