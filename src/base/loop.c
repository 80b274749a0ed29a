/* The event loop of the libc-only programs; see loop.h. */
#include <assert.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/loop.h"

#define LOOP_BATCH 32

struct Loop {
        int epoll_fd;
        bool stopped;
        int code;
        List timers; /* by deadline, soonest first */

        void (*before_wait)(void *userdata);
        void (*after_wait)(void *userdata);
        void *wait_userdata;

        /* The batch at hand: a removed source is cleared from it. */
        struct epoll_event batch[LOOP_BATCH];
        int n_batch;
};

int loop_new(Loop **ret)
{
        Loop *loop = calloc(1, sizeof(*loop));

        if (!loop)
                return -ENOMEM;
        list_init(&loop->timers);
        loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (loop->epoll_fd < 0) {
                int r = errno_neg();

                free(loop);
                return r;
        }
        *ret = loop;
        return 0;
}

Loop *loop_free(Loop *loop)
{
        if (!loop)
                return NULL;
        list_for_each (item, &loop->timers)
                loop_timer_cancel(LIST_ENTRY(item, LoopTimer, link));
        fd_close(loop->epoll_fd);
        free(loop);
        return NULL;
}

void loop_stop(Loop *loop, int code)
{
        loop->stopped = true;
        loop->code = code;
}

/* Milliseconds to wait, rounded up so that a timer is never found early and spun on. */
static int loop_timeout_msec(Loop *loop, uint64_t limit_usec)
{
        List *first = list_first(&loop->timers);
        uint64_t wait = limit_usec, now;

        if (first) {
                now = clock_now_usec();
                uint64_t deadline = LIST_ENTRY(first, LoopTimer, link)->deadline_usec;

                wait = MIN(wait, deadline > now ? deadline - now : 0);
        }
        if (wait == UINT64_MAX)
                return -1;
        return (int)MIN((wait + USEC_PER_MSEC - 1) / USEC_PER_MSEC, 1000000ULL);
}

static int loop_dispatch_timers(Loop *loop)
{
        List *first;
        uint64_t now;

        /* Most rounds of most loops: no look at the clock. */
        if (!list_first(&loop->timers))
                return 0;
        now = clock_now_usec();
        while (!loop->stopped && (first = list_first(&loop->timers))) {
                LoopTimer *timer = LIST_ENTRY(first, LoopTimer, link);
                int r;

                if (timer->deadline_usec > now)
                        break;
                loop_timer_cancel(timer);
                r = timer->handler(timer);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int loop_dispatch_batch(Loop *loop)
{
        for (int i = 0; i < loop->n_batch && !loop->stopped; i++) {
                LoopFd *source = loop->batch[i].data.ptr;
                int r;

                if (!source)
                        continue;
                r = source->handler(source, loop->batch[i].events);
                if (r < 0)
                        return r;
        }
        return 0;
}

void loop_set_wait_hooks(Loop *loop, void (*before)(void *), void (*after)(void *), void *userdata)
{
        loop->before_wait = before;
        loop->after_wait = after;
        loop->wait_userdata = userdata;
}

static int loop_wait(Loop *loop, int timeout_msec)
{
        int n, r;

        if (loop->before_wait)
                loop->before_wait(loop->wait_userdata);
        n = epoll_wait(loop->epoll_fd, loop->batch, LOOP_BATCH, timeout_msec);
        r = n < 0 ? errno_neg() : n;
        if (loop->after_wait)
                loop->after_wait(loop->wait_userdata);
        return r;
}

int loop_step(Loop *loop, uint64_t limit_usec)
{
        int timeout_msec = loop_timeout_msec(loop, limit_usec);
        int n, r;

        n = loop_wait(loop, timeout_msec);
        if (n < 0)
                return n == -EINTR ? 0 : n;
        loop->n_batch = n;
        r = loop_dispatch_batch(loop);
        loop->n_batch = 0;
        /* Before it had waited for as long as it meant to: the next round looks at the clock anyway. */
        if (r < 0 || (n > 0 && timeout_msec != 0))
                return r;
        return loop_dispatch_timers(loop);
}

int loop_run(Loop *loop)
{
        loop->stopped = false;
        while (!loop->stopped) {
                int r = loop_step(loop, UINT64_MAX);

                if (r < 0)
                        return r;
        }
        return loop->code;
}

int loop_fd_add(Loop *loop, LoopFd *source, int fd, uint32_t events, LoopFdHandler handler)
{
        struct epoll_event event = {.events = events, .data.ptr = source};

        assert(!source->loop);
        if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
                return errno_neg();
        *source = (LoopFd){.loop = loop, .fd = fd, .events = events, .handler = handler};
        return 0;
}

int loop_fd_watch(LoopFd *source, uint32_t events)
{
        struct epoll_event event = {.events = events, .data.ptr = source};

        assert(source->loop);
        if (source->events == events)
                return 0;
        if (epoll_ctl(source->loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &event) < 0)
                return errno_neg();
        source->events = events;
        return 0;
}

void loop_fd_remove(LoopFd *source)
{
        Loop *loop = source->loop;

        if (!loop)
                return;
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
        /* All of it: by a visitor's hand (loop_set_wait_hooks()) it may be filled and not counted yet. */
        for (int i = 0; i < LOOP_BATCH; i++)
                if (loop->batch[i].data.ptr == source)
                        loop->batch[i].data.ptr = NULL;
        source->loop = NULL;
}

void loop_timer_arm(Loop *loop, LoopTimer *timer, uint64_t deadline_usec, LoopTimerHandler handler)
{
        List *before = &loop->timers;

        loop_timer_cancel(timer);
        list_for_each (item, &loop->timers) {
                if (LIST_ENTRY(item, LoopTimer, link)->deadline_usec > deadline_usec) {
                        before = item;
                        break;
                }
        }
        timer->loop = loop;
        timer->deadline_usec = deadline_usec;
        timer->handler = handler;
        /* Appending to an item as if it were the head puts the timer right before it. */
        list_append(before, &timer->link);
}

void loop_timer_cancel(LoopTimer *timer)
{
        list_remove(&timer->link);
        timer->loop = NULL;
}

int loop_signals_open(const sigset_t *mask, int *ret_fd)
{
        int fd;

        if (sigprocmask(SIG_BLOCK, mask, NULL) < 0)
                return errno_neg();
        fd = signalfd(-1, mask, SFD_CLOEXEC | SFD_NONBLOCK);
        if (fd < 0)
                return errno_neg();
        *ret_fd = fd;
        return 0;
}
