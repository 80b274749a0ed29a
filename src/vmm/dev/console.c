/* Console output; see console.h. */
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "vmm/dev/console.h"

/* Writes what there is; a reader that is gone or slow costs the bytes, never time. */
static void console_drain(Console *console)
{
        while (console->fill > 0) {
                ssize_t n = write(console->fd, console->buffer, console->fill);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        return;
                if (n < 0) {
                        console->dropped += console->fill;
                        console->fill = 0;
                        return;
                }
                console->fill -= (size_t)n;
                memmove(console->buffer, console->buffer + n, console->fill);
        }
}

static int console_on_timer(LoopFd *source, uint32_t events)
{
        Console *console = CONTAINER_OF(source, Console, timer);
        uint64_t n;

        if (read(console->timer_fd, &n, sizeof(n)) < 0)
                return errno == EAGAIN ? 0 : errno_neg();
        pthread_mutex_lock(&console->lock);
        console->timer_armed = false;
        console_drain(console);
        pthread_mutex_unlock(&console->lock);
        return 0;
}

int console_init(Console *console, Loop *loop, int fd)
{
        int r;

        *console = (Console){.fd = FD_NONE, .timer_fd = FD_NONE};
        pthread_mutex_init(&console->lock, NULL);
        r = fd_set_nonblock(fd, true);
        if (r < 0)
                return r;
        console->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        if (console->timer_fd < 0)
                return errno_neg();
        r = loop_fd_add(loop, &console->timer, console->timer_fd, EPOLLIN, console_on_timer);
        if (r < 0) {
                console->timer_fd = fd_close(console->timer_fd);
                return r;
        }
        console->fd = fd;
        return 0;
}

void console_done(Console *console)
{
        if (console->fd < 0)
                return;
        console_flush(console);
        loop_fd_remove(&console->timer);
        console->timer_fd = fd_close(console->timer_fd);
        console->fd = fd_close(console->fd);
}

/* An armed timer runs on: the first byte decides how long the others wait. */
static void console_arm(Console *console)
{
        struct itimerspec when = {.it_value.tv_nsec = CONSOLE_DELAY_USEC * NSEC_PER_USEC};

        if (!console->timer_armed && timerfd_settime(console->timer_fd, 0, &when, NULL) == 0)
                console->timer_armed = true;
}

void console_write(Console *console, const char *bytes, size_t size)
{
        pthread_mutex_lock(&console->lock);
        console->bytes += size;
        while (size > 0) {
                size_t n = MIN(size, sizeof(console->buffer) - console->fill);

                memcpy(console->buffer + console->fill, bytes, n);
                console->fill += n;
                bytes += n;
                size -= n;
                if (console->fill == sizeof(console->buffer))
                        console_drain(console);
                if (console->fill == sizeof(console->buffer)) {
                        console->dropped += size;
                        break;
                }
        }
        console_arm(console);
        pthread_mutex_unlock(&console->lock);
}

void console_flush(Console *console)
{
        pthread_mutex_lock(&console->lock);
        console_drain(console);
        pthread_mutex_unlock(&console->lock);
}

void console_count(Console *console, uint64_t *ret_bytes, uint64_t *ret_dropped)
{
        pthread_mutex_lock(&console->lock);
        *ret_bytes = console->bytes;
        *ret_dropped = console->dropped;
        pthread_mutex_unlock(&console->lock);
}
