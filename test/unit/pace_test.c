/*
 * Throttles of devices on the real clock. UVM_SOAK, if set, has the accuracy measured over five
 * seconds instead of one.
 */
#include <errno.h>

#include "base/clock.h"
#include "test/unit/driver.h"

#define REQUEST_SIZE 4096
#define BUFFERS      0x100000
#define RINGS        0x10000

/* A device that answers every request with half of what it was given room for. */
typedef struct Toy {
        VirtioDevice device;
        uint64_t done;
        bool holds; /* takes one request and answers it later */
        VirtioChain held;
} Toy;

static void toy_answer(Toy *toy)
{
        uint32_t size = toy->held.writable_size / 2;

        virtio_device_refund(&toy->device, size);
        virtio_queue_push(&toy->device.queues[0], toy->held.head, size);
        toy->done++;
}

static int toy_notify(VirtioDevice *device, unsigned index)
{
        Toy *toy = CONTAINER_OF(device, Toy, device);
        VirtioChain chain;
        int r;

        while ((r = virtio_device_pop(device, index, &chain)) == 0) {
                toy->held = chain;
                if (!toy->holds)
                        toy_answer(toy);
        }
        virtio_device_signal(device, index);
        return r == VIRTIO_QUEUE_E_EMPTY ? 0 : r;
}

static VirtioDevice *toy_free(VirtioDevice *device)
{
        return NULL;
}

static const VirtioDeviceOps toy_ops = {
        .name = "toy",
        .id = 42,
        .n_queues = 1,
        .queue_sizes = {DRIVER_ENTRIES},
        .n_paces = 1,
        .notify = toy_notify,
        .free = toy_free,
};

static Loop *loop;
static GuestMemory memory;
static Toy toys[2];
static Driver drivers[2];

static void plug(unsigned i)
{
        toys[i].done = 0;
        toys[i].holds = false;
        virtio_device_init(&toys[i].device, &toy_ops, loop, &memory);
        driver_plug(&drivers[i], &memory, RINGS * (i + 1), &toys[i].device);
}

static void start(unsigned i)
{
        driver_start(&drivers[i], VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX);
        driver_describe(&drivers[i], 0, BUFFERS, 2 * REQUEST_SIZE, DRIVER_WRITE, 0);
}

static void begin(void)
{
        unit_assert_int(loop_new(&loop), 0);
        unit_assert_int(guest_memory_init(&memory, DRIVER_MEMORY), 0);
        for (unsigned i = 0; i < 2; i++) {
                plug(i);
                start(i);
        }
}

static void end(void)
{
        driver_unplug(&drivers[0]);
        driver_unplug(&drivers[1]);
        guest_memory_done(&memory);
        loop_free(loop);
}

static void set(unsigned i, const ThrottleLimits *limits)
{
        unit_assert_int(virtio_device_set_throttle(&toys[i].device, THROTTLE_ALL, limits), 0);
}

/* Offers a full ring again and again for @usec or a little longer: how long, and how much is done. */
static uint64_t flood(unsigned i, uint64_t usec, uint64_t *ret_usec)
{
        uint64_t start_usec = clock_now_usec(), before = toys[i].done, now = start_usec;
        uint32_t written;

        for (; now < start_usec + usec; now = clock_now_usec()) {
                Driver *driver = &drivers[i];

                while (driver_used(driver) > 0)
                        (void)driver_reap(driver, &written);
                while ((uint16_t)(driver->available - driver->used) < DRIVER_ENTRIES)
                        driver_offer(driver, 0);
                driver_kick(driver);
                unit_assert_int(loop_step(loop, start_usec + usec - now), 0);
        }
        *ret_usec = now - start_usec;
        return toys[i].done - before;
}

static void submit(unsigned i, unsigned n)
{
        while (n-- > 0)
                driver_offer(&drivers[i], 0);
        driver_kick(&drivers[i]);
        unit_assert_int(loop_step(loop, 0), 0);
}

static void run_until(const Toy *toy, uint64_t done)
{
        uint64_t limit = clock_now_usec() + clock_limit_usec(10 * USEC_PER_SEC);

        while (toy->done < done) {
                unit_assert(clock_now_usec() < limit);
                unit_assert_int(loop_step(loop, USEC_PER_SEC), 0);
        }
}

/*
 * A quarter of a second's worth is 5 % of five seconds', whatever a busy machine's clock does. More than
 * the limits allow is never right; less may be for want of a processor, and is tried again.
 */
static bool keeps_rate(const ThrottleLimits *limits, uint64_t rate, const char *what)
{
        uint64_t seconds = getenv("UVM_SOAK") ? 5 : 1, usec, done, wanted;

        set(0, &(ThrottleLimits){});
        set(0, limits);
        (void)flood(0, 200 * USEC_PER_MSEC, &usec); /* the burst */
        done = flood(0, seconds * USEC_PER_SEC, &usec);
        wanted = rate * usec / USEC_PER_SEC;
        printf("# %" PRIu64 " %s/s for %.3f s: off by %.2f %%\n", rate, what,
               (double)usec / USEC_PER_SEC, 100 * ((double)done / (double)wanted - 1));
        unit_assert(done <= wanted + rate / 4);
        return done >= wanted - rate / 4;
}

