/* Monotonic time, in microseconds, and the product's time limits. */
#pragma once

#include <stdint.h>
#include <time.h>

#define USEC_PER_MSEC 1000ULL
#define USEC_PER_SEC  1000000ULL
#define NSEC_PER_USEC 1000ULL

uint64_t clock_now_usec(void);      /* CLOCK_MONOTONIC */
uint64_t clock_coarse_usec(void);   /* the same, some milliseconds behind: never a system call */
uint64_t clock_realtime_usec(void); /* CLOCK_REALTIME, since 1970 */

/* What a thread or a process has run for, by its clock; 0: it is gone. */
uint64_t clock_cpu_usec(clockid_t clock);

/*
 * A time limit of the product, stretched by the one factor for slow hosts: the environment variable
 * UVM_TIME_SCALE, a whole number from 1 to 100 (anything else counts as 1). Saturates.
 */
uint64_t clock_limit_usec(uint64_t usec);
