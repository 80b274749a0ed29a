/*
 * The guest's console: the last SHIM_CONSOLE_SIZE bytes are kept for whoever asks why the machine
 * ended, and each line goes to the journal (UVM_STREAM=console). While the journal is full nothing is
 * read and the VMM drops what does not fit: a guest is never held up by its console.
 *
 * One thread. All bytes are the guest's.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"

#include "proto/shim.h"
#include "shim/journal.h"

#define CONSOLE_CHUNK 1024

typedef struct Console {
        LoopFd source;
        int fd;
        size_t total; /* bytes ever; the ring's next byte is at total % SHIM_CONSOLE_SIZE */
        JournalLines lines;
        JournalWaiter waiter;
        uint8_t chunk[CONSOLE_CHUNK]; /* read, and waiting for the journal from @chunk_at on */
        size_t chunk_at, chunk_size;
        uint8_t ring[SHIM_CONSOLE_SIZE];
} Console;

/* Takes @fd, a stream; borrows @journal. 0 or -errno. */
int console_open(Console *console, Loop *loop, int fd, Journal *journal);
void console_done(Console *console);

/* Reads what is there to the end: for when the VMM has ended. */
void console_drain(Console *console);

/* Copies the newest bytes, oldest first, at most @size. Returns how many. */
size_t console_tail(const Console *console, void *ret, size_t size);
