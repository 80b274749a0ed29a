/* The token buckets on a simulated clock. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "test/unit.h"
#include "vmm/virtio/throttle.h"

#define START_USEC (12345 * USEC_PER_SEC)

static Throttle throttle;
static uint64_t now, seed = 1;

static uint64_t random_below(uint64_t limit)
{
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        return (seed >> 33) % limit;
}

static void begin(const ThrottleLimits *limits)
{
        now = START_USEC;
        throttle_init(&throttle, limits, now);
}

/*
 * A guest that always has an operation ready, for @usec; each costs up to @size bytes. Who waits is
 * woken up to 2 ms late. The bytes and operations done.
 */
static uint64_t run(uint64_t usec, uint64_t size, uint64_t *ret_ops)
{
        uint64_t end = now + usec, bytes = 0, ops = 0;

        while (now < end) {
                uint64_t wait = throttle_wait(&throttle, now), cost = 1 + random_below(size);

                if (wait > 0) {
                        now += wait + random_below(2000);
                        continue;
                }
                throttle_take(&throttle, cost, 1);
                bytes += cost;
                ops++;
        }
        *ret_ops = ops;
        return bytes;
}

static void assert_within_percent(uint64_t actual, uint64_t wanted)
{
        if (actual < wanted - wanted / 100 || actual > wanted + wanted / 100)
                unit_fail("%" PRIu64 " is not within 1 %% of %" PRIu64, actual, wanted);
}

/* Behind the burst, and with the last operation's debt paid, the rate holds. */
static void test_accuracy(void)
{
        static const uint64_t rates[] = {1000, 65536, 1 << 20, 100 << 20, 5ULL << 30};

        for (unsigned i = 0; i < ELEMENTSOF(rates); i++) {
                uint64_t rate = rates[i], ops;

                begin(&(ThrottleLimits){.bytes = rate});
                (void)run(1 * USEC_PER_SEC, rate / 50, &ops);
                assert_within_percent(run(5 * USEC_PER_SEC, rate / 100, &ops), 5 * rate);
                begin(&(ThrottleLimits){.ops = rates[i]});
                if (rate > 1 << 20)
                        continue; /* each is simulated */
                (void)run(1 * USEC_PER_SEC, 1, &ops);
                (void)run(5 * USEC_PER_SEC, 1, &ops);
                assert_within_percent(ops, 5 * rate);
        }
}

/* An operation that costs more than a second's worth begins, and is paid behind it. */
static void test_large_operations(void)
{
        begin(&(ThrottleLimits){.bytes = 1000, .bytes_burst = 1});
        unit_assert_int(throttle_wait(&throttle, now), 0);
        throttle_take(&throttle, 3010, 1); /* of the ten that the bucket holds at least */
        unit_assert_int(throttle_wait(&throttle, now), 3001000);
        unit_assert_int(throttle_wait(&throttle, now + 3000999), 1);
        unit_assert_int(throttle_wait(&throttle, now + 3001000), 0);
}

static void test_burst(void)
{
        uint64_t ops;

        begin(&(ThrottleLimits){.ops = 100, .ops_burst = 5000});
        for (ops = 0; throttle_wait(&throttle, now) == 0; ops++)
                throttle_take(&throttle, 1 << 20, 1);
        unit_assert_int(ops, 5000);
        /* After a rest it is there again, and no more of it. */
        now += 1000 * USEC_PER_SEC;
        for (ops = 0; throttle_wait(&throttle, now) == 0; ops++)
                throttle_take(&throttle, 1 << 20, 1);
        unit_assert_int(ops, 5000);
        /* Unless it is told: a tenth of a second's. */
        begin(&(ThrottleLimits){.ops = 100});
        for (ops = 0; throttle_wait(&throttle, now) == 0; ops++)
                throttle_take(&throttle, 0, 1);
        unit_assert_int(ops, 10);
        begin(&(ThrottleLimits){.ops = 1});
        for (ops = 0; throttle_wait(&throttle, now) == 0; ops++)
                throttle_take(&throttle, 0, 1);
        unit_assert_int(ops, 1);
}

/* The slower of the two decides. */
static void test_both(void)
{
        uint64_t ops;

        begin(&(ThrottleLimits){.bytes = 1 << 20, .ops = 100});
        (void)run(1 * USEC_PER_SEC, 100, &ops);
        (void)run(5 * USEC_PER_SEC, 100, &ops);
        assert_within_percent(ops, 500);
        (void)run(1 * USEC_PER_SEC, 1 << 16, &ops);
        assert_within_percent(run(5 * USEC_PER_SEC, 1 << 16, &ops), 5 << 20);
}

