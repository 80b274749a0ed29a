/*
 * One direction between the user's file and our end of a socket pair.
 *
 * The user's side is never made non-blocking, for that would show on the other processes which share
 * it: reads and writes of at most PIPE_BUF bytes happen only when poll says that they won't block.
 * Files that epoll does not know (regular ones) count as always ready.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "client/detach.h"

typedef struct Stream Stream;

/* Why a stream is done: 0 all was copied, -EPIPE the reader went away, -ECANCELED detach keys. */
typedef void (*StreamDone)(Stream *stream, int r, void *userdata);

/*
 * Copies from the user's @file to @socket (@input) or the other way. Borrows @file, consumes
 * @socket, which is half-closed when the input ends. @detach may be NULL. 0 or -errno.
 */
int stream_new(Stream **ret, sd_event *event, int file, int socket, bool input, DetachKeys *detach,
               StreamDone done, void *userdata);
Stream *stream_free(Stream *stream);
