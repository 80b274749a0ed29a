/* Whole reads and writes, and messages that carry fds over unix sockets. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The most fds one message of ours carries; a peer that sends more loses the rest and the link. */
#define IO_FDS_MAX 16

/* Blocking fds. 0 or -errno; io_read_full: -ENODATA if the stream ends first. */
int io_read_full(int fd, void *buffer, size_t size);
int io_write_full(int fd, const void *buffer, size_t size);

/*
 * Sends one message (SEQPACKET or DGRAM) or the first bytes of a stream with @n_fds fds.
 * Never raises SIGPIPE. Borrows @fds. 0 or -errno (-EAGAIN: try again when writable).
 */
int io_send(int socket, const void *data, size_t size, const int *fds, unsigned n_fds);

typedef struct IoMessage {
        size_t size;         /* bytes received; 0 is the end of the connection */
        int fds[IO_FDS_MAX]; /* owned by the caller, CLOEXEC; FD_NONE behind the last */
        unsigned n_fds;
} IoMessage;

/*
 * Receives one message of at most @size bytes with its fds. 0 or -errno: -EAGAIN nothing there,
 * -EMSGSIZE the message or its fds were cut (what came of the fds is closed).
 */
int io_recv(int socket, void *buffer, size_t size, IoMessage *ret);
void io_message_done(IoMessage *message);

/* The pid of the process at the other end of a connected unix socket. 0 or -errno. */
int io_peer_pid(int socket, pid_t *ret);
