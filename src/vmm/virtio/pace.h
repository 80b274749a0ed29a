/*
 * A throttle on the real clock: says whether the next request may begin, and when to ask again.
 *
 * Thread: the loop's, or its visitor. virtio_pace_set() on any: the limits are taken over by the next
 * virtio_pace_may_begin(), so that who sets them waits for nobody.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/loop.h"
#include "vmm/virtio/throttle.h"

typedef struct VirtioPace {
        Throttle throttle;
        LoopTimer timer;
        void *userdata;        /* whoever's it is, for the timer's handler */
        uint64_t waiting_usec; /* since when nothing may begin; 0: something may */

        pthread_mutex_t mutex;
        ThrottleLimits limits;  /* under the mutex: the newest */
        atomic_bool is_changed; /* they are not taken over yet */
} VirtioPace;

/* No limits until they are set. */
void virtio_pace_init(VirtioPace *pace, void *userdata);
void virtio_pace_done(VirtioPace *pace);

/* Whoever pops has to be told to look again. */
void virtio_pace_set(VirtioPace *pace, const ThrottleLimits *limits);

/* Whether there are limits, also ones that were not taken over yet. */
bool virtio_pace_is_limited(VirtioPace *pace);

/*
 * Whether a request may begin. If not, @handler is called on @loop when one may. If so, @ret_waited
 * is how long none could until now, in µs.
 */
bool virtio_pace_may_begin(VirtioPace *pace, Loop *loop, LoopTimerHandler handler,
                           uint64_t *ret_waited);

static inline void virtio_pace_take(VirtioPace *pace, uint64_t bytes, uint64_t ops)
{
        throttle_take(&pace->throttle, bytes, ops);
}

static inline void virtio_pace_give(VirtioPace *pace, uint64_t bytes)
{
        throttle_give(&pace->throttle, bytes);
}

/* The handler isn't called any more; what is owed stays. */
void virtio_pace_cancel(VirtioPace *pace);
