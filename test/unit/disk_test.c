/* A disk's bytes in a file: reads and writes in pieces, zeroes, discards, and what can't be a disk. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "test/unit.h"
#include "vmm/disk/disk.h"

#define SIZE (1U << 20)

static Disk disk;
static uint8_t bytes[SIZE];

static int make_file(off_t size)
{
        const char *directory = getenv("TMPDIR");
        int fd = open(directory ? directory : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

        if (fd < 0)
                fd = memfd_create("disk", MFD_CLOEXEC);
        unit_assert(fd >= 0 && ftruncate(fd, size) == 0);
        return fd;
}

static void begin(void)
{
        const char *problem;

        unit_assert_int(disk_open(&disk, make_file(SIZE), false, &problem), 0);
        unit_assert_int(disk.size, SIZE);
        unit_assert(!disk.is_device);
}

static int put(uint64_t offset, const void *data, size_t size, bool sync)
{
        struct iovec spans[2] = {
                {.iov_base = (void *)data, .iov_len = size / 3},
                {.iov_base = (uint8_t *)data + size / 3, .iov_len = size - size / 3},
        };

        return disk_write(&disk, &(DiskCursor){.spans = spans, .n_spans = 2, .offset = offset},
                          sync, NULL);
}

static void fill(uint8_t value)
{
        memset(bytes, value, SIZE);
        unit_assert_int(put(0, bytes, SIZE, false), 0);
}

static void get(uint64_t offset, size_t size)
{
        struct iovec spans[3] = {
                {.iov_base = bytes, .iov_len = 1},
                {.iov_base = bytes + 1, .iov_len = size / 2},
                {.iov_base = bytes + 1 + size / 2, .iov_len = size - size / 2 - 1},
        };

        memset(bytes, 0x55, size);
        unit_assert_int(disk_read(&disk,
                                  &(DiskCursor){.spans = spans, .n_spans = 3, .offset = offset},
                                  NULL),
                        0);
}

static void check(uint64_t offset, size_t size, uint8_t value)
{
        get(offset, size);
        for (size_t i = 0; i < size; i++)
                if (bytes[i] != value)
                        unit_fail("byte %zu is %u, not %u", (size_t)offset + i, bytes[i], value);
}

static uint64_t allocated(void)
{
        struct stat status;

        unit_assert(fstat(disk.fd, &status) == 0);
        return (uint64_t)status.st_blocks * 512;
}

static void test_read_write(void)
{
        begin();
        check(0, 4096, 0);
        unit_assert_int(put(512, "0123456789abcdef", 16, false), 0);
        get(512, 16);
        unit_assert_bytes(bytes, "0123456789abcdef", 16);
        unit_assert_int(disk_flush(&disk, NULL), 0);
        unit_assert_int(put(SIZE - 512, "last", 4, true), 0);
        get(SIZE - 512, 4);
        unit_assert_bytes(bytes, "last", 4);
        disk_close(&disk);
}

static void test_cached(void)
{
        struct iovec spans[3] = {
                {.iov_base = bytes, .iov_len = 512},
                {.iov_base = bytes + 512, .iov_len = 512},
                {.iov_base = bytes + 1024, .iov_len = 512},
        };
        DiskCursor cursor = {.spans = spans, .n_spans = 3};

        begin();
        fill(7);
        memset(bytes, 0, 2048);
        disk_read_cached(&disk, &cursor);
        /* What it says is there is, and the rest is asked for as ever. */
        for (uint64_t i = 0; i < cursor.offset; i++)
                unit_assert_int(bytes[i], 7);
        unit_assert_int(disk_read(&disk, &cursor, NULL), 0);
        unit_assert_int(cursor.offset, 1536);
        for (unsigned i = 0; i < 1536; i++)
                unit_assert_int(bytes[i], 7);
        disk_close(&disk);
}

static void test_zero(void)
{
        uint64_t written;

        begin();
        fill(1);
        unit_assert_int(disk_zero(&disk, 8192, 65536, false, NULL, &written), 0);
        check(8191, 1, 1);
        check(8192, 65536, 0);
        check(8192 + 65536, 4096, 1);
        unit_assert_int(disk_zero(&disk, 512, 512, true, NULL, &written), 0);
        check(512, 512, 0);
        check(1024, 512, 1);
        unit_assert(allocated() > 0);
        unit_assert_int(disk_zero(&disk, 0, SIZE, true, NULL, &written), 0);
        check(0, SIZE, 0);
        unit_assert_int(written, 0);
        unit_assert_int(allocated(), 0);
        disk_close(&disk);
}

