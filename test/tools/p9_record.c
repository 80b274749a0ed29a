/*
 * Linked into a uvm-vmm of its own (uvm-vmm-record), this writes down what a guest asks of its 9p
 * devices: to the file that the environment's UVM_P9_TRACE names. Only without the jail, which has no
 * files (vmmrun --no-jail). Each message:
 *
 *   | kept 2 | error 2 | kept bytes of the message … |        little-endian
 *
 * A Twrite is kept without its data. The error is that of the answer, 0 for none, 65535 if it came
 * later. test/bench/p9_bench.c plays it.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"
#include "vmm/p9/codec.h"
#include "vmm/p9/server.h"
#include "vmm/virtio/queue.h"

#define ERROR_UNKNOWN 0xffffU

int __real_p9_server_begin(P9Server *server, uint32_t cookie, const struct iovec *request,
                           unsigned n_request, const struct iovec *reply, unsigned n_reply,
                           size_t *ret_size);
int __wrap_p9_server_begin(P9Server *server, uint32_t cookie, const struct iovec *request,
                           unsigned n_request, const struct iovec *reply, unsigned n_reply,
                           size_t *ret_size);

static int trace_file(void)
{
        static int fd = -1;
        const char *path = getenv("UVM_P9_TRACE");

        if (fd < 0 && path)
                fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        return fd;
}

/* What the answer says went wrong. */
static uint16_t answer_error(const struct iovec *reply, unsigned n_reply)
{
        uint8_t head[P9_READ_HEADER_SIZE] = {};
        WireReader reader = wire_reader(head, sizeof(head));

        virtio_spans_read(reply, n_reply, 0, head, sizeof(head));
        wire_get_u32(&reader);
        if (wire_get_u8(&reader) != P9_RLERROR)
                return 0;
        wire_get_u16(&reader);
        return (uint16_t)wire_get_u32(&reader);
}

int __wrap_p9_server_begin(P9Server *server, uint32_t cookie, const struct iovec *request,
                           unsigned n_request, const struct iovec *reply, unsigned n_reply,
                           size_t *ret_size)
{
        uint8_t record[4 + P9_MESSAGE_MAX];
        size_t kept = virtio_spans_read(request, n_request, 0, record + 4, P9_MESSAGE_MAX);
        WireWriter head = wire_writer(record, 4);
        int r = __real_p9_server_begin(server, cookie, request, n_request, reply, n_reply,
                                       ret_size);

        if (kept > P9_WRITE_HEADER_SIZE && record[8] == P9_TWRITE)
                kept = P9_WRITE_HEADER_SIZE;
        wire_put_u16(&head, (uint16_t)kept);
        wire_put_u16(&head, r == 0 ? answer_error(reply, n_reply) : ERROR_UNKNOWN);
        (void)io_write_full(trace_file(), record, 4 + kept);
        return r;
}
