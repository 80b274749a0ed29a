/* The guest's console; see console.h. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

#include "shim/console.h"

static void console_keep(Console *console, const uint8_t *data, size_t size)
{
        for (size_t i = 0; i < size; i++)
                console->ring[console->total++ % SHIM_CONSOLE_SIZE] = data[i];
}

/* Hands the chunk to the journal. False: it is full, and console_on_journal() goes on. */
static bool console_log(Console *console)
{
        ssize_t n = journal_lines_feed(&console->lines, console->chunk + console->chunk_at,
                                       console->chunk_size - console->chunk_at);

        /* Out of memory costs the journal this chunk; the tail has it. */
        console->chunk_at = n < 0 ? console->chunk_size : console->chunk_at + (size_t)n;
        return console->chunk_at == console->chunk_size;
}

/* Reads one chunk. How many bytes, 0 at the end, or -errno. */
static ssize_t console_read(Console *console)
{
        ssize_t n = read(console->fd, console->chunk, sizeof(console->chunk));

        if (n < 0)
                return errno_neg();
        console_keep(console, console->chunk, (size_t)n);
        console->chunk_at = 0;
        console->chunk_size = (size_t)n;
        return n;
}

static int console_on_readable(LoopFd *source, uint32_t events)
{
        Console *console = CONTAINER_OF(source, Console, source);
        ssize_t n = console_read(console);

        if (n == -EAGAIN || n == -EINTR)
                return 0;
        /* Also while it waits for the journal: a hang-up would be reported again and again. */
        if (n <= 0 || !console_log(console))
                loop_fd_remove(source);
        if (n > 0 && console->chunk_at < console->chunk_size)
                journal_wait(console->lines.journal, &console->waiter);
        return 0;
}

static void console_on_journal(JournalWaiter *waiter)
{
        Console *console = CONTAINER_OF(waiter, Console, waiter);

        if (!console_log(console))
                journal_wait(console->lines.journal, waiter);
        else if (loop_fd_add(console->lines.journal->loop, &console->source, console->fd, EPOLLIN,
                             console_on_readable) < 0)
                console->fd = fd_close(console->fd);
}

int console_open(Console *console, Loop *loop, int fd, Journal *journal)
{
        int r;

        console->fd = fd;
        console->waiter.ready = console_on_journal;
        console->lines = (JournalLines){
                .journal = journal,
                .fields = {"UVM_STREAM=console\nSYSLOG_IDENTIFIER=uvm-console\nPRIORITY=6\n"},
        };
        r = fd_set_nonblock(fd, true);
        return r < 0 ? r : loop_fd_add(loop, &console->source, fd, EPOLLIN, console_on_readable);
}

void console_drain(Console *console)
{
        if (console->fd < 0)
                return;
        list_remove(&console->waiter.link);
        loop_fd_remove(&console->source);
        do
                (void)console_log(console);
        while (console_read(console) > 0);
        (void)journal_lines_flush(&console->lines);
}

void console_done(Console *console)
{
        loop_fd_remove(&console->source);
        list_remove(&console->waiter.link);
        journal_lines_done(&console->lines);
        console->fd = fd_close(console->fd);
}

size_t console_tail(const Console *console, void *ret, size_t size)
{
        size_t n = MIN(MIN(console->total, (size_t)SHIM_CONSOLE_SIZE), size);
        uint8_t *at = ret;

        for (size_t i = 0; i < n; i++)
                at[i] = console->ring[(console->total - n + i) % SHIM_CONSOLE_SIZE];
        return n;
}
