/* The guest's clock, which is to be the host's. */
#pragma once

#include <stdint.h>

#include "agent/guest.h"

/* Sets it, unless it is right but for some milliseconds. @realtime_usec 0: leave it, as a clock that is
 * not a guest's always is. 0 or -errno, and a line in the log. */
int guestclock_set(const Guest *guest, uint64_t realtime_usec);
