/* Connections to the host; see connect.h. */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <linux/vm_sockets.h>

#include "base/error.h"
#include "base/fd.h"

#include "agent/connect.h"

/* The kernel's own limit for a vsock is 2 s (VSOCK_DEFAULT_CONNECT_TIMEOUT), which a busy host may well
 * take to answer: a command there would fail for nothing. Where nobody listens it says so at once. */
#define CONNECT_SECONDS 60

static int connect_to(int family, const void *address, socklen_t size, int *ret_fd)
{
        _cleanup_(fd_closep) int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct timeval limit = {.tv_sec = CONNECT_SECONDS};
        int r = 0;

        if (fd < 0)
                return errno_neg();
        if (family == AF_VSOCK &&
            setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &limit, sizeof(limit)) < 0)
                return errno_neg();
        if (connect(fd, address, size) < 0) {
                r = errno_neg();
                if (r != -EINPROGRESS)
                        return r;
        }
        *ret_fd = TAKE_FD(fd);
        return r;
}

int connect_start(const char *unix_directory, unsigned port, int *ret_fd)
{
        struct sockaddr_vm host = {
                .svm_family = AF_VSOCK,
                .svm_cid = VMADDR_CID_HOST,
                .svm_port = port,
        };
        struct sockaddr_un path = {.sun_family = AF_UNIX};

        if (!unix_directory)
                return connect_to(AF_VSOCK, &host, sizeof(host), ret_fd);
        if (snprintf(path.sun_path, sizeof(path.sun_path), "%s/%u", unix_directory, port) >=
            (int)sizeof(path.sun_path))
                return -ENAMETOOLONG;
        return connect_to(AF_UNIX, &path, sizeof(path), ret_fd);
}

int connect_result(int fd)
{
        socklen_t size = sizeof(int);
        int error = 0;

        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
                return errno_neg();
        return -error;
}
