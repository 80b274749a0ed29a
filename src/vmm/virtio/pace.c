/* A throttle on the real clock; see pace.h. */
#include "vmm/virtio/pace.h"
#include "base/clock.h"

void virtio_pace_init(VirtioPace *pace, void *userdata)
{
        *pace = (VirtioPace){.userdata = userdata};
        pthread_mutex_init(&pace->mutex, NULL);
}

void virtio_pace_done(VirtioPace *pace)
{
        virtio_pace_cancel(pace);
        pthread_mutex_destroy(&pace->mutex);
}

void virtio_pace_set(VirtioPace *pace, const ThrottleLimits *limits)
{
        pthread_mutex_lock(&pace->mutex);
        pace->limits = *limits;
        pthread_mutex_unlock(&pace->mutex);
        atomic_store(&pace->is_changed, true);
}

bool virtio_pace_is_limited(VirtioPace *pace)
{
        bool is_limited;

        pthread_mutex_lock(&pace->mutex);
        is_limited = pace->limits.bytes > 0 || pace->limits.ops > 0;
        pthread_mutex_unlock(&pace->mutex);
        return is_limited;
}

static void pace_take_limits(VirtioPace *pace)
{
        uint64_t now = clock_now_usec();

        atomic_store(&pace->is_changed, false);
        pthread_mutex_lock(&pace->mutex);
        if (throttle_is_limited(&pace->throttle))
                throttle_change(&pace->throttle, &pace->limits, now);
        else
                throttle_init(&pace->throttle, &pace->limits, now);
        pthread_mutex_unlock(&pace->mutex);
}

bool virtio_pace_may_begin(VirtioPace *pace, Loop *loop, LoopTimerHandler handler,
                           uint64_t *ret_waited)
{
        uint64_t now, wait;

        *ret_waited = 0;
        if (atomic_load(&pace->is_changed))
                pace_take_limits(pace);
        /* The way of almost every device costs no look at the clock. */
        if (!throttle_is_limited(&pace->throttle) && pace->waiting_usec == 0)
                return true;
        now = clock_now_usec();
        wait = throttle_wait(&pace->throttle, now);
        if (wait > 0) {
                if (pace->waiting_usec == 0)
                        pace->waiting_usec = now;
                loop_timer_arm(loop, &pace->timer, now + wait, handler);
                return false;
        }
        if (pace->waiting_usec > 0)
                *ret_waited = now - pace->waiting_usec;
        virtio_pace_cancel(pace);
        return true;
}

void virtio_pace_cancel(VirtioPace *pace)
{
        loop_timer_cancel(&pace->timer);
        pace->waiting_usec = 0;
}
