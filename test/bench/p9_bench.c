/*
 * The 9p server's own speed, without a guest: messages through a virtqueue and the device (ring.h),
 * each beside the system calls that do the same work on the same file.
 *
 * usage: p9_bench DIRECTORY [ROUNDS [NAME]]     a scratch directory is made there
 *
 * Prints rows for build/bench/p9.json: name, ours, peer (medians over the rounds, which alternate),
 * unit, ratio (ours / peer), n.
 */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "test/bench/ring.h"
#include "test/scratch.h"

#define ROUND_USEC (100 * USEC_PER_MSEC)
#define ROUNDS_MAX 101
#define BATCH      64

#define MSIZE     512000U
#define BIG       (MSIZE - P9_IO_HEADER_SIZE) /* what the client asks for at once */
#define FILE_SIZE (16U << 20)

enum {
        FID_ROOT,
        FID_FILE, /* named, not opened */
        FID_OPEN,
        FID_NEW,
};

typedef struct Bench {
        Ring ring;
        int dir, file; /* the same tree, for the peer */
        uint64_t at;   /* in the file */
} Bench;

/* One operation, by the device or by system calls. */
typedef struct Case {
        const char *name, *unit;
        double scale; /* operations a second to @unit */
        void (*ours)(Bench *bench);
        void (*peer)(Bench *bench);
} Case;

static void walk(Bench *bench, uint32_t fid, uint32_t new_fid, const char *name)
{
        ring_begin(&bench->ring, P9_TWALK);
        wire_put_u32(&bench->ring.writer, fid);
        wire_put_u32(&bench->ring.writer, new_fid);
        wire_put_u16(&bench->ring.writer, *name ? 1 : 0);
        if (*name)
                p9_put_string(&bench->ring.writer, name, strlen(name));
        ring_call(&bench->ring, 0, 0);
}

static void clunk(Bench *bench, uint32_t fid)
{
        ring_begin(&bench->ring, P9_TCLUNK);
        wire_put_u32(&bench->ring.writer, fid);
        ring_call(&bench->ring, 0, 0);
}

static void lopen(Bench *bench, uint32_t fid, uint32_t flags)
{
        ring_begin(&bench->ring, P9_TLOPEN);
        wire_put_u32(&bench->ring.writer, fid);
        wire_put_u32(&bench->ring.writer, flags);
        ring_call(&bench->ring, 0, 0);
}

static void session(Bench *bench)
{
        ring_begin(&bench->ring, P9_TVERSION);
        p9_put_version(&bench->ring.writer, MSIZE, "9P2000.L");
        ring_call(&bench->ring, 0, 0);
        ring_begin(&bench->ring, P9_TATTACH);
        wire_put_u32(&bench->ring.writer, FID_ROOT);
        wire_put_u32(&bench->ring.writer, P9_NO_FID);
        wire_put_u32(&bench->ring.writer, 0); /* two empty strings */
        wire_put_u32(&bench->ring.writer, 0);
        ring_call(&bench->ring, 0, 0);
}

static void getattr_ours(Bench *bench)
{
        ring_begin(&bench->ring, P9_TGETATTR);
        wire_put_u32(&bench->ring.writer, FID_FILE);
        wire_put_u64(&bench->ring.writer, P9_STATS_BASIC);
        ring_call(&bench->ring, 0, 0);
}

static void peer_statx(int fd)
{
        struct statx st;

        if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st) < 0)
                ring_fail("statx");
}

static void getattr_peer(Bench *bench)
{
        peer_statx(bench->file);
}

/* Two messages. */
static void walk_ours(Bench *bench)
{
        walk(bench, FID_ROOT, FID_NEW, "other");
        clunk(bench, FID_NEW);
}

static void walk_peer(Bench *bench)
{
        int fd = openat(bench->dir, "other", O_PATH | O_NOFOLLOW | O_CLOEXEC);

        peer_statx(fd);
        close(fd);
}

