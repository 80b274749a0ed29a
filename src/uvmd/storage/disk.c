/* Opening disks; see disk.h. A file on a dead network file system may hang: hence a worker. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "uvmd/errors.h"
#include "uvmd/storage/disk.h"

#define DISK_LIMIT_USEC (20 * USEC_PER_SEC)
#define DISK_LOCK_USEC  900000 /* less than a second: a timeval's */

static int disk_look(int fd, const ExportOptions *options, ExportFound *found, mode_t *ret_mode,
                     sd_bus_error *error)
{
        struct statx st;

        if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &st) < 0)
                return errno_neg();
        if (!S_ISREG(st.stx_mode) && !S_ISBLK(st.stx_mode))
                return error_set(error, -ENOTBLK, ERROR_INVALID_ARGUMENT,
                                 "%s is no disk: it takes a file or a block device.",
                                 options->path);
        if (S_ISREG(st.stx_mode) && st.stx_size < 512)
                return error_set(error, -EINVAL, ERROR_INVALID_ARGUMENT,
                                 "%s is no disk: it has less than a sector's 512 bytes.",
                                 options->path);
        *found = (ExportFound){
                .file.device = makedev(st.stx_dev_major, st.stx_dev_minor),
                .file.inode = st.stx_ino,
        };
        if (st.stx_mask & STATX_BTIME) {
                found->file.born = (uint64_t)st.stx_btime.tv_sec;
                found->file.born_nsec = st.stx_btime.tv_nsec;
        }
        *ret_mode = st.stx_mode;
        return 0;
}

/* The caller's own fd says what the caller may do. */
static int disk_check_access(const ExportOptions *options, sd_bus_error *error)
{
        int flags = fcntl(options->source, F_GETFL);

        if (flags < 0)
                return errno_neg();
        if ((flags & O_PATH) || (flags & O_ACCMODE) == O_WRONLY ||
            (!options->read_only && (flags & O_ACCMODE) != O_RDWR))
                return error_set(error, -EACCES, ERROR_INVALID_ARGUMENT,
                                 "Source must be open for reading%s.",
                                 options->read_only ? "" : " and writing, or the disk ReadOnly");
        return 0;
}

static bool disk_is_same(const ExportFile *expected, const ExportFile *found)
{
        return expected->inode == 0 ||
               (expected->device == found->device && expected->inode == found->inode &&
                expected->born == found->born && expected->born_nsec == found->born_nsec);
}

/* By the caller's fd, or by the path of one that was attached before. O_EXCL claims a block device
 * from the host's own mounts. */
static int disk_reopen(const ExportOptions *options, mode_t mode, int *ret, sd_bus_error *error)
{
        char path[32];
        int flags = (options->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
        int fd;

        if (S_ISBLK(mode) && !options->read_only)
                flags |= O_EXCL;
        snprintf(path, sizeof(path), "/proc/self/fd/%d", options->source);
        fd = open(path, flags);
        if (fd < 0 && errno == EBUSY)
                return error_set(error, -EBUSY, ERROR_WRONG_STATE,
                                 "%s is in use on the host: unmount it there, or attach it "
                                 "ReadOnly.",
                                 options->path);
        if (fd < 0)
                return error_set(error, errno_neg(), ERROR_FAILED, "%s can't be opened: %s.",
                                 options->path, strerror(errno));
        *ret = fd;
        return fd_set_nonblock(fd, false);
}

static void disk_on_alarm(int signal)
{
}

/* Waits for the lock for DISK_LOCK_USEC: a timer's signal ends the call. */
static int disk_wait_lock(int fd, int operation)
{
        const struct itimerval limit = {.it_value.tv_usec = DISK_LOCK_USEC}, none = {};
        const struct sigaction action = {.sa_handler = disk_on_alarm};
        int r;

        if (sigaction(SIGALRM, &action, NULL) < 0 || setitimer(ITIMER_REAL, &limit, NULL) < 0)
                return errno_neg();
        r = flock(fd, operation) < 0 ? errno_neg() : 0;
        setitimer(ITIMER_REAL, &none, NULL);
        return r == -EINTR ? -EWOULDBLOCK : r;
}

/* udev locks a block device for the moment in which it looks at what changed there; a file that is
 * locked is another machine's for as long as that runs. */
static int disk_lock(int fd, mode_t mode, const ExportOptions *options, sd_bus_error *error)
{
        int operation = options->read_only ? LOCK_SH : LOCK_EX;
        int r = flock(fd, operation | LOCK_NB) < 0 ? errno_neg() : 0;

        if (r == -EWOULDBLOCK && S_ISBLK(mode))
                r = disk_wait_lock(fd, operation);
        if (r != -EWOULDBLOCK)
                return r;
        return error_set(error, -EBUSY, ERROR_WRONG_STATE,
                         "%s is in use by another virtual machine, or locked by another program; "
                         "only disks that all have ReadOnly are shared.",
                         options->path);
}

static int disk_main(int socket, void *userdata, sd_bus_error *error)
{
        ExportOptions options = *(const ExportOptions *)userdata;
        _cleanup_(fd_closep) int located = FD_NONE, fd = FD_NONE;
        bool attached_before = options.source < 0;
        ExportFound found = {};
        mode_t mode;
        int r = 0;

        if (attached_before) {
                located = open(options.path, O_PATH | O_CLOEXEC);
                if (located < 0)
                        return error_set(error, errno_neg(), ERROR_FAILED,
                                         "%s can't be opened again: %s. Put it back, or detach it.",
                                         options.path, strerror(errno));
                options.source = located;
        } else {
                r = disk_check_access(&options, error);
        }
        if (r >= 0)
                r = disk_look(options.source, &options, &found, &mode, error);
        if (r >= 0 && !disk_is_same(&options.expect, &found.file))
                r = error_set(error, -ESTALE, ERROR_SOURCE_CHANGED,
                              "%s is not what it was when it was attached. Detach it and attach it "
                              "anew if that is meant.",
                              options.path);
        if (r >= 0)
                r = disk_reopen(&options, mode, &fd, error);
        if (r >= 0)
                r = disk_lock(fd, mode, &options, error);
        return r < 0 ? r : export_answer_found(socket, &found, &fd, !options.probe);
}

int disk_open(Worker **ret, sd_event *event, const ExportOptions *options, WorkerHandler handler,
              void *userdata)
{
        return worker_start(ret, event, "uvmd-disk", disk_main, (void *)options,
                            clock_limit_usec(DISK_LIMIT_USEC), handler, userdata);
}
