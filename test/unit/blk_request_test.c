/* Requests to a block device: what each may look like, and each way to get it wrong. */
#include "base/cleanup.h"
#include "test/unit.h"
#include "vmm/virtio/blk_request.h"

#define SECTORS 1000

static const BlkLimits disk = {.sectors = SECTORS};
static const BlkLimits read_only_disk = {.sectors = SECTORS, .read_only = true};

static uint8_t out[65536], in[65536];
static VirtioChain chain;
static BlkRequest request;

static void put(unsigned at, uint64_t value, unsigned size)
{
        memcpy(out + at, &value, size);
}

/* A chain of one span in each direction that there is something in. */
static void make(uint32_t type, uint64_t sector, uint32_t readable, uint32_t writable)
{
        put(0, type, 4);
        put(4, UINT32_MAX, 4);
        put(8, sector, 8);
        chain = (VirtioChain){
                .n_readable = readable > 0,
                .n_writable = writable > 0,
                .readable_size = readable,
                .writable_size = writable,
        };
        chain.spans[0] = (struct iovec){.iov_base = out, .iov_len = readable};
        chain.readable = chain.spans;
        chain.writable = chain.spans + chain.n_readable;
        chain.writable[0] = (struct iovec){.iov_base = in, .iov_len = writable};
        if (writable == 0)
                chain.n_writable = 0;
}

static void put_range(unsigned i, uint64_t sector, uint32_t n, uint32_t flags)
{
        put(16 + 16 * i, sector, 8);
        put(24 + 16 * i, n, 4);
        put(28 + 16 * i, flags, 4);
}

static BlkStatus decode(const BlkLimits *limits)
{
        unit_assert_int(blk_request_decode(&chain, limits, &request), 0);
        return request.status;
}

static void test_read_write(void)
{
        struct iovec spans[VIRTIO_QUEUE_SIZE_MAX];

        make(BLK_IN, 7, 16, 1024 + 1);
        unit_assert_int(decode(&read_only_disk), BLK_STATUS_OK);
        unit_assert_int(request.type, BLK_IN);
        unit_assert_int(request.offset, 7 * 512);
        unit_assert_int(request.data_size, 1024);
        unit_assert(request.status_at == in + 1024);
        unit_assert_int(blk_request_data(&request, &chain, spans), 1);
        unit_assert(spans[0].iov_base == in && spans[0].iov_len == 1024);

        make(BLK_OUT, 7, 16 + 512, 1);
        unit_assert_int(decode(&disk), BLK_STATUS_OK);
        unit_assert(request.status_at == in);
        unit_assert_int(blk_request_data(&request, &chain, spans), 1);
        unit_assert(spans[0].iov_base == out + 16 && spans[0].iov_len == 512);
        unit_assert_int(decode(&read_only_disk), BLK_STATUS_IOERR);
}

/* However the header and the status are cut: only the sums count. */
static void test_cut_spans(void)
{
        struct iovec spans[VIRTIO_QUEUE_SIZE_MAX];

        make(BLK_IN, 1, 16, 513);
        chain.n_readable = 2;
        chain.spans[0].iov_len = 5;
        chain.spans[1] = (struct iovec){.iov_base = out + 5, .iov_len = 11};
        chain.writable = chain.spans + 2;
        chain.n_writable = 3;
        chain.spans[2] = (struct iovec){.iov_base = in, .iov_len = 1};
        chain.spans[3] = (struct iovec){.iov_base = in + 100, .iov_len = 511};
        chain.spans[4] = (struct iovec){.iov_base = in + 9000, .iov_len = 1};
        unit_assert_int(decode(&disk), BLK_STATUS_OK);
        unit_assert_int(request.offset, 512);
        unit_assert(request.status_at == in + 9000);
        unit_assert_int(blk_request_data(&request, &chain, spans), 2);
        unit_assert(spans[1].iov_base == in + 100 && spans[1].iov_len == 511);
}

static void test_bounds(void)
{
        static const struct {
                uint64_t sector;
                uint32_t size;
                BlkStatus status;
        } cases[] = {
                {0, SECTORS * 512, BLK_STATUS_OK},
                {SECTORS - 1, 512, BLK_STATUS_OK},
                {0, 0, BLK_STATUS_IOERR},
                {0, 511, BLK_STATUS_IOERR},
                {0, 513, BLK_STATUS_IOERR},
                {1, SECTORS * 512, BLK_STATUS_IOERR},
                {SECTORS, 512, BLK_STATUS_IOERR},
                {SECTORS + 1, 512, BLK_STATUS_IOERR},
                {UINT64_MAX, 512, BLK_STATUS_IOERR},
                {UINT64_MAX / 512, 1024, BLK_STATUS_IOERR},
                {1ULL << 55, 512, BLK_STATUS_IOERR},
                {0, UINT32_MAX - 1023, BLK_STATUS_IOERR},
        };

        for (unsigned i = 0; i < ELEMENTSOF(cases); i++) {
                make(BLK_IN, cases[i].sector, 16, cases[i].size + 1);
                unit_assert_int(decode(&disk), cases[i].status);
                make(BLK_OUT, cases[i].sector, cases[i].size + 16, 1);
                unit_assert_int(decode(&disk), cases[i].status);
        }
}

