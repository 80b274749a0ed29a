/* Lists of CPUs as the kernel, systemd and people write them: "0-3,8". Pure; the text may be anybody's. */
#pragma once

#include <stdint.h>

/*
 * Reads the next range of a list and goes on behind it and its comma; numbers are below @max, which is
 * at most INT32_MAX. What ends it stays: whoever takes the last one looks at it. 1 if another range has
 * to follow, 0 if this was the last, or -EINVAL.
 */
int cpulist_read_range(const char **text, uint32_t max, uint32_t *ret_first, uint32_t *ret_last);
