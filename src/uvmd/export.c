/*
 * The export worker; see export.h. Mount calls may block on a file system that hangs, and they need
 * a user namespace to map ids by: both are why this runs in a process of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/io.h"
#include "uvmd/errors.h"
#include "uvmd/export.h"

#define EXPORT_LIMIT_USEC (10 * USEC_PER_SEC)

typedef struct ExportTask {
        int directory;
        uint32_t range_base;
        uint32_t range_size;
} ExportTask;

static int write_map(pid_t pid, const char *file, const ExportTask *task)
{
        _cleanup_(fd_closep) int fd = FD_NONE;
        char path[64], map[64];
        int n;

        snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
        n = snprintf(map, sizeof(map), "0 %u %u\n", task->range_base, task->range_size);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return errno_neg();
        return io_write_full(fd, map, (size_t)n);
}

/* Tells that it is in a user namespace of its own and stays until its pipe is closed. */
static void namespace_child(int socket)
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

static int namespace_open(pid_t pid, int socket, const ExportTask *task, int *ret)
{
        char byte, path[64];
        int fd, r = io_read_full(socket, &byte, 1);

        if (r >= 0)
                r = write_map(pid, "uid_map", task);
        if (r >= 0)
                r = write_map(pid, "gid_map", task);
        if (r < 0)
                return r;
        snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return errno_neg();
        *ret = fd;
        return 0;
}

/* A user namespace lives as long as an fd of it: the child is only needed to make it. */
static int namespace_new(const ExportTask *task, int *ret)
{
        int pair[2], r;
        pid_t pid;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return errno_neg();
        pid = fork();
        if (pid == 0) {
                fd_close(pair[0]);
                namespace_child(pair[1]);
        }
        r = pid < 0 ? errno_neg() : 0;
        fd_close(pair[1]);
        if (r >= 0)
                r = namespace_open(pid, pair[0], task, ret);
        fd_close(pair[0]);
        if (pid > 0)
                waitpid(pid, NULL, 0);
        return r;
}

static int export_main(int socket, void *userdata, sd_bus_error *error)
{
        const ExportTask *task = userdata;
        _cleanup_(fd_closep) int tree = FD_NONE, users = FD_NONE;
        struct mount_attr attributes = {
                .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
        };
        int r = namespace_new(task, &users);

        if (r < 0)
                return error_set(error, r, ERROR_FAILED, "Can't make a user namespace: %s.",
                                 strerror(-r));
        tree = open_tree(task->directory, "",
                         AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
        if (tree < 0)
                return error_set(error, errno_neg(), ERROR_FAILED, "Can't detach a mount: %s.",
                                 strerror(errno));
        if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof(attributes)) <
            0)
                return errno_neg();
        attributes = (struct mount_attr){
                .attr_set = MOUNT_ATTR_IDMAP,
                .userns_fd = (uint64_t)users,
        };
        if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof(attributes)) <
            0)
                return error_set(error, errno_neg(), ERROR_NOT_SUPPORTED,
                                 "The file system of uVM's images can't map user ids (%s): keep "
                                 "its state directory on ext4, xfs or btrfs.",
                                 strerror(errno));
        return worker_answer(socket, NULL, 0, &tree, 1);
}

int export_start(Worker **ret, sd_event *event, int directory, uint32_t range_base,
                 uint32_t range_size, WorkerHandler handler, void *userdata)
{
        ExportTask task = {
                .directory = directory,
                .range_base = range_base,
                .range_size = range_size,
        };

        return worker_start(ret, event, "uvmd-export", export_main, &task,
                            clock_limit_usec(EXPORT_LIMIT_USEC), handler, userdata);
}
