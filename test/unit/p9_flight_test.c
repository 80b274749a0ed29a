/* Requests of 9p in flight: what waits keeps no other, flush, clunk, end of session. */
#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/uio.h>

#include "test/unit/fuse.h"
#include "test/unit/p9_guest.h"
#include "vmm/p9/io.h"

#define N_CALLS   64
#define CALL_SIZE 16384U

/* A message on its way, with memory of its own. */
typedef struct Call {
        uint16_t tag;
        bool answered;
        unsigned order; /* the how manieth answer it was */
        WireWriter request;
        uint8_t in[CALL_SIZE], out[CALL_SIZE];
        size_t size;
} Call;

static struct {
        Loop *loop;
        Pool pool;
        P9Server *server;
        Fuse fuse;
        bool has_fuse;
        char path[64];
        int dir, proc_fd;
        unsigned n_answers, n_settled;
        Call calls[N_CALLS];
} guest;

static void on_answered(void *userdata, uint32_t cookie, size_t size)
{
        Call *call = &guest.calls[cookie];

        unit_assert(userdata == &guest && cookie < N_CALLS && !call->answered);
        call->answered = true;
        call->order = ++guest.n_answers;
        call->size = size;
}

static void on_settled(void *userdata)
{
        guest.n_settled++;
}

static WireWriter *begin_call(unsigned i, uint8_t type)
{
        Call *call = &guest.calls[i];

        *call = (Call){.tag = (uint16_t)(100 + i)};
        call->request = wire_writer(call->in, sizeof(call->in));
        p9_reply_begin(&call->request, type, call->tag);
        return &call->request;
}

/* Sends it; whether it was answered at once. */
static bool send_call(unsigned i)
{
        Call *call = &guest.calls[i];
        struct iovec in[8], out[8];
        size_t size;
        int r;

        unit_assert_int(p9_reply_end(&call->request, 0), 0);
        r = p9_server_begin(guest.server, i, in, guest_cut(call->in, call->request.at, in), out,
                            guest_cut(call->out, sizeof(call->out), out), &size);
        if (r == P9_SERVER_E_LATER)
                return call->answered;
        unit_assert_int(r, 0);
        on_answered(&guest, i, size);
        return true;
}

/* What the answer says: 0 or -errno; its body is in @ret. */
static int answer_of(unsigned i, WireReader *ret)
{
        Call *call = &guest.calls[i];
        P9Header header;

        unit_assert(call->answered);
        unit_assert_int(p9_header_decode(call->out, call->size, &header), 0);
        unit_assert_int(header.size, call->size);
        unit_assert_int(header.tag, call->tag);
        *ret = wire_reader(call->out + P9_HEADER_SIZE, call->size - P9_HEADER_SIZE);
        if (header.type == P9_RLERROR)
                return -(int)wire_get_u32(ret);
        unit_assert_int(header.type, call->in[4] + 1);
        return 0;
}

/* Of Tread and Twrite: the bytes, or -errno. */
static int count_of(unsigned i)
{
        WireReader body;
        int r = answer_of(i, &body);

        return r < 0 ? r : (int)wire_get_u32(&body);
}

static int result_of(unsigned i)
{
        WireReader body;

        return answer_of(i, &body);
}

static void wait_call(unsigned i)
{
        while (!guest.calls[i].answered)
                unit_assert_int(loop_step(guest.loop, UINT64_MAX), 0);
}

static bool start_io(unsigned i, uint8_t type, uint32_t fid, uint64_t offset, uint32_t count)
{
        WireWriter *writer = begin_call(i, type);
        static const uint8_t data[CALL_SIZE];

        wire_put_u32(writer, fid);
        wire_put_u64(writer, offset);
        wire_put_u32(writer, count);
        if (type == P9_TWRITE)
                wire_put_bytes(writer, data, count);
        return send_call(i);
}

static bool start_read(unsigned i, uint32_t fid)
{
        return start_io(i, P9_TREAD, fid, 0, 4096);
}

static bool start_fsync(unsigned i, uint32_t fid)
{
        WireWriter *writer = begin_call(i, P9_TFSYNC);

        wire_put_u32(writer, fid);
        wire_put_u32(writer, 0);
        return send_call(i);
}

static bool start_flush(unsigned i, unsigned other)
{
        wire_put_u16(begin_call(i, P9_TFLUSH), guest.calls[other].tag);
        return send_call(i);
}

