/* Memory maps: shared ones, and what read(2) and write(2) have to do with them. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "posix.h"

#define SIZE 8192

static int filled_file(void)
{
        char buffer[SIZE];
        int fd = posix_file("file", "");

        memset(buffer, 'x', sizeof(buffer));
        CHECK(TRY(pwrite(fd, buffer, sizeof(buffer), 0)) == sizeof(buffer));
        return fd;
}

static char byte_at(int fd, off_t offset)
{
        char byte;

        CHECK(TRY(pread(fd, &byte, 1, offset)) == 1);
        return byte;
}

static void two_maps(void)
{
        int fd = filled_file();
        char *a = posix_map(fd, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED);
        char *b = posix_map(TRY(open("file", O_RDWR)), SIZE, PROT_READ | PROT_WRITE, MAP_SHARED);

        a[5000] = 'a';
        CHECK(b[5000] == 'a');
        b[1] = 'b';
        CHECK(a[1] == 'b');
}

static void two_processes(void)
{
        char *map = posix_map(filled_file(), SIZE, PROT_READ | PROT_WRITE, MAP_SHARED);
        pid_t child = posix_fork();

        if (child == 0) {
                char *own = posix_map(TRY(open("file", O_RDWR)), SIZE, PROT_READ | PROT_WRITE,
                                      MAP_SHARED);

                own[100] = 'c';
                _exit(0);
        }
        posix_join(child);
        CHECK(map[100] == 'c');
}

static void map_sync_read(void)
{
        int fd = filled_file();
        char *map = posix_map(fd, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED);

        map[5000] = 'm';
        TRY(msync(map, SIZE, MS_SYNC));
        CHECK(byte_at(fd, 5000) == 'm');
        CHECK(byte_at(TRY(open("file", O_RDONLY)), 5000) == 'm');
}

static void map_read(void)
{
        int fd = filled_file();
        char *map = posix_map(fd, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED);

        map[5000] = 'm';
        CHECK(byte_at(fd, 5000) == 'm');
        CHECK(byte_at(TRY(open("file", O_RDONLY)), 5000) == 'm');
}

static void write_map(void)
{
        int fd = filled_file();
        char *map = posix_map(fd, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED);

        CHECK(map[5000] == 'x');
        CHECK(TRY(pwrite(fd, "w", 1, 5000)) == 1);
        CHECK(map[5000] == 'w');
}

/* A map's byte and a write beside it in one page: both must stay. */
static void write_beside_map(void)
{
        int fd = filled_file();
        char *map = posix_map(fd, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED);

        map[10] = 'm';
        CHECK(TRY(pwrite(fd, "w", 1, 20)) == 1);
        CHECK(map[10] == 'm' && map[20] == 'w');
        TRY(msync(map, SIZE, MS_SYNC));
        CHECK(byte_at(fd, 10) == 'm' && byte_at(fd, 20) == 'w');
}

static void map_outlives_fd(void)
{
        int fd = filled_file();
        char *map = posix_map(fd, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED);

        TRY(close(fd));
        map[7000] = 'm';
        TRY(munmap(map, SIZE));
        CHECK(byte_at(TRY(open("file", O_RDONLY)), 7000) == 'm');
}

static void map_fsync(void)
{
        int fd = filled_file();
        char *map = posix_map(fd, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED);

        map[0] = 'm';
        TRY(fsync(fd));
        CHECK(byte_at(TRY(open("file", O_RDONLY)), 0) == 'm');
}

static void map_private(void)
{
        int fd = filled_file();
        char *map = posix_map(fd, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE);

        map[0] = 'p';
        CHECK(byte_at(fd, 0) == 'x');
        TRY(munmap(map, SIZE));
        CHECK(byte_at(fd, 0) == 'x');
}

static void map_modes(void)
{
        int fd;

        filled_file();
        fd = TRY(open("file", O_RDONLY));
        CHECK(mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED &&
              errno == EACCES);
        CHECK(((char *)posix_map(fd, SIZE, PROT_READ, MAP_SHARED))[SIZE - 1] == 'x');
        ((char *)posix_map(fd, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE))[0] = 'p';
}

static sigjmp_buf bus_error;

static void on_bus_error(int signal_number)
{
        siglongjmp(bus_error, 1);
}

static void map_end(void)
{
        int fd = posix_file("file", "text");
        volatile char *map = posix_map(fd, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED);

        CHECK(map[4] == 0 && map[4095] == 0);
        map[100] = 'x'; /* behind the end: is not part of the file */
        TRY(msync((void *)(uintptr_t)map, SIZE, MS_SYNC));
        CHECK(posix_fstat(fd).st_size == 4);
        signal(SIGBUS, on_bus_error);
        if (sigsetjmp(bus_error, 1) == 0) {
                (void)map[4096];
                posix_failed(__FILE__, __LINE__, "no SIGBUS behind the end", 0);
        }
}

static void map_truncated(void)
{
        int fd = filled_file();
        volatile char *map = posix_map(fd, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED);

        CHECK(map[5000] == 'x' && map[100] == 'x');
        TRY(ftruncate(fd, 50));
        CHECK(map[100] == 0);
        signal(SIGBUS, on_bus_error);
        if (sigsetjmp(bus_error, 1) == 0) {
                (void)map[5000];
                posix_failed(__FILE__, __LINE__, "no SIGBUS behind the end", 0);
        }
        TRY(ftruncate(fd, SIZE));
        CHECK(map[5000] == 0 && map[49] == 'x' && map[50] == 0);
}

static void map_time(void)
{
        const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
        int fd = filled_file();
        char *map = posix_map(fd, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED);

        TRY(futimens(fd, times));
        map[0] = 'm';
        TRY(msync(map, SIZE, MS_SYNC));
        CHECK(posix_stat("file").st_mtime > 1000);
}

const PosixCase posix_cases_map[] = {
        {"mmap-two-maps", two_maps, 0},
        {"mmap-two-processes", two_processes, 0},
        {"mmap-msync-read", map_sync_read, 0},
        {"mmap-read", map_read, 0},
        {"mmap-write", write_map, 0},
        {"mmap-write-beside", write_beside_map, 0},
        {"mmap-outlives-fd", map_outlives_fd, 0},
        {"mmap-fsync", map_fsync, 0},
        {"mmap-private", map_private, 0},
        {"mmap-modes", map_modes, 0},
        {"mmap-end", map_end, 0},
        {"mmap-truncated", map_truncated, 0},
        {"mmap-time", map_time, 0},
        {},
};