/* Where the host knows no zeroing (a tmpfs has no ZERO_RANGE), they are written. */
static void test_zero_by_writing(void)
{
        int fd = memfd_create("disk", MFD_CLOEXEC);
        const char *problem;
        uint64_t written;
        atomic_bool stop = true;

        unit_assert(fd >= 0 && ftruncate(fd, SIZE) == 0);
        unit_assert_int(disk_open(&disk, fd, false, &problem), 0);
        fill(1);
        unit_assert_int(disk_zero(&disk, 512, 200000, false, NULL, &written), 0);
        unit_assert_int(written, 200000);
        check(511, 1, 1);
        check(512, 200000, 0);
        check(200512, 512, 1);
        unit_assert_int(disk_zero(&disk, 0, SIZE, false, &stop, &written), -EINTR);
        unit_assert_int(written, 0);
        disk_close(&disk);
}

static void test_discard(void)
{
        uint64_t before;

        begin();
        fill(1);
        before = allocated();
        unit_assert_int(disk_discard(&disk, 65536, 131072), 0);
        unit_assert(allocated() < before);
        check(0, 65536, 1);
        check(196608, 4096, 1);
        disk_close(&disk);
}

static void test_failures(void)
{
        struct rlimit limit, small = {.rlim_cur = SIZE / 2};
        struct iovec span = {.iov_base = bytes, .iov_len = 8192};
        DiskCursor cursor = {.spans = &span, .n_spans = 1};

        begin();
        /* Somebody else made it shorter. */
        unit_assert(ftruncate(disk.fd, 4096) == 0);
        check(0, 4096, 0);
        unit_assert_int(disk_read(&disk, &cursor, NULL), -EIO);
        unit_assert_int(cursor.offset, 4096);
        /* And the host has no room for more of it: EFBIG stands for ENOSPC. */
        signal(SIGXFSZ, SIG_IGN);
        unit_assert(getrlimit(RLIMIT_FSIZE, &limit) == 0);
        small.rlim_max = limit.rlim_max;
        unit_assert(setrlimit(RLIMIT_FSIZE, &small) == 0);
        unit_assert_int(put(SIZE / 2 - 512, bytes, 512, false), 0);
        unit_assert_int(put(SIZE / 2, bytes, 512, false), -EFBIG);
        unit_assert_int(put(SIZE / 2, bytes, 512, true), -EFBIG);
        unit_assert(setrlimit(RLIMIT_FSIZE, &limit) == 0);
        unit_assert_int(disk_flush(&disk, NULL), 0);
        /* A flush that failed once has lost something: none succeeds any more. */
        disk.flush_error = -EIO;
        unit_assert_int(disk_flush(&disk, NULL), -EIO);
        disk_close(&disk);
}

static void check_refused(int fd, bool read_only, int error)
{
        const char *problem;

        unit_assert(fd >= 0);
        unit_assert_int(disk_open(&disk, fd, read_only, &problem), error);
        unit_assert(problem);
        unit_assert_int(disk.fd, FD_NONE);
        unit_assert(fcntl(fd, F_GETFD) < 0);
}

static int reopen(int fd, int flags)
{
        char path[64];
        int again;

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        again = open(path, flags | O_CLOEXEC);
        fd_close(fd);
        return again;
}

static void test_refused(void)
{
        const char *problem;

        check_refused(make_file(0), false, -EINVAL);
        check_refused(make_file(513), false, -EINVAL);
        check_refused(make_file(SIZE - 1), true, -EINVAL);
        check_refused(open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC), true, -EINVAL);
        check_refused(open("/dev/null", O_RDWR | O_CLOEXEC), false, -EINVAL);
        check_refused(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), false, -EINVAL);
        check_refused(reopen(make_file(SIZE), O_RDONLY), false, -EBADF);
        check_refused(reopen(make_file(SIZE), O_WRONLY), false, -EBADF);
        check_refused(reopen(make_file(SIZE), O_WRONLY), true, -EBADF);
        unit_assert_int(disk_open(&disk, reopen(make_file(SIZE), O_RDONLY), true, &problem), 0);
        disk_close(&disk);
        /* Open for more than is asked. */
        unit_assert_int(disk_open(&disk, make_file(512), true, &problem), 0);
        disk_close(&disk);
}

UNIT_MAIN(UNIT_TEST(test_read_write), UNIT_TEST(test_cached), UNIT_TEST(test_zero),
          UNIT_TEST(test_zero_by_writing), UNIT_TEST(test_discard), UNIT_TEST(test_failures),
          UNIT_TEST(test_refused))
