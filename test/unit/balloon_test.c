/* The memory balloon with a driver in this process: what it gives back is zeros and not resident. */
#include <sys/mman.h>

#include "base/log.h"
#include "test/unit/driver.h"
#include "vmm/virtio/balloon.h"
#include "vmm/virtio/balloon_request.h"

#define F_STATS     (1ULL << 1)
#define F_OOM       (1ULL << 2)
#define F_REPORTING (1ULL << 5)

enum { INFLATE, DEFLATE, STATS, REPORTING, QUEUES };

#define RINGS   0x10000ULL
#define BUFFER  0x80000ULL
#define PAGES   0x400000ULL
#define N_PAGES 1024ULL

static Loop *loop;
static GuestMemory memory;
static VirtioDevice *device;
static Driver drivers[QUEUES];
static unsigned changes;

static void on_changed(void *userdata)
{
        changes++;
}

static void start(uint64_t features, unsigned queues)
{
        for (unsigned i = 1; i < queues; i++)
                driver_prepare(&drivers[i]);
        driver_start(&drivers[0], VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | features);
}

static void begin(uint64_t features, unsigned queues)
{
        changes = 0;
        unit_assert_int(loop_new(&loop), 0);
        unit_assert_int(guest_memory_init(&memory, DRIVER_MEMORY), 0);
        /* Residence is told page by page only where pages are small. */
        (void)madvise(memory.regions[0].host, DRIVER_MEMORY, MADV_NOHUGEPAGE);
        unit_assert_int(virtio_balloon_new(loop, &memory, on_changed, NULL, &device), 0);
        driver_plug(&drivers[0], &memory, RINGS, device);
        for (unsigned i = 1; i < QUEUES; i++)
                driver_plug_queue(&drivers[i], &drivers[0], RINGS + i * 0x4000ULL, i);
        memset(driver_at(&drivers[0], PAGES, N_PAGES * 4096), 0xaa, N_PAGES * 4096);
        start(features, queues);
}

static void end(void)
{
        for (unsigned i = 1; i < QUEUES; i++)
                driver_unplug_queue(&drivers[i]);
        driver_unplug(&drivers[0]);
        guest_memory_done(&memory);
        loop_free(loop);
}

static bool is_resident(uint64_t address)
{
        uint8_t state;

        unit_assert(mincore(driver_at(&drivers[0], address, 4096), 4096, &state) == 0);
        return state & 1;
}

static unsigned count_resident(void)
{
        unsigned n = 0;

        for (unsigned i = 0; i < N_PAGES; i++)
                n += is_resident(PAGES + i * 4096);
        return n;
}

static void turn(unsigned queue)
{
        driver_kick(&drivers[queue]);
        /* A device that isn't done kicks itself. */
        for (unsigned i = 0; i < 4; i++)
                unit_assert_int(loop_step(loop, 0), 0);
}

/* Hands @n page numbers to the inflate or deflate queue. */
static void hand(unsigned queue, const uint32_t *pfns, unsigned n)
{
        uint32_t written;

        memcpy(driver_at(&drivers[queue], BUFFER, n * 4), pfns, n * 4);
        driver_describe(&drivers[queue], 0, BUFFER, n * 4, 0, 0);
        driver_offer(&drivers[queue], 0);
        turn(queue);
        if (driver_used(&drivers[queue]) > 0)
                unit_assert_int(driver_reap(&drivers[queue], &written), 0);
}

static void test_inflate(void)
{
        static const uint32_t up[] = {PAGES / 4096, PAGES / 4096 + 1, PAGES / 4096 + 2};
        static const uint32_t down[] = {PAGES / 4096 + 12, PAGES / 4096 + 11, PAGES / 4096 + 10};
        static const uint32_t mixed[] = {PAGES / 4096 + 20, PAGES / 4096 + 30, PAGES / 4096 + 19,
                                         PAGES / 4096 + 21, PAGES / 4096 + 20};

        begin(F_STATS | F_REPORTING, QUEUES);
        unit_assert_int(count_resident(), N_PAGES);
        hand(INFLATE, up, 3);
        unit_assert_int(count_resident(), N_PAGES - 3);
        hand(INFLATE, down, 3);
        unit_assert_int(count_resident(), N_PAGES - 6);
        hand(INFLATE, mixed, 5);
        unit_assert_int(count_resident(), N_PAGES - 10);
        hand(DEFLATE, up, 3);
        unit_assert_int(driver_get(&drivers[0], PAGES, 8), 0);
        unit_assert_int(driver_get(&drivers[0], PAGES + 3 * 4096, 1), 0xaa);
        unit_assert_int(device->counters.requests, 4);
        unit_assert(virtio_device_is_active(device));
        end();
}

