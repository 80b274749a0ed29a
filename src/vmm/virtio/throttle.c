/* Token buckets; see throttle.h. */
#include "vmm/virtio/throttle.h"
#include "base/cleanup.h"
#include "base/clock.h"

/* Far below any debt that is ever paid, far above where sums overflow. */
#define BUCKET_LEVEL_MIN (-(1LL << 60))

/* Products of a rate and a time. */
typedef unsigned __int128 Wide;

static int64_t bucket_burst(uint64_t rate, uint64_t burst)
{
        uint64_t wanted = burst > 0 ? burst : rate / 10;

        return (int64_t)MAX(wanted, MAX(rate / 100, 1));
}

static void bucket_change(ThrottleBucket *bucket, uint64_t rate, uint64_t burst)
{
        bool was_limited = bucket->rate > 0;

        bucket->rate = rate;
        bucket->burst = bucket_burst(rate, burst);
        if (!was_limited || bucket->level >= bucket->burst) {
                bucket->level = bucket->burst;
                bucket->rest = 0;
        }
}

static void bucket_fill(ThrottleBucket *bucket, uint64_t usec)
{
        Wide millionths = (Wide)usec * bucket->rate + bucket->rest;
        Wide room = (Wide)(bucket->burst - bucket->level);

        if (millionths / USEC_PER_SEC >= room) {
                bucket->level = bucket->burst;
                bucket->rest = 0;
        } else {
                bucket->level += (int64_t)(millionths / USEC_PER_SEC);
                bucket->rest = (uint64_t)(millionths % USEC_PER_SEC);
        }
}

/* How long until there is at least one, rounded up. */
static uint64_t bucket_wait(const ThrottleBucket *bucket)
{
        Wide millionths, usec;

        if (bucket->rate == 0 || bucket->level > 0)
                return 0;
        millionths = (Wide)(1 - bucket->level) * USEC_PER_SEC - bucket->rest;
        usec = (millionths + bucket->rate - 1) / bucket->rate;
        return usec < THROTTLE_WAIT_MAX_USEC ? (uint64_t)usec : THROTTLE_WAIT_MAX_USEC;
}

static void bucket_take(ThrottleBucket *bucket, uint64_t n)
{
        if (bucket->rate == 0)
                return;
        if (n >= (uint64_t)(bucket->level - BUCKET_LEVEL_MIN))
                bucket->level = BUCKET_LEVEL_MIN;
        else
                bucket->level -= (int64_t)n;
}

static void bucket_give(ThrottleBucket *bucket, uint64_t n)
{
        if (n >= (uint64_t)(bucket->burst - bucket->level))
                bucket->level = bucket->burst;
        else
                bucket->level += (int64_t)n;
}

static void throttle_fill(Throttle *throttle, uint64_t now_usec)
{
        /* A clock that went back gives nothing, and takes nothing. */
        uint64_t usec = now_usec > throttle->filled_usec ? now_usec - throttle->filled_usec : 0;

        bucket_fill(&throttle->bytes, usec);
        bucket_fill(&throttle->ops, usec);
        throttle->filled_usec = now_usec;
}

void throttle_init(Throttle *throttle, const ThrottleLimits *limits, uint64_t now_usec)
{
        *throttle = (Throttle){.filled_usec = now_usec};
        throttle_change(throttle, limits, now_usec);
}

void throttle_change(Throttle *throttle, const ThrottleLimits *limits, uint64_t now_usec)
{
        throttle_fill(throttle, now_usec);
        bucket_change(&throttle->bytes, limits->bytes, limits->bytes_burst);
        bucket_change(&throttle->ops, limits->ops, limits->ops_burst);
}

uint64_t throttle_wait(Throttle *throttle, uint64_t now_usec)
{
        throttle_fill(throttle, now_usec);
        return MAX(bucket_wait(&throttle->bytes), bucket_wait(&throttle->ops));
}

void throttle_take(Throttle *throttle, uint64_t bytes, uint64_t ops)
{
        bucket_take(&throttle->bytes, bytes);
        bucket_take(&throttle->ops, ops);
}

void throttle_give(Throttle *throttle, uint64_t bytes)
{
        bucket_give(&throttle->bytes, bytes);
}
