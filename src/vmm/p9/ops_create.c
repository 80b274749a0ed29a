/* Opening and making files: Tlopen, Tlcreate, Tmkdir, Tmknod, Tsymlink. */
#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "vmm/p9/ops.h"
#include "vmm/p9/set_id.h"

#define P9_SET_ID_BITS (S_ISUID | S_ISGID)

/*
 * The guest's flags as this host's. Left out: O_DIRECT, for which the guest's buffers need not be
 * aligned; O_NONBLOCK and FASYNC, which mean nothing here; O_CLOEXEC, which is always set.
 */
static int p9_open_flags(uint32_t flags)
{
        static const struct {
                uint32_t guest;
                int host;
        } map[] = {
                {P9_O_TRUNC, O_TRUNC},         {P9_O_APPEND, O_APPEND},   {P9_O_DSYNC, O_DSYNC},
                {P9_O_DIRECTORY, O_DIRECTORY}, {P9_O_NOATIME, O_NOATIME}, {P9_O_SYNC, O_SYNC},
        };
        int result = (int)(flags & P9_O_ACCESS) | O_NOCTTY;

        for (size_t i = 0; i < ELEMENTSOF(map); i++)
                if ((flags & map[i].guest) == map[i].guest)
                        result |= map[i].host;
        return result;
}