static void check_rate(const ThrottleLimits *limits, uint64_t rate, const char *what)
{
        unit_assert(keeps_rate(limits, rate, what) || keeps_rate(limits, rate, what) ||
                    keeps_rate(limits, rate, what));
}

static void test_accuracy(void)
{
        static const uint64_t rates[] = {500, 20000};

        begin();
        for (unsigned i = 0; i < ELEMENTSOF(rates); i++) {
                check_rate(&(ThrottleLimits){.ops = rates[i]}, rates[i], "operations");
                check_rate(&(ThrottleLimits){.bytes = rates[i] * REQUEST_SIZE}, rates[i],
                           "requests of 4 KiB");
        }
        unit_assert(toys[0].device.counters.delayed_usec > USEC_PER_SEC);
        end();
}

/* A throttle that is empty for an hour stalls its own device and no other on the same loop. */
static void test_others_go_on(void)
{
        uint64_t usec;

        begin();
        set(0, &(ThrottleLimits){.bytes = 1, .bytes_burst = 1});
        submit(0, 3);
        unit_assert_int(toys[0].done, 1);
        unit_assert(flood(1, 50 * USEC_PER_MSEC, &usec) > 100);
        unit_assert_int(toys[0].done, 1);
        /* Kicks change nothing. */
        submit(0, 1);
        unit_assert_int(toys[0].done, 1);
        /* Faster: at once, and all that waits. */
        set(0, &(ThrottleLimits){});
        run_until(&toys[0], 4);
        unit_assert(toys[0].device.counters.delayed_usec > 0);
        unit_assert_int(toys[1].device.counters.delayed_usec, 0);
        end();
}

/* What the driver owes outlives its reset; what waited doesn't. */
static void test_reset(void)
{
        begin();
        set(0, &(ThrottleLimits){.ops = 2, .ops_burst = 1});
        submit(0, 12);
        unit_assert_int(toys[0].done, 1);
        virtio_device_reset(&toys[0].device);
        start(0);
        toys[0].done = 0;
        submit(0, 1);
        unit_assert_int(toys[0].done, 0);
        run_until(&toys[0], 1);
        /* Unplugged with a request that waits: nothing comes of it. */
        submit(0, 12);
        driver_unplug(&drivers[0]);
        plug(0);
        unit_assert_int(loop_step(loop, 50 * USEC_PER_MSEC), 0);
        unit_assert_int(toys[0].done, 0);
        end();
}

/* Saved while requests wait, and loaded: they are done without a kick. */
static void test_reload(void)
{
        uint8_t bytes[256];
        WireWriter writer = wire_writer(bytes, sizeof(bytes));
        WireReader reader = wire_reader(bytes, sizeof(bytes));
        Driver before;

        begin();
        set(0, &(ThrottleLimits){.ops = 1});
        submit(0, 3);
        unit_assert_int(toys[0].done, 1);
        unit_assert_int(virtio_device_save(&toys[0].device, &writer), 0);
        before = drivers[0];
        driver_unplug(&drivers[0]);
        plug(0);
        drivers[0].available = before.available;
        drivers[0].used = before.used;
        unit_assert_int(virtio_device_load(&toys[0].device, &reader), 0);
        run_until(&toys[0], 2);
        unit_assert_int(driver_used(&drivers[0]), 3);
        end();
}

/* A request that needs less than it might have: the next waits only for what it cost. */
static void test_refund(void)
{
        uint64_t start;

        begin();
        toys[0].holds = true;
        set(0, &(ThrottleLimits){.bytes = 1000, .bytes_burst = REQUEST_SIZE + 1});
        submit(0, 2);
        unit_assert(toys[0].device.paces[0].waiting_usec > 0); /* for four seconds */
        start = clock_now_usec();
        toys[0].holds = false;
        toy_answer(&toys[0]);
        run_until(&toys[0], 2);
        unit_assert(clock_now_usec() - start < 2 * USEC_PER_SEC);
        end();
}

static void test_not_paced(void)
{
        VirtioDeviceOps ops = toy_ops;

        begin();
        ops.n_paces = 0;
        toys[1].device.ops = &ops;
        unit_assert_int(virtio_device_set_throttle(&toys[1].device, THROTTLE_ALL,
                                                   &(ThrottleLimits){.ops = 1}),
                        -EINVAL);
        end();
}

UNIT_MAIN(UNIT_TEST(test_accuracy), UNIT_TEST(test_others_go_on), UNIT_TEST(test_reset),
          UNIT_TEST(test_reload), UNIT_TEST(test_refund), UNIT_TEST(test_not_paced))
