/* Bytes of a guest that its host socket did not take yet; see backlog.h. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"

#include "vmm/virtio/queue.h"
#include "vmm/vsock/backlog.h"

int vsock_backlog_append(VsockBacklog *backlog, const struct iovec *spans, unsigned n_spans,
                         size_t offset, uint32_t length)
{
        uint32_t tail, first;

        assert(length <= backlog->size - backlog->used);
        if (length == 0)
                return 0;
        if (!backlog->bytes) {
                backlog->bytes = malloc(backlog->size);
                if (!backlog->bytes)
                        return -ENOMEM;
                backlog->head = 0;
        }
        tail = (backlog->head + backlog->used) % backlog->size;
        first = MIN(length, backlog->size - tail);
        virtio_spans_read(spans, n_spans, offset, backlog->bytes + tail, first);
        virtio_spans_read(spans, n_spans, offset + first, backlog->bytes, length - first);
        backlog->used += length;
        return 0;
}

unsigned vsock_backlog_peek(const VsockBacklog *backlog, struct iovec ret[2])
{
        uint32_t first = MIN(backlog->used, backlog->size - backlog->head);

        ret[0] = (struct iovec){.iov_base = backlog->bytes + backlog->head, .iov_len = first};
        ret[1] = (struct iovec){.iov_base = backlog->bytes, .iov_len = backlog->used - first};
        return (first > 0) + (ret[1].iov_len > 0);
}

void vsock_backlog_drop(VsockBacklog *backlog, uint32_t length)
{
        assert(length <= backlog->used);
        backlog->used -= length;
        if (backlog->used == 0)
                vsock_backlog_done(backlog);
        else
                backlog->head = (backlog->head + length) % backlog->size;
}

void vsock_backlog_done(VsockBacklog *backlog)
{
        free(TAKE_PTR(backlog->bytes));
        backlog->head = backlog->used = 0;
}