/* Three messages: what the client does for an open() and a close() of what it has looked up. */
static void open_ours(Bench *bench)
{
        walk(bench, FID_FILE, FID_NEW, "");
        lopen(bench, FID_NEW, O_RDONLY);
        clunk(bench, FID_NEW);
}

static void open_peer(Bench *bench)
{
        int fd = openat(bench->dir, "file", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0)
                ring_fail("openat");
        close(fd);
}

/* Five messages: create, the walk that gives the name its fid, and unlink. */
static void create_ours(Bench *bench)
{
        walk(bench, FID_ROOT, FID_NEW, "");
        ring_begin(&bench->ring, P9_TLCREATE);
        wire_put_u32(&bench->ring.writer, FID_NEW);
        p9_put_string(&bench->ring.writer, "new", 3);
        wire_put_u32(&bench->ring.writer, O_RDWR | P9_O_CREATE | P9_O_EXCL);
        wire_put_u32(&bench->ring.writer, 0644);
        wire_put_u32(&bench->ring.writer, 0);
        ring_call(&bench->ring, 0, 0);
        walk(bench, FID_ROOT, FID_NEW + 1, "new");
        clunk(bench, FID_NEW);
        ring_begin(&bench->ring, P9_TUNLINKAT);
        wire_put_u32(&bench->ring.writer, FID_ROOT);
        p9_put_string(&bench->ring.writer, "new", 3);
        wire_put_u32(&bench->ring.writer, 0);
        ring_call(&bench->ring, 0, 0);
        clunk(bench, FID_NEW + 1);
}

