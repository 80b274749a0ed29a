/* A thread with a loop; see iothread.h. */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "vmm/thread/iothread.h"
#include "vmm/thread/thread.h"

#define IOTHREAD_WAIT_NSEC 10000000L

typedef enum IoThreadHolder {
        IOTHREAD_FREE,
        IOTHREAD_HANDLERS,
        IOTHREAD_VISITOR,
} IoThreadHolder;

struct IoThread {
        char name[16];
        Loop *loop;
        IoThreadFailed failed;
        void *userdata;
        pthread_t thread;
        int wake_fd; /* the loop looks at its timers and at @ending again */
        LoopFd wake;

        pthread_mutex_t mutex; /* of what follows; never held for long */
        pthread_cond_t changed;
        IoThreadHolder holder;
        unsigned n_visitors; /* who wait to enter: they go first */
        unsigned rounds;     /* how often the handlers were done */
        bool ending;
};

static void iothread_take(void *userdata)
{
        IoThread *thread = userdata;

        pthread_mutex_lock(&thread->mutex);
        while (thread->holder != IOTHREAD_FREE || thread->n_visitors > 0)
                pthread_cond_wait(&thread->changed, &thread->mutex);
        thread->holder = IOTHREAD_HANDLERS;
        pthread_mutex_unlock(&thread->mutex);
}

static void iothread_give(void *userdata)
{
        IoThread *thread = userdata;

        pthread_mutex_lock(&thread->mutex);
        assert(thread->holder == IOTHREAD_HANDLERS);
        thread->holder = IOTHREAD_FREE;
        thread->rounds++;
        pthread_cond_broadcast(&thread->changed);
        pthread_mutex_unlock(&thread->mutex);
}

static struct timespec iothread_deadline(void)
{
        struct timespec time;

        clock_gettime(CLOCK_MONOTONIC, &time);
        time.tv_nsec += IOTHREAD_WAIT_NSEC;
        if (time.tv_nsec >= 1000000000L) {
                time.tv_nsec -= 1000000000L;
                time.tv_sec++;
        }
        return time;
}

/* With the mutex. */
static int iothread_take_visitor(IoThread *thread)
{
        const struct timespec deadline = iothread_deadline();
        int r = 0;

        thread->n_visitors++;
        while (thread->holder != IOTHREAD_FREE && r == 0)
                r = pthread_cond_timedwait(&thread->changed, &thread->mutex, &deadline);
        thread->n_visitors--;
        if (thread->holder == IOTHREAD_FREE) {
                thread->holder = IOTHREAD_VISITOR;
                return 0;
        }
        if (thread->holder == IOTHREAD_HANDLERS)
                thread_interrupt(thread->thread);
        return -EAGAIN;
}

static void iothread_give_visitor(IoThread *thread)
{
        assert(thread->holder == IOTHREAD_VISITOR);
        thread->holder = IOTHREAD_FREE;
        pthread_cond_broadcast(&thread->changed);
}

static void iothread_wake(IoThread *thread)
{
        uint64_t one = 1;

        /* The counter can't be full. */
        if (write(thread->wake_fd, &one, sizeof(one)) < 0)
                assert(errno == EINTR);
}

void iothread_enter(IoThread *thread)
{
        while (iothread_try_enter(thread) < 0)
                ;
}

int iothread_try_enter(IoThread *thread)
{
        int r;

        pthread_mutex_lock(&thread->mutex);
        r = iothread_take_visitor(thread);
        pthread_mutex_unlock(&thread->mutex);
        return r;
}

void iothread_leave(IoThread *thread)
{
        pthread_mutex_lock(&thread->mutex);
        iothread_give_visitor(thread);
        pthread_mutex_unlock(&thread->mutex);
        iothread_wake(thread);
}

int iothread_wait(IoThread *thread)
{
        const struct timespec deadline = iothread_deadline();
        unsigned rounds;
        int r = 0;

        iothread_wake(thread);
        pthread_mutex_lock(&thread->mutex);
        iothread_give_visitor(thread);
        rounds = thread->rounds;
        while (thread->rounds == rounds && r == 0)
                r = pthread_cond_timedwait(&thread->changed, &thread->mutex, &deadline);
        r = iothread_take_visitor(thread);
        pthread_mutex_unlock(&thread->mutex);
        return r;
}

Loop *iothread_loop(IoThread *thread)
{
        return thread->loop;
}

static int iothread_on_wake(LoopFd *source, uint32_t events)
{
        IoThread *thread = CONTAINER_OF(source, IoThread, wake);
        uint64_t n;

        if (read(thread->wake_fd, &n, sizeof(n)) < 0 && errno != EAGAIN && errno != EINTR)
                return errno_neg();
        return 0;
}

static bool iothread_is_ending(IoThread *thread)
{
        bool ending;

        pthread_mutex_lock(&thread->mutex);
        ending = thread->ending;
        pthread_mutex_unlock(&thread->mutex);
        return ending;
}

static void *iothread_run(void *userdata)
{
        IoThread *thread = userdata;
        int r = 0;

        thread_set_name(thread->name);
        iothread_take(thread);
        while (r == 0 && !iothread_is_ending(thread))
                r = loop_step(thread->loop, UINT64_MAX);
        iothread_give(thread);
        if (r < 0)
                thread->failed(thread->userdata, thread->name, r);
        return NULL;
}

/* What was made so far; the thread isn't. */
static void iothread_dispose(IoThread *thread)
{
        if (thread->loop)
                loop_fd_remove(&thread->wake);
        loop_free(thread->loop);
        fd_close(thread->wake_fd);
        pthread_cond_destroy(&thread->changed);
        pthread_mutex_destroy(&thread->mutex);
        free(thread);
}

static int iothread_start(IoThread *thread)
{
        int r = loop_new(&thread->loop);

        if (r < 0)
                return r;
        thread->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (thread->wake_fd < 0)
                return errno_neg();
        r = loop_fd_add(thread->loop, &thread->wake, thread->wake_fd, EPOLLIN, iothread_on_wake);
        if (r == 0)
                r = thread_prepare_process();
        if (r < 0)
                return r;
        loop_set_wait_hooks(thread->loop, iothread_give, iothread_take, thread);
        return thread_start(&thread->thread, iothread_run, thread);
}

int iothread_new(const char *name, IoThreadFailed failed, void *userdata, IoThread **ret)
{
        IoThread *thread = calloc(1, sizeof(*thread));
        pthread_condattr_t attributes;
        int r;

        if (!thread)
                return -ENOMEM;
        snprintf(thread->name, sizeof(thread->name), "%s", name);
        thread->failed = failed;
        thread->userdata = userdata;
        thread->wake_fd = FD_NONE;
        pthread_mutex_init(&thread->mutex, NULL);
        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(&thread->changed, &attributes);
        pthread_condattr_destroy(&attributes);
        r = iothread_start(thread);
        if (r < 0) {
                iothread_dispose(thread);
                return r;
        }
        *ret = thread;
        return 0;
}

IoThread *iothread_free(IoThread *thread)
{
        if (!thread)
                return NULL;
        pthread_mutex_lock(&thread->mutex);
        thread->ending = true;
        pthread_mutex_unlock(&thread->mutex);
        iothread_wake(thread);
        pthread_join(thread->thread, NULL);
        iothread_dispose(thread);
        return NULL;
}
