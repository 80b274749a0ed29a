/* The host's clock; see hostclock.h. */
#include <errno.h>
#include <stdint.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"

#include "shim/hostclock.h"

/* Never comes: all that is waited for is the clock being set (timerfd_create(2), CANCEL_ON_SET; the
 * kernel does it after a suspension too, fs/timerfd.c, timerfd_resume()). */
#define FAR_SECONDS INT32_MAX

static int hostclock_arm(HostClock *clock)
{
        struct itimerspec far = {.it_value.tv_sec = FAR_SECONDS};

        if (timerfd_settime(clock->fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, NULL) < 0)
                return -errno;
        return 0;
}

static int hostclock_on_set(LoopFd *source, uint32_t events)
{
        HostClock *clock = CONTAINER_OF(source, HostClock, source);
        uint64_t expirations;
        int r;

        if (read(clock->fd, &expirations, sizeof(expirations)) < 0 && errno != ECANCELED)
                return 0;
        r = hostclock_arm(clock);
        if (r < 0) {
                log_warning_errno(r, "The host's clock is watched no longer");
                loop_fd_remove(source);
        }
        hostclock_tell(clock);
        return 0;
}

void hostclock_init(HostClock *clock, Loop *loop, AgentLink *agent)
{
        int r;

        *clock = (HostClock){.loop = loop, .agent = agent};
        clock->fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
        r = clock->fd < 0 ? -errno : hostclock_arm(clock);
        if (r == 0)
                r = loop_fd_add(loop, &clock->source, clock->fd, EPOLLIN, hostclock_on_set);
        if (r < 0)
                log_warning_errno(r, "The host's clock can't be watched");
}

void hostclock_done(HostClock *clock)
{
        loop_fd_remove(&clock->source);
        clock->fd = fd_close(clock->fd);
}

static void hostclock_on_told(AgentCall *call, int error, const uint8_t *payload, size_t size)
{
        HostClock *clock = CONTAINER_OF(call, HostClock, call);
        bool again = clock->again;
        AgentReply reply = {};

        if (error == -ECANCELED)
                return;
        if (agent_reply_decode(payload, size, &reply) < 0 || reply.code != 0)
                log_warning("The guest's clock could not be set: %s",
                            reply.text ? reply.text : "?");
        agent_reply_done(&reply);
        clock->again = false;
        if (again)
                hostclock_tell(clock);
}

void hostclock_tell(HostClock *clock)
{
        AgentTime time = {.realtime_usec = clock_realtime_usec()};
        uint8_t payload[16];
        size_t size;

        if (clock->agent->state != AGENT_LINK_UP)
                return;
        if (!list_is_empty(&clock->call.link)) {
                clock->again = true;
                return;
        }
        if (agent_time_encode(&time, payload, sizeof(payload), &size) < 0 ||
            agent_link_call(clock->agent, &clock->call, AGENT_REQUEST_SET_TIME, payload, size,
                            hostclock_on_told) < 0)
                log_warning("The guest can't be told what time it is");
}
