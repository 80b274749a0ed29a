/* Watching a namespace; see monitor.h. Its messages are read and thrown away: that there are some, or
 * that some were lost (ENOBUFS), is all that counts. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "uvmd/net/monitor.h"

/* Those who set up an interface change it several times; nobody waits this long for a container. */
#define MONITOR_SETTLE_USEC (20 * USEC_PER_MSEC)
#define MONITOR_PAUSE_USEC  (100 * USEC_PER_MSEC)

/* In one go, so that a namespace full of changes doesn't keep the loop. */
#define MONITOR_READS_MAX 64

struct Monitor {
        int fd;
        MonitorHandler handler;
        void *userdata;
        sd_event_source *io, *timer;
        uint64_t last; /* when the handler was called */
};

static int monitor_on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Monitor *monitor = userdata;

        monitor->last = clock_now_usec();
        monitor->handler(monitor->userdata);
        return 0;
}

/* Not later than that after the first of them. */
static int monitor_arm(Monitor *monitor)
{
        uint64_t now = clock_now_usec();
        int enabled, r = sd_event_source_get_enabled(monitor->timer, &enabled);

        if (r < 0 || enabled != SD_EVENT_OFF)
                return r;
        r = sd_event_source_set_time(
                monitor->timer, MAX(now + MONITOR_SETTLE_USEC, monitor->last + MONITOR_PAUSE_USEC));
        return r < 0 ? r : sd_event_source_set_enabled(monitor->timer, SD_EVENT_ONESHOT);
}

static int monitor_on_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        Monitor *monitor = userdata;
        char buffer[512];
        ssize_t n = 0;
        int r;

        for (unsigned i = 0; i < MONITOR_READS_MAX && (n >= 0 || errno == ENOBUFS); i++)
                n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT | MSG_TRUNC);
        if (n < 0 && errno != ENOBUFS && !error_is_transient(errno_neg())) {
                log_error_errno(errno_neg(), "A network namespace can't be watched any more");
                return sd_event_source_set_enabled(source, SD_EVENT_OFF);
        }
        r = monitor_arm(monitor);
        if (r < 0)
                log_error_errno(r, "Can't wait for changes of a network");
        return 0;
}

Monitor *monitor_free(Monitor *monitor)
{
        if (!monitor)
                return NULL;
        sd_event_source_disable_unref(monitor->io);
        sd_event_source_disable_unref(monitor->timer);
        fd_close(monitor->fd);
        free(monitor);
        return NULL;
}

int monitor_new(Monitor **ret, sd_event *event, int fd, MonitorHandler handler, void *userdata)
{
        _cleanup_(monitor_freep) Monitor *monitor = calloc(1, sizeof(*monitor));
        int r;

        if (!monitor) {
                fd_close(fd);
                return -ENOMEM;
        }
        monitor->fd = fd;
        monitor->handler = handler;
        monitor->userdata = userdata;
        r = sd_event_add_io(event, &monitor->io, fd, EPOLLIN, monitor_on_io, monitor);
        if (r >= 0)
                r = sd_event_add_time(event, &monitor->timer, CLOCK_MONOTONIC, 0, 0,
                                      monitor_on_timer, monitor);
        if (r >= 0)
                r = sd_event_source_set_enabled(monitor->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(monitor);
        return 0;
}
