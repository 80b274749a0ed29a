/* Threads; see thread.h. */
#include <signal.h>
#include <sys/prctl.h>

#include "base/error.h"
#include "vmm/thread/thread.h"

#define THREAD_SIGNAL SIGUSR1

/* Address space only: what isn't touched costs nothing. The deepest, a request of 9p, needs 32 KiB. */
#define THREAD_STACK_SIZE ((size_t)128 * 1024)

int thread_start(pthread_t *ret, void *(*run)(void *), void *userdata)
{
        pthread_attr_t attributes;
        int r;

        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, THREAD_STACK_SIZE);
        r = pthread_create(ret, &attributes, run, userdata);
        pthread_attr_destroy(&attributes);
        return -r;
}

void thread_set_name(const char *name)
{
        prctl(PR_SET_NAME, name);
}

static void thread_on_signal(int signal_number)
{
}

int thread_prepare_process(void)
{
        /* No SA_RESTART: it interrupts. */
        struct sigaction action = {.sa_handler = thread_on_signal};

        return sigaction(THREAD_SIGNAL, &action, NULL) < 0 ? errno_neg() : 0;
}

void thread_interrupt(pthread_t thread)
{
        pthread_kill(thread, THREAD_SIGNAL);
}
