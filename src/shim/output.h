/*
 * One stream of output from the guest, handed to whoever listens:
 *
 *   the primary client   must get every byte: the stream stalls while it does not read
 *   the journal          likewise
 *   further clients      each has a buffer of OUTPUT_BACKLOG_MAX bytes; one that lets it overflow is
 *                        dropped, and the others never notice
 *
 * Bytes are handed over in the order they came. While one chunk is not wholly handed over the next
 * is not read, so the guest's own flow control holds the process back.
 *
 * One thread. The bytes are the guest's and pass through unseen.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/loop.h"

#include "shim/journal.h"

#define OUTPUT_CHUNK       65536
#define OUTPUT_BACKLOG_MAX (256 * 1024)

typedef struct Output Output;
typedef struct Sink Sink;

/* A client's fd for output. */
struct Sink {
        List link; /* on output->sinks */
        Output *output;
        LoopFd source;
        int fd; /* FD_NONE: closed */
        bool primary;
        bool closing; /* closes once the backlog is gone */
        uint8_t *backlog;
        size_t backlog_at, backlog_size, backlog_capacity;
        void (*closed)(Sink *sink); /* called once; may free the sink */
};

typedef enum OutputState {
        OUTPUT_EXPECTED, /* the guest has not connected it yet */
        OUTPUT_OPEN,
        OUTPUT_ENDED,
} OutputState;

struct Output {
        Loop *loop;
        uint8_t *scratch;         /* OUTPUT_CHUNK bytes, shared by all streams; borrowed */
        const char *const *about; /* fields of log lines, of log_write_fields(); borrowed */
        OutputState state;
        int fd;
        LoopFd source;
        List sinks;
        Sink *primary;      /* one of them, or NULL */
        JournalLines lines; /* .journal is NULL: not logged */
        JournalWaiter waiter;
        uint8_t *held; /* the chunk that somebody has not taken all of, or NULL */
        size_t held_size, primary_at, journal_at;
        uint64_t delivered;                 /* bytes handed over */
        void (*progressed)(Output *output); /* @delivered has grown, or the stream has ended */
};

void output_init(Output *output, Loop *loop, uint8_t *scratch, void (*progressed)(Output *output));
void output_done(Output *output);

/* The guest's stream is there: takes @fd (non-blocking). 0 or -errno; the fd is closed then. */
int output_open(Output *output, int fd);

/* Adds a client's fd: takes @fd (non-blocking) on success. 0 or -errno. */
int sink_open(Sink *sink, Output *output, int fd, bool primary, void (*closed)(Sink *sink));
void sink_close(Sink *sink);

/* True once @count bytes, or all that ever came, have been handed over and logged. Otherwise
 * output->progressed() is called when it is worth asking again. */
bool output_is_delivered(Output *output, uint64_t count);

/* The guest is gone: what it had sent is still handed over, and nothing more is expected. */
void output_expect_no_more(Output *output);

/* No more output is wanted: closes the stream and the clients' fds, each when its backlog is gone. */
void output_finish(Output *output);
