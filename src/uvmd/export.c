/*
 * The export worker; see export.h. Mount calls may block on a file system that hangs, and they must
 * be made in the mount namespace that the source is of: both are why this runs in a process of its
 * own. The source is a caller's: it is looked at, never read.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/wire.h"
#include "uvmd/errors.h"
#include "uvmd/export.h"
#include "uvmd/idmap.h"
#include "uvmd/idrange.h"

#define EXPORT_LIMIT_USEC (10 * USEC_PER_SEC)

/* Not in linux/magic.h. */
#define EXPORT_XFS_MAGIC 0x58465342U

/* For a probe: any id that is nobody's will do. */
#define EXPORT_PROBE_ID IDRANGE_DEFAULT_BASE

/* ------------------------------------------------------------------ the caller */

/* Uid and Gid of /proc/PID/status, the real ones: a set-group-id program lends nothing. */
static int caller_read_ids(pid_t pid, uint32_t *ret_uid, uint32_t *ret_gid)
{
        char path[64], line[256];
        unsigned uid, gid;
        int found = 0;
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/status", pid);
        file = fopen(path, "re");
        if (!file)
                return errno_neg();
        while (fgets(line, sizeof(line), file)) {
                if (sscanf(line, "Uid: %u", &uid) == 1)
                        found |= 1;
                if (sscanf(line, "Gid: %u", &gid) == 1)
                        found |= 2;
        }
        fclose(file);
        if (found != 3)
                return -EBADMSG;
        *ret_uid = uid;
        *ret_gid = gid;
        return 0;
}

/*
 * The bus names the process that connected; it may have ended and its number be another's by now.
 * That one lends its view of mounts, in which the source must be, and must be of the same user.
 */
static int caller_check(const ExportOptions *options, uint32_t *ret_gid, sd_bus_error *error)
{
        uint32_t uid;
        int r;

        if (options->caller == 0)
                return 0;
        r = caller_read_ids(options->caller, &uid, ret_gid);
        if (r < 0 || uid != options->uid)
                return error_set(error, -ESRCH, ERROR_FAILED,
                                 "The calling process can't be found any more: it must stay until "
                                 "its call is answered.");
        return 0;
}

/* open_tree(2) takes only mounts of the namespace that it is called in. */
static int caller_join(pid_t pid, sd_bus_error *error)
{
        _cleanup_(fd_closep) int fd = FD_NONE;
        struct stat own, theirs;
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &theirs) < 0 || stat("/proc/self/ns/mnt", &own) < 0)
                return error_set(error, errno_neg(), ERROR_FAILED,
                                 "The mounts of process %d can't be seen: %s.", pid,
                                 strerror(errno));
        if (own.st_dev == theirs.st_dev && own.st_ino == theirs.st_ino)
                return 0;
        if (setns(fd, CLONE_NEWNS) < 0)
                return error_set(error, errno_neg(), ERROR_FAILED,
                                 "The mounts of process %d can't be joined: %s.", pid,
                                 strerror(errno));
        return 0;
}

/* ------------------------------------------------------------------ the source */

/* What only disks and memory are behind is known; whatever else there is may be anything. */
static bool source_is_endless(int fd)
{
        static const uint32_t known[] = {
                EXT4_SUPER_MAGIC,     BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC,      TMPFS_MAGIC,
                RAMFS_MAGIC,          SQUASHFS_MAGIC,    OVERLAYFS_SUPER_MAGIC, EXPORT_XFS_MAGIC,
                EROFS_SUPER_MAGIC_V1, MSDOS_SUPER_MAGIC,
        };
        struct statfs st;

        if (fstatfs(fd, &st) < 0)
                return true;
        for (size_t i = 0; i < ELEMENTSOF(known); i++)
                if ((uint32_t)st.f_type == known[i])
                        return false;
        return true;
}

