/* Points in time as people write them. */
#pragma once

#include <stdint.h>

/*
 * "90s", "10m", "2h", "3d": so long before @now; "2026-01-31T12:00:00" with "Z" or an offset behind it, or
 * neither: UTC; a fraction of a second may follow the seconds; or seconds since 1970, with a fraction
 * or without. In µs of CLOCK_REALTIME. 0 or -EINVAL.
 */
int when_parse(const char *text, uint64_t now, uint64_t *ret);
