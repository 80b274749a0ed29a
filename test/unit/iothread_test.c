/* A thread with a loop, and its visitors. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "test/unit.h"
#include "vmm/thread/iothread.h"

/* What a test's thread has on its loop; changed by handlers and visitors only. */
static struct {
        IoThread *thread;
        LoopFd source;
        LoopTimer timer;
        int fd;   /* of the source */
        int pipe; /* what a handler that blocks reads */
        unsigned handled;
        int result;
        atomic_bool entered; /* a handler that blocks is about to */
        atomic_int failed;
        int told; /* an eventfd: a handler has something to tell */
} fixture;

static void tell(void)
{
        uint64_t one = 1;

        unit_assert_int(write(fixture.told, &one, sizeof(one)), sizeof(one));
}

/* Waits for the next tell(). */
static void hear(void)
{
        uint64_t n;

        unit_assert_int(read(fixture.told, &n, sizeof(n)), sizeof(n));
}

static void on_failed(void *userdata, const char *name, int error)
{
        unit_assert(userdata == &fixture);
        unit_assert_string(name, "tested");
        fixture.failed = error;
        tell();
}

static void begin(void)
{
        memset(&fixture, 0, sizeof(fixture));
        fixture.fd = eventfd(0, EFD_CLOEXEC);
        fixture.told = eventfd(0, EFD_CLOEXEC);
        fixture.pipe = FD_NONE;
        unit_assert_int(iothread_new("tested", on_failed, &fixture, &fixture.thread), 0);
}

static void end(void)
{
        fixture.thread = iothread_free(fixture.thread);
        fixture.fd = fd_close(fixture.fd);
        fixture.told = fd_close(fixture.told);
}

static void watch(LoopFdHandler handler)
{
        iothread_enter(fixture.thread);
        unit_assert_int(loop_fd_add(iothread_loop(fixture.thread), &fixture.source, fixture.fd,
                                    EPOLLIN, handler),
                        0);
        iothread_leave(fixture.thread);
}

static void unwatch(void)
{
        iothread_enter(fixture.thread);
        loop_fd_remove(&fixture.source);
        iothread_leave(fixture.thread);
}

static void raise_source(void)
{
        uint64_t one = 1;

        unit_assert_int(write(fixture.fd, &one, sizeof(one)), sizeof(one));
}

static int on_event(LoopFd *source, uint32_t events)
{
        uint64_t n;

        fixture.handled++;
        unit_assert_int(read(fixture.fd, &n, sizeof(n)), sizeof(n));
        tell();
        return 0;
}

static void test_handlers(void)
{
        begin();
        watch(on_event);
        for (unsigned i = 0; i < 100; i++) {
                raise_source();
                hear();
        }
        unwatch();
        unit_assert_int(fixture.handled, 100);
        end();
}

static int on_busy(LoopFd *source, uint32_t events)
{
        fixture.handled++;
        return 0;
}

/* A thread that never waits is visited all the same, and does nothing meanwhile. */
static void test_busy(void)
{
        unsigned before;

        begin();
        watch(on_busy);
        raise_source();
        for (unsigned i = 0; i < 100; i++) {
                iothread_enter(fixture.thread);
                before = fixture.handled;
                for (unsigned spin = 0; spin < 1000; spin++)
                        unit_assert_int(*(volatile unsigned *)&fixture.handled, before);
                iothread_leave(fixture.thread);
        }
        iothread_enter(fixture.thread);
        before = fixture.handled;
        while (fixture.handled == before)
                unit_assert_int(iothread_wait(fixture.thread), 0);
        iothread_leave(fixture.thread);
        unwatch();
        end();
}

static int on_timer(LoopTimer *timer)
{
        tell();
        return 0;
}

/* A thread that waits for ever learns of a timer that a visitor arms. */
static void test_timer(void)
{
        begin();
        iothread_enter(fixture.thread);
        loop_timer_arm(iothread_loop(fixture.thread), &fixture.timer, clock_now_usec() + 2000,
                       on_timer);
        iothread_leave(fixture.thread);
        hear();
        end();
}

static int on_block(LoopFd *source, uint32_t events)
{
        char byte;

        loop_fd_remove(source);
        fixture.entered = true;
        fixture.result = read(fixture.pipe, &byte, 1) < 0 ? errno_neg() : 0;
        fixture.handled++;
        return 0;
}

/* A visitor isn't kept by a handler that blocks; it interrupts it. */
static void test_blocked(void)
{
        int ends[2];

        begin();
        unit_assert_int(pipe(ends), 0);
        fixture.pipe = ends[0];
        watch(on_block);
        raise_source();
        while (!fixture.entered)
                ;
        iothread_enter(fixture.thread);
        unit_assert_int(fixture.handled, 1);
        unit_assert_int(fixture.result, -EINTR);
        iothread_leave(fixture.thread);
        end();
        fd_close(ends[0]);
        fd_close(ends[1]);
}

static int on_stuck(LoopFd *source, uint32_t events)
{
        char byte;

        loop_fd_remove(source);
        fixture.entered = true;
        while (read(fixture.pipe, &byte, 1) < 0)
                ;
        return 0;
}

/* One that takes no notice of signals is not waited for. */
static void test_stuck(void)
{
        int ends[2];

        begin();
        unit_assert_int(pipe(ends), 0);
        fixture.pipe = ends[0];
        watch(on_stuck);
        raise_source();
        while (!fixture.entered)
                ;
        unit_assert_int(iothread_try_enter(fixture.thread), -EAGAIN);
        unit_assert_int(iothread_try_enter(fixture.thread), -EAGAIN);
        unit_assert_int(write(ends[1], "x", 1), 1);
        iothread_enter(fixture.thread);
        iothread_leave(fixture.thread);
        end();
        fd_close(ends[0]);
        fd_close(ends[1]);
}

static int on_error(LoopFd *source, uint32_t events)
{
        loop_fd_remove(source);
        return -ENOTRECOVERABLE;
}

static void test_failed(void)
{
        begin();
        watch(on_error);
        raise_source();
        hear();
        unit_assert_int(fixture.failed, -ENOTRECOVERABLE);
        /* It can still be visited, for what is to be taken away. */
        iothread_enter(fixture.thread);
        iothread_leave(fixture.thread);
        end();
}

UNIT_MAIN(UNIT_TEST(test_handlers), UNIT_TEST(test_busy), UNIT_TEST(test_timer),
          UNIT_TEST(test_blocked), UNIT_TEST(test_stuck), UNIT_TEST(test_failed))
