/* One file and its copy in memory; see model.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "model.h"

#define SIZE_MAX_FILE (256U << 10)
#define SIZE_MAX_CALL (40U << 10)

static uint8_t copy[SIZE_MAX_FILE]; /* zero from the file's size on */
static uint8_t buffer[SIZE_MAX_FILE];
static uint32_t size;
static int fd = -1, reader = -1; /* the same file, opened twice */
static char name[16] = "file";

static void compare(uint32_t offset, uint32_t n, const uint8_t *bytes, const char *how)
{
        for (uint32_t i = 0; i < n; i++)
                if (bytes[i] != copy[offset + i])
                        model_differs("%s: byte %u is 0x%02x, not 0x%02x; size %u", how, offset + i,
                                      bytes[i], copy[offset + i], size);
}

static void check_size(void)
{
        struct stat st;

        MODEL_TRY(fstat(fd, &st));
        if (st.st_size != size)
                model_differs("fstat: size %lld, not %u", (long long)st.st_size, size);
        MODEL_TRY(stat(name, &st));
        if (st.st_size != size)
                model_differs("stat: size %lld, not %u", (long long)st.st_size, size);
}

static void reopen(void)
{
        MODEL_TRY(close(fd));
        MODEL_TRY(close(reader));
        fd = (int)MODEL_TRY(open(name, O_RDWR));
        reader = (int)MODEL_TRY(open(name, O_RDONLY));
}

/* A place to read or to write, as often as not at a page's edge; *@n may be 0. */
static uint32_t place(uint32_t limit, uint32_t *n)
{
        uint32_t offset = model_random(limit + 1);

        if (model_random(3) == 0)
                offset &= ~4095U;
        *n = model_random(model_random(2) ? SIZE_MAX_CALL : 6000);
        if (*n > limit - offset)
                *n = limit - offset;
        return offset;
}

static void fill(uint8_t *bytes, uint32_t n)
{
        uint8_t first = (uint8_t)model_random(256);

        for (uint32_t i = 0; i < n; i++)
                bytes[i] = (uint8_t)(first + i * 7 + (i >> 8));
}

static void grow(uint32_t end)
{
        if (end > size)
                size = end;
}

static void do_read(void)
{
        uint32_t n, offset = place(SIZE_MAX_FILE, &n), expected;
        int from = model_random(2) ? fd : reader;
        ssize_t got;

        expected = offset >= size ? 0 : size - offset < n ? size - offset : n;
        model_tell("read %u at %u by the %s fd", n, offset, from == fd ? "first" : "second");
        got = MODEL_TRY(pread(from, buffer, n, offset));
        if ((uint32_t)got != expected)
                model_differs("read: %zd bytes, not %u; size %u", got, expected, size);
        compare(offset, expected, buffer, "read");
}

static void do_write(void)
{
        uint32_t n, offset = place(SIZE_MAX_FILE, &n), half = n / 3;
        struct iovec parts[2] = {{buffer, half}, {buffer + half, n - half}};

        model_tell("write %u at %u", n, offset);
        fill(buffer, n);
        if ((uint32_t)MODEL_TRY(pwritev(fd, parts, 2, offset)) != n)
                model_differs("write: short");
        memcpy(copy + offset, buffer, n);
        if (n > 0)
                grow(offset + n);
}

static void do_append(void)
{
        uint32_t n = model_random(5000);
        int append;

        if (n > SIZE_MAX_FILE - size)
                return;
        model_tell("append %u", n);
        fill(buffer, n);
        append = (int)MODEL_TRY(open(name, O_WRONLY | O_APPEND));
        if ((uint32_t)MODEL_TRY(write(append, buffer, n)) != n)
                model_differs("append: short");
        MODEL_TRY(close(append));
        memcpy(copy + size, buffer, n);
        size += n;
}

static void do_truncate(void)
{
        uint32_t n, to = place(SIZE_MAX_FILE, &n);

        model_tell("truncate to %u from %u", to, size);
        if (model_random(2))
                MODEL_TRY(ftruncate(fd, to));
        else
                MODEL_TRY(truncate(name, to));
        if (to < size)
                memset(copy + to, 0, size - to);
        size = to;
}

/* Maps from the page of @offset on, which lies *@ret_skip bytes behind the start. */
static uint8_t *map(uint32_t offset, uint32_t n, int protection, uint32_t *ret_skip)
{
        uint32_t start = offset & ~4095U;
        void *at = mmap(NULL, offset - start + n, protection, MAP_SHARED, fd, start);

        if (at == MAP_FAILED)
                model_differs("mmap: %m");
        *ret_skip = offset - start;
        return at;
}

static void do_map(bool write)
{
        uint32_t n, offset = place(size, &n), skip;
        uint8_t *at;

        if (n == 0)
                return;
        model_tell("%s %u at %u by a map", write ? "write" : "read", n, offset);
        at = map(offset, n, write ? PROT_READ | PROT_WRITE : PROT_READ, &skip);
        compare(offset, n, at + skip, "map");
        if (write) {
                fill(buffer, n);
                memcpy(at + skip, buffer, n);
                memcpy(copy + offset, buffer, n);
                if (model_random(2))
                        MODEL_TRY(msync(at, skip + n, MS_SYNC));
        }
        MODEL_TRY(munmap(at, skip + n));
}

/* Nothing changes where the file system has none of it. */
static void do_allocate(void)
{
        uint32_t n, offset = place(SIZE_MAX_FILE, &n);
        bool punch = model_random(2);
        int mode = punch ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE : 0;

        if (n == 0)
                return;
        model_tell("%s %u at %u", punch ? "punch" : "allocate", n, offset);
        if (fallocate(fd, mode, offset, n) < 0) {
                if (errno != EOPNOTSUPP)
                        model_differs("fallocate: %m");
                return;
        }
        if (!punch)
                grow(offset + n);
        else if (offset < size)
                memset(copy + offset, 0, size - offset < n ? size - offset : n);
}

static void do_rename(void)
{
        char to[sizeof(name)];

        snprintf(to, sizeof(to), "file-%u", model_random(1000));
        model_tell("rename %s to %s", name, to);
        MODEL_TRY(rename(name, to));
        memcpy(name, to, sizeof(name));
}

static void do_sync(void)
{
        model_tell("fsync");
        MODEL_TRY(model_random(2) ? fsync(fd) : fdatasync(fd));
}

static void do_reopen(void)
{
        model_tell("reopen");
        reopen();
}

void model_file_start(void)
{
        fd = (int)MODEL_TRY(open(name, O_RDWR | O_CREAT | O_EXCL, 0644));
        reader = (int)MODEL_TRY(open(name, O_RDONLY));
}

void model_file_step(void)
{
        uint32_t choice = model_random(100);

        if (choice < 30)
                do_read();
        else if (choice < 55)
                do_write();
        else if (choice < 60)
                do_append();
        else if (choice < 70)
                do_truncate();
        else if (choice < 78)
                do_map(false);
        else if (choice < 88)
                do_map(true);
        else if (choice < 92)
                do_allocate();
        else if (choice < 94)
                do_rename();
        else if (choice < 95)
                model_drop_caches();
        else if (choice < 97)
                do_sync();
        else
                do_reopen();
        check_size();
}

void model_file_check(void)
{
        ssize_t got;

        model_tell("compare all");
        got = MODEL_TRY(pread(fd, buffer, SIZE_MAX_FILE, 0));
        if ((uint32_t)got != size)
                model_differs("read all: %zd bytes, not %u", got, size);
        compare(0, size, buffer, "all");
}
