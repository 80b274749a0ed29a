/* Requests to a block device; see blk_request.h. */
#include "vmm/virtio/blk_request.h"
#include "base/wire.h"

#define HEADER_SIZE 16U
#define RANGE_SIZE  16U
#define STATUS_SIZE 1U

#define RANGE_UNMAP 1U

static BlkStatus decode_sectors(const BlkLimits *limits, uint64_t sector, uint32_t size,
                                BlkRequest *request)
{
        uint64_t n = size / BLK_SECTOR_SIZE;

        if (size == 0 || size % BLK_SECTOR_SIZE != 0)
                return BLK_STATUS_IOERR;
        if (sector > limits->sectors || n > limits->sectors - sector)
                return BLK_STATUS_IOERR;
        request->offset = sector * BLK_SECTOR_SIZE;
        request->data_size = size;
        return BLK_STATUS_OK;
}

static BlkStatus decode_range(const BlkLimits *limits, WireReader *reader, BlkType type,
                              BlkRange *ret)
{
        uint64_t sector = wire_get_u64(reader);
        uint32_t n = wire_get_u32(reader), flags = wire_get_u32(reader);

        /* §5.2.6.2: an unknown flag, and unmap where it has no meaning. */
        if (flags & ~(type == BLK_WRITE_ZEROES ? RANGE_UNMAP : 0))
                return BLK_STATUS_UNSUPP;
        if (n == 0 || n > BLK_RANGE_SECTORS || sector > limits->sectors ||
            n > limits->sectors - sector)
                return BLK_STATUS_IOERR;
        *ret = (BlkRange){
                .offset = sector * BLK_SECTOR_SIZE,
                .size = (uint64_t)n * BLK_SECTOR_SIZE,
                .unmap = flags & RANGE_UNMAP,
        };
        return BLK_STATUS_OK;
}

/* All of them, before the first is acted on. */
static BlkStatus decode_ranges(const VirtioChain *chain, const BlkLimits *limits, uint32_t size,
                               BlkRequest *request)
{
        uint8_t bytes[BLK_RANGES_MAX * RANGE_SIZE];
        WireReader reader = wire_reader(bytes, size);

        if (size == 0 || size % RANGE_SIZE != 0 || size > sizeof(bytes))
                return BLK_STATUS_IOERR;
        virtio_spans_read(chain->readable, chain->n_readable, HEADER_SIZE, bytes, size);
        while (wire_left(&reader) > 0) {
                BlkStatus status = decode_range(limits, &reader, request->type,
                                                &request->ranges[request->n_ranges++]);

                if (status != BLK_STATUS_OK)
                        return status;
        }
        return BLK_STATUS_OK;
}

static BlkStatus decode_body(const VirtioChain *chain, const BlkLimits *limits, uint32_t type,
                             uint64_t sector, BlkRequest *request)
{
        uint32_t readable = chain->readable_size - HEADER_SIZE;
        uint32_t writable = chain->writable_size - STATUS_SIZE;

        /* No request has data in both directions. */
        if (readable > 0 && writable > 0)
                return BLK_STATUS_IOERR;
        request->type = (BlkType)type;
        switch (type) {
        case BLK_IN:
                return decode_sectors(limits, sector, writable, request);
        case BLK_OUT:
                return limits->read_only ? BLK_STATUS_IOERR
                                         : decode_sectors(limits, sector, readable, request);
        case BLK_FLUSH:
                return readable > 0 || writable > 0 ? BLK_STATUS_IOERR : BLK_STATUS_OK;
        case BLK_GET_ID:
                request->data_size = writable;
                return writable < BLK_ID_SIZE ? BLK_STATUS_IOERR : BLK_STATUS_OK;
        case BLK_DISCARD:
        case BLK_WRITE_ZEROES:
                return limits->read_only ? BLK_STATUS_IOERR
                                         : decode_ranges(chain, limits, readable, request);
        }
        return BLK_STATUS_UNSUPP;
}

int blk_request_decode(const VirtioChain *chain, const BlkLimits *limits, BlkRequest *ret)
{
        const struct iovec *last;
        uint8_t bytes[HEADER_SIZE];
        WireReader reader = wire_reader(bytes, sizeof(bytes));
        uint32_t type;
        uint64_t sector;

        if (chain->readable_size < HEADER_SIZE || chain->writable_size < STATUS_SIZE)
                return BLK_REQUEST_E_MALFORMED;
        virtio_spans_read(chain->readable, chain->n_readable, 0, bytes, sizeof(bytes));
        type = wire_get_u32(&reader);
        (void)wire_get_u32(&reader); /* reserved; once a priority */
        sector = wire_get_u64(&reader);
        last = &chain->writable[chain->n_writable - 1];
        *ret = (BlkRequest){.status_at = (uint8_t *)last->iov_base + last->iov_len - STATUS_SIZE};
        ret->status = decode_body(chain, limits, type, sector, ret);
        return 0;
}

unsigned blk_request_data(const BlkRequest *request, const VirtioChain *chain, struct iovec *ret)
{
        if (request->type == BLK_OUT)
                return virtio_spans_slice(chain->readable, chain->n_readable, HEADER_SIZE,
                                          request->data_size, ret);
        return virtio_spans_slice(chain->writable, chain->n_writable, 0, request->data_size, ret);
}
