/* Processes of the guest that have locks; see owner.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "vmm/p9/owner.h"

P9LockOwner *p9_lock_owner_get(const P9Node *node, uint32_t process)
{
        for (P9LockOwner *owner = node->lock_owners; owner; owner = owner->next)
                if (owner->process == process && owner->locks.n > 0)
                        return owner;
        return NULL;
}

/* One whose process has unlocked all serves the next: they come and go. */
static P9LockOwner *p9_lock_owner_idle(const P9Node *node)
{
        P9LockOwner *owner = node->lock_owners;

        while (owner && owner->locks.n > 0)
                owner = owner->next;
        return owner;
}

/* Open for both where that can be had: the host's kernel asks for the one that fits the lock. */
static int p9_lock_owner_open(const P9Fid *fid, int *ret_fd)
{
        int r = p9_tree_reopen(fid->node->tree, fid->fd, O_RDWR, ret_fd);

        return r < 0 && fid->access != O_RDWR
                       ? p9_tree_reopen(fid->node->tree, fid->fd, fid->access, ret_fd)
                       : r;
}

int p9_lock_owner_make(P9FidTable *table, P9Fid *fid, uint32_t process, P9LockOwner **ret)
{
        P9LockOwner *owner = p9_lock_owner_get(fid->node, process);
        _cleanup_(fd_closep) int fd = FD_NONE;
        int r;

        if (!owner)
                owner = p9_lock_owner_idle(fid->node);
        if (!owner) {
                r = p9_fid_may_open(table);
                if (r == 0)
                        r = p9_lock_owner_open(fid, &fd);
                if (r < 0)
                        return r;
                owner = malloc(sizeof(*owner));
                if (!owner)
                        return -ENOMEM;
                *owner = (P9LockOwner){.next = fid->node->lock_owners, .fd = TAKE_FD(fd)};
                fid->node->lock_owners = owner;
                table->files++;
        }
        owner->process = process;
        *ret = owner;
        return 0;
}

void p9_lock_owners_free(P9FidTable *table, P9Node *node)
{
        for (P9LockOwner *owner = node->lock_owners, *next; owner; owner = next) {
                next = owner->next;
                table->files--;
                table->locks -= owner->locks.n;
                p9_locks_done(&owner->locks);
                fd_close(owner->fd);
                free(owner);
        }
        node->lock_owners = NULL;
}
