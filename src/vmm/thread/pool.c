/* Threads for what blocks; see pool.h. */
#include <assert.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "vmm/thread/pool.h"
#include "vmm/thread/thread.h"

#define POOL_IDLE_USEC (5 * USEC_PER_SEC)

static struct timespec pool_idle_deadline(const Pool *pool)
{
        uint64_t usec = clock_now_usec() + pool->config.idle_usec;

        return (struct timespec){
                .tv_sec = (time_t)(usec / USEC_PER_SEC),
                .tv_nsec = (long)(usec % USEC_PER_SEC * NSEC_PER_USEC),
        };
}

/* With the mutex. The next job, or NULL: the thread has been idle for long enough, or all end. */
static PoolJob *pool_next(Pool *pool)
{
        const struct timespec deadline = pool_idle_deadline(pool);
        List *item;
        int r = 0;

        pool->n_idle++;
        while (list_is_empty(&pool->waiting) && !pool->ending && r == 0)
                r = pthread_cond_timedwait(&pool->work, &pool->mutex, &deadline);
        pool->n_idle--;
        item = list_first(&pool->waiting);
        if (!item)
                return NULL;
        list_remove(item);
        pool->n_waiting--;
        return LIST_ENTRY(item, PoolJob, link);
}

/* With the mutex. The loop is told of the first; it takes all there are. */
static void pool_put_done(Pool *pool, PoolJob *job)
{
        uint64_t one = 1;
        bool is_first = list_is_empty(&pool->done);

        list_append(&pool->done, &job->link);
        if (is_first && write(pool->done_fd, &one, sizeof(one)) < 0)
                assert(errno == EAGAIN); /* full: it is readable anyway */
}

static void *pool_thread_run(void *userdata)
{
        PoolThread *self = userdata;
        Pool *pool = self->pool;

        thread_set_name(pool->config.name);
        pthread_mutex_lock(&pool->mutex);
        while ((self->job = pool_next(pool))) {
                PoolJob *job = self->job;

                pthread_mutex_unlock(&pool->mutex);
                job->run(job);
                pthread_mutex_lock(&pool->mutex);
                self->job = NULL;
                pool_put_done(pool, job);
        }
        self->state = POOL_THREAD_ENDED;
        pool->n_running--;
        pthread_mutex_unlock(&pool->mutex);
        return NULL;
}

static int pool_on_done(LoopFd *source, uint32_t events)
{
        Pool *pool = CONTAINER_OF(source, Pool, done_source);
        List done = LIST_INIT(done), *item;
        uint64_t n;

        if (read(pool->done_fd, &n, sizeof(n)) < 0 && !error_is_transient(errno_neg()))
                return errno_neg();
        pthread_mutex_lock(&pool->mutex);
        while ((item = list_first(&pool->done))) {
                list_remove(item);
                list_append(&done, item);
        }
        pthread_mutex_unlock(&pool->mutex);
        while ((item = list_first(&done))) {
                PoolJob *job = LIST_ENTRY(item, PoolJob, link);

                list_remove(item);
                pool->in_flight--;
                job->done(job);
        }
        if (pool->config.settled)
                pool->config.settled(pool->config.userdata);
        return 0;
}

int pool_init(Pool *pool, const PoolConfig *config)
{
        pthread_condattr_t attributes;
        int r;

        *pool = (Pool){.config = *config};
        if (pool->config.idle_usec == 0)
                pool->config.idle_usec = POOL_IDLE_USEC;
        r = thread_prepare_process();
        if (r < 0)
                return r;
        pool->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (pool->done_fd < 0)
                return errno_neg();
        r = loop_fd_add(config->loop, &pool->done_source, pool->done_fd, EPOLLIN, pool_on_done);
        if (r < 0) {
                pool->done_fd = fd_close(pool->done_fd);
                return r;
        }
        list_init(&pool->waiting);
        list_init(&pool->done);
        pthread_mutex_init(&pool->mutex, NULL);
        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(&pool->work, &attributes);
        pthread_condattr_destroy(&attributes);
        return 0;
}

