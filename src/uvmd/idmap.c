/* Namespaces for maps; see idmap.h. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/io.h"
#include "uvmd/idmap.h"

static int idmap_write(pid_t pid, const char *file, const IdMap *ids)
{
        _cleanup_(fd_closep) int fd = FD_NONE;
        char path[64], map[64];
        int n;

        snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
        n = snprintf(map, sizeof(map), "%u %u %u\n", ids->inside, ids->outside, ids->n);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return errno_neg();
        return io_write_full(fd, map, (size_t)n);
}

/* Tells that it is in a user namespace of its own and stays until its pipe is closed. */
static void idmap_child(int socket)
{
        char byte = 0;

        if (unshare(CLONE_NEWUSER) < 0)
                _exit(EXIT_FAILURE);
        if (io_write_full(socket, &byte, 1) < 0)
                _exit(EXIT_FAILURE);
        while (read(socket, &byte, 1) < 0 && errno == EINTR)
                ;
        _exit(EXIT_SUCCESS);
}

static int idmap_take(pid_t pid, int socket, const IdMap *users, const IdMap *groups, int *ret)
{
        char byte, path[64];
        int fd, r = io_read_full(socket, &byte, 1);

        if (r >= 0)
                r = idmap_write(pid, "uid_map", users);
        if (r >= 0)
                r = idmap_write(pid, "gid_map", groups);
        if (r < 0)
                return r;
        snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return errno_neg();
        *ret = fd;
        return 0;
}

/* The child is only needed to make it. */
int idmap_open(const IdMap *users, const IdMap *groups, int *ret)
{
        int pair[2], r;
        pid_t pid;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return errno_neg();
        pid = fork();
        if (pid == 0) {
                fd_close(pair[0]);
                idmap_child(pair[1]);
        }
        r = pid < 0 ? errno_neg() : 0;
        fd_close(pair[1]);
        if (r >= 0)
                r = idmap_take(pid, pair[0], users, groups, ret);
        fd_close(pair[0]);
        if (pid > 0)
                waitpid(pid, NULL, 0);
        return r;
}
