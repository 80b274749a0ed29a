/* Holding network namespaces; see netns.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/parse.h"
#include "uvmd/errors.h"
#include "uvmd/net/netns.h"

#define NETNS_LIMIT_USEC (10 * USEC_PER_SEC)
#define NETNS_OWN        "/proc/self/ns/net"

char *netns_path(const char *run_dir, const char *id)
{
        char *path;

        return asprintf(&path, "%s/netns/%s", run_dir, id) < 0 ? NULL : path;
}

int netns_open(const char *run_dir, const char *id, int *ret)
{
        _cleanup_(freep) char *path = netns_path(run_dir, id);
        int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;

        if (!path)
                return -ENOMEM;
        if (fd < 0)
                return errno_neg();
        *ret = fd;
        return 0;
}

/* A mount that others still see goes from there too: it is detached. */
void netns_drop(const char *run_dir, const char *id)
{
        _cleanup_(freep) char *path = netns_path(run_dir, id);

        if (!path)
                return;
        if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT)
                log_warning_errno(errno_neg(), "Can't unmount %s", path);
        if (unlink(path) < 0 && errno != ENOENT)
                log_warning_errno(errno_neg(), "Can't remove %s", path);
}

void netns_sweep(const char *run_dir, bool (*is_known)(void *userdata, const char *id),
                 void *userdata)
{
        _cleanup_(freep) char *path = netns_path(run_dir, "");
        DIR *directory = path ? opendir(path) : NULL;
        struct dirent *entry;

        if (!directory)
                return;
        while ((entry = readdir(directory))) {
                if (!id_is_valid(entry->d_name) || is_known(userdata, entry->d_name))
                        continue;
                log_info("Removing %s%s: there is no such sandbox", path, entry->d_name);
                netns_drop(run_dir, entry->d_name);
        }
        closedir(directory);
}

/* ------------------------------------------------------------------ the worker */

static int netns_enter(const NetnsOptions *options, sd_bus_error *error)
{
        struct stat host, given;

        if (options->given < 0)
                return unshare(CLONE_NEWNET) < 0
                               ? error_set(error, errno_neg(), ERROR_FAILED,
                                           "Can't make a network namespace: %s.", strerror(errno))
                               : 0;
        if (setns(options->given, CLONE_NEWNET) < 0)
                return error_set(error, errno_neg(), ERROR_INVALID_ARGUMENT,
                                 "NetworkNamespace is no network namespace that can be entered: "
                                 "%s.",
                                 strerror(errno));
        /* All interfaces that are found become the guest's. */
        if (stat("/proc/1/ns/net", &host) < 0 || stat(NETNS_OWN, &given) < 0)
                return errno_neg();
        if (host.st_dev == given.st_dev && host.st_ino == given.st_ino)
                return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                 "NetworkNamespace is the host's own: its interfaces would all be "
                                 "taken from the host.");
        return 0;
}

static int netns_mount(const NetnsOptions *options)
{
        _cleanup_(freep) char *directory = netns_path(options->run_dir, "");
        _cleanup_(freep) char *path = netns_path(options->run_dir, options->id);
        int fd, r;

        if (!directory || !path)
                return -ENOMEM;
        if (mkdir(directory, 0700) < 0 && errno != EEXIST)
                return errno_neg();
        netns_drop(options->run_dir, options->id);
        fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0000);
        if (fd < 0)
                return errno_neg();
        fd_close(fd);
        r = mount(NETNS_OWN, path, NULL, MS_BIND, NULL) < 0 ? errno_neg() : 0;
        if (r < 0)
                unlink(path);
        return r;
}

static int netns_main(int socket, void *userdata, sd_bus_error *error)
{
        const NetnsOptions *options = userdata;
        _cleanup_(fd_closep) int fd = FD_NONE;
        int r = netns_enter(options, error);

        if (r >= 0)
                r = netns_mount(options);
        if (r >= 0)
                r = netns_open(options->run_dir, options->id, &fd);
        if (r < 0)
                return error_set(error, r, ERROR_FAILED, "Can't keep a network namespace: %s.",
                                 strerror(-r));
        return worker_answer(socket, NULL, 0, &fd, 1);
}

int netns_hold(Worker **ret, sd_event *event, const NetnsOptions *options, WorkerHandler handler,
               void *userdata)
{
        return worker_start(ret, event, "uvmd-netns", netns_main, (void *)options,
                            clock_limit_usec(NETNS_LIMIT_USEC), handler, userdata);
}
