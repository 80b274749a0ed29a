/*
 * How fast a device may go: two token buckets, one of bytes and one of operations. A bucket fills at
 * its rate up to its burst; what is done takes from it, and while one is empty nothing begins. So
 * over a time the rate holds, and after a rest the burst comes at once. A burst is at least one, and
 * what the rate gives in a hundredth of a second.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A PiB a second is no limit; sums of a rate and a burst stay far from overflowing. */
#define THROTTLE_MAX (1ULL << 50)

typedef struct ThrottleLimits {
        uint64_t bytes; /* a second, up to THROTTLE_MAX; 0: unlimited */
        uint64_t
                bytes_burst; /* up to THROTTLE_MAX; 0: what the rate gives in a tenth of a second */
        uint64_t ops;        /* likewise */
        uint64_t ops_burst;
} ThrottleLimits;

/* Which of a device's throttles. A network device has one for each direction, others have one. */
typedef enum ThrottleDirection {
        THROTTLE_ALL,      /* p9, block: all that is done */
        THROTTLE_TRANSMIT, /* net: from the guest; an operation is a packet */
        THROTTLE_RECEIVE,  /* net: to the guest */
        THROTTLE_DIRECTION_MAX,
} ThrottleDirection;

static inline bool throttle_limits_are_valid(const ThrottleLimits *limits)
{
        return limits->bytes <= THROTTLE_MAX && limits->bytes_burst <= THROTTLE_MAX &&
               limits->ops <= THROTTLE_MAX && limits->ops_burst <= THROTTLE_MAX;
}