static void test_unlimited(void)
{
        begin(&(ThrottleLimits){.bytes_burst = 7, .ops_burst = 7});
        unit_assert(!throttle_is_limited(&throttle));
        for (unsigned i = 0; i < 100; i++) {
                unit_assert_int(throttle_wait(&throttle, now), 0);
                throttle_take(&throttle, UINT64_MAX, 1);
        }
}

static void test_change(void)
{
        begin(&(ThrottleLimits){.bytes = 100});
        throttle_take(&throttle, 100010, 1);
        unit_assert_int(throttle_wait(&throttle, now), 1000010000);
        /* Faster while it is empty: what is owed is paid at the new rate. */
        throttle_change(&throttle, &(ThrottleLimits){.bytes = 100000}, now);
        unit_assert_int(throttle_wait(&throttle, now), 1000010);
        now += 500000;
        unit_assert_int(throttle_wait(&throttle, now), 500010);
        /* Slower, with what came until now at the old one. */
        now += 500000;
        throttle_change(&throttle, &(ThrottleLimits){.bytes = 1000}, now);
        unit_assert_int(throttle_wait(&throttle, now), 1000);
        /* Not at all, and again: full. */
        throttle_change(&throttle, &(ThrottleLimits){}, now);
        unit_assert_int(throttle_wait(&throttle, now), 0);
        throttle_change(&throttle, &(ThrottleLimits){.bytes = 1000, .bytes_burst = 500}, now);
        unit_assert_int(throttle.bytes.level, 500);
        /* No more than the new burst. */
        throttle_change(&throttle, &(ThrottleLimits){.bytes = 1000, .bytes_burst = 50}, now);
        unit_assert_int(throttle.bytes.level, 50);
        throttle_change(&throttle, &(ThrottleLimits){.bytes = 1000, .bytes_burst = 500}, now);
        unit_assert_int(throttle.bytes.level, 50);
}

static void test_give(void)
{
        begin(&(ThrottleLimits){.bytes = 1000, .bytes_burst = 1000});
        throttle_take(&throttle, 1500, 1);
        throttle_give(&throttle, 499);
        unit_assert_int(throttle_wait(&throttle, now), 2000);
        throttle_give(&throttle, 2);
        unit_assert_int(throttle_wait(&throttle, now), 0);
        throttle_give(&throttle, UINT64_MAX);
        unit_assert_int(throttle.bytes.level, 1000);
}

static void test_clock_jumps(void)
{
        begin(&(ThrottleLimits){.bytes = 1000});
        throttle_take(&throttle, 1100, 1);
        unit_assert_int(throttle_wait(&throttle, now), 1001000);
        /* Back: nothing is gained, and from there on it fills as ever. */
        unit_assert_int(throttle_wait(&throttle, 5), 1001000);
        unit_assert_int(throttle_wait(&throttle, 5 + 1000), 1000000);
        /* Far ahead: full and no more. */
        unit_assert_int(throttle_wait(&throttle, UINT64_MAX), 0);
        unit_assert_int(throttle.bytes.level, 100);
}

static void test_extremes(void)
{
        const ThrottleLimits fastest = {
                .bytes = THROTTLE_MAX,
                .bytes_burst = THROTTLE_MAX,
                .ops = THROTTLE_MAX,
                .ops_burst = THROTTLE_MAX,
        };

        begin(&fastest);
        for (unsigned i = 0; i < 4; i++) {
                throttle_take(&throttle, UINT64_MAX, UINT64_MAX);
                unit_assert_int(throttle.bytes.level, -(1LL << 60));
                unit_assert_int(throttle_wait(&throttle, now), 1024000001);
                (void)throttle_wait(&throttle, now + 1);
        }
        throttle_change(&throttle, &(ThrottleLimits){.bytes = 1, .ops = 1}, now + 1);
        unit_assert_int(throttle_wait(&throttle, now + 1), THROTTLE_WAIT_MAX_USEC);
        unit_assert_int(throttle_wait(&throttle, UINT64_MAX), THROTTLE_WAIT_MAX_USEC);
        throttle_change(&throttle, &fastest, UINT64_MAX);
        throttle_give(&throttle, UINT64_MAX);
        unit_assert_int(throttle.bytes.level, THROTTLE_MAX);
}

UNIT_MAIN(UNIT_TEST(test_accuracy), UNIT_TEST(test_large_operations), UNIT_TEST(test_burst),
          UNIT_TEST(test_both), UNIT_TEST(test_unlimited), UNIT_TEST(test_change),
          UNIT_TEST(test_give), UNIT_TEST(test_clock_jumps), UNIT_TEST(test_extremes))
