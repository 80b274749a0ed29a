/* The guest's clock; see guestclock.h. */
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

#include "agent/guestclock.h"

/* A clock that is this close needs no jump. */
#define SLACK_USEC (10 * USEC_PER_MSEC)

int guestclock_set(const Guest *guest, uint64_t realtime_usec)
{
        struct timespec time = {
                .tv_sec = (time_t)(realtime_usec / USEC_PER_SEC),
                .tv_nsec = (long)(realtime_usec % USEC_PER_SEC * NSEC_PER_USEC),
        };
        uint64_t now = clock_realtime_usec();
        uint64_t difference = now > realtime_usec ? now - realtime_usec : realtime_usec - now;

        if (guest->unix_directory || realtime_usec == 0 || difference <= SLACK_USEC ||
            clock_settime(CLOCK_REALTIME, &time) == 0)
                return 0;
        return log_warning_errno(errno_neg(), "cannot set the clock");
}