static int clunk(uint32_t fid)
{
        wire_put_u32(begin_call(N_CALLS - 1, P9_TCLUNK), fid);
        unit_assert(send_call(N_CALLS - 1));
        return result_of(N_CALLS - 1);
}

static void start_session(void)
{
        WireWriter *writer = begin_call(N_CALLS - 1, P9_TVERSION);

        wire_put_u32(writer, P9_MSIZE_MAX);
        p9_put_string(writer, "9P2000.L", 8);
        unit_assert(send_call(N_CALLS - 1));
        writer = begin_call(N_CALLS - 1, P9_TATTACH);
        wire_put_u32(writer, GUEST_ROOT);
        wire_put_u32(writer, P9_NO_FID);
        p9_put_string(writer, "", 0);
        p9_put_string(writer, "", 0);
        wire_put_u32(writer, P9_NO_ID);
        unit_assert(send_call(N_CALLS - 1));
        unit_assert_int(result_of(N_CALLS - 1), 0);
}

/* Opens the file of one or two names as @fid. */
static void open_file(uint32_t fid, const char *first, const char *second, uint32_t flags)
{
        WireWriter *writer = begin_call(N_CALLS - 1, P9_TWALK);

        wire_put_u32(writer, GUEST_ROOT);
        wire_put_u32(writer, fid);
        wire_put_u16(writer, second ? 2 : 1);
        p9_put_string(writer, first, strlen(first));
        if (second)
                p9_put_string(writer, second, strlen(second));
        unit_assert(send_call(N_CALLS - 1));
        unit_assert_int(result_of(N_CALLS - 1), 0);
        writer = begin_call(N_CALLS - 1, P9_TLOPEN);
        wire_put_u32(writer, fid);
        wire_put_u32(writer, flags);
        unit_assert(send_call(N_CALLS - 1));
        unit_assert_int(result_of(N_CALLS - 1), 0);
}

static void make_file(const char *name, size_t size)
{
        static uint8_t data[1 << 20];
        int fd = openat(guest.dir, name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);

        unit_assert(size <= sizeof(data));
        for (size_t i = 0; i < size; i++)
                data[i] = (uint8_t)(i * 7 + i / 251);
        unit_assert_int(write(fd, data, size), size);
        unit_assert_int(fsync(fd), 0);
        fd_close(fd);
}

static void make_server(void)
{
        unit_assert_int(pool_init(&guest.pool,
                                  &(PoolConfig){
                                          .loop = guest.loop,
                                          .name = "pool",
                                          .settled = on_settled,
                                  }),
                        0);
        unit_assert_int(p9_server_new(&guest.server,
                                      &(P9ServerConfig){
                                              .root_fd = open(guest.path, O_PATH | O_CLOEXEC),
                                              .proc_fd = guest.proc_fd,
                                              .limits = p9_limits_for(512),
                                              .pool = &guest.pool,
                                              .answered = on_answered,
                                              .userdata = &guest,
                                      }),
                        0);
}

/* Reads of what is in memory are told from others, or all are done at once. */
static bool knows_cached_reads(void)
{
        char byte;
        const struct iovec span = {&byte, 1};
        int fd = openat(guest.dir, "local", O_RDONLY | O_CLOEXEC);
        bool knows = preadv2(fd, &span, 1, 0, RWF_NOWAIT) == 1;
        struct statfs st;

        unit_assert_int(fstatfs(fd, &st), 0);
        fd_close(fd);
        return knows || st.f_type == TMPFS_MAGIC || st.f_type == OVERLAYFS_SUPER_MAGIC;
}

