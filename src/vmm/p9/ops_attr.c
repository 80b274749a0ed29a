/* Attributes: Tgetattr, Tsetattr, Tstatfs, Treadlink. */
#include <errno.h>
#include <fcntl.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "vmm/p9/ops.h"
#include "vmm/p9/set_id.h"

static P9Time p9_time(const struct statx_timestamp *time)
{
        return (P9Time){.sec = (uint64_t)time->tv_sec, .nsec = time->tv_nsec};
}

int p9_do_getattr(P9Request *request)
{
        _cleanup_(p9_node_releasep) P9Node *acquired = NULL;
        P9Attributes attributes;
        struct statx st;
        int fd, r;

        r = p9_fid_acquire(request->fid, &acquired, &fd);
        if (r < 0)
                return r;
        r = p9_fd_stat(fd, &st);
        if (r < 0)
                return r;
        request->fid->node->mode = st.stx_mode;
        attributes = (P9Attributes){
                .valid = P9_STATS_BASIC,
                .qid = request->fid->node->qid,
                .mode = st.stx_mode,
                .uid = st.stx_uid,
                .gid = st.stx_gid,
                .n_links = st.stx_nlink,
                .rdev = p9_device_number(st.stx_rdev_major, st.stx_rdev_minor),
                .size = st.stx_size,
                .block_size = st.stx_blksize,
                .blocks = st.stx_blocks,
                .atime = p9_time(&st.stx_atime),
                .mtime = p9_time(&st.stx_mtime),
                .ctime = p9_time(&st.stx_ctime),
        };
        if (st.stx_mask & STATX_BTIME) {
                attributes.valid |= P9_STATS_BTIME;
                attributes.btime = p9_time(&st.stx_btime);
        }
        p9_put_attributes(&request->reply, &attributes);
        return 0;
}

/* Through the fid's own file where that can be written, which works on any; else through another.
 */
static int p9_set_size(P9Request *request, int fd)
{
        _cleanup_(fd_closep) int own = FD_NONE;
        uint64_t size = request->message.setattr.size;
        P9Fid *fid = request->fid;
        bool keeps_set_id;
        int r;

        if (size > INT64_MAX)
                return -EINVAL;
        if (S_ISDIR(fid->node->mode))
                return -EISDIR;
        if (fid->kind != P9_FID_FILE || fid->access == O_RDONLY) {
                r = S_ISREG(fid->node->mode) ? p9_tree_reopen(fid->node->tree, fd, O_WRONLY, &own)
                                             : -EINVAL;
                if (r < 0)
                        return r;
                fd = own;
        }
        keeps_set_id = p9_set_id_begin(fid->node, fd);
        r = ftruncate(fd, (off_t)size) < 0 ? errno_neg() : 0;
        if (keeps_set_id)
                p9_set_id_end(fid->node, fd);
        return r;
}

/* Also for a change of ctime alone: a chown() to nobody in particular does it. */
static int p9_set_owner(P9Request *request, int fd)
{
        uint32_t valid = request->message.setattr.valid;
        uid_t uid = valid & P9_SET_UID ? request->message.setattr.uid : P9_NO_ID;
        gid_t gid = valid & P9_SET_GID ? request->message.setattr.gid : P9_NO_ID;

        if (((valid & P9_SET_UID) && uid == P9_NO_ID) || ((valid & P9_SET_GID) && gid == P9_NO_ID))
                return -EINVAL;
        if (fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
                return errno_neg();
        return 0;
}

static int p9_set_mode(P9Request *request, int fd)
{
        P9Node *node = request->fid->node;
        char name[P9_PROC_NAME_SIZE];

        if (S_ISLNK(node->mode))
                return -EOPNOTSUPP;
        p9_proc_name(fd, name);
        if (fchmodat(node->tree->proc_fd, name, request->message.setattr.mode & 07777, 0) < 0)
                return errno_neg();
        p9_set_id_note(node, request->message.setattr.mode);
        return 0;
}

static struct timespec p9_set_time(uint32_t valid, uint32_t change, uint32_t set, P9Time time)
{
        if (!(valid & change))
                return (struct timespec){.tv_nsec = UTIME_OMIT};
        if (!(valid & set))
                return (struct timespec){.tv_nsec = UTIME_NOW};
        return (struct timespec){.tv_sec = (time_t)time.sec, .tv_nsec = (long)time.nsec};
}

static int p9_set_times(P9Request *request, int fd)
{
        uint32_t valid = request->message.setattr.valid;
        P9Time atime = request->message.setattr.atime, mtime = request->message.setattr.mtime;
        struct timespec times[2] = {
                p9_set_time(valid, P9_SET_ATIME, P9_SET_ATIME_SET, atime),
                p9_set_time(valid, P9_SET_MTIME, P9_SET_MTIME_SET, mtime),
        };

        /* UTIME_NOW and UTIME_OMIT are no nanoseconds of the guest's choice. */
        if (atime.nsec > 999999999 || mtime.nsec > 999999999)
                return -EINVAL;
        return utimensat(fd, "", times, AT_EMPTY_PATH) < 0 ? errno_neg() : 0;
}

/*
 * The order counts: a new size changes times and set-id bits, new owners change set-id bits, and
 * what the guest names explicitly must be what remains.
 */
int p9_do_setattr(P9Request *request)
{
        _cleanup_(p9_node_releasep) P9Node *acquired = NULL;
        uint32_t valid = request->message.setattr.valid;
        int fd, r;

        r = p9_fid_acquire(request->fid, &acquired, &fd);
        if (r < 0)
                return r;
        if (valid & P9_SET_SIZE)
                r = p9_set_size(request, fd);
        if (r == 0 && ((valid & (P9_SET_UID | P9_SET_GID)) || valid == P9_SET_CTIME))
                r = p9_set_owner(request, fd);
        if (r == 0 && (valid & P9_SET_MODE))
                r = p9_set_mode(request, fd);
        if (r == 0 && (valid & (P9_SET_ATIME | P9_SET_MTIME)))
                r = p9_set_times(request, fd);
        return r;
}

int p9_do_statfs(P9Request *request)
{
        _cleanup_(p9_node_releasep) P9Node *acquired = NULL;
        struct statfs st;
        int fd, r;

        r = p9_fid_acquire(request->fid, &acquired, &fd);
        if (r < 0)
                return r;
        if (fstatfs(fd, &st) < 0)
                return errno_neg();
        p9_put_statfs(&request->reply,
                      &(P9Statfs){
                              .type = P9_STATFS_TYPE,
                              /* f_bsize is what is best to read at once: on FUSE another */
                              .block_size = (uint32_t)(st.f_frsize ?: st.f_bsize),
                              .blocks = st.f_blocks,
                              .blocks_free = st.f_bfree,
                              .blocks_available = st.f_bavail,
                              .files = st.f_files,
                              .files_free = st.f_ffree,
                              .fsid = request->fid->node->tree->root->identity.device,
                              .name_max = (uint32_t)st.f_namelen,
                      });
        return 0;
}

int p9_do_readlink(P9Request *request)
{
        _cleanup_(p9_node_releasep) P9Node *acquired = NULL;
        char *target = (char *)request->server->entries;
        ssize_t n;
        int fd, r;

        if (!S_ISLNK(request->fid->node->mode))
                return -EINVAL;
        r = p9_fid_acquire(request->fid, &acquired, &fd);
        if (r < 0)
                return r;
        n = readlinkat(fd, "", target, P9_MESSAGE_MAX - 16);
        if (n < 0)
                return errno_neg();
        p9_put_string(&request->reply, target, (size_t)n);
        return 0;
}
