/*
 * The input of a process: from its clients to the guest. Each client that wants to feeds it, as its
 * bytes come; the end of the primary client's input ends the process's. While the guest has not
 * taken a chunk no client is read, so back-pressure reaches them through their sockets.
 *
 * One thread. The bytes pass through unseen.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/loop.h"

#define INPUT_CHUNK 65536

typedef struct Input Input;
typedef struct Feed Feed;

/* A client's fd for input. */
struct Feed {
        List link; /* on input->feeds */
        Input *input;
        LoopFd source;
        int fd; /* FD_NONE: closed */
        bool primary;
        void (*closed)(Feed *feed); /* called once; may free the feed */
};

typedef enum InputState {
        INPUT_EXPECTED, /* the guest has not connected it yet */
        INPUT_OPEN,
        INPUT_ENDING, /* shut down once the chunk at hand is written */
        INPUT_ENDED,
} InputState;

struct Input {
        Loop *loop;
        uint8_t *scratch;         /* INPUT_CHUNK bytes, shared by all streams; borrowed */
        const char *const *about; /* fields of log lines, of log_write_fields(); borrowed */
        InputState state;
        bool terminal; /* the end of a client's input does not end it */
        int fd;
        LoopFd source;
        List feeds;
        uint8_t *held; /* what the guest has not taken, or NULL */
        size_t held_at, held_size;
};

void input_init(Input *input, Loop *loop, uint8_t *scratch, bool terminal);
void input_done(Input *input);

/* The guest's stream is there: takes @fd (non-blocking). 0 or -errno; the fd is closed then. */
int input_open(Input *input, int fd);

/* Adds a client's fd: takes @fd (non-blocking). It is closed at once if the input has ended. */
void feed_open(Feed *feed, Input *input, int fd, bool primary, void (*closed)(Feed *feed));
void feed_close(Feed *feed);

/* True if the client has closed its end; bytes may still be waiting. */
bool feed_is_hung_up(const Feed *feed);

/* The process takes no more: closes the stream and every client's fd. */
void input_finish(Input *input);