static void check_refused(const uint32_t *pfns, unsigned n, unsigned resident)
{
        begin(F_STATS | F_REPORTING, QUEUES);
        hand(INFLATE, pfns, n);
        unit_assert(!virtio_device_is_active(device));
        unit_assert_int(count_resident(), resident);
        /* Until it is reset nothing more of it is looked at. */
        hand(INFLATE, (const uint32_t[]){PAGES / 4096 + 7}, 1);
        unit_assert(is_resident(PAGES + 7 * 4096ULL));
        unit_assert_int(virtio_device_drain(device), 0);
        virtio_device_reset(device);
        start(F_STATS, 3);
        hand(INFLATE, (const uint32_t[]){PAGES / 4096 + 7}, 1);
        unit_assert(!is_resident(PAGES + 7 * 4096ULL));
        end();
}

static void test_outside(void)
{
        check_refused((const uint32_t[]){DRIVER_MEMORY / 4096}, 1, N_PAGES);
        check_refused((const uint32_t[]){UINT32_MAX}, 1, N_PAGES);
        /* A run that begins in memory and ends behind it goes as a whole. */
        check_refused((const uint32_t[]){DRIVER_MEMORY / 4096 - 1, DRIVER_MEMORY / 4096}, 2,
                      N_PAGES);
        check_refused((const uint32_t[]){0, UINT32_MAX}, 2, N_PAGES);
}

static void test_too_much(void)
{
        begin(F_STATS | F_REPORTING, QUEUES);
        driver_describe(&drivers[INFLATE], 0, PAGES, 65536, 0, 0);
        driver_offer(&drivers[INFLATE], 0);
        turn(INFLATE);
        unit_assert(!virtio_device_is_active(device));
        unit_assert_int(count_resident(), N_PAGES);
        end();
}

static void report(unsigned queue, unsigned index, uint64_t address, uint32_t size, bool more)
{
        driver_describe(&drivers[queue], index, address, size,
                        DRIVER_WRITE | (more ? DRIVER_NEXT : 0), (uint16_t)(index + 1));
}

static void check_report(unsigned queue)
{
        ControlMemoryStats stats = {};
        uint32_t written;

        report(queue, 0, PAGES, 8 * 4096, true);
        report(queue, 1, PAGES + 100 * 4096, 4096, true);
        /* Only what lies whole in a range goes: here two pages of four that it touches, and none. */
        report(queue, 2, PAGES + 200 * 4096 + 1, 3 * 4096, true);
        report(queue, 3, PAGES + 300 * 4096 + 1, 4096, false);
        driver_offer(&drivers[queue], 0);
        turn(queue);
        unit_assert_int(driver_reap(&drivers[queue], &written), 0);
        unit_assert_int(written, 0);
        unit_assert_int(count_resident(), N_PAGES - 8 - 1 - 2);
        virtio_balloon_get_stats(device, &stats);
        unit_assert_int(stats.reported_bytes, 11 * 4096);
}

static void test_reporting(void)
{
        begin(F_STATS | F_REPORTING, QUEUES);
        check_report(REPORTING);
        end();
}

/* Without the statistics its queue isn't there, and the next one has its number. */
static void test_reporting_alone(void)
{
        begin(F_REPORTING, 3);
        check_report(STATS);
        unit_assert_int(virtio_device_notify(device, REPORTING), 0);
        end();
}

static void test_reporting_outside(void)
{
        begin(F_STATS | F_REPORTING, QUEUES);
        report(REPORTING, 0, PAGES, 4096, true);
        report(REPORTING, 1, DRIVER_MEMORY - 4096, 8192, false);
        driver_offer(&drivers[REPORTING], 0);
        turn(REPORTING);
        unit_assert(!virtio_device_is_active(device));
        unit_assert_int(count_resident(), N_PAGES);
        end();
}

static void put_stat(unsigned index, uint16_t tag, uint64_t value)
{
        driver_put(&drivers[STATS], BUFFER + index * BALLOON_STAT_SIZE, tag, 2);
        driver_put(&drivers[STATS], BUFFER + index * BALLOON_STAT_SIZE + 2, value, 8);
}

static void offer_stats(unsigned n)
{
        driver_describe(&drivers[STATS], 0, BUFFER, n * BALLOON_STAT_SIZE, 0, 0);
        driver_offer(&drivers[STATS], 0);
        turn(STATS);
}

/* The buffer comes back when new ones are wanted, and only then. */
static void test_stats(void)
{
        ControlMemoryStats stats = {.free = UINT64_MAX, .swap_in = UINT64_MAX};
        uint32_t written;

        begin(F_STATS | F_REPORTING, QUEUES);
        put_stat(0, BALLOON_STAT_FREE, 12345);
        put_stat(1, 99, 1);
        put_stat(2, BALLOON_STAT_TOTAL, 1ULL << 40);
        offer_stats(3);
        unit_assert_int(driver_used(&drivers[STATS]), 0);
        unit_assert(!virtio_device_is_busy(device));
        virtio_balloon_get_stats(device, &stats);
        unit_assert_int(stats.free, 12345);
        unit_assert_int(stats.total, 1ULL << 40);
        unit_assert_int(stats.swap_in, UINT64_MAX);
        unit_assert(stats.stats_usec > 0);
        turn(STATS);
        unit_assert_int(driver_used(&drivers[STATS]), 1);
        unit_assert_int(driver_reap(&drivers[STATS], &written), 0);
        put_stat(0, BALLOON_STAT_FREE, 54321);
        offer_stats(1);
        virtio_balloon_get_stats(device, &stats);
        unit_assert_int(stats.free, 54321);
        /* Not asked again so soon. */
        turn(STATS);
        unit_assert_int(driver_used(&drivers[STATS]), 0);
        /* The driver goes: what it said is old. */
        unit_assert_int(virtio_device_drain(device), 0);
        virtio_device_reset(device);
        stats = (ControlMemoryStats){.free = UINT64_MAX};
        virtio_balloon_get_stats(device, &stats);
        unit_assert_int(stats.free, UINT64_MAX);
        end();
}