/* An export with a file "local" and, if @with_fuse, a FUSE file system "fuse". False: not here. */
static bool begin(bool with_fuse)
{
        char path[80];

        memset(&guest, 0, sizeof(guest));
        snprintf(guest.path, sizeof(guest.path), "/tmp/uvm-flight-test.XXXXXX");
        unit_assert(mkdtemp(guest.path));
        snprintf(path, sizeof(path), "%s/fuse", guest.path);
        unit_assert_int(mkdir(path, 0755), 0);
        guest.dir = open(guest.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        make_file("local", 8192);
        if (with_fuse && !knows_cached_reads())
                printf("# skipped: the file system of /tmp doesn't know RWF_NOWAIT\n");
        else
                guest.has_fuse = with_fuse && fuse_start(&guest.fuse, path);
        if (with_fuse && !guest.has_fuse) {
                fd_close(guest.dir);
                scratch_remove(AT_FDCWD, guest.path);
                return false;
        }
        guest.proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
        unit_assert_int(loop_new(&guest.loop), 0);
        make_server();
        start_session();
        open_file(1, "local", NULL, O_RDWR);
        if (with_fuse)
                open_file(2, "fuse", "slow", O_RDWR);
        return true;
}

static void end(void)
{
        p9_server_free(guest.server);
        pool_done(&guest.pool);
        loop_free(guest.loop);
        fd_close(guest.dir);
        fd_close(guest.proc_fd);
        if (guest.has_fuse)
                fuse_stop(&guest.fuse);
        scratch_remove(AT_FDCWD, guest.path);
}

/* Starts a read of the slow file, and waits until it waits there. */
static void start_slow(unsigned i)
{
        unit_assert(!start_read(i, 2));
        fuse_wait_held(&guest.fuse);
}

/* A local file is served at once, by the same server, while all that may wait for the slow one do. */
static void test_beside(void)
{
        if (!begin(true))
                return;
        unit_assert(start_read(20, 1)); /* now its pages are known to be there */
        fuse_hold(&guest.fuse, false);
        for (unsigned i = 0; i < P9_ENDLESS_MAX; i++)
                start_slow(i);
        for (unsigned i = P9_ENDLESS_MAX; i < 10; i++)
                unit_assert(!start_read(i, 2)); /* no thread is left for them */
        /* But for this, which has to wait for its disk. */
        if (!start_fsync(10, 1))
                wait_call(10);
        unit_assert_int(result_of(10), 0);
        for (unsigned i = 20; i < 40; i++) {
                unit_assert(start_read(i, 1));
                unit_assert_int(count_of(i), 4096);
        }
        for (unsigned i = 0; i < 10; i++)
                unit_assert(!guest.calls[i].answered);
        fuse_release(&guest.fuse);
        for (unsigned i = 0; i < 10; i++) {
                wait_call(i);
                unit_assert_int(count_of(i), 4096);
                unit_assert_int(guest.calls[i].out[P9_READ_HEADER_SIZE + 4095], 's');
        }
        unit_assert(guest.n_settled > 0);
        end();
}

static void test_write_and_fsync(void)
{
        if (!begin(true))
                return;
        fuse_hold(&guest.fuse, false);
        unit_assert(!start_io(0, P9_TWRITE, 2, 0, 4096));
        fuse_wait_held(&guest.fuse);
        unit_assert(!start_fsync(1, 2));
        unit_assert(start_read(2, 1));
        fuse_release(&guest.fuse);
        wait_call(0);
        wait_call(1);
        unit_assert_int(count_of(0), 4096);
        unit_assert_int(result_of(1), 0);
        end();
}

/* Blocks are counted in fragments, which need not be what is best to read at once. */
static void test_statfs(void)
{
        WireReader body;

        if (!begin(true))
                return;
        wire_put_u32(begin_call(0, P9_TSTATFS), 2);
        unit_assert(send_call(0));
        unit_assert_int(answer_of(0, &body), 0);
        wire_get_u32(&body); /* the type */
        unit_assert_int(wire_get_u32(&body), 512);
        unit_assert_int(wire_get_u64(&body), 1000);
        end();
}

/* One that has begun and takes notice of signals. */
static void test_flush(void)
{
        if (!begin(true))
                return;
        unit_assert(start_read(0, 1));
        unit_assert(start_flush(1, 0)); /* of what was answered: at once */
        unit_assert_int(result_of(1), 0);
        fuse_hold(&guest.fuse, true);
        start_slow(0);
        unit_assert(!start_flush(1, 0));
        wait_call(1);
        unit_assert_int(count_of(0), -EINTR);
        unit_assert_int(result_of(1), 0);
        unit_assert(guest.calls[0].order < guest.calls[1].order);
        end();
}

/* One that takes none, flushed twice; and one that has not begun. */
static void test_flush_stuck(void)
{
        if (!begin(true))
                return;
        fuse_hold(&guest.fuse, false);
        for (unsigned i = 0; i < P9_ENDLESS_MAX; i++)
                start_slow(i);
        unit_assert(!start_read(10, 2));
        unit_assert(start_flush(11, 10));
        unit_assert_int(count_of(10), -EINTR);
        unit_assert(guest.calls[10].order < guest.calls[11].order);
        unit_assert(!start_flush(12, 0));
        unit_assert(!start_flush(13, 0));
        unit_assert(start_read(14, 1));
        unit_assert(!guest.calls[0].answered);
        fuse_release(&guest.fuse);
        wait_call(12);
        wait_call(13);
        unit_assert(guest.calls[0].order < guest.calls[12].order);
        unit_assert(guest.calls[12].order < guest.calls[13].order);
        for (unsigned i = 0; i < P9_ENDLESS_MAX; i++)
                wait_call(i);
        end();
}

/* The number can be used again at once; the file is closed behind the answer. */
static void test_clunk(void)
{
        if (!begin(true))
                return;
        fuse_hold(&guest.fuse, false);
        start_slow(0);
        unit_assert_int(clunk(2), 0);
        unit_assert_int(clunk(2), -EBADF);
        unit_assert(start_read(1, 1));
        unit_assert_int(p9_server_usage(guest.server).files, 2);
        open_file(2, "local", NULL, O_RDONLY);
        unit_assert_int(p9_server_usage(guest.server).files, 3);
        fuse_release(&guest.fuse);
        wait_call(0);
        unit_assert_int(count_of(0), 4096);
        unit_assert_int(p9_server_usage(guest.server).files, 2);
        end();
}

/* A new session begins while requests of the old one wait; both come to their end. */
static void test_version(void)
{
        if (!begin(true))
                return;
        fuse_hold(&guest.fuse, false);
        start_slow(0);
        start_session();
        unit_assert_int(p9_server_usage(guest.server).fids, 1);
        open_file(1, "local", NULL, O_RDONLY);
        unit_assert(start_read(1, 1));
        unit_assert_int(count_of(1), 4096);
        fuse_release(&guest.fuse);
        wait_call(0);
        unit_assert_int(count_of(0), 4096);
        unit_assert_int(p9_server_usage(guest.server).files, 1);
        end();
}

static void test_cancel(void)
{
        if (!begin(true))
                return;
        fuse_hold(&guest.fuse, true);
        for (unsigned i = 0; i < P9_ENDLESS_MAX; i++)
                start_slow(i);
        unit_assert(!start_read(10, 2));
        p9_server_cancel(guest.server);
        unit_assert(guest.calls[10].answered); /* had not begun */
        for (unsigned i = 0; i < P9_ENDLESS_MAX; i++) {
                wait_call(i);
                unit_assert_int(count_of(i), -EINTR);
        }
        unit_assert_int(guest.pool.in_flight, 0);
        end();
}

/* A guest that uses a tag twice gets both answers, and its flush waits for one of them. */
static void test_tag_twice(void)
{
        if (!begin(true))
                return;
        fuse_hold(&guest.fuse, false);
        for (unsigned i = 0; i < 2; i++) {
                WireWriter *writer = begin_call(i, P9_TFSYNC);

                guest.calls[i].tag = 7;
                *writer = wire_writer(guest.calls[i].in, CALL_SIZE);
                p9_reply_begin(writer, P9_TFSYNC, 7);
                wire_put_u32(writer, 2);
                wire_put_u32(writer, 0);
                unit_assert(!send_call(i));
        }
        fuse_wait_held(&guest.fuse);
        unit_assert(!start_flush(2, 0));
        fuse_release(&guest.fuse);
        for (unsigned i = 0; i < 3; i++)
                wait_call(i);
        unit_assert_int(result_of(2), 0);
        end();
}

/* Pages that aren't in memory come by the pool, also where only some are. */
static void test_uncached(void)
{
        uint8_t expected[12000];
        int fd;

        begin(false);
        make_file("cold", 1 << 20);
        fd = openat(guest.dir, "cold", O_RDONLY | O_CLOEXEC);
        open_file(3, "cold", NULL, O_RDONLY);
        for (unsigned round = 0; round < 64; round++) {
                uint64_t offset = round * 8000ULL;

                if (round % 2)
                        unit_assert_int(pread(fd, expected, 4096, (off_t)offset), 4096);
                (void)start_io(round % 8, P9_TREAD, 3, offset, sizeof(expected));
                wait_call(round % 8);
                unit_assert_int(count_of(round % 8), sizeof(expected));
                unit_assert_int(pread(fd, expected, sizeof(expected), (off_t)offset),
                                sizeof(expected));
                unit_assert_bytes(guest.calls[round % 8].out + P9_READ_HEADER_SIZE, expected,
                                  sizeof(expected));
                unit_assert_int(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
        }
        /* Less than was asked for is the end, and only that. */
        (void)start_io(0, P9_TREAD, 3, (1 << 20) - 5000, 12000);
        wait_call(0);
        unit_assert_int(count_of(0), 5000);
        fd_close(fd);
        end();
}

/* Appends that are in flight together follow one another, whole. */
static void test_append(void)
{
        struct stat st;

        begin(false);
        make_file("log", 0);
        open_file(3, "log", NULL, O_WRONLY | P9_O_APPEND | P9_O_DSYNC);
        for (unsigned round = 0; round < 4; round++) {
                for (unsigned i = 0; i < 32; i++)
                        (void)start_io(i, P9_TWRITE, 3, 0, 1000);
                for (unsigned i = 0; i < 32; i++) {
                        wait_call(i);
                        unit_assert_int(count_of(i), 1000);
                }
        }
        unit_assert_int(fstatat(guest.dir, "log", &st, 0), 0);
        unit_assert_int(st.st_size, 4 * 32 * 1000);
        end();
}

/* Errors come home from the pool, too. */
static void test_error(void)
{
        begin(false);
        make_file("sealed", 10);
        open_file(3, "sealed", NULL, O_RDONLY | P9_O_DSYNC);
        (void)start_io(0, P9_TWRITE, 3, 0, 10);
        wait_call(0);
        unit_assert_int(count_of(0), -EBADF);
        unit_assert_int(p9_server_usage(guest.server).files, 2);
        end();
}

static void set_mode(uint32_t fid, uint32_t mode)
{
        WireWriter *writer = begin_call(N_CALLS - 1, P9_TSETATTR);

        wire_put_u32(writer, fid);
        wire_put_u32(writer, P9_SET_MODE);
        wire_put_u32(writer, mode);
        for (unsigned i = 0; i < 2 + 2 * 5;
             i++) /* owners; size and times, which are 64 bits wide */
                wire_put_u32(writer, 0);
        unit_assert(send_call(N_CALLS - 1));
        unit_assert_int(result_of(N_CALLS - 1), 0);
}

static int mode_of(const char *name)
{
        struct stat st;

        unit_assert_int(fstatat(guest.dir, name, &st, 0), 0);
        return st.st_mode & 07777;
}

/* Set-id bits outlive writes of the pool, several at once, but not their end in between. The last
 * test: it gives a capability up. */
static void test_set_id(void)
{
        begin(false);
        guest_drop_fsetid();
        make_file("special", 10);
        unit_assert_int(fchmodat(guest.dir, "special", 04755, 0), 0);
        open_file(3, "special", NULL, O_WRONLY | P9_O_SYNC);
        for (unsigned round = 0; round < 10; round++) {
                for (unsigned i = 0; i < 8; i++)
                        unit_assert(!start_io(i, P9_TWRITE, 3, i * 1000, 1000));
                for (unsigned i = 0; i < 8; i++)
                        wait_call(i);
                unit_assert_int(mode_of("special"), 04755);
        }
        for (unsigned i = 0; i < 8; i++)
                unit_assert(!start_io(i, P9_TWRITE, 3, i * 1000, 1000));
        set_mode(3, 0755);
        for (unsigned i = 0; i < 8; i++)
                wait_call(i);
        unit_assert_int(mode_of("special"), 0755);
        end();
}

UNIT_MAIN(UNIT_TEST(test_beside), UNIT_TEST(test_write_and_fsync), UNIT_TEST(test_statfs),
          UNIT_TEST(test_flush), UNIT_TEST(test_flush_stuck), UNIT_TEST(test_clunk),
          UNIT_TEST(test_version), UNIT_TEST(test_cancel), UNIT_TEST(test_tag_twice),
          UNIT_TEST(test_uncached), UNIT_TEST(test_append), UNIT_TEST(test_error),
          UNIT_TEST(test_set_id))
