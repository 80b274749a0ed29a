/* Copies to and from the spans of a chain; declared in queue.h. */
#include <string.h>

#include "base/cleanup.h"
#include "vmm/virtio/queue.h"

typedef enum SpanCopy { SPAN_READ, SPAN_WRITE } SpanCopy;

static size_t spans_copy(const struct iovec *spans, unsigned n_spans, size_t offset,
                         uint8_t *buffer, size_t size, SpanCopy direction)
{
        size_t done = 0;

        for (unsigned i = 0; i < n_spans && done < size; i++) {
                size_t n;
                uint8_t *at;

                if (offset >= spans[i].iov_len) {
                        offset -= spans[i].iov_len;
                        continue;
                }
                n = MIN(spans[i].iov_len - offset, size - done);
                at = (uint8_t *)spans[i].iov_base + offset;
                if (direction == SPAN_READ)
                        memcpy(buffer + done, at, n);
                else
                        memcpy(at, buffer + done, n);
                done += n;
                offset = 0;
        }
        return done;
}

size_t virtio_spans_read(const struct iovec *spans, unsigned n_spans, size_t offset, void *buffer,
                         size_t size)
{
        return spans_copy(spans, n_spans, offset, buffer, size, SPAN_READ);
}

size_t virtio_spans_write(const struct iovec *spans, unsigned n_spans, size_t offset,
                          const void *buffer, size_t size)
{
        return spans_copy(spans, n_spans, offset, (uint8_t *)buffer, size, SPAN_WRITE);
}

unsigned virtio_spans_slice(const struct iovec *spans, unsigned n_spans, size_t offset, size_t size,
                            struct iovec *ret)
{
        unsigned n = 0;

        for (unsigned i = 0; i < n_spans && size > 0; i++) {
                size_t length;

                if (offset >= spans[i].iov_len) {
                        offset -= spans[i].iov_len;
                        continue;
                }
                length = MIN(spans[i].iov_len - offset, size);
                ret[n++] = (struct iovec){
                        .iov_base = (uint8_t *)spans[i].iov_base + offset,
                        .iov_len = length,
                };
                size -= length;
                offset = 0;
        }
        return n;
}
