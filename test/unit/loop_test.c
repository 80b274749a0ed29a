/* Removal inside a batch, order of timers, end by a handler's error. */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "test/unit.h"

static Loop *loop;
static LoopFd first, second;
static LoopTimer timers[3];
static int fired[3], n_fired, n_dispatched;

static int handle_and_remove_both(LoopFd *source, uint32_t events)
{
        n_dispatched++;
        loop_fd_remove(&first);
        loop_fd_remove(&second);
        loop_stop(loop, 7);
        return 0;
}

static void test_remove_in_batch(void)
{
        int a[2], b[2];

        unit_assert_int(loop_new(&loop), 0);
        unit_assert_int(pipe(a), 0);
        unit_assert_int(pipe(b), 0);
        unit_assert_int(write(a[1], "x", 1), 1);
        unit_assert_int(write(b[1], "x", 1), 1);
        unit_assert_int(loop_fd_add(loop, &first, a[0], EPOLLIN, handle_and_remove_both), 0);
        unit_assert_int(loop_fd_add(loop, &second, b[0], EPOLLIN, handle_and_remove_both), 0);
        unit_assert_int(loop_run(loop), 7);
        unit_assert_int(n_dispatched, 1);
        loop_free(loop);
        for (int i = 0; i < 2; i++) {
                close(a[i]);
                close(b[i]);
        }
}

static int handle_timer(LoopTimer *timer)
{
        fired[n_fired++] = (int)(timer - timers);
        return n_fired == 3 ? -ECANCELED : 0;
}

static void test_timer_order(void)
{
        uint64_t now = clock_now_usec();

        unit_assert_int(loop_new(&loop), 0);
        loop_timer_arm(loop, &timers[0], now + 3000, handle_timer);
        loop_timer_arm(loop, &timers[1], now + 1000, handle_timer);
        loop_timer_arm(loop, &timers[2], now, handle_timer);
        loop_timer_arm(loop, &timers[2], now + 2000, handle_timer);
        unit_assert_int(loop_run(loop), -ECANCELED);
        unit_assert_int(fired[0], 1);
        unit_assert_int(fired[1], 2);
        unit_assert_int(fired[2], 0);
        loop_free(loop);
}

static LoopFd visited;

static void remove_visited(void *userdata)
{
        loop_fd_remove(&visited);
}

static int on_visited(LoopFd *source, uint32_t events)
{
        unit_fail("a source that was removed is dispatched");
}

/* Removed when the loop has the event in hand and waits for a lock to dispatch it. */
static void test_remove_behind_wait(void)
{
        int fd = eventfd(1, EFD_CLOEXEC);

        unit_assert(fd >= 0);
        unit_assert_int(loop_new(&loop), 0);
        unit_assert_int(loop_fd_add(loop, &visited, fd, EPOLLIN, on_visited), 0);
        loop_set_wait_hooks(loop, NULL, remove_visited, NULL);
        unit_assert_int(loop_step(loop, 0), 0);
        unit_assert(!visited.loop);
        loop_free(loop);
        close(fd);
}

static unsigned n_edges;

static int on_edge(LoopFd *source, uint32_t events)
{
        n_edges++;
        return 0;
}

/* An eventfd that nobody reads, each of whose writes is heard of. */
static void test_edges(void)
{
        int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        uint64_t one = 1;

        unit_assert_int(loop_new(&loop), 0);
        unit_assert_int(loop_fd_add(loop, &first, fd, EPOLLIN | EPOLLET, on_edge), 0);
        for (unsigned i = 0; i < 3; i++) {
                unit_assert_int(write(fd, &one, sizeof(one)), sizeof(one));
                unit_assert_int(loop_step(loop, 0), 0);
                unit_assert_int(loop_step(loop, 0), 0);
                unit_assert_int(n_edges, i + 1);
        }
        loop_fd_remove(&first);
        loop_free(loop);
        close(fd);
}

/* A source that is always ready keeps no timer from its turn. */
static void test_timer_beside_events(void)
{
        int fd = eventfd(1, EFD_CLOEXEC);
        unsigned rounds = 0;

        n_fired = 0;
        unit_assert_int(loop_new(&loop), 0);
        unit_assert_int(loop_fd_add(loop, &first, fd, EPOLLIN, on_edge), 0);
        loop_timer_arm(loop, &timers[0], clock_now_usec(), handle_timer);
        for (; n_fired == 0 && rounds < 3; rounds++)
                unit_assert_int(loop_step(loop, UINT64_MAX), 0);
        unit_assert_int(n_fired, 1);
        loop_fd_remove(&first);
        loop_free(loop);
        close(fd);
}

UNIT_MAIN(UNIT_TEST(test_remove_in_batch), UNIT_TEST(test_remove_behind_wait),
          UNIT_TEST(test_timer_order), UNIT_TEST(test_edges), UNIT_TEST(test_timer_beside_events))