static void pool_join(Pool *pool, PoolThread *thread)
{
        bool is_there;

        pthread_mutex_lock(&pool->mutex);
        is_there = thread->state != POOL_THREAD_NONE;
        pthread_mutex_unlock(&pool->mutex);
        if (is_there)
                pthread_join(thread->thread, NULL);
}

void pool_done(Pool *pool)
{
        if (!pool->done_source.loop)
                return;
        assert(pool->in_flight == 0);
        pthread_mutex_lock(&pool->mutex);
        pool->ending = true;
        pthread_cond_broadcast(&pool->work);
        pthread_mutex_unlock(&pool->mutex);
        for (unsigned i = 0; i < POOL_THREADS_MAX; i++)
                pool_join(pool, &pool->threads[i]);
        loop_fd_remove(&pool->done_source);
        pool->done_fd = fd_close(pool->done_fd);
        pthread_cond_destroy(&pool->work);
        pthread_mutex_destroy(&pool->mutex);
}

/* With the mutex. A place for one more thread; one that ended is joined, which takes no time. */
static PoolThread *pool_find_place(Pool *pool)
{
        for (unsigned i = 0; i < POOL_THREADS_MAX; i++) {
                PoolThread *thread = &pool->threads[i];

                if (thread->state == POOL_THREAD_RUNNING)
                        continue;
                if (thread->state == POOL_THREAD_ENDED)
                        pthread_join(thread->thread, NULL);
                thread->state = POOL_THREAD_NONE;
                return thread;
        }
        return NULL;
}

/* With the mutex. */
static int pool_grow(Pool *pool)
{
        PoolThread *thread = pool_find_place(pool);
        int r;

        if (!thread)
                return 0;
        thread->pool = pool;
        thread->state = POOL_THREAD_RUNNING;
        pool->n_running++;
        r = thread_start(&thread->thread, pool_thread_run, thread);
        if (r == 0)
                return 0;
        thread->state = POOL_THREAD_NONE;
        pool->n_running--;
        /* Fewer threads do as well. */
        return pool->n_running > 0 ? 0 : r;
}

int pool_submit(Pool *pool, PoolJob *job)
{
        int r = 0;

        atomic_store(&job->interrupted, false);
        pthread_mutex_lock(&pool->mutex);
        if (pool->n_waiting >= pool->n_idle)
                r = pool_grow(pool);
        if (r == 0) {
                list_append(&pool->waiting, &job->link);
                pool->n_waiting++;
                pool->in_flight++;
                pthread_cond_signal(&pool->work);
        }
        pthread_mutex_unlock(&pool->mutex);
        return r;
}

/* With the mutex. The thread that runs @job, or NULL. */
static PoolThread *pool_find_runner(Pool *pool, const PoolJob *job)
{
        for (unsigned i = 0; i < POOL_THREADS_MAX; i++)
                if (pool->threads[i].job == job)
                        return &pool->threads[i];
        return NULL;
}

static bool pool_is_waiting(Pool *pool, const PoolJob *job)
{
        list_for_each (item, &pool->waiting)
                if (LIST_ENTRY(item, PoolJob, link) == job)
                        return true;
        return false;
}

bool pool_cancel(Pool *pool, PoolJob *job)
{
        bool waits;

        pthread_mutex_lock(&pool->mutex);
        waits = pool_is_waiting(pool, job);
        if (waits) {
                list_remove(&job->link);
                pool->n_waiting--;
                pool->in_flight--;
        }
        pthread_mutex_unlock(&pool->mutex);
        return waits;
}

void pool_interrupt(Pool *pool, PoolJob *job)
{
        PoolThread *runner;

        pthread_mutex_lock(&pool->mutex);
        atomic_store(&job->interrupted, true);
        runner = pool_find_runner(pool, job);
        if (runner)
                thread_interrupt(runner->thread);
        pthread_mutex_unlock(&pool->mutex);
}
