/* Lists of CPUs as the kernel prints them: "0-2,5". Pure. */
#pragma once

#include <stdint.h>

/* How many are in it; 0 for what is no such list. */
uint32_t cpulist_count(const char *text);
