/*
 * Two channels of failure in one int.
 *
 *   0          done
 *   negative   an errno of ours or the host's: passed up unchanged, never interpreted halfway
 *   positive   MODULE_E_*: the guest, client or peer did something documented; the function's
 *              comment lists which, and its caller handles each
 */
#pragma once

#include <errno.h>
#include <stdbool.h>

/* errno as a negative return value, for the line after a failed system call. */
static inline int errno_neg(void)
{
        return errno > 0 ? -errno : -EIO;
}

/* Failures that say "not now" rather than "no". */
static inline bool error_is_transient(int r)
{
        return r == -EAGAIN || r == -EINTR;
}

/* Failures that mean the other end of a stream is gone. */
static inline bool error_is_disconnect(int r)
{
        return r == -EPIPE || r == -ECONNRESET || r == -ECONNABORTED || r == -ENOTCONN ||
               r == -ESHUTDOWN;
}
