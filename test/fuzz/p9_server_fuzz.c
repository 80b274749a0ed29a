/*
 * Streams of messages to a whole 9p server, on a scratch directory that is new for each input.
 *
 *   { type[1] room[1] size[2] body[size] }…
 *
 * The header and a Twrite's count are made right, so that the messages get past the frame; @room
 * picks how much of the reply may be written. Limits are small, so that they are met. After each
 * stream all that the server had is gone: nodes, fds and attributes are counted.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/wire.h"
#include "test/fuzz/fuzz.h"
#include "test/scratch.h"
#include "vmm/p9/codec.h"
#include "vmm/p9/server.h"

#define REPLY_SIZE 65536

typedef struct Scratch {
        char path[64];
        int parent, proc_fd;
        int cwd; /* the server changes it, and libFuzzer's paths may be relative */
} Scratch;

static Scratch scratch_open(void)
{
        Scratch scratch = {.parent = open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};

        if (scratch.parent < 0)
                scratch.parent = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        scratch.proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
        scratch.cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        snprintf(scratch.path, sizeof(scratch.path), "uvm-p9-fuzz.%d", (int)getpid());
        assert(scratch.parent >= 0 && scratch.proc_fd >= 0 && scratch.cwd >= 0);
        return scratch;
}

static P9Server *server_open(const Scratch *scratch)
{
        P9ServerConfig config = {
                .proc_fd = scratch->proc_fd,
                .limits =
                        {.fids = 24, .nodes = 24, .paths = P9_PATHS_MIN, .files = 8, .xattr = 4096},
        };
        P9Server *server;
        int r;

        r = mkdirat(scratch->parent, scratch->path, 0755);
        assert(r == 0);
        config.root_fd = openat(scratch->parent, scratch->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        r = p9_server_new(&server, &config);
        assert(r == 0);
        return server;
}

/* Hands over the message that @writer holds, in two pieces. */
static void server_send(P9Server *server, const WireWriter *writer, size_t room)
{
        static uint8_t reply[REPLY_SIZE];
        size_t first = writer->at / 3;
        struct iovec request[2] = {
                {.iov_base = writer->data, .iov_len = first},
                {.iov_base = writer->data + first, .iov_len = writer->at - first},
        };
        struct iovec answer[2] = {
                {.iov_base = reply, .iov_len = room / 2},
                {.iov_base = reply + room / 2, .iov_len = room - room / 2},
        };
        size_t size;
        int r = p9_server_handle(server, request, 2, answer, 2, &size);

        assert(r == P9_SERVER_E_FRAME || (r == 0 && size <= room && size >= P9_HEADER_SIZE));
}

static void server_start(P9Server *server)
{
        uint8_t bytes[64];
        WireWriter writer = wire_writer(bytes, sizeof(bytes));

        p9_reply_begin(&writer, P9_TVERSION, P9_NO_TAG);
        p9_put_version(&writer, 32768, "9P2000.L");
        p9_reply_end(&writer, 0);
        server_send(server, &writer, REPLY_SIZE);
        writer = wire_writer(bytes, sizeof(bytes));
        p9_reply_begin(&writer, P9_TATTACH, 1);
        wire_put_u32(&writer, 0);
        wire_put_u32(&writer, P9_NO_FID);
        wire_put_u32(&writer, 0); /* two empty strings */
        wire_put_u32(&writer, P9_NO_ID);
        p9_reply_end(&writer, 0);
        server_send(server, &writer, REPLY_SIZE);
}

/* One record of the stream; false at its end. */
static bool server_step(P9Server *server, WireReader *input)
{
        static uint8_t bytes[65536 + 64];
        WireWriter writer = wire_writer(bytes, sizeof(bytes));
        uint8_t type = wire_get_u8(input);
        size_t room = 8 + (size_t)wire_get_u8(input) * 256;
        uint16_t size = wire_get_u16(input);
        const uint8_t *body;

        if (size > wire_left(input))
                size = (uint16_t)wire_left(input);
        body = wire_get_bytes(input, size);
        if (!body)
                return false;
        p9_reply_begin(&writer, type, 1);
        wire_put_bytes(&writer, body, size);
        p9_reply_end(&writer, 0);
        if (type == P9_TWRITE && writer.at >= P9_WRITE_HEADER_SIZE) {
                WireWriter count = wire_writer(bytes + P9_WRITE_HEADER_SIZE - 4, 4);

                wire_put_u32(&count, (uint32_t)(writer.at - P9_WRITE_HEADER_SIZE));
        }
        server_send(server, &writer, room);
        return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static Scratch scratch;
        WireReader input = wire_reader(data, size);
        P9Server *server;
        P9Usage usage;
        int r;

        if (!scratch.path[0])
                scratch = scratch_open();
        server = server_open(&scratch);
        server_start(server);
        while (wire_left(&input) > 0 && server_step(server, &input))
                ;
        p9_server_reset(server);
        usage = p9_server_usage(server);
        assert(usage.fids == 0 && usage.files == 0 && usage.xattr == 0);
        assert(usage.nodes == 1 && usage.paths == 1);
        p9_server_free(server);
        scratch_remove(scratch.parent, scratch.path);
        r = fchdir(scratch.cwd);
        assert(r == 0);
        return 0;
}
