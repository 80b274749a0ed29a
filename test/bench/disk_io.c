/*
 * How a disk's I/O is best done off the thread that takes requests: by the thread itself, by the pool
 * of vmm/thread, or by io_uring. No VM: the same requests, the same loop, the same file.
 *
 *   disk_io FILE [SECONDS]      makes FILE, 256 MiB; a second for each figure
 *
 * Prints requests a second, with 1 and 16 in flight, and CPU time of the whole process for each.
 * "cold" reads drop the file from the host's cache first.
 */
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/loop.h"
#include "base/parse.h"
#include "vmm/disk/disk.h"
#include "vmm/thread/pool.h"

#define FILE_SIZE (256ULL << 20)
#define DEPTH_MAX 16

typedef enum Way { WAY_INLINE, WAY_POOL, WAY_URING, WAY_MAX } Way;

static const char *const way_names[] = {"inline", "pool", "io_uring"};

typedef struct Work {
        const char *name;
        uint32_t size;
        bool is_write, is_random, is_cold;
} Work;

static const Work works[] = {
        {"random read 4 KiB, cached", 4096, false, true, false},
        {"random read 4 KiB, cold", 4096, false, true, true},
        {"random write 4 KiB", 4096, true, true, false},
        {"sequential read 1 MiB, cached", 1 << 20, false, false, false},
        {"sequential read 1 MiB, cold", 1 << 20, false, false, true},
        {"sequential write 1 MiB", 1 << 20, true, false, false},
};

typedef struct Uring {
        int fd, event_fd;
        LoopFd source;
        uint8_t *submission, *completion;
        struct io_uring_params params;
        struct io_uring_sqe *entries;
} Uring;

typedef struct Request {
        PoolJob job;
        struct iovec span;
        uint64_t offset;
} Request;

static struct {
        Disk disk;
        Loop *loop;
        Pool pool;
        Uring uring;
        Way way;
        const Work *work;
        Request requests[DEPTH_MAX];
        uint64_t next, done, end_usec;
        unsigned in_flight, unsubmitted;
} bench;

static void check(bool is_good, const char *what)
{
        if (is_good)
                return;
        perror(what);
        exit(EXIT_FAILURE);
}

static void request_prepare(Request *request)
{
        uint64_t n = FILE_SIZE / bench.work->size, i = bench.next++;

        /* An odd multiplier visits all of them, in an order that looks like none. */
        if (bench.work->is_random)
                i = i * 2654435761U;
        request->offset = i % n * bench.work->size;
        request->span.iov_len = bench.work->size;
}

static void request_do(Request *request)
{
        struct iovec span = request->span;
        DiskCursor cursor = {.spans = &span, .n_spans = 1, .offset = request->offset};
        int r = bench.work->is_write ? disk_write(&bench.disk, &cursor, false, NULL)
                                     : disk_read(&bench.disk, &cursor, NULL);

        check(r == 0, "request");
}

static void request_submit(Request *request);

static void request_done(Request *request)
{
        bench.done++;
        bench.in_flight--;
        if (clock_now_usec() < bench.end_usec)
                request_submit(request);
}

static void request_run_job(PoolJob *job)
{
        request_do(CONTAINER_OF(job, Request, job));
}

static void request_on_job_done(PoolJob *job)
{
        request_done(CONTAINER_OF(job, Request, job));
}

static uint32_t *uring_index(uint8_t *ring, uint32_t offset)
{
        return (uint32_t *)(ring + offset);
}

static void uring_push(Uring *uring, Request *request)
{
        const struct io_sqring_offsets *at = &uring->params.sq_off;
        uint32_t *tail = uring_index(uring->submission, at->tail);
        uint32_t i = *tail & *uring_index(uring->submission, at->ring_mask);

        uring->entries[i] = (struct io_uring_sqe){
                .opcode = bench.work->is_write ? IORING_OP_WRITEV : IORING_OP_READV,
                .fd = bench.disk.fd,
                .off = request->offset,
                .addr = (uint64_t)&request->span,
                .len = 1,
                .user_data = (uint64_t)request,
        };
        uring_index(uring->submission, at->array)[i] = i;
        __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
        bench.unsubmitted++;
}

/* One system call for all that was pushed meanwhile. */
static void uring_enter(Uring *uring)
{
        if (bench.unsubmitted == 0)
                return;
        check(syscall(SYS_io_uring_enter, uring->fd, bench.unsubmitted, 0, 0, NULL, 0) ==
                      (long)bench.unsubmitted,
              "io_uring_enter");
        bench.unsubmitted = 0;
}

static int uring_on_event(LoopFd *source, uint32_t events)
{
        Uring *uring = &bench.uring;
        const struct io_cqring_offsets *at = &uring->params.cq_off;
        uint32_t *head = uring_index(uring->completion, at->head);
        uint64_t n;

        check(read(uring->event_fd, &n, sizeof(n)) == sizeof(n), "eventfd");
        while (*head !=
               __atomic_load_n(uring_index(uring->completion, at->tail), __ATOMIC_ACQUIRE)) {
                const struct io_uring_cqe *entries = (void *)(uring->completion + at->cqes);
                const struct io_uring_cqe *entry =
                        &entries[*head & *uring_index(uring->completion, at->ring_mask)];
                Request *request = (Request *)entry->user_data;

                check(entry->res == (int)request->span.iov_len, "io_uring request");
                __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
                request_done(request);
        }
        uring_enter(uring);
        return 0;
}

