/* The block device with a driver in this process: a file under it, its pool, its throttle. */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "test/scratch_mount.h"
#include "test/unit/driver.h"
#include "vmm/virtio/blk.h"
#include "vmm/virtio/blk_request.h"

#define SIZE    (4U << 20)
#define SECTORS (SIZE / 512)

/* Of each of the driver's requests: a header, data, a status, in three descriptors. */
#define RINGS    0x10000
#define HEADERS  0x20000
#define STATUSES 0x30000
#define DATA     0x100000
#define CHUNK    16384
#define SLOTS    (DRIVER_ENTRIES / 3)

#define F_FLUSH (1ULL << 9)
#define F_WCE   (1ULL << 11)

static Loop *loop;
static GuestMemory memory;
static VirtioDevice *device;
static Driver driver;
static int file = FD_NONE;

static int make_file(off_t size)
{
        const char *directory = getenv("TMPDIR");
        int fd = open(directory ? directory : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

        unit_assert(fd >= 0 && ftruncate(fd, size) == 0);
        return fd;
}

static void plug(bool read_only)
{
        const VirtioBlkConfig config = {
                .serial = "disk7",
                .fd = dup(file),
                .read_only = read_only,
        };
        const char *problem;

        unit_assert_int(virtio_blk_new(loop, &memory, &config, &device, &problem), 0);
        driver_plug(&driver, &memory, RINGS, device);
}

static void start(uint64_t features)
{
        driver_start(&driver, VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | features);
}

static void begin_with(bool read_only)
{
        unit_assert_int(loop_new(&loop), 0);
        unit_assert_int(guest_memory_init(&memory, DRIVER_MEMORY), 0);
        file = make_file(SIZE);
        plug(read_only);
        start(F_FLUSH | F_WCE);
}

static void begin(void)
{
        begin_with(false);
}

/* Resets as a slot does: what is in flight comes home first. */
static void drain(void)
{
        uint64_t limit = clock_now_usec() + clock_limit_usec(10 * USEC_PER_SEC);

        while (virtio_device_drain(device) < 0) {
                unit_assert(clock_now_usec() < limit);
                unit_assert_int(loop_step(loop, 10 * USEC_PER_MSEC), 0);
        }
}

static void end(void)
{
        drain();
        driver_unplug(&driver);
        guest_memory_done(&memory);
        loop_free(loop);
        file = fd_close(file);
}

static uint8_t *data_of(unsigned slot)
{
        return driver_at(&driver, DATA + (uint64_t)slot * CHUNK, CHUNK);
}

static uint8_t status_of(unsigned slot)
{
        return (uint8_t)driver_get(&driver, STATUSES + slot, 1);
}

/* Offers a request with @size bytes of data, which the device writes if @is_in, without a kick. */
static void offer(unsigned slot, uint32_t type, uint64_t sector, uint32_t size, bool is_in)
{
        uint64_t header = HEADERS + 16ULL * slot, data = DATA + (uint64_t)slot * CHUNK;
        unsigned first = 3 * slot;

        driver_put(&driver, header, type, 8);
        driver_put(&driver, header + 8, sector, 8);
        driver_put(&driver, STATUSES + slot, 0xaa, 1);
        driver_describe(&driver, first, header, 16, DRIVER_NEXT, size > 0 ? first + 1 : first + 2);
        driver_describe(&driver, first + 1, data, size, DRIVER_NEXT | (is_in ? DRIVER_WRITE : 0),
                        first + 2);
        driver_describe(&driver, first + 2, STATUSES + slot, 1, DRIVER_WRITE, 0);
        driver_offer(&driver, first);
}

static void wait_used(unsigned n)
{
        uint64_t limit = clock_now_usec() + clock_limit_usec(10 * USEC_PER_SEC);

        while (driver_used(&driver) < n) {
                unit_assert(clock_now_usec() < limit);
                unit_assert_int(loop_step(loop, USEC_PER_SEC), 0);
        }
}

/* One request at a time: its status, and that as much was written as it should be. */
static uint8_t ask(uint32_t type, uint64_t sector, uint32_t size)
{
        bool is_in = type == BLK_IN || type == BLK_GET_ID;
        uint32_t written;

        offer(0, type, sector, size, is_in);
        driver_kick(&driver);
        wait_used(1);
        unit_assert_int(driver_reap(&driver, &written), 0);
        if (is_in)
                unit_assert_int(written, status_of(0) == BLK_STATUS_OK ? size + 1 : 0);
        else
                unit_assert_int(written, 1);
        return status_of(0);
}

static uint8_t ask_range(uint32_t type, uint64_t sector, uint32_t n, uint32_t flags)
{
        driver_put(&driver, DATA, sector, 8);
        driver_put(&driver, DATA + 8, n, 4);
        driver_put(&driver, DATA + 12, flags, 4);
        return ask(type, 0, 16);
}

static void check_file(uint64_t offset, size_t size, uint8_t value)
{
        static uint8_t bytes[SIZE];

        unit_assert_int(pread(file, bytes, size, (off_t)offset), size);
        for (size_t i = 0; i < size; i++)
                if (bytes[i] != value)
                        unit_fail("byte %zu is %u, not %u", (size_t)offset + i, bytes[i], value);
}

static void test_config(void)
{
        uint64_t sectors;
        uint32_t segments;

        begin();
        device->ops->config_read(device, 0, &sectors, 8);
        device->ops->config_read(device, 12, &segments, 4);
        unit_assert_int(sectors, SECTORS);
        unit_assert_int(segments, VIRTIO_QUEUE_SIZE_MAX - 2);
        unit_assert_int(device->features & (1ULL << 5), 0);
        unit_assert(device->features & (1ULL << 13) && device->features & (1ULL << 14));
        unit_assert_int(ask(BLK_GET_ID, 0, 20), BLK_STATUS_OK);
        unit_assert_bytes(data_of(0), "disk7\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
        end();
}

static void test_read_write(void)
{
        begin();
        memset(data_of(0), 0x42, CHUNK);
        unit_assert_int(ask(BLK_OUT, 8, 4096), BLK_STATUS_OK);
        check_file(0, 4096, 0);
        check_file(4096, 4096, 0x42);
        check_file(8192, 4096, 0);
        memset(data_of(0), 0, CHUNK);
        unit_assert_int(ask(BLK_IN, 7, 1024), BLK_STATUS_OK);
        unit_assert_int(data_of(0)[511], 0);
        unit_assert_int(data_of(0)[512], 0x42);
        unit_assert_int(ask(BLK_FLUSH, 0, 0), BLK_STATUS_OK);
        unit_assert_int(ask(BLK_IN, SECTORS - 1, 512), BLK_STATUS_OK);
        unit_assert_int(ask(BLK_IN, SECTORS - 1, 1024), BLK_STATUS_IOERR);
        unit_assert_int(ask(99, 0, 512), BLK_STATUS_UNSUPP);
        unit_assert_int(device->counters.requests, 6);
        unit_assert_int(device->counters.bytes_from_guest, 4096);
        unit_assert_int(device->counters.bytes_to_guest, 1536);
        end();
}

static void test_ranges(void)
{
        struct stat status;

        begin();
        memset(data_of(0), 0x42, CHUNK);
        for (uint64_t sector = 0; sector < 256; sector += CHUNK / 512)
                unit_assert_int(ask(BLK_OUT, sector, CHUNK), BLK_STATUS_OK);
        unit_assert_int(ask_range(BLK_WRITE_ZEROES, 8, 16, 0), BLK_STATUS_OK);
        check_file(0, 4096, 0x42);
        check_file(4096, 8192, 0);
        check_file(12288, 4096, 0x42);
        unit_assert_int(ask_range(BLK_WRITE_ZEROES, 0, 256, 1), BLK_STATUS_OK);
        check_file(0, 131072, 0);
        unit_assert(fstat(file, &status) == 0);
        unit_assert_int(status.st_blocks, 0);
        unit_assert_int(ask_range(BLK_DISCARD, 0, 256, 0), BLK_STATUS_OK);
        unit_assert_int(ask_range(BLK_DISCARD, SECTORS - 1, 2, 0), BLK_STATUS_IOERR);
        unit_assert_int(ask_range(BLK_DISCARD, 0, 8, 1), BLK_STATUS_UNSUPP);
        end();
}

static void test_read_only(void)
{
        begin_with(true);
        unit_assert(device->features & (1ULL << 5));
        unit_assert(!(device->features & (1ULL << 13)));
        memset(data_of(0), 0x42, CHUNK);
        unit_assert_int(ask(BLK_OUT, 0, 512), BLK_STATUS_IOERR);
        unit_assert_int(ask_range(BLK_DISCARD, 0, 8, 0), BLK_STATUS_IOERR);
        unit_assert_int(ask_range(BLK_WRITE_ZEROES, 0, 8, 0), BLK_STATUS_IOERR);
        unit_assert_int(ask(BLK_IN, 0, 512), BLK_STATUS_OK);
        unit_assert_int(ask(BLK_FLUSH, 0, 0), BLK_STATUS_OK);
        check_file(0, SIZE, 0);
        end();
}

/* More than can be in flight at once, of every kind, again and again. */
static void test_many(void)
{
        static uint8_t model[SIZE];
        uint64_t seed = 1;

        begin();
        memset(model, 0, sizeof(model));
        for (unsigned round = 0; round < 50; round++) {
                uint64_t sectors[SLOTS];
                uint32_t written;

                for (unsigned i = 0; i < SLOTS; i++) {
                        bool is_write;

                        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
                        is_write = seed >> 63;
                        /* A round's requests don't overlap: their order is nobody's. */
                        sectors[i] = i * (SECTORS / SLOTS) + (seed >> 40) % 32;
                        memset(data_of(i), (int)(seed >> 50), CHUNK);
                        if (i % 10 == 0) {
                                offer(i, BLK_FLUSH, 0, 0, false);
                                continue;
                        }
                        if (is_write)
                                memcpy(model + sectors[i] * 512, data_of(i), 4096);
                        offer(i, is_write ? BLK_OUT : BLK_IN, sectors[i], 4096, !is_write);
                }
                driver_kick(&driver);
                wait_used(SLOTS);
                while (driver_used(&driver) > 0) {
                        unsigned slot = driver_reap(&driver, &written) / 3;

                        unit_assert_int(status_of(slot), BLK_STATUS_OK);
                        if (written == 4097)
                                unit_assert_bytes(data_of(slot), model + sectors[slot] * 512, 4096);
                }
        }
        end();
}

static void test_failures(void)
{
        struct rlimit limit, small;

        begin();
        log_set_level(LOG_CRIT);
        /* A file that somebody else made shorter; a host that refuses to write it. */
        unit_assert(ftruncate(file, 4096) == 0);
        unit_assert_int(ask(BLK_IN, 0, 4096), BLK_STATUS_OK);
        unit_assert_int(ask(BLK_IN, 8, 4096), BLK_STATUS_IOERR);
        signal(SIGXFSZ, SIG_IGN);
        unit_assert(getrlimit(RLIMIT_FSIZE, &limit) == 0);
        small = limit;
        small.rlim_cur = 8192;
        unit_assert(setrlimit(RLIMIT_FSIZE, &small) == 0);
        unit_assert_int(ask(BLK_OUT, 8, 4096), BLK_STATUS_OK);
        unit_assert_int(ask(BLK_OUT, 16, 4096), BLK_STATUS_IOERR);
        unit_assert(setrlimit(RLIMIT_FSIZE, &limit) == 0);
        unit_assert_int(ask(BLK_OUT, 16, 4096), BLK_STATUS_OK);
        log_set_level(LOG_INFO);
        end();
}

#define ROOM   (8U * CHUNK) /* of the host's file system, below, half of which is left */
#define FIT    (ROOM / 2 / CHUNK)
#define WRITES (SLOTS - 2)

/* A disk on a host whose file system has half of its room left. */
static bool begin_on_small_host(int *ret_host)
{
        int host = scratch_mount(ROOM);

        if (host < 0) {
                printf("# skipped: nothing can be mounted: %s\n", strerror(errno));
                return false;
        }
        unit_assert_int(loop_new(&loop), 0);
        unit_assert_int(guest_memory_init(&memory, DRIVER_MEMORY), 0);
        file = openat(host, "ballast", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
        unit_assert_int(fallocate(file, 0, 0, ROOM / 2), 0);
        file = fd_close(file);
        file = openat(host, "disk", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
        unit_assert_int(ftruncate(file, SIZE), 0);
        plug(false);
        start(F_FLUSH | F_WCE);
        log_set_level(LOG_CRIT);
        *ret_host = host;
        return true;
}

static void end_small_host(int host)
{
        log_set_level(LOG_INFO);
        end();
        fd_close(host);
}

/* Offers WRITES writes of whole chunks, and waits until all that lack room wait for it. */
static void write_too_much(void)
{
        const unsigned waiting = WRITES - FIT;
        uint64_t limit = clock_now_usec() + clock_limit_usec(10 * USEC_PER_SEC);
        uint32_t written;

        for (unsigned i = 1; i <= WRITES; i++) {
                memset(data_of(i), (int)i, CHUNK);
                offer(i, BLK_OUT, (uint64_t)i * CHUNK / 512, CHUNK, false);
        }
        driver_kick(&driver);
        while (device->counters.waiting < waiting || driver_used(&driver) < FIT) {
                unit_assert(clock_now_usec() < limit);
                unit_assert_int(loop_step(loop, USEC_PER_SEC), 0);
        }
        unit_assert_int(device->counters.waiting, waiting);
        while (driver_used(&driver) > 0)
                unit_assert_int(status_of(driver_reap(&driver, &written) / 3), BLK_STATUS_OK);
}

/* A host without room: who reads goes on, who writes waits, and nothing is lost when there is some. */
static void test_no_room(void)
{
        uint32_t written;
        int host;

        if (!begin_on_small_host(&host))
                return;
        write_too_much();
        unit_assert_int(ask(BLK_IN, CHUNK / 512, CHUNK), BLK_STATUS_OK);
        unit_assert_int(data_of(0)[0], 1);
        unit_assert_int(ask(BLK_FLUSH, 0, 0), BLK_STATUS_OK);
        unit_assert_int(unlinkat(host, "ballast", 0), 0);
        wait_used(FIT);
        while (driver_used(&driver) > 0) {
                unsigned slot = driver_reap(&driver, &written) / 3;

                unit_assert_int(status_of(slot), BLK_STATUS_OK);
                check_file((off_t)slot * CHUNK, CHUNK, (uint8_t)slot);
        }
        unit_assert_int(device->counters.waiting, WRITES - 2 * FIT);
        end_small_host(host);
}

/* A reset doesn't wait for room: what waits ends, and the device works. */
static void test_reset_without_room(void)
{
        int host;

        if (!begin_on_small_host(&host))
                return;
        for (unsigned round = 0; round < 2; round++) {
                write_too_much();
                /* In the second round while they are tried again. */
                if (round == 1)
                        unit_assert_int(loop_step(loop, 2 * USEC_PER_SEC), 0);
                drain();
                unit_assert_int(device->counters.waiting, 0);
                virtio_device_reset(device);
                start(F_FLUSH);
                unit_assert_int(ask(BLK_IN, CHUNK / 512, CHUNK), BLK_STATUS_OK);
        }
        end_small_host(host);
}

/* Failures that come home from the pool: none of many is taken for a success. */
static void test_failures_in_pool(void)
{
        begin();
        log_set_level(LOG_CRIT);
        unit_assert(ftruncate(file, 0) == 0);
        for (unsigned round = 0; round < 200; round++) {
                uint32_t written;

                for (unsigned i = 0; i < SLOTS; i++)
                        offer(i, BLK_IN, i, 512, true);
                driver_kick(&driver);
                wait_used(SLOTS);
                while (driver_used(&driver) > 0) {
                        unsigned slot = driver_reap(&driver, &written) / 3;

                        unit_assert_int(status_of(slot), BLK_STATUS_IOERR);
                }
        }
        log_set_level(LOG_INFO);
        end();
}

static void test_cache_off(void)
{
        const uint8_t off = 0;
        uint8_t on;

        begin();
        device->ops->config_write(device, 32, &off, 1);
        unit_assert_int(ask(BLK_OUT, 0, 4096), BLK_STATUS_OK);
        device->ops->config_read(device, 32, &on, 1);
        unit_assert_int(on, 0);
        drain();
        virtio_device_reset(device);
        device->ops->config_read(device, 32, &on, 1);
        unit_assert_int(on, 1);
        /* A driver without FLUSH, and without the right to say so. */
        start(0);
        device->ops->config_write(device, 32, &off, 1);
        device->ops->config_read(device, 32, &on, 1);
        unit_assert_int(on, 1);
        unit_assert_int(ask(BLK_OUT, 0, 4096), BLK_STATUS_OK);
        end();
}

static void check_needs_reset(void)
{
        uint64_t limit = clock_now_usec() + clock_limit_usec(10 * USEC_PER_SEC);

        driver_kick(&driver);
        while (!(device->state.status & VIRTIO_STATUS_NEEDS_RESET)) {
                unit_assert(clock_now_usec() < limit);
                unit_assert_int(loop_step(loop, USEC_PER_SEC), 0);
        }
        drain();
        virtio_device_reset(device);
        start(F_FLUSH);
        unit_assert_int(ask(BLK_IN, 0, 512), BLK_STATUS_OK);
}

/* Without a place for the status, or a whole header: nothing can be answered. */
static void test_malformed(void)
{
        begin();
        log_set_level(LOG_ERR);
        offer(0, BLK_OUT, 0, 512, false);
        driver_describe(&driver, 2, STATUSES, 1, 0, 0);
        check_needs_reset();
        driver_describe(&driver, 0, HEADERS, 15, DRIVER_NEXT, 2);
        driver_describe(&driver, 2, STATUSES, 1, DRIVER_WRITE, 0);
        driver_offer(&driver, 0);
        check_needs_reset();
        /* With others in flight, which come home before the reset. */
        for (unsigned i = 1; i < 30; i++)
                offer(i, i % 2 ? BLK_FLUSH : BLK_OUT, i * 32, i % 2 ? 0 : CHUNK, false);
        driver_describe(&driver, 0, HEADERS, 16, 0, 0);
        driver_offer(&driver, 0);
        check_needs_reset();
        log_set_level(LOG_INFO);
        end();
}

/* A reset with all that can be in flight: what is done is done, and nothing comes behind it. */
static void test_reset_in_flight(void)
{
        begin();
        for (unsigned round = 0; round < 20; round++) {
                for (unsigned i = 0; i < SLOTS; i++)
                        offer(i, i % 3 ? BLK_OUT : BLK_FLUSH, i * 32, i % 3 ? CHUNK : 0, false);
                driver_kick(&driver);
                unit_assert_int(loop_step(loop, USEC_PER_SEC), 0);
                drain();
                virtio_device_reset(device);
                start(F_FLUSH);
                unit_assert_int(driver_used(&driver), 0);
                unit_assert_int(ask(BLK_FLUSH, 0, 0), BLK_STATUS_OK);
        }
        end();
}

/* Bytes to and from the disk count; flushes, serials and what fails cost an operation each. */
static void test_throttle(void)
{
        int64_t level;

        begin();
        unit_assert_int(
                virtio_device_set_throttle(device, THROTTLE_ALL,
                                           &(ThrottleLimits){.bytes = 100, .bytes_burst = 65536}),
                0);
        unit_assert_int(ask(BLK_OUT, 0, CHUNK), BLK_STATUS_OK);
        level = device->paces[0].throttle.bytes.level;
        unit_assert(level >= 65536 - CHUNK && level < 65536 - CHUNK + 1000);
        unit_assert_int(ask(BLK_OUT, SECTORS, CHUNK), BLK_STATUS_IOERR);
        unit_assert(device->paces[0].throttle.bytes.level >= level);
        unit_assert_int(
                virtio_device_set_throttle(device, THROTTLE_ALL, &(ThrottleLimits){.ops = 100}), 0);
        for (unsigned i = 0; i < 30; i++)
                unit_assert_int(ask(BLK_GET_ID, 0, 20), BLK_STATUS_OK);
        unit_assert(device->counters.delayed_usec > 100 * USEC_PER_MSEC);
        end();
}

static void test_reload(void)
{
        uint8_t bytes[512];
        WireWriter writer = wire_writer(bytes, sizeof(bytes));
        WireReader reader;
        const uint8_t off = 0;
        uint8_t on;
        size_t size;

        begin();
        device->ops->config_write(device, 32, &off, 1);
        unit_assert_int(virtio_device_save(device, &writer), 0);
        unit_assert_int(wire_writer_end(&writer, &size), 0);
        driver_unplug(&driver);
        plug(false);
        reader = wire_reader(bytes, size);
        unit_assert_int(virtio_device_load(device, &reader), 0);
        device->ops->config_read(device, 32, &on, 1);
        unit_assert_int(on, 0);
        unit_assert_int(ask(BLK_IN, 0, 4096), BLK_STATUS_OK);
        /* Another size, another access: not the disk that the driver knows. */
        drain();
        driver_unplug(&driver);
        plug(true);
        reader = wire_reader(bytes, size);
        unit_assert_int(virtio_device_load(device, &reader), -EBADMSG);
        driver_unplug(&driver);
        unit_assert(ftruncate(file, SIZE / 2) == 0);
        plug(false);
        reader = wire_reader(bytes, size);
        unit_assert_int(virtio_device_load(device, &reader), -EBADMSG);
        end();
}

static void test_refused(void)
{
        VirtioBlkConfig config = {.serial = "", .fd = make_file(SIZE)};
        const char *problem;

        begin();
        unit_assert_int(virtio_blk_new(loop, &memory, &config, &device, &problem), -EINVAL);
        config.serial = "123456789012345678901";
        config.fd = make_file(SIZE);
        unit_assert_int(virtio_blk_new(loop, &memory, &config, &device, &problem), -EINVAL);
        config.serial = "12345678901234567890";
        config.fd = make_file(100);
        unit_assert_int(virtio_blk_new(loop, &memory, &config, &device, &problem), -EINVAL);
        unit_assert(problem);
        device = driver.device;
        end();
}

UNIT_MAIN(UNIT_TEST(test_config), UNIT_TEST(test_read_write), UNIT_TEST(test_ranges),
          UNIT_TEST(test_read_only), UNIT_TEST(test_many), UNIT_TEST(test_failures),
          UNIT_TEST(test_no_room), UNIT_TEST(test_reset_without_room),
          UNIT_TEST(test_failures_in_pool), UNIT_TEST(test_cache_off), UNIT_TEST(test_malformed),
          UNIT_TEST(test_reset_in_flight), UNIT_TEST(test_throttle), UNIT_TEST(test_reload),
          UNIT_TEST(test_refused))
