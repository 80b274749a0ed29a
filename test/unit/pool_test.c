/* The pool of threads for what blocks. */
#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "test/unit.h"
#include "vmm/thread/pool.h"

#define N_JOBS 64

/* A job reads a byte of a pipe. */
typedef struct TestJob {
        PoolJob job;
        int fd;
        int result;
        bool done;
        pthread_t ran_on;
} TestJob;

static struct {
        Loop *loop;
        Pool pool;
        TestJob jobs[N_JOBS];
        unsigned n_done, n_settled;
        int pipes[POOL_THREADS_MAX][2];
} fixture;

static void on_settled(void *userdata)
{
        unit_assert(userdata == &fixture);
        fixture.n_settled++;
}

static void begin(uint64_t idle_usec)
{
        memset(&fixture, 0, sizeof(fixture));
        unit_assert_int(loop_new(&fixture.loop), 0);
        unit_assert_int(pool_init(&fixture.pool,
                                  &(PoolConfig){
                                          .loop = fixture.loop,
                                          .name = "pool",
                                          .settled = on_settled,
                                          .userdata = &fixture,
                                          .idle_usec = idle_usec,
                                  }),
                        0);
        for (unsigned i = 0; i < POOL_THREADS_MAX; i++)
                unit_assert_int(pipe(fixture.pipes[i]), 0);
}

static void end(void)
{
        pool_done(&fixture.pool);
        fixture.loop = loop_free(fixture.loop);
        for (unsigned i = 0; i < POOL_THREADS_MAX; i++) {
                fd_close(fixture.pipes[i][0]);
                fd_close(fixture.pipes[i][1]);
        }
}

static void job_run(PoolJob *job)
{
        TestJob *self = CONTAINER_OF(job, TestJob, job);
        char byte;

        self->ran_on = pthread_self();
        do
                self->result = read(self->fd, &byte, 1) < 0 ? errno_neg() : 0;
        while (self->result == -EINTR && !atomic_load(&job->interrupted));
}

static void job_done(PoolJob *job)
{
        TestJob *self = CONTAINER_OF(job, TestJob, job);

        self->done = true;
        fixture.n_done++;
}

static TestJob *submit(unsigned i, unsigned from)
{
        TestJob *job = &fixture.jobs[i];

        *job = (TestJob){
                .job = {.run = job_run, .done = job_done},
                .fd = fixture.pipes[from][0],
        };
        unit_assert_int(pool_submit(&fixture.pool, &job->job), 0);
        return job;
}

static void release(unsigned from)
{
        unit_assert_int(write(fixture.pipes[from][1], "x", 1), 1);
}

static void wait_for(unsigned n)
{
        while (fixture.n_done < n)
                unit_assert_int(loop_step(fixture.loop, UINT64_MAX), 0);
}

/* Jobs that block hold one thread each and don't keep others, up to the last thread. */
static void test_beside(void)
{
        TestJob *quick;

        begin(0);
        for (unsigned i = 0; i < POOL_THREADS_MAX - 1; i++)
                submit(i, i);
        quick = submit(10, POOL_THREADS_MAX - 1);
        release(POOL_THREADS_MAX - 1);
        wait_for(1);
        unit_assert(quick->done);
        unit_assert_int(fixture.n_settled, 1);
        unit_assert_int(fixture.pool.in_flight, POOL_THREADS_MAX - 1);
        for (unsigned i = 0; i < POOL_THREADS_MAX - 1; i++)
                release(i);
        wait_for(POOL_THREADS_MAX);
        unit_assert_int(fixture.pool.in_flight, 0);
        end();
}

/* Every job is done once, also when there are many more than threads. */
static void test_many(void)
{
        begin(0);
        for (unsigned round = 0; round < 20; round++) {
                fixture.n_done = 0;
                for (unsigned i = 0; i < N_JOBS; i++) {
                        submit(i, 0);
                        if (i % 2)
                                release(0);
                }
                for (unsigned i = 0; i < N_JOBS / 2; i++)
                        release(0);
                wait_for(N_JOBS);
                for (unsigned i = 0; i < N_JOBS; i++) {
                        unit_assert(fixture.jobs[i].done);
                        unit_assert_int(fixture.jobs[i].result, 0);
                }
        }
        end();
}

/* One that waits for a thread can be had back, one that has begun only be interrupted. */
static void test_cancel(void)
{
        TestJob *waiting;

        begin(0);
        for (unsigned i = 0; i < POOL_THREADS_MAX; i++)
                submit(i, i);
        waiting = submit(10, 0);
        unit_assert(pool_cancel(&fixture.pool, &waiting->job));
        unit_assert(!pool_cancel(&fixture.pool, &waiting->job));
        unit_assert_int(fixture.pool.in_flight, POOL_THREADS_MAX);
        /* The first may not be in its system call yet: one signal can come too early. */
        while (!fixture.jobs[0].done) {
                pool_interrupt(&fixture.pool, &fixture.jobs[0].job);
                unit_assert_int(loop_step(fixture.loop, USEC_PER_MSEC), 0);
        }
        unit_assert_int(fixture.jobs[0].result, -EINTR);
        unit_assert_int(fixture.n_done, 1);
        for (unsigned i = 1; i < POOL_THREADS_MAX; i++)
                release(i);
        wait_for(POOL_THREADS_MAX);
        unit_assert(!waiting->done);
        for (unsigned i = 1; i < POOL_THREADS_MAX; i++)
                unit_assert_int(fixture.jobs[i].result, 0);
        end();
}

static unsigned count_running(void)
{
        unsigned n;

        pthread_mutex_lock(&fixture.pool.mutex);
        n = fixture.pool.n_running;
        pthread_mutex_unlock(&fixture.pool.mutex);
        return n;
}

/* Threads without work end, and others take their places. */
static void test_idle(void)
{
        begin(1);
        for (unsigned round = 0; round < 3; round++) {
                fixture.n_done = 0;
                submit(0, 0);
                unit_assert_int(count_running(), 1);
                release(0);
                wait_for(1);
                while (count_running() > 0)
                        ;
        }
        end();
}

/* A pool that was never used has no threads. */
static void test_unused(void)
{
        Pool nothing = {};

        pool_done(&nothing);
        begin(0);
        unit_assert_int(count_running(), 0);
        end();
}

UNIT_MAIN(UNIT_TEST(test_beside), UNIT_TEST(test_many), UNIT_TEST(test_cancel),
          UNIT_TEST(test_idle), UNIT_TEST(test_unused))
