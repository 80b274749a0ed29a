/* Monotonic time and scaled time limits; see clock.h. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/parse.h"

static uint64_t clock_read_usec(clockid_t clock)
{
        struct timespec now;

        if (clock_gettime(clock, &now) < 0)
                return 0;
        return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / NSEC_PER_USEC;
}

uint64_t clock_now_usec(void)
{
        return clock_read_usec(CLOCK_MONOTONIC);
}

uint64_t clock_coarse_usec(void)
{
        return clock_read_usec(CLOCK_MONOTONIC_COARSE);
}

uint64_t clock_realtime_usec(void)
{
        return clock_read_usec(CLOCK_REALTIME);
}

uint64_t clock_cpu_usec(clockid_t clock)
{
        return clock_read_usec(clock);
}

uint64_t clock_limit_usec(uint64_t usec)
{
        const char *text = getenv("UVM_TIME_SCALE");
        uint64_t scale = 1, scaled;

        if (!text || parse_u64(text, 1, 100, &scale) < 0)
                return usec;
        return __builtin_mul_overflow(usec, scale, &scaled) ? UINT64_MAX : scaled;
}
