/*
 * A few threads for what blocks: system calls on files. They start when they are needed and end when
 * they had nothing to do for a while, so that a device that never blocks costs none.
 *
 *   owner: pool_submit() → a thread: job->run() → the loop: job->done(), then pool's settled()
 *
 * Jobs begin in the order of submission and end in any. A job is embedded in the request that it
 * serves and belongs to the pool between the two calls.
 *
 * Thread: run() on a thread of the pool, with no lock held: it touches its job and what can't change
 * meanwhile. All else, done() too, on the loop's thread (or its visitor; see iothread.h).
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/list.h"
#include "base/loop.h"

#define POOL_THREADS_MAX 4

typedef struct Pool Pool;
typedef struct PoolJob PoolJob;

struct PoolJob {
        void (*run)(PoolJob *job);
        void (*done)(PoolJob *job);
        /* Set by pool_interrupt(): a system call that fails with EINTR shall not be repeated. */
        atomic_bool interrupted;
        List link;
};

typedef enum PoolThreadState {
        POOL_THREAD_NONE,
        POOL_THREAD_RUNNING,
        POOL_THREAD_ENDED, /* wants to be joined */
} PoolThreadState;

typedef struct PoolThread {
        Pool *pool;
        pthread_t thread;
        PoolThreadState state;
        PoolJob *job; /* at hand */
} PoolThread;

typedef struct PoolConfig {
        Loop *loop;       /* borrowed */
        const char *name; /* of the threads; borrowed */
        /* Called behind the last done() of a batch; may be NULL. */
        void (*settled)(void *userdata);
        void *userdata;
        uint64_t idle_usec; /* after which a thread ends; 0: 5 s */
} PoolConfig;

struct Pool {
        PoolConfig config;
        unsigned in_flight; /* submitted, not yet done: the loop's thread's */
        int done_fd;
        LoopFd done_source;

        pthread_mutex_t mutex; /* of what follows */
        pthread_cond_t work;
        PoolThread threads[POOL_THREADS_MAX];
        unsigned n_running, n_idle, n_waiting;
        List waiting, done;
        bool ending;
};

/* 0 or -errno. */
int pool_init(Pool *pool, const PoolConfig *config);

/* Ends the threads. Nothing may be in flight. Harmless on all zero. */
void pool_done(Pool *pool);

/* 0; or -errno: no thread runs and none can be started. */
int pool_submit(Pool *pool, PoolJob *job);

/* Takes a job back that has not begun: neither run() nor done() is called. False: it has. */
bool pool_cancel(Pool *pool, PoolJob *job);

/* Has a job that has begun end soon, where the kernel lets it; see thread_interrupt(). */
void pool_interrupt(Pool *pool, PoolJob *job);
