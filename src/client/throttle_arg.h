/*
 * What people write for the limits of a network device:
 *
 *      INTERFACE:LIMIT=VALUE[,LIMIT=VALUE…]        INTERFACE:none
 *
 * Limits are bps and pps, bytes and packets a second, bps-burst and pps-burst; with "tx-" or "rx-" in front of what
 * the guest sends, or gets, else of either. A direction of which nothing is said stays as it is. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct ThrottleArgLimits {
        bool given; /* without any limit: there is none any more */
        uint64_t bytes, bytes_burst, packets, packets_burst;
} ThrottleArgLimits;

typedef struct ThrottleArg {
        char *text; /* owned; the name points into it */
        const char *interface;
        ThrottleArgLimits transmit, receive;
} ThrottleArg;

/* 0; -EINVAL with one sentence in *ret_error (free() it); or -ENOMEM. The second is of limits only, without an
 * interface. */
int throttle_arg_parse(ThrottleArg *arg, const char *text, char **ret_error);
int throttle_arg_parse_limits(ThrottleArg *arg, const char *text, char **ret_error);
void throttle_arg_done(ThrottleArg *arg);