/* With O_TRUNC in two steps where p9_set_id_begin() needs an fd in between. */
static int p9_node_open_or_empty(P9Node *node, int flags, int *ret_fd)
{
        _cleanup_(fd_closep) int fd = FD_NONE;
        bool keeps_set_id;
        int r;

        if (!(flags & O_TRUNC) || (flags & O_ACCMODE) == O_RDONLY || !p9_set_id_is_on(node))
                return p9_node_open(node, flags, ret_fd);
        r = p9_node_open(node, flags & ~O_TRUNC, &fd);
        if (r < 0)
                return r;
        keeps_set_id = p9_set_id_begin(node, fd);
        r = ftruncate(fd, 0) < 0 ? errno_neg() : 0;
        if (keeps_set_id)
                p9_set_id_end(node, fd);
        if (r < 0)
                return r;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int p9_fid_open(P9Request *request, P9Node *node, int flags, int *ret_fd)
{
        int r = p9_fid_may_open(&request->server->fids);

        if (r < 0)
                return r;
        r = p9_node_open_or_empty(node, flags, ret_fd);
        /* O_NOATIME is for owners; without it the file is read all the same. */
        if (r == -EPERM && (flags & O_NOATIME))
                r = p9_node_open_or_empty(node, flags & ~O_NOATIME, ret_fd);
        return r;
}

int p9_do_lopen(P9Request *request)
{
        P9Fid *fid = request->fid;
        int flags = p9_open_flags(request->message.lopen.flags);
        int fd, r;

        if (fid->kind != P9_FID_NODE)
                return -EBADF;
        if (fid->node->tree->read_only && ((flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC)))
                return -EROFS;
        r = p9_fid_open(request, fid->node, flags, &fd);
        if (r < 0)
                return r;
        p9_fid_set_open(&request->server->fids, fid, fd, flags);
        p9_put_open(&request->reply, fid->node->qid, 0);
        return 0;
}

/*
 * Whether what a name leads to is what was made a moment ago: of that type, ours, and with no other
 * name. The host may have put another file there in between, which must not change owners.
 */
static bool p9_is_fresh(const P9Server *server, const struct statx *st, uint32_t type)
{
        return (st->stx_mode & S_IFMT) == type && st->stx_uid == server->uid &&
               (S_ISDIR(type) || st->stx_nlink == 1);
}

/*
 * Gives a file that was just made its owners, and then the bits that a change of owners takes away.
 * setfsuid() would make it with the right owners at once, but needs CAP_SETUID. @fd is any fd of the
 * file, @st what it was made as; @mode is what the guest asked for, with the type.
 */
static int p9_own(P9Request *request, int fd, const struct statx *st, uint32_t mode, uint32_t gid)
{
        uint32_t uid = request->fid->uid;
        char name[P9_PROC_NAME_SIZE];

        if (((uid != P9_NO_ID && uid != st->stx_uid) || (gid != P9_NO_ID && gid != st->stx_gid)) &&
            fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
                return errno_neg();
        if (S_ISLNK(mode) || (mode & P9_SET_ID_BITS & ~(S_ISDIR(mode) ? st->stx_mode : 0)) == 0)
                return 0;
        p9_proc_name(fd, name);
        if (fchmodat(request->fid->node->tree->proc_fd, name, mode & 07777, 0) < 0)
                return errno_neg();
        return 0;
}

/*
 * Makes a node of what was just made as @name in @dir, an acquired node, or takes it away again.
 */
static int p9_claim(P9Request *request, P9Node *dir, const char *name, uint32_t mode, uint32_t gid,
                    P9Node **ret)
{
        _cleanup_(p9_node_unrefp) P9Node *node = NULL;
        _cleanup_(p9_node_releasep) P9Node *acquired = NULL;
        struct statx st;
        int fd, r;

        r = p9_node_walk(dir, name, &st, &node);
        if (r == 0)
                r = p9_node_acquire(node, &fd);
        if (r == 0) {
                acquired = node;
                r = p9_is_fresh(request->server, &st, mode & S_IFMT)
                            ? p9_own(request, fd, &st, mode, gid)
                            : -ESTALE;
        }
        if (r == -ESTALE)
                return r; /* another's file now: not ours to remove */
        if (r < 0) {
                unlinkat(dir->fd, name, S_ISDIR(mode) ? AT_REMOVEDIR : 0);
                return r;
        }
        p9_set_id_note(node, mode);
        *ret = TAKE_PTR(node);
        return 0;
}

/* What the three operations that make a file without opening it have in common. */
typedef struct P9Make {
        const char *name, *target; /* target: of a symbolic link */
        uint32_t mode, gid;
        dev_t device;
} P9Make;

static int p9_make_at(int dir_fd, const P9Make *make)
{
        mode_t mode = make->mode & ~(uint32_t)P9_SET_ID_BITS;
        int r;

        if (S_ISLNK(make->mode))
                r = symlinkat(make->target, dir_fd, make->name);
        else if (S_ISDIR(make->mode))
                r = mkdirat(dir_fd, make->name, mode & 07777);
        else
                r = mknodat(dir_fd, make->name, mode, make->device);
        return r < 0 ? errno_neg() : 0;
}

static int p9_make(P9Request *request, const P9Make *make)
{
        _cleanup_(p9_node_releasep) P9Node *dir = NULL;
        _cleanup_(p9_node_unrefp) P9Node *node = NULL;
        int dir_fd, r;

        if (request->fid->kind != P9_FID_NODE && request->fid->kind != P9_FID_DIR)
                return -EBADF;
        r = p9_node_acquire(request->fid->node, &dir_fd);
        if (r < 0)
                return r;
        dir = request->fid->node;
        r = p9_make_at(dir_fd, make);
        if (r < 0)
                return r;
        r = p9_claim(request, dir, make->name, make->mode, make->gid, &node);
        if (r < 0)
                return r;
        p9_put_qid(&request->reply, node->qid);
        return 0;
}

int p9_do_mkdir(P9Request *request)
{
        P9Make make = {
                .name = request->message.mkdir.name.text,
                .mode = S_IFDIR | (request->message.mkdir.mode & 07777),
                .gid = request->message.mkdir.gid,
        };

        return p9_make(request, &make);
}

/* Regular files come this way too, from creat() without open (v9fs_vfs_create_dotl). Device nodes
 * are the host kernel's to refuse. */
int p9_do_mknod(P9Request *request)
{
        uint32_t mode = request->message.mknod.mode & (S_IFMT | 07777);
        P9Make make = {
                .name = request->message.mknod.name.text,
                .mode = mode & S_IFMT ? mode : mode | S_IFREG,
                .gid = request->message.mknod.gid,
                .device = makedev(request->message.mknod.major, request->message.mknod.minor),
        };

        if (S_ISDIR(mode) || S_ISLNK(mode))
                return -EINVAL;
        return p9_make(request, &make);
}

int p9_do_symlink(P9Request *request)
{
        P9Make make = {
                .name = request->message.symlink.name.text,
                .target = request->message.symlink.target.text,
                .mode = S_IFLNK | 0777,
                .gid = request->message.symlink.gid,
        };

        return p9_make(request, &make);
}

/* O_CREAT without O_EXCL where the file exists by now: an open, and the owners stay. */
static int p9_open_existing(P9Request *request, P9Node *dir, const char *name, int flags,
                            P9Node **ret_node, int *ret_fd)
{
        _cleanup_(p9_node_unrefp) P9Node *node = NULL;
        int r = p9_node_walk(dir, name, NULL, &node);

        if (r < 0)
                return r;
        r = p9_fid_open(request, node, flags, ret_fd);
        if (r < 0)
                return r;
        *ret_node = TAKE_PTR(node);
        return 0;
}

/*
 * The node of a file that was just made and opened as @fd. It gets no fd of its own: the fid has
 * one, and the client asks for the name next, to have a fid that isn't open.
 */
static int p9_claim_open(P9Request *request, P9Node *dir, const char *name, int fd, uint32_t mode,
                         P9Node **ret)
{
        _cleanup_(p9_node_unrefp) P9Node *node = NULL;
        struct statx st;
        int r;

        r = p9_fd_stat(fd, &st);
        if (r == 0)
                r = p9_own(request, fd, &st, mode, request->message.lcreate.gid);
        if (r == 0)
                r = p9_node_note(dir, name, &st, &node);
        if (r < 0) {
                unlinkat(dir->fd, name, 0);
                return r;
        }
        p9_set_id_note(node, mode);
        *ret = TAKE_PTR(node);
        return 0;
}

static int p9_open_or_create(P9Request *request, P9Node *dir, P9Node **ret_node, int *ret_fd)
{
        const char *name = request->message.lcreate.name.text;
        uint32_t mode = S_IFREG | (request->message.lcreate.mode & 07777);
        int flags = p9_open_flags(request->message.lcreate.flags) & ~O_DIRECTORY;
        _cleanup_(fd_closep) int fd = FD_NONE;
        int r;

        fd = openat(dir->fd, name, flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                    mode & 07777 & ~(uint32_t)P9_SET_ID_BITS);
        if (fd < 0 && errno == EEXIST && !(request->message.lcreate.flags & P9_O_EXCL))
                return p9_open_existing(request, dir, name, flags, ret_node, ret_fd);
        if (fd < 0)
                return errno_neg();
        r = p9_claim_open(request, dir, name, fd, mode, ret_node);
        if (r < 0)
                return r;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* The fid was the directory's and becomes the new file's. */
int p9_do_lcreate(P9Request *request)
{
        _cleanup_(p9_node_unrefp) P9Node *held = NULL, *node = NULL;
        _cleanup_(p9_node_releasep) P9Node *dir = NULL;
        P9Fid *fid = request->fid;
        int dir_fd, fd, r;

        if (fid->kind != P9_FID_NODE)
                return -EBADF;
        r = p9_fid_may_open(&request->server->fids);
        if (r < 0)
                return r;
        r = p9_node_acquire(fid->node, &dir_fd);
        if (r < 0)
                return r;
        held = p9_node_ref(fid->node);
        dir = held;
        r = p9_open_or_create(request, dir, &node, &fd);
        if (r < 0)
                return r;
        p9_fid_set_node(fid, node);
        p9_fid_set_open(&request->server->fids, fid, fd,
                        p9_open_flags(request->message.lcreate.flags));
        p9_put_open(&request->reply, node->qid, 0);
        return 0;
}
