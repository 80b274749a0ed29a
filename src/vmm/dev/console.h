/*
 * The way of the guest's console output to the stream that the VMM was handed. Bytes are batched and
 * written without blocking; what nobody reads in time is dropped and counted.
 *
 * Thread: any; it has a lock of its own, so that a vCPU that prints waits for no device. The loop's
 * thread flushes what has waited for CONSOLE_DELAY.
 */
#pragma once

#include <pthread.h>

#include "base/loop.h"

#define CONSOLE_BUFFER_SIZE 4096
#define CONSOLE_DELAY_USEC  5000

typedef struct Console {
        pthread_mutex_t lock;
        int fd;
        int timer_fd;
        bool timer_armed;
        LoopFd timer;
        size_t fill;
        uint64_t bytes, dropped;
        char buffer[CONSOLE_BUFFER_SIZE];
} Console;

/* Takes over @fd (a socket or pipe), which becomes non-blocking. 0 or -errno. */
int console_init(Console *console, Loop *loop, int fd);
/* Flushes and closes; harmless on an object that console_init() refused. */
void console_done(Console *console);

void console_write(Console *console, const char *bytes, size_t size);
void console_flush(Console *console);
void console_count(Console *console, uint64_t *ret_bytes, uint64_t *ret_dropped);
