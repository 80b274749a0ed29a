/*
 * Streams of messages to a whole 9p server, on a scratch directory that is new for each input, and
 * what the host does to that directory meanwhile.
 *
 *   how[1] { operation[1] [room[1]] argument[1]… }…
 *
 * A raw message has its body from the input; the others are made by p9_script.h.
 *
 * Limits are small, so that they are met. After each stream all that the server had is gone: fids,
 * nodes, fds, locks and attributes are counted.
 *
 * It runs confined (confine.h): its own mistakes, as the server's, must not meet the machine's files.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/loop.h"
#include "base/wire.h"
#include "test/fuzz/confine.h"
#include "test/fuzz/fuzz.h"
#include "test/fuzz/p9_host.h"
#include "test/fuzz/p9_script.h"
#include "test/scratch.h"
#include "vmm/p9/codec.h"
#include "vmm/p9/server.h"

#define REPLY_SIZE 65536
#define CALLS      4

enum {
        HOW_BINDS = 1,
        HOW_READ_ONLY = 2,
        HOW_SINGLE_FILE = 4,
        HOW_POOL = 8, /* some requests are answered later; the four bits above: p9_host.h */
};

/* A message on its way, and room for the answer. */
typedef struct Call {
        bool in_flight;
        size_t room;
        uint8_t request[65536], reply[REPLY_SIZE];
} Call;

static Call calls[CALLS];

/* One input's run. */
typedef struct Run {
        Script script;
        P9Server *server;
        char scratch[32]; /* the name of @dir */
        int dir;
        int host_lock; /* a file that the host has locked, or FD_NONE */
        unsigned n_binds;
        Call *call; /* at hand */
        Loop *loop; /* NULL: all is answered at once */
        Pool pool;
} Run;

/* Takes note of fids that came and went. */
static void follow(Run *run, uint8_t type)
{
        WireReader request = wire_reader(run->call->request + P9_HEADER_SIZE, 16);
        uint32_t fid = wire_get_u32(&request), other = wire_get_u32(&request);
        bool done = run->call->reply[4] == type + 1;

        switch (type) {
        case P9_TVERSION:
                memset(run->script.fids, 0, sizeof(run->script.fids));
                break;
        case P9_TATTACH:
                if (done && fid < FIDS)
                        run->script.fids[fid] = true;
                break;
        case P9_TWALK: /* all of the names, or there is no fid */
                done = done && run->call->reply[7] == wire_get_u16(&request);
                if (done && other < FIDS)
                        run->script.fids[other] = true;
                break;
        case P9_TXATTRWALK:
                if (done && other < FIDS)
                        run->script.fids[other] = true;
                break;
        case P9_TCLUNK:
        case P9_TREMOVE:
                if (fid < FIDS)
                        run->script.fids[fid] = false;
                break;
        }
}

/* Hands over the message that @writer holds, in two pieces; its frame promises @missing bytes more. */
static void send(Run *run, WireWriter *writer, size_t room, size_t missing)
{
        size_t first = writer->at / 3, size;
        struct iovec request[2] = {
                {.iov_base = writer->data, .iov_len = first},
                {.iov_base = writer->data + first, .iov_len = writer->at - first},
        };
        struct iovec answer[2] = {
                {.iov_base = run->call->reply, .iov_len = room / 2},
                {.iov_base = run->call->reply + room / 2, .iov_len = room - room / 2},
        };
        int r;

        memset(run->call->reply, 0, P9_READ_HEADER_SIZE);
        p9_reply_end(writer, missing);
        run->call->room = room;
        run->call->in_flight = true;
        if (run->loop)
                r = p9_server_begin(run->server, (uint32_t)(run->call - calls), request, 2, answer,
                                    2, &size);
        else
                r = p9_server_handle(run->server, request, 2, answer, 2, &size);
        if (r == P9_SERVER_E_LATER)
                return;
        run->call->in_flight = false;
        assert(r == P9_SERVER_E_FRAME || (r == 0 && size <= room && size >= P9_HEADER_SIZE));
        if (r == 0)
                follow(run, writer->data[4]);
}

static void on_answered(void *userdata, uint32_t cookie, size_t size)
{
        assert(cookie < CALLS && calls[cookie].in_flight && size <= calls[cookie].room);
        calls[cookie].in_flight = false;
}

static bool is_in_flight(void)
{
        for (unsigned i = 0; i < CALLS; i++)
                if (calls[i].in_flight)
                        return true;
        return false;
}

