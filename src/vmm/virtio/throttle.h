/*
 * The two token buckets of a device (proto/throttle.h). An operation may begin while both hold
 * something and takes what it really costs, so that one may go below zero; what follows waits until
 * that is paid. So the rate holds on average whatever the operations' sizes, and none is too large.
 *
 * Pure: the time is a parameter. Costs come from a guest and may be anything; limits are valid
 * (throttle_limits_are_valid()).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/throttle.h"

/* The longest wait that is told: who waits asks again then. */
#define THROTTLE_WAIT_MAX_USEC 3600000000ULL

typedef struct ThrottleBucket {
        uint64_t rate; /* a second; 0: unlimited, and the rest means nothing */
        int64_t burst; /* the most that it holds: at least one, and the rate's in 10 ms, for whoever
                          waits wakes up late by a millisecond or two */
        int64_t level; /* below zero: a debt */
        uint64_t rest; /* millionths of one that came besides */
} ThrottleBucket;

typedef struct Throttle {
        ThrottleBucket bytes, ops;
        uint64_t filled_usec; /* up to this time both were filled */
} Throttle;

/* Both buckets full. */
void throttle_init(Throttle *throttle, const ThrottleLimits *limits, uint64_t now_usec);

/* Other limits from now on. What is in a bucket, or owed, stays, up to the new burst; one that was
 * unlimited is full. */
void throttle_change(Throttle *throttle, const ThrottleLimits *limits, uint64_t now_usec);

static inline bool throttle_is_limited(const Throttle *throttle)
{
        return throttle->bytes.rate > 0 || throttle->ops.rate > 0;
}

/* Fills the buckets. 0: an operation may begin; else how long, in µs, until one may. */
uint64_t throttle_wait(Throttle *throttle, uint64_t now_usec);

/* Takes the cost of an operation that begins; right behind a throttle_wait(). */
void throttle_take(Throttle *throttle, uint64_t bytes, uint64_t ops);

/* Gives bytes back that were taken and turned out not to be needed. */
void throttle_give(Throttle *throttle, uint64_t bytes);
