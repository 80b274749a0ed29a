/*
 * What every thread of uvm-vmm but the first has in common: how it starts, its name, and the signal
 * that has a system call return early (EINTR) where the kernel lets it.
 */
#pragma once

#include <pthread.h>

/*
 * Starts a thread with a small stack; it ends by returning from @run (jail.h: pthread_exit() doesn't
 * work there) and is joined. 0 or -errno.
 */
int thread_start(pthread_t *ret, void *(*run)(void *), void *userdata);

/* Names the calling thread; the kernel keeps 15 bytes. */
void thread_set_name(const char *name);

/* thread_interrupt()'s signal must have a handler before it is first sent. 0 or -errno. */
int thread_prepare_process(void);

/*
 * Interrupts a thread that was not joined yet. One that comes before the system call is lost, and
 * some calls take no notice: who must be sure asks again.
 */
void thread_interrupt(pthread_t thread);
