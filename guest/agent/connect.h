/* Connections to the host: over vsock in a guest, over unix sockets in tests. */
#pragma once

#include <stdint.h>

/*
 * Starts to connect to @port of the host, or to the socket @unix_directory/@port if that is not
 * NULL. The socket doesn't block and is CLOEXEC. 0: connected; -EINPROGRESS: *ret_fd becomes
 * writable when it is known, then ask connect_result(); another -errno: no.
 */
int connect_start(const char *unix_directory, unsigned port, int *ret_fd);

/* How a connection that was in progress turned out: 0 or -errno. */
int connect_result(int fd);
