/*
 * The event loop of the programs that link libc only: uvm-shim, the guest's agent, uvm-vmm's I/O
 * thread. One thread, level-triggered epoll.
 *
 * Sources are embedded in the objects that own them. A source may be added, changed or removed at
 * any time, also from its own handler, also by the handler of another source of the same batch: a
 * removed source is never dispatched again. Removing one that was never added (all zero) is
 * harmless. The loop never owns the fd of a source.
 *
 * A handler returns 0 or a negative errno; the latter ends loop_run() with that value. Handlers
 * mask what they can't use now by loop_fd_watch(): an fd whose readiness nobody clears spins.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "base/list.h"

typedef struct Loop Loop;
typedef struct LoopFd LoopFd;
typedef struct LoopTimer LoopTimer;

typedef int (*LoopFdHandler)(LoopFd *source, uint32_t events);
typedef int (*LoopTimerHandler)(LoopTimer *timer);

struct LoopFd {
        Loop *loop; /* NULL while not added */
        int fd;
        uint32_t events;
        LoopFdHandler handler;
};

struct LoopTimer {
        Loop *loop; /* NULL while not armed */
        uint64_t deadline_usec;
        LoopTimerHandler handler;
        List link;
};

int loop_new(Loop **ret);
Loop *loop_free(Loop *loop);
DEFINE_CLEANUP(Loop *, loop_free)

/* Dispatches until loop_stop(); returns its code, or the negative errno of a handler or of epoll.
 */
int loop_run(Loop *loop);
void loop_stop(Loop *loop, int code);

/*
 * For a lock that is held while handlers run: @before is called right before the loop waits and
 * @after right behind it, both with @userdata. NULL: none.
 */
void loop_set_wait_hooks(Loop *loop, void (*before)(void *), void (*after)(void *), void *userdata);

/* Waits at most @limit_usec (UINT64_MAX: for ever) and dispatches one batch. 0 or -errno. */
int loop_step(Loop *loop, uint64_t limit_usec);

/* @events: EPOLLIN | EPOLLOUT | EPOLLRDHUP or 0 (only EPOLLERR and EPOLLHUP are reported then); with
 * EPOLLET each time that it becomes ready anew, for eventfds that nobody reads. */
int loop_fd_add(Loop *loop, LoopFd *source, int fd, uint32_t events, LoopFdHandler handler);
int loop_fd_watch(LoopFd *source, uint32_t events);
void loop_fd_remove(LoopFd *source);

/* One shot, on CLOCK_MONOTONIC, in the round behind its deadline or the next; arming an armed timer moves it. */
void loop_timer_arm(Loop *loop, LoopTimer *timer, uint64_t deadline_usec, LoopTimerHandler handler);
void loop_timer_cancel(LoopTimer *timer);

/* Blocks the signals of @mask for the thread and makes a signalfd (CLOEXEC, non-blocking). */
int loop_signals_open(const sigset_t *mask, int *ret_fd);