static void test_decode_stats(void)
{
        static const uint8_t bytes[] = {
                4, 0, 1, 0, 0, 0, 0, 0, 0, 0, /* free */
                4, 0, 2, 0, 0, 0, 0, 0, 0, 0, /* again */
                5, 0, 9, 0, 0,                /* cut */
        };
        BalloonStats stats;

        balloon_stats_decode(bytes, sizeof(bytes), &stats);
        unit_assert_int(stats.values[BALLOON_STAT_FREE], 2);
        unit_assert_int(stats.values[BALLOON_STAT_TOTAL], UINT64_MAX);
        balloon_stats_decode(bytes, 0, &stats);
        unit_assert_int(stats.values[BALLOON_STAT_FREE], UINT64_MAX);
}

static void set_actual(uint32_t pages)
{
        device->ops->config_write(device, 4, &pages, sizeof(pages));
}

static void test_sizes(void)
{
        uint64_t requested, actual;
        uint32_t pages;

        begin(F_STATS | F_REPORTING, QUEUES);
        unit_assert_int(virtio_balloon_resize(device, 4095), -EINVAL);
        unit_assert_int(virtio_balloon_resize(device, DRIVER_MEMORY + 4096), -EINVAL);
        unit_assert_int(virtio_balloon_resize(device, 8 << 20), 0);
        unit_assert_int(atomic_load(&drivers[0].interrupt_status), VIRTIO_INTERRUPT_CONFIG);
        device->ops->config_read(device, 0, &pages, sizeof(pages));
        unit_assert_int(pages, (8 << 20) / 4096);
        set_actual(100);
        set_actual(100);
        unit_assert_int(changes, 1);
        device->ops->config_read(device, 4, &pages, sizeof(pages));
        unit_assert_int(pages, 100);
        virtio_balloon_get_sizes(device, &requested, &actual);
        unit_assert_int(requested, 8 << 20);
        unit_assert_int(actual, 100 * 4096);
        set_actual(UINT32_MAX);
        virtio_balloon_get_sizes(device, &requested, &actual);
        unit_assert_int(actual, DRIVER_MEMORY);
        device->ops->config_write(device, 0, &pages, sizeof(pages));
        device->ops->config_write(device, 4, &pages, 2);
        virtio_balloon_get_sizes(device, &requested, &actual);
        unit_assert_int(requested, 8 << 20);
        unit_assert_int(actual, DRIVER_MEMORY);
        virtio_device_reset(device);
        virtio_balloon_get_sizes(device, &requested, &actual);
        unit_assert_int(requested, 8 << 20);
        unit_assert_int(actual, 0);
        unit_assert_int(changes, 3);
        end();
}

static void test_save(void)
{
        uint8_t bytes[256];
        WireWriter writer = wire_writer(bytes, sizeof(bytes));
        WireReader reader;
        uint64_t requested, actual;
        size_t size;

        begin(F_STATS | F_REPORTING, QUEUES);
        unit_assert_int(virtio_balloon_resize(device, 4 << 20), 0);
        set_actual(7);
        offer_stats(0);
        unit_assert_int(virtio_device_save(device, &writer), 0);
        unit_assert_int(wire_writer_end(&writer, &size), 0);
        virtio_device_reset(device);
        unit_assert_int(virtio_balloon_resize(device, 0), 0);
        reader = wire_reader(bytes, size);
        unit_assert_int(virtio_device_load(device, &reader), 0);
        virtio_balloon_get_sizes(device, &requested, &actual);
        unit_assert_int(requested, 4 << 20);
        unit_assert_int(actual, 7 * 4096);
        /* More pages than there are. */
        memset(bytes + size - 16, 0xff, 4);
        reader = wire_reader(bytes, size);
        unit_assert_int(virtio_device_load(device, &reader), -EBADMSG);
        end();
}

static const UnitTest tests[] = {
        UNIT_TEST(test_inflate),         UNIT_TEST(test_outside),
        UNIT_TEST(test_too_much),        UNIT_TEST(test_reporting),
        UNIT_TEST(test_reporting_alone), UNIT_TEST(test_reporting_outside),
        UNIT_TEST(test_stats),           UNIT_TEST(test_decode_stats),
        UNIT_TEST(test_sizes),           UNIT_TEST(test_save),
};

int main(void)
{
        log_open("balloon");
        log_set_level(LOG_ERR);
        return unit_run(tests, ELEMENTSOF(tests));
}