static void test_malformed(void)
{
        make(BLK_OUT, 0, 16 + 512, 0);
        unit_assert_int(blk_request_decode(&chain, &disk, &request), BLK_REQUEST_E_MALFORMED);
        make(BLK_IN, 0, 15, 513);
        unit_assert_int(blk_request_decode(&chain, &disk, &request), BLK_REQUEST_E_MALFORMED);
        make(BLK_IN, 0, 0, 513);
        unit_assert_int(blk_request_decode(&chain, &disk, &request), BLK_REQUEST_E_MALFORMED);
}

static void test_directions(void)
{
        make(BLK_IN, 0, 16 + 512, 1);
        unit_assert_int(decode(&disk), BLK_STATUS_IOERR);
        make(BLK_OUT, 0, 16, 513);
        unit_assert_int(decode(&disk), BLK_STATUS_IOERR);
        make(BLK_OUT, 0, 16 + 512, 513);
        unit_assert_int(decode(&disk), BLK_STATUS_IOERR);
        make(BLK_FLUSH, 0, 16, 2);
        unit_assert_int(decode(&disk), BLK_STATUS_IOERR);
        make(BLK_FLUSH, 0, 17, 1);
        unit_assert_int(decode(&disk), BLK_STATUS_IOERR);
        make(BLK_DISCARD, 0, 16, 33);
        unit_assert_int(decode(&disk), BLK_STATUS_IOERR);
}

static void test_flush_and_id(void)
{
        make(BLK_FLUSH, 12345678, 16, 1);
        unit_assert_int(decode(&disk), BLK_STATUS_OK);
        unit_assert_int(decode(&read_only_disk), BLK_STATUS_OK);
        make(BLK_GET_ID, 0, 16, 21);
        unit_assert_int(decode(&disk), BLK_STATUS_OK);
        unit_assert_int(request.data_size, 20);
        make(BLK_GET_ID, 0, 16, 20);
        unit_assert_int(decode(&disk), BLK_STATUS_IOERR);
}

static void test_ranges(void)
{
        make(BLK_WRITE_ZEROES, 0, 16 + 32, 1);
        put_range(0, 0, SECTORS, 1);
        put_range(1, SECTORS - 1, 1, 0);
        unit_assert_int(decode(&disk), BLK_STATUS_OK);
        unit_assert_int(request.n_ranges, 2);
        unit_assert(request.ranges[0].unmap && !request.ranges[1].unmap);
        unit_assert_int(request.ranges[0].size, SECTORS * 512);
        unit_assert_int(request.ranges[1].offset, (SECTORS - 1) * 512);
        unit_assert_int(decode(&read_only_disk), BLK_STATUS_IOERR);
        put_range(1, 0, 1, 2); /* a flag that nobody knows */
        unit_assert_int(decode(&disk), BLK_STATUS_UNSUPP);
        put_range(1, SECTORS, 1, 0);
        unit_assert_int(decode(&disk), BLK_STATUS_IOERR);
        put_range(1, UINT64_MAX, 2, 0);
        unit_assert_int(decode(&disk), BLK_STATUS_IOERR);
        put_range(1, 1, SECTORS, 0);
        unit_assert_int(decode(&disk), BLK_STATUS_IOERR);
        put_range(1, 0, 0, 0);
        unit_assert_int(decode(&disk), BLK_STATUS_IOERR);
        put_range(1, 0, BLK_RANGE_SECTORS + 1, 0);
        unit_assert_int(decode(&(BlkLimits){.sectors = UINT64_MAX / 512}), BLK_STATUS_IOERR);

        make(BLK_DISCARD, 0, 16 + 16, 1);
        put_range(0, 8, 8, 0);
        unit_assert_int(decode(&disk), BLK_STATUS_OK);
        put_range(0, 8, 8, 1); /* unmap means nothing here */
        unit_assert_int(decode(&disk), BLK_STATUS_UNSUPP);
}

static void test_range_sizes(void)
{
        for (unsigned i = 0; i < BLK_RANGES_MAX + 1; i++)
                put_range(i, i, 1, 0);
        make(BLK_DISCARD, 0, 16 + 16 * BLK_RANGES_MAX, 1);
        unit_assert_int(decode(&disk), BLK_STATUS_OK);
        unit_assert_int(request.n_ranges, BLK_RANGES_MAX);
        make(BLK_DISCARD, 0, 16 + 16 * (BLK_RANGES_MAX + 1), 1);
        unit_assert_int(decode(&disk), BLK_STATUS_IOERR);
        make(BLK_DISCARD, 0, 16, 1);
        unit_assert_int(decode(&disk), BLK_STATUS_IOERR);
        make(BLK_DISCARD, 0, 16 + 17, 1);
        unit_assert_int(decode(&disk), BLK_STATUS_IOERR);
}

static void test_unknown(void)
{
        static const uint32_t types[] = {2, 3, 5, 7, 9, 10, 12, 14, 16, UINT32_MAX, 1U << 31};

        for (unsigned i = 0; i < ELEMENTSOF(types); i++) {
                make(types[i], 0, 16, 513);
                unit_assert_int(decode(&disk), BLK_STATUS_UNSUPP);
        }
}

UNIT_MAIN(UNIT_TEST(test_read_write), UNIT_TEST(test_cut_spans), UNIT_TEST(test_bounds),
          UNIT_TEST(test_malformed), UNIT_TEST(test_directions), UNIT_TEST(test_flush_and_id),
          UNIT_TEST(test_ranges), UNIT_TEST(test_range_sizes), UNIT_TEST(test_unknown))
