/*
 * The 9p server's own speed, without a guest: messages through a virtqueue and the device (ring.h),
 * each beside the system calls that do the same work on the same file.
 *
 * usage: p9_bench DIRECTORY [ROUNDS [NAME]] [--trace FILE]     a scratch directory is made there
 *
 * Prints rows for build/bench/p9.json: name, ours, peer (medians over the rounds, which alternate),
 * unit, ratio (ours / peer), n. A trace (test/tools/p9_record.c) is what a guest once asked; it is
 * played from an empty directory on, and has no peer.
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

        printf("%s{\"name\": \"%s\", \"ours\": %.3f, \"unit\": \"%s\", \"n\": %u, ",
               more ? ",\n " : "[", name, ours, unit, rounds);
        if (peer > 0)
                printf("\"peer\": %.3f, \"peer_name\": \"system calls\", \"ratio\": %.3f}", peer,
                       ours / peer);
        else
                printf("\"peer\": null, \"peer_name\": null, \"ratio\": null}");
        more = true;
        fflush(stdout);
}

/* A file in memory; ends the program if it can't be had. */
static uint8_t *load(const char *path, size_t *ret_size)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        uint8_t *bytes;
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                ring_fail("can't open the trace");
        bytes = malloc((size_t)st.st_size + 1);
        if (!bytes || read(fd, bytes, (size_t)st.st_size) != st.st_size)
                ring_fail("can't read the trace");
        fd_close(fd);
        *ret_size = (size_t)st.st_size;
        return bytes;
}

/* One message as the guest sent it, with other data. */
static void play_message(Ring *ring, const uint8_t *message, size_t size, uint16_t error)
{
        WireReader reader = wire_reader(message, size);
        uint32_t whole = wire_get_u32(&reader), count = 0;
        uint8_t type = wire_get_u8(&reader);
        uint16_t got = 0;

        wire_get_bytes(&reader, P9_WRITE_HEADER_SIZE - 4 - 5);
        if (type == P9_TREAD || type == P9_TREADDIR)
                count = wire_get_u32(&reader);
        ring->writer = wire_writer(ring->request, size);
        wire_put_bytes(&ring->writer, message, size);
        ring_send(ring, (uint32_t)(whole - size), MIN(count, (uint32_t)RING_DATA_MAX));
        if (ring->reply[4] == P9_RLERROR)
                got = (uint16_t)(ring->reply[7] | ring->reply[8] << 8);
        if (error != UINT16_MAX && got != error) {
                fprintf(stderr, "message %u: error %u instead of %u\n", type, got, error);
                ring_fail("the trace takes another way");
        }
}

/* All of it on a new directory; messages a second. */
static double play(const char *path, const uint8_t *trace, size_t size)
{
        WireReader reader = wire_reader(trace, size);
        uint64_t start, n = 0;
        Ring ring;

        ring_open(&ring, path);
        start = clock_now_usec();
        for (; wire_left(&reader) > 0; n++) {
                uint16_t kept = wire_get_u16(&reader), error = wire_get_u16(&reader);
                const uint8_t *message = wire_get_bytes(&reader, kept);

                if (!message)
                        ring_fail("the trace is cut short");
                play_message(&ring, message, kept, error);
        }
        start = clock_now_usec() - start;
        ring_close(&ring);
        return (double)n * USEC_PER_SEC / (double)start;
}

static void run_trace(int parent, const char *path, const char *file, unsigned rounds)
{
        double ours[ROUNDS_MAX];
        size_t size;
        uint8_t *trace = load(file, &size);

        for (unsigned i = 0; i < rounds; i++) {
                ours[i] = play(path, trace, size);
                scratch_remove(parent, strrchr(path, '/') + 1);
                if (mkdir(path, 0755) < 0)
                        ring_fail("mkdir");
        }
        free(trace);
        print_row("p9_trace", "messages/s", median(ours, rounds), 0, rounds);
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
        ring_close(&bench.ring);
        fd_close(bench.file);
        fd_close(bench.dir);
}

typedef struct Arguments {
        const char *directory, *name, *trace;
        unsigned rounds;
} Arguments;

/* False for wrong usage. */
static bool parse(int argc, char **argv, Arguments *ret)
{
        unsigned n = 0;

        *ret = (Arguments){.rounds = 11};
        for (int i = 1; i < argc; i++) {
                if (strcmp(argv[i], "--trace") == 0 && i + 1 < argc)
                        ret->trace = argv[++i];
                else if (n == 0)
                        ret->directory = argv[i], n++;
                else if (n == 1)
                        ret->rounds = (unsigned)strtoul(argv[i], NULL, 10), n++;
                else if (n == 2)
                        ret->name = argv[i], n++;
                else
                        return false;
        }
        return ret->directory && ret->rounds > 0 && ret->rounds <= ROUNDS_MAX;
}

int main(int argc, char **argv)
{
        Arguments arguments;
        char path[PATH_MAX];
        int parent;

        if (!parse(argc, argv, &arguments)) {
                fprintf(stderr, "usage: %s DIRECTORY [ROUNDS [NAME]] [--trace FILE]\n", argv[0]);
                return 2;
        }
        snprintf(path, sizeof(path), "%s/p9-bench.XXXXXX", arguments.directory);
        parent = open(arguments.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (parent < 0 || !mkdtemp(path))
                ring_fail("can't make a directory there");
        if (!arguments.trace || !arguments.name)
                run_cases(path, arguments.rounds, arguments.name);
        scratch_remove(parent, strrchr(path, '/') + 1);
        if (arguments.trace && mkdir(path, 0755) == 0)
                run_trace(parent, path, arguments.trace, arguments.rounds);
        scratch_remove(parent, strrchr(path, '/') + 1);
        printf("]\n");
        fd_close(parent);
        return 0;
}