static void create_peer(Bench *bench)
{
        int fd = openat(bench->dir, "new", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

        if (fd < 0)
                ring_fail("openat");
        peer_statx(fd);
        close(fd);
        if (unlinkat(bench->dir, "new", 0) < 0)
                ring_fail("unlinkat");
}

static uint64_t advance(Bench *bench, uint32_t size)
{
        uint64_t at = bench->at;

        bench->at = at + 2 * size > FILE_SIZE ? 0 : at + size;
        return at;
}

static void io_ours(Bench *bench, uint8_t type, uint32_t size)
{
        ring_begin(&bench->ring, type);
        wire_put_u32(&bench->ring.writer, FID_OPEN);
        wire_put_u64(&bench->ring.writer, advance(bench, size));
        wire_put_u32(&bench->ring.writer, size);
        ring_call(&bench->ring, type == P9_TWRITE ? size : 0, type == P9_TREAD ? size : 0);
}

static void io_peer(Bench *bench, bool writes, uint32_t size)
{
        off_t at = (off_t)advance(bench, size);
        ssize_t n = writes ? pwrite(bench->file, bench->ring.data, size, at)
                           : pread(bench->file, bench->ring.data, size, at);

        if (n != (ssize_t)size)
                ring_fail("pread or pwrite");
}

static void read_small_ours(Bench *bench)
{
        io_ours(bench, P9_TREAD, 4096);
}

static void read_small_peer(Bench *bench)
{
        io_peer(bench, false, 4096);
}

static void write_small_ours(Bench *bench)
{
        io_ours(bench, P9_TWRITE, 4096);
}

static void write_small_peer(Bench *bench)
{
        io_peer(bench, true, 4096);
}

static void read_big_ours(Bench *bench)
{
        io_ours(bench, P9_TREAD, BIG);
}

static void read_big_peer(Bench *bench)
{
        io_peer(bench, false, BIG);
}

static void write_big_ours(Bench *bench)
{
        io_ours(bench, P9_TWRITE, BIG);
}

static void write_big_peer(Bench *bench)
{
        io_peer(bench, true, BIG);
}

#define GIB (1024.0 * 1024 * 1024)

static const Case cases[] = {
        {"p9_getattr", "messages/s", 1, getattr_ours, getattr_peer},
        {"p9_walk_clunk", "messages/s", 2, walk_ours, walk_peer},
        {"p9_open_close", "messages/s", 3, open_ours, open_peer},
        {"p9_create_unlink", "messages/s", 6, create_ours, create_peer},
        {"p9_read_4k", "messages/s", 1, read_small_ours, read_small_peer},
        {"p9_write_4k", "messages/s", 1, write_small_ours, write_small_peer},
        {"p9_read_500k", "GiB/s", BIG / GIB, read_big_ours, read_big_peer},
        {"p9_write_500k", "GiB/s", BIG / GIB, write_big_ours, write_big_peer},
};

static int compare(const void *a, const void *b)
{
        double left = *(const double *)a, right = *(const double *)b;

        return left < right ? -1 : left > right;
}

static double median(double *values, unsigned n)
{
        qsort(values, n, sizeof(*values), compare);
        return values[n / 2];
}

static double run_round(Bench *bench, void (*run)(Bench *), double scale)
{
        uint64_t start = clock_now_usec(), now, n = 0;

        do {
                for (unsigned i = 0; i < BATCH; i++)
                        run(bench);
                n += BATCH;
                now = clock_now_usec();
        } while (now - start < ROUND_USEC);
        return (double)n * scale * USEC_PER_SEC / (double)(now - start);
}

static void print_row(const char *name, const char *unit, double ours, double peer, unsigned rounds)
{
        static bool more;

        printf("%s{\"name\": \"%s\", \"ours\": %.3f, \"peer\": %.3f, \"peer_name\": "
               "\"system calls\", \"unit\": \"%s\", \"ratio\": %.3f, \"n\": %u}",
               more ? ",\n " : "[", name, ours, peer, unit, ours / peer, rounds);
        more = true;
        fflush(stdout);
}

static void run_case(Bench *bench, const Case *one, unsigned rounds)
{
        double ours[ROUNDS_MAX], peer[ROUNDS_MAX];

        run_round(bench, one->ours, one->scale); /* warm */
        for (unsigned i = 0; i < rounds; i++) {
                ours[i] = run_round(bench, one->ours, one->scale);
                peer[i] = run_round(bench, one->peer, one->scale);
        }
        print_row(one->name, one->unit, median(ours, rounds), median(peer, rounds), rounds);
}

static void run_cases(const char *path, unsigned rounds, const char *only)
{
        Bench bench = {.dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};

        bench.file = openat(bench.dir, "file", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (bench.file < 0 || posix_fallocate(bench.file, 0, FILE_SIZE) != 0 ||
            mknodat(bench.dir, "other", S_IFREG | 0644, 0) < 0)
                ring_fail("can't make the files");
        ring_open(&bench.ring, path);
        session(&bench);
        walk(&bench, FID_ROOT, FID_FILE, "file");
        walk(&bench, FID_ROOT, FID_OPEN, "file");
        lopen(&bench, FID_OPEN, O_RDWR);
        for (uint64_t i = 0; i < FILE_SIZE; i += BIG)
                io_ours(&bench, P9_TWRITE, BIG);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                if (!only || strcmp(only, cases[i].name) == 0)
                        run_case(&bench, &cases[i], rounds);
        printf("]\n");
        ring_close(&bench.ring);
        fd_close(bench.file);
        fd_close(bench.dir);
}

int main(int argc, char **argv)
{
        unsigned rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 11;
        char path[PATH_MAX];
        int parent;

        if (argc < 2 || argc > 4 || rounds == 0 || rounds > ROUNDS_MAX) {
                fprintf(stderr, "usage: %s DIRECTORY [ROUNDS [NAME]]\n", argv[0]);
                return 2;
        }
        snprintf(path, sizeof(path), "%s/p9-bench.XXXXXX", argv[1]);
        parent = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (parent < 0 || !mkdtemp(path))
                ring_fail("can't make a directory there");
        run_cases(path, rounds, argc > 3 ? argv[3] : NULL);
        scratch_remove(parent, strrchr(path, '/') + 1);
        fd_close(parent);
        return 0;
}