static int source_look(int fd, const ExportOptions *options, ExportFound *found,
                       sd_bus_error *error)
{
        struct statx st;

        if (statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME,
                  &st) < 0)
                return error_set(error, errno_neg(), ERROR_FAILED, "%s can't be looked at: %s.",
                                 options->path, strerror(errno));
        if (!S_ISDIR(st.stx_mode) && !S_ISREG(st.stx_mode))
                return error_set(error, -EOPNOTSUPP, ERROR_NOT_SUPPORTED,
                                 "%s is neither a directory nor a regular file: sockets, pipes and "
                                 "devices of the host mean nothing inside a virtual machine.",
                                 options->path);
        found->directory = S_ISDIR(st.stx_mode);
        found->endless = source_is_endless(fd);
        found->file.device = makedev(st.stx_dev_major, st.stx_dev_minor);
        found->file.inode = st.stx_ino;
        if (st.stx_mask & STATX_BTIME) {
                found->file.born = (uint64_t)st.stx_btime.tv_sec;
                found->file.born_nsec = st.stx_btime.tv_nsec;
        }
        return 0;
}

static bool file_is_same(const ExportFile *expected, const ExportFile *found)
{
        return expected->inode == 0 ||
               (expected->device == found->device && expected->inode == found->inode &&
                expected->born == found->born && expected->born_nsec == found->born_nsec);
}

static int source_open(const ExportOptions *options, ExportFound *found, int *ret,
                       sd_bus_error *error)
{
        _cleanup_(fd_closep) int fd = FD_NONE;
        int r;

        if (options->source >= 0)
                fd = fcntl(options->source, F_DUPFD_CLOEXEC, 3);
        else
                fd = open(options->path, O_PATH | O_CLOEXEC);
        if (fd < 0)
                return error_set(error, errno_neg(), ERROR_FAILED,
                                 "%s can't be opened again: %s. Put it back, or detach it and "
                                 "attach what is to take its place.",
                                 options->path, strerror(errno));
        r = source_look(fd, options, found, error);
        if (r < 0)
                return r;
        if (!file_is_same(&options->expect, &found->file))
                return error_set(error, -ESTALE, ERROR_SOURCE_CHANGED,
                                 "%s is not what it was when it was attached: it was replaced, or "
                                 "another file system is mounted there. Detach it and attach it "
                                 "anew if that is meant.",
                                 options->path);
        *ret = TAKE_FD(fd);
        return 0;
}

/* ------------------------------------------------------------------ the mount */

static int tree_detach(int source, const ExportOptions *options, int *ret, sd_bus_error *error)
{
        struct mount_attr attributes = {
                .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                            (options->read_only ? MOUNT_ATTR_RDONLY : 0),
        };
        _cleanup_(fd_closep) int tree = FD_NONE;

        tree = open_tree(source, "",
                         AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
        if (tree < 0 && errno == EINVAL)
                return error_set(error, -EINVAL, ERROR_NOT_SUPPORTED,
                                 "%s is on a mount that the calling process doesn't see (it was "
                                 "opened in another mount namespace, or unmounted): open it in the "
                                 "namespace of the process that calls.",
                                 options->path);
        if (tree < 0)
                return error_set(error, errno_neg(), ERROR_FAILED, "%s can't be exported: %s.",
                                 options->path, strerror(errno));
        if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof(attributes)) <
            0)
                return errno_neg();
        *ret = TAKE_FD(tree);
        return 0;
}

/* FD_NONE where nothing is mapped. Before the view changes: it takes uvmd's /proc. */
static int map_open(const ExportOptions *options, const ExportFound *found, int *ret,
                    sd_bus_error *error)
{
        uint32_t outside = options->range_base ?: EXPORT_PROBE_ID;
        uint32_t gid = options->caller ? found->gid : options->gid;
        bool single = options->map == EXPORT_MAP_SINGLE;
        IdMap users = {single ? options->uid : 0, outside, single ? 1 : IDRANGE_SIZE};
        IdMap groups = {single ? gid : 0, outside, single ? 1 : IDRANGE_SIZE};
        int r;

        if (options->map == EXPORT_MAP_IDENTITY && !options->probe)
                return 0;
        r = idmap_open(&users, &groups, ret);
        if (r < 0)
                return error_set(error, r, ERROR_FAILED, "Can't make a user namespace: %s.",
                                 strerror(-r));
        return 0;
}

