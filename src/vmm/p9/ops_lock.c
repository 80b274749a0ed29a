/*
 * Locks: Tlock, Tgetlock.
 *
 * Each owner has an open file of its own, and so open file description locks (fcntl(2)): guests, host
 * programs and other owners see one another. A process of the guest is an owner (owner.h), or the
 * fid, if the message names no process. The guest's kernel has settled its own processes' locks before
 * it asks. Nothing here waits: the guest asks again until P9_LOCK_BLOCKED ends (fs/9p/vfs_file.c, mount
 * option locktimeout).
 *
 * The host's kernel (Linux 6.1: filelock_init() of fs/locks.c) charges its records of locks to no
 * cgroup, so their number is bounded here: ENOLCK beyond. A read-only export has none on the host:
 * nobody there writes what they could guard, and other machines share its files and would see them.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "vmm/p9/ops.h"
#include "vmm/p9/owner.h"

/*
 * The kernel wants an fd open for reading to lock for reading, and for writing likewise; flock()
 * in the guest wants neither. So a fid that is open for one only locks by a second fd, open for
 * both. Where that isn't to be had its own has to do, until nothing is locked: two fds of a file
 * lock each other out.
 */
static int p9_lock_fd(P9Request *request)
{
        P9FidTable *fids = &request->server->fids;
        P9Fid *fid = request->fid;
        int fd;

        if (fid->access == O_RDWR)
                return fid->fd;
        if (fid->lock_fd < 0 && fid->locks.n == 0 && p9_fid_may_open(fids) == 0 &&
            p9_tree_reopen(fid->node->tree, fid->fd, O_RDWR, &fd) == 0)
                p9_fid_set_lock_fd(fids, fid, fd);
        return fid->lock_fd >= 0 ? fid->lock_fd : fid->fd;
}

/* Who has, or is to have, a lock: an open file, and the book of its locks. */
typedef struct P9Holder {
        int fd;
        P9Locks *locks; /* NULL: no owner, and so no locks */
} P9Holder;

/* Of the request's lock. A process that has no lock is made an owner if @make. */
static int p9_lock_holder(P9Request *request, bool make, P9Holder *ret)
{
        uint32_t process = request->message.lock.process;
        P9Fid *fid = request->fid;
        P9LockOwner *owner;
        int r;

        if (process == P9_LOCK_NO_PROCESS) {
                *ret = (P9Holder){.fd = make ? p9_lock_fd(request) : fid->fd, .locks = &fid->locks};
                if (!make && fid->lock_fd >= 0)
                        ret->fd = fid->lock_fd;
                return 0;
        }
        owner = p9_lock_owner_get(fid->node, process);
        if (!owner && make) {
                r = p9_lock_owner_make(&request->server->fids, fid, process, &owner);
                if (r < 0)
                        return r == -ENFILE ? -ENOLCK : r;
        }
        *ret = owner ? (P9Holder){.fd = owner->fd, .locks = &owner->locks}
                     : (P9Holder){.fd = fid->fd};
        return 0;
}

/* 9p's length 0 is up to the end, as fcntl's. */
static int p9_lock_range(const P9Request *request, struct flock *lock)
{
        uint64_t start = request->message.lock.start, length = request->message.lock.length;

        if (start > INT64_MAX || length > INT64_MAX)
                return -EINVAL;
        lock->l_whence = SEEK_SET;
        lock->l_start = (off_t)start;
        lock->l_len = (off_t)length;
        return 0;
}

/* Sets or releases @lock on the host, and keeps book of it. A P9_LOCK_* status or -errno. */
static int p9_set_lock(P9Request *request, struct flock *lock)
{
        P9FidTable *fids = &request->server->fids;
        P9LockRange range = {
                .start = lock->l_start,
                .end = lock->l_len > 0 && lock->l_len - 1 <= INT64_MAX - lock->l_start
                               ? lock->l_start + lock->l_len - 1
                               : INT64_MAX,
                .type = lock->l_type,
        };
        P9LockChange change;
        P9Holder holder;
        int r;

        r = p9_lock_holder(request, lock->l_type != F_UNLCK, &holder);
        if (r < 0)
                return r;
        if (!holder.locks)
                return P9_LOCK_SUCCESS;
        change = p9_locks_plan(holder.locks, range);
        if (lock->l_type == F_UNLCK && change.n_old == 0)
                return P9_LOCK_SUCCESS;
        if (change.n_new > change.n_old &&
            fids->locks + change.n_new - change.n_old > fids->locks_max)
                return -ENOLCK;
        r = p9_locks_prepare(holder.locks, &change);
        if (r < 0)
                return r;
        if (fcntl(holder.fd, F_OFD_SETLK, lock) < 0)
                return errno == EAGAIN || errno == EACCES ? P9_LOCK_BLOCKED : errno_neg();
        p9_locks_apply(holder.locks, &change);
        fids->locks += change.n_new - change.n_old;
        return P9_LOCK_SUCCESS;
}

int p9_do_lock(P9Request *request)
{
        static const short types[] = {
                [P9_LOCK_READ] = F_RDLCK,
                [P9_LOCK_WRITE] = F_WRLCK,
                [P9_LOCK_NONE] = F_UNLCK,
        };
        struct flock lock = {};
        int r;

        if (request->fid->kind != P9_FID_FILE)
                return -EBADF;
        if (request->message.lock.type >= ELEMENTSOF(types))
                return -EINVAL;
        r = p9_lock_range(request, &lock);
        if (r < 0)
                return r;
        lock.l_type = types[request->message.lock.type];
        r = P9_LOCK_SUCCESS;
        if (!request->fid->node->tree->read_only)
                r = p9_set_lock(request, &lock);
        if (r < 0)
                return r;
        p9_put_lock(&request->reply, (uint8_t)r);
        return 0;
}

/*
 * The Linux client doesn't say which lock it wants to try: it always sends "none" (v9fs_file_getlock
 * loses the type). That is taken as the stronger one, which finds every lock that is in the way.
 */
int p9_do_getlock(P9Request *request)
{
        const P9Fid *fid = request->fid;
        uint8_t type = P9_LOCK_NONE;
        struct flock lock = {};
        P9Holder holder;
        int r;

        if (fid->kind != P9_FID_FILE)
                return -EBADF;
        r = p9_lock_range(request, &lock);
        if (r == 0)
                r = p9_lock_holder(request, false, &holder);
        if (r < 0)
                return r;
        lock.l_type = request->message.lock.type == P9_LOCK_READ ? F_RDLCK : F_WRLCK;
        if (fid->node->tree->read_only)
                lock.l_type = F_UNLCK;
        else if (fcntl(holder.fd, F_OFD_GETLK, &lock) < 0)
                return errno_neg();
        if (lock.l_type != F_UNLCK)
                type = lock.l_type == F_RDLCK ? P9_LOCK_READ : P9_LOCK_WRITE;
        p9_put_getlock(&request->reply, type, (uint64_t)lock.l_start, (uint64_t)lock.l_len,
                       lock.l_pid > 0 ? (uint32_t)lock.l_pid : 0, request->message.lock.client);
        return 0;
}