static void uring_open(Uring *uring)
{
        struct io_uring_params *params = &uring->params;
        size_t size;

        uring->fd = (int)syscall(SYS_io_uring_setup, 2 * DEPTH_MAX, params);
        check(uring->fd >= 0, "io_uring_setup");
        size = params->sq_off.array + params->sq_entries * sizeof(uint32_t);
        uring->submission = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                                 uring->fd, IORING_OFF_SQ_RING);
        size = params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);
        uring->completion = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                                 uring->fd, IORING_OFF_CQ_RING);
        uring->entries = mmap(NULL, params->sq_entries * sizeof(struct io_uring_sqe),
                              PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, uring->fd,
                              IORING_OFF_SQES);
        check(uring->submission != MAP_FAILED && uring->completion != MAP_FAILED &&
                      uring->entries != MAP_FAILED,
              "mmap");
        uring->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        check(uring->event_fd >= 0 && syscall(SYS_io_uring_register, uring->fd,
                                              IORING_REGISTER_EVENTFD, &uring->event_fd, 1) == 0,
              "eventfd");
        check(loop_fd_add(bench.loop, &uring->source, uring->event_fd, EPOLLIN, uring_on_event) ==
                      0,
              "loop");
}

static void request_submit(Request *request)
{
        request_prepare(request);
        bench.in_flight++;
        switch (bench.way) {
        case WAY_POOL:
                check(pool_submit(&bench.pool, &request->job) == 0, "pool_submit");
                break;
        case WAY_URING:
                uring_push(&bench.uring, request);
                break;
        case WAY_INLINE:
        case WAY_MAX:
                break;
        }
}

static uint64_t cpu_usec(void)
{
        struct rusage usage;

        getrusage(RUSAGE_SELF, &usage);
        return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * USEC_PER_SEC +
               (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void run(Way way, const Work *work, unsigned depth, uint32_t seconds)
{
        uint64_t start, cpu;

        fsync(bench.disk.fd);
        if (work->is_cold)
                posix_fadvise(bench.disk.fd, 0, 0, POSIX_FADV_DONTNEED);
        bench.way = way;
        bench.work = work;
        bench.next = bench.done = 0;
        start = clock_now_usec();
        cpu = cpu_usec();
        bench.end_usec = start + seconds * USEC_PER_SEC;
        for (unsigned i = 0; i < depth; i++)
                request_submit(&bench.requests[i]);
        uring_enter(&bench.uring);
        while (bench.in_flight > 0 && way == WAY_INLINE) {
                request_do(&bench.requests[0]);
                request_done(&bench.requests[0]);
        }
        while (bench.in_flight > 0)
                check(loop_step(bench.loop, UINT64_MAX) == 0, "loop");
        printf("%-32s %-9s depth %2u %10.0f/s %8.1f us CPU each\n", work->name, way_names[way],
               depth, (double)bench.done * USEC_PER_SEC / (double)(clock_now_usec() - start),
               (double)(cpu_usec() - cpu) / (double)bench.done);
        fflush(stdout);
}

static void make_file(const char *path)
{
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        uint8_t *bytes = calloc(1, 1 << 20);
        const char *problem;

        check(fd >= 0 && bytes && ftruncate(fd, (off_t)FILE_SIZE) == 0, path);
        for (uint64_t at = 0; at < FILE_SIZE; at += 1 << 20)
                check(pwrite(fd, bytes, 1 << 20, (off_t)at) == 1 << 20, path);
        free(bytes);
        check(disk_open(&bench.disk, fd, false, &problem) == 0, "disk_open");
}

int main(int argc, char **argv)
{
        uint32_t seconds = 1;

        if (argc < 2 || (argc > 2 && parse_u32(argv[2], 1, 60, &seconds) < 0)) {
                fputs("usage: disk_io FILE [SECONDS]\n", stderr);
                return 2;
        }
        make_file(argv[1]);
        check(loop_new(&bench.loop) == 0, "loop");
        check(pool_init(&bench.pool, &(PoolConfig){.loop = bench.loop, .name = "pool"}) == 0,
              "pool");
        uring_open(&bench.uring);
        for (unsigned i = 0; i < DEPTH_MAX; i++)
                bench.requests[i] = (Request){
                        .job = {.run = request_run_job, .done = request_on_job_done},
                        .span.iov_base = calloc(1, 1 << 20),
                };
        for (unsigned i = 0; i < ELEMENTSOF(works); i++) {
                run(WAY_INLINE, &works[i], 1, seconds);
                for (Way way = WAY_POOL; way < WAY_MAX; way++)
                        for (unsigned depth = 1; depth <= DEPTH_MAX; depth *= DEPTH_MAX)
                                run(way, &works[i], depth, seconds);
        }
        return EXIT_SUCCESS;
}