/* Linux says EINVAL where a file system can't, EPERM where a mount is mapped already. */
static int tree_map(int tree, int users, const ExportOptions *options, ExportFound *found,
                    sd_bus_error *error)
{
        struct mount_attr attributes = {
                .attr_set = MOUNT_ATTR_IDMAP,
                .userns_fd = (uint64_t)users,
        };
        int r = 0;

        if (users < 0)
                return 0;
        if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof(attributes)) <
            0)
                r = errno_neg();
        found->mappable = r >= 0;
        if (r >= 0 || (options->probe && (r == -EINVAL || r == -EPERM)))
                return 0;
        return error_set(
                error, r, ERROR_NOT_SUPPORTED,
                "User ids can't be mapped on the file system of %s, or on one that is "
                "mounted below it (%s): ext4, xfs and btrfs can; overlayfs, tmpfs, NFS and "
                "FUSE can't.",
                options->path, strerror(-r));
}

/* The wire form of an ExportFound. */
int export_answer_found(int socket, const ExportFound *found, const int *fds, unsigned n_fds)
{
        uint8_t buffer[64];
        WireWriter writer = wire_writer(buffer, sizeof(buffer));
        size_t size;
        int r;

        wire_put_u64(&writer, found->file.device);
        wire_put_u64(&writer, found->file.inode);
        wire_put_u64(&writer, found->file.born);
        wire_put_u64(&writer, found->file.born_nsec);
        wire_put_u32(&writer, found->directory);
        wire_put_u32(&writer, found->mappable);
        wire_put_u32(&writer, found->endless);
        wire_put_u32(&writer, found->gid);
        r = wire_writer_end(&writer, &size);
        return r < 0 ? r : worker_answer(socket, buffer, size, fds, n_fds);
}

int export_read_found(const uint8_t *payload, size_t size, ExportFound *ret)
{
        WireReader reader = wire_reader(payload, size);
        ExportFound found = {};

        found.file.device = wire_get_u64(&reader);
        found.file.inode = wire_get_u64(&reader);
        found.file.born = wire_get_u64(&reader);
        found.file.born_nsec = wire_get_u64(&reader);
        found.directory = wire_get_u32(&reader);
        found.mappable = wire_get_u32(&reader);
        found.endless = wire_get_u32(&reader);
        found.gid = wire_get_u32(&reader);
        if (reader.bad || wire_left(&reader) > 0)
                return -EBADMSG;
        *ret = found;
        return 0;
}

static int export_main(int socket, void *userdata, sd_bus_error *error)
{
        const ExportOptions *options = userdata;
        _cleanup_(fd_closep) int source = FD_NONE, tree = FD_NONE, kept = FD_NONE, users = FD_NONE;
        pid_t view = options->caller ?: options->source < 0 ? 1 : 0;
        ExportFound found = {};
        int r = caller_check(options, &found.gid, error);

        if (r >= 0)
                r = map_open(options, &found, &users, error);
        if (r >= 0 && view && !options->detached)
                r = caller_join(view, error);
        if (r >= 0)
                r = source_open(options, &found, &source, error);
        if (r >= 0 && options->detached)
                tree = TAKE_FD(source);
        else if (r >= 0)
                r = tree_detach(source, options, &tree, error);
        if (r >= 0 && options->probe)
                r = tree_detach(source, options, &kept, error);
        if (r >= 0)
                r = tree_map(tree, users, options, &found, error);
        return r < 0 ? r : export_answer_found(socket, &found, options->probe ? &kept : &tree, 1);
}

int export_start(Worker **ret, sd_event *event, const ExportOptions *options, WorkerHandler handler,
                 void *userdata)
{
        return worker_start(ret, event, "uvmd-export", export_main, (void *)options,
                            clock_limit_usec(EXPORT_LIMIT_USEC), handler, userdata);
}
