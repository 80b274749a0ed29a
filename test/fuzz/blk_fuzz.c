/*
 * Requests to a block device. Input: whether the disk is read-only (1 byte), its sectors (8), how many
 * readable and writable spans (1 each), their sizes (2 each), then the readable bytes. What is found
 * to be right lies within the disk and within the spans, and the status byte is the last one.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/wire.h"
#include "test/fuzz/fuzz.h"
#include "vmm/virtio/blk_request.h"

/* Spans of their own memory, so that one byte too far is seen. */
static unsigned make_spans(WireReader *input, unsigned n, struct iovec *spans, uint32_t *ret_size)
{
        *ret_size = 0;
        for (unsigned i = 0; i < n; i++) {
                size_t size = wire_get_u16(input) + (size_t)1;

                spans[i] = (struct iovec){.iov_base = calloc(1, size), .iov_len = size};
                assert(spans[i].iov_base);
                *ret_size += (uint32_t)size;
        }
        return n;
}

static void fill_spans(WireReader *input, struct iovec *spans, unsigned n)
{
        for (unsigned i = 0; i < n; i++) {
                size_t size = spans[i].iov_len < wire_left(input) ? spans[i].iov_len
                                                                  : wire_left(input);

                if (size > 0)
                        memcpy(spans[i].iov_base, wire_get_bytes(input, size), size);
        }
}

static void check_data(const BlkRequest *request, const VirtioChain *chain, uint64_t bytes)
{
        static struct iovec spans[VIRTIO_QUEUE_SIZE_MAX];
        unsigned n = blk_request_data(request, chain, spans);
        uint64_t sum = 0;

        for (unsigned i = 0; i < n; i++) {
                volatile uint8_t *at = spans[i].iov_base;

                (void)at[0];
                (void)at[spans[i].iov_len - 1];
                sum += spans[i].iov_len;
        }
        assert(sum == request->data_size && sum > 0);
        if (request->type == BLK_GET_ID)
                assert(sum >= BLK_ID_SIZE);
        else
                assert(sum % BLK_SECTOR_SIZE == 0 && request->offset % BLK_SECTOR_SIZE == 0 &&
                       request->offset <= bytes && sum <= bytes - request->offset);
}

static void check_ranges(const BlkRequest *request, uint64_t bytes)
{
        assert(request->n_ranges > 0 && request->n_ranges <= BLK_RANGES_MAX);
        for (unsigned i = 0; i < request->n_ranges; i++) {
                const BlkRange *range = &request->ranges[i];

                assert(range->size > 0 && range->size % BLK_SECTOR_SIZE == 0 &&
                       range->offset % BLK_SECTOR_SIZE == 0 && range->offset <= bytes &&
                       range->size <= bytes - range->offset);
                assert(!range->unmap || request->type == BLK_WRITE_ZEROES);
        }
}

static void check(const BlkRequest *request, const VirtioChain *chain, const BlkLimits *limits)
{
        const struct iovec *last = &chain->writable[chain->n_writable - 1];

        assert(request->status_at == (uint8_t *)last->iov_base + last->iov_len - 1);
        *request->status_at = request->status;
        if (request->status != BLK_STATUS_OK)
                return;
        switch (request->type) {
        case BLK_OUT:
                assert(!limits->read_only);
                check_data(request, chain, limits->sectors * BLK_SECTOR_SIZE);
                break;
        case BLK_IN:
        case BLK_GET_ID:
                check_data(request, chain, limits->sectors * BLK_SECTOR_SIZE);
                break;
        case BLK_DISCARD:
        case BLK_WRITE_ZEROES:
                assert(!limits->read_only);
                check_ranges(request, limits->sectors * BLK_SECTOR_SIZE);
                break;
        case BLK_FLUSH:
                break;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static VirtioChain chain;
        WireReader input = wire_reader(data, size);
        BlkRequest request;
        BlkLimits limits;
        unsigned n_readable, n_writable;

        limits.read_only = wire_get_u8(&input) & 1;
        limits.sectors = wire_get_u64(&input) / BLK_SECTOR_SIZE;
        n_readable = wire_get_u8(&input) % 8;
        n_writable = wire_get_u8(&input) % 8;
        chain.readable = chain.spans;
        chain.n_readable = make_spans(&input, n_readable, chain.readable, &chain.readable_size);
        chain.writable = chain.spans + n_readable;
        chain.n_writable = make_spans(&input, n_writable, chain.writable, &chain.writable_size);
        fill_spans(&input, chain.readable, n_readable);
        if (blk_request_decode(&chain, &limits, &request) == 0)
                check(&request, &chain, &limits);
        else
                assert(chain.readable_size < 16 || chain.writable_size < 1);
        for (unsigned i = 0; i < n_readable + n_writable; i++)
                free(chain.spans[i].iov_base);
        return 0;
}