static void settle(Run *run)
{
        while (is_in_flight()) {
                int r = loop_step(run->loop, USEC_PER_SEC);

                assert(r >= 0);
        }
}

static Call *pick_call(Run *run)
{
        for (unsigned i = 0; i < CALLS; i++)
                if (!calls[i].in_flight)
                        return &calls[i];
        settle(run);
        return &calls[0];
}

/* Tags are 1 and up: a Tflush's old tag is as likely one of them as not. */
static WireWriter begin(Run *run, uint8_t type)
{
        WireWriter writer;

        run->call = pick_call(run);
        writer = wire_writer(run->call->request, sizeof(run->call->request));
        p9_reply_begin(&writer, type, (uint16_t)(1 + (run->call - calls)));
        return writer;
}

/* type[1] size[1] body… promise[1]: seldom its frame promises more than there is */
static void send_raw(Run *run, size_t room)
{
        WireWriter writer = begin(run, wire_get_u8(&run->script.input));
        size_t size = wire_get_u8(&run->script.input);
        const uint8_t *body;

        size = MIN(size, wire_left(&run->script.input));
        body = wire_get_bytes(&run->script.input, size);
        if (body)
                wire_put_bytes(&writer, body, size);
        send(run, &writer, room, wire_get_u8(&run->script.input) == 0xff ? 100 : 0);
}

static void add_bind(Run *run)
{
        uint8_t byte = wire_get_u8(&run->script.input);
        const char *path = pick_own_name(&run->script);
        char name[300];
        int fd;

        pick_name(&run->script, name);
        fd = openat(run->dir, byte & 2 ? "." : path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (p9_server_add_bind(run->server, name, fd, byte & 1) == 0)
                run->n_binds++;
}

static void remove_bind(Run *run)
{
        char name[300];

        pick_name(&run->script, name);
        if (p9_server_remove_bind(run->server, name) == 0)
                run->n_binds--;
}

static void put_file(Run *run, const char *name)
{
        fd_close(openat(run->dir, name, O_CREAT | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644));
}

static void lock_host(Run *run, const char *name, short type)
{
        struct flock lock = {.l_type = type, .l_start = 2, .l_len = 3};

        fd_close(run->host_lock);
        run->host_lock = openat(run->dir, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (run->host_lock >= 0)
                (void)!fcntl(run->host_lock, F_OFD_SETLK, &lock);
}

/* The host changes its files behind the server's back. */
static void change_host(Run *run)
{
        uint8_t what = wire_get_u8(&run->script.input);
        const char *name = pick_own_name(&run->script), *other = pick_own_name(&run->script);

        switch (what % 8) {
        case 0:
                unlinkat(run->dir, name, 0);
                break;
        case 1:
                (void)!renameat(run->dir, name, run->dir, other);
                break;
        case 2:
                mkdirat(run->dir, name, 0755);
                break;
        case 3:
                put_file(run, name);
                break;
        case 4: /* another file of that name */
                unlinkat(run->dir, name, 0);
                put_file(run, other);
                put_file(run, name);
                break;
        case 5:
                scratch_remove(run->dir, name);
                break;
        case 6:
                (void)!linkat(run->dir, name, run->dir, other, 0);
                break;
        case 7:
                lock_host(run, name, what & 8 ? F_RDLCK : F_WRLCK);
                break;
        }
}

/*
 * The process has no fds left but a few, until the next time or the end; or memory for some more
 * allocations and then, once, none; or some time passes, or as much as all that is in flight takes.
 */
static void limit_host(Run *run, const struct rlimit *normal)
{
        uint8_t byte = wire_get_u8(&run->script.input);
        struct rlimit limit = *normal;
        int free_fd;

        if (byte >= 0xc0) {
                if (byte & 2) { /* what was begun gets to its file */
                        poll(NULL, 0, STUCK_MSEC / 8);
                        return;
                }
                if (byte & 1)
                        p9_server_cancel(run->server);
                settle(run);
                return;
        }
        if (byte & 2) {
                allocations_left = 1 + byte / 4 % 8;
                return;
        }
        free_fd = fcntl(run->dir, F_DUPFD_CLOEXEC, 0);
        if (byte & 1 && free_fd >= 0)
                limit.rlim_cur = (rlim_t)free_fd + byte / 4 % 8;
        fd_close(free_fd);
        setrlimit(RLIMIT_NOFILE, &limit);
}

static void step(Run *run, const struct rlimit *normal)
{
        uint8_t operation = wire_get_u8(&run->script.input);
        unsigned index = operation & 31;
        size_t room = REPLY_SIZE;
        WireWriter writer;

        if (operation >= 0xe0)
                room = 7 + (size_t)wire_get_u8(&run->script.input) * 4;
        if (index < ELEMENTSOF(messages)) {
                writer = begin(run, messages[index].type);
                for (const char *field = messages[index].body; *field; field++)
                        put_field(&run->script, &writer, *field);
                send(run, &writer, room, 0);
                return;
        }
        switch (index - ELEMENTSOF(messages)) {
        case 0:
                send_raw(run, room);
                break;
        case 1:
                add_bind(run);
                break;
        case 2:
                remove_bind(run);
                break;
        case 3:
                change_host(run);
                break;
        default:
                limit_host(run, normal);
                break;
        }
}

static void run_begin(Run *run, const Confine *confine, int proc_fd, uint8_t how)
{
        P9ServerConfig config = {
                .root_fd = FD_NONE,
                .proc_fd = proc_fd,
                .read_only = how & HOW_READ_ONLY,
                .limits = {.fids = 32,
                           .nodes = 28,
                           .paths = P9_PATHS_MIN,
                           .files = 8,
                           .locks = 6,
                           .xattr = 4096},
        };
        WireWriter writer;
        int r;

        if (claims_real_limits(how))
                config.limits = p9_limits_for(128);
        if (how & HOW_POOL) {
                r = loop_new(&run->loop);
                assert(r == 0);
                r = pool_init(&run->pool, &(PoolConfig){.loop = run->loop, .name = "fuzz"});
                assert(r == 0);
                config.pool = &run->pool;
                config.answered = on_answered;
        }
        snprintf(run->scratch, sizeof(run->scratch), "uvm-p9-fuzz.%d", (int)getpid());
        r = mkdirat(confine->scratch, run->scratch, 0755);
        assert(r == 0);
        run->dir = openat(confine->scratch, run->scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        mkdirat(run->dir, "dir", 0755);
        mkdirat(run->dir, "dir/sub", 0755);
        put_file(run, "dir/a");
        put_file(run, "dir/sub/a");
        put_file(run, "file");
        for (char name[] = "1"; name[0] <= '8'; name[0]++)
                put_file(run, name);
        if (!(how & HOW_BINDS))
                config.root_fd = openat(run->dir, how & HOW_SINGLE_FILE ? "file" : ".",
                                        O_PATH | O_CLOEXEC);
        r = p9_server_new(&run->server, &config);
        assert(r == 0);
        writer = begin(run, P9_TVERSION);
        p9_put_version(&writer, 32768, "9P2000.L");
        send(run, &writer, REPLY_SIZE, 0);
        writer = begin(run, P9_TATTACH);
        wire_put_u32(&writer, 0);
        wire_put_u32(&writer, P9_NO_FID);
        wire_put_u32(&writer, 0); /* two empty strings */
        wire_put_u32(&writer, P9_NO_ID);
        send(run, &writer, REPLY_SIZE, 0);
}

static void run_end(Run *run, const Confine *confine, uint8_t how)
{
        unsigned roots = how & HOW_BINDS ? run->n_binds : 1;
        P9Usage usage;

        p9_server_cancel(run->server);
        settle(run);
        p9_server_reset(run->server);
        assert(!p9_server_is_in_use(run->server));
        usage = p9_server_usage(run->server);
        assert(usage.fids == 0 && usage.files == 0 && usage.xattr == 0 && usage.locks == 0);
        assert(usage.paths == roots && usage.nodes == roots + (how & HOW_BINDS ? 1 : 0));
        p9_server_free(run->server);
        if (run->loop) {
                pool_done(&run->pool);
                run->loop = loop_free(run->loop);
        }
        run->dir = fd_close(run->dir);
        scratch_remove(confine->scratch, run->scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct rlimit normal;
        static Confine confine;
        static Run run;
        static int proc_fd;
        uint8_t how;

        if (proc_fd == 0) {
                proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
                confine = confine_open();
                getrlimit(RLIMIT_NOFILE, &normal);
        }
        confine_enter(&confine);
        run = (Run){.script.input = wire_reader(data, size), .host_lock = FD_NONE};
        how = wire_get_u8(&run.script.input);
        claim(how);
        run_begin(&run, &confine, proc_fd, how);
        while (wire_left(&run.script.input) > 0)
                step(&run, &normal);
        setrlimit(RLIMIT_NOFILE, &normal);
        allocations_left = 0;
        fd_close(run.host_lock);
        run_end(&run, &confine, how);
        confine_leave(&confine);
        return 0;
}
