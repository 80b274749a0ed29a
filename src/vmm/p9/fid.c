/* The guest's handles; see fid.h. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/fd.h"
#include "vmm/p9/fid.h"
#include "vmm/p9/owner.h"

static P9Fid *p9_fid_from_item(P9TableItem *item)
{
        return item ? CONTAINER_OF(item, P9Fid, item) : NULL;
}

P9Fid *p9_fid_get(const P9FidTable *table, uint32_t id)
{
        return p9_fid_from_item(p9_table_first(&table->table, id));
}

int p9_fid_new(P9FidTable *table, uint32_t id, P9Node *node, uint32_t uid, P9Fid **ret)
{
        P9Fid *fid;
        int r;

        if (id == P9_NO_FID || p9_fid_get(table, id))
                return -EINVAL;
        if (table->table.n_items >= table->fids_max)
                return -ENFILE;
        fid = malloc(sizeof(*fid));
        if (!fid)
                return -ENOMEM;
        *fid = (P9Fid){
                .n_refs = 1,
                .id = id,
                .uid = uid,
                .fd = FD_NONE,
                .lock_fd = FD_NONE,
                .dir_at = -1,
        };
        r = p9_table_insert(&table->table, &fid->item, id);
        if (r < 0) {
                free(fid);
                return r;
        }
        fid->node = p9_node_ref(node);
        *ret = fid;
        return 0;
}

static int p9_fid_close_one(P9FidTable *table, int fd)
{
        if (fd >= 0)
                table->files--;
        return fd_close(fd);
}

P9Fid *p9_fid_ref(P9Fid *fid)
{
        fid->n_refs++;
        return fid;
}

void p9_fid_unref(P9FidTable *table, P9Fid *fid)
{
        if (--fid->n_refs > 0)
                return;
        fid->fd = p9_fid_close_one(table, fid->fd);
        fid->lock_fd = p9_fid_close_one(table, fid->lock_fd);
        table->locks -= fid->locks.n;
        p9_locks_done(&fid->locks);
        if (fid->kind == P9_FID_FILE && --fid->node->n_files == 0)
                p9_lock_owners_free(table, fid->node);
        if (fid->xattr)
                table->xattr -= sizeof(*fid->xattr) + fid->xattr->size;
        free(fid->xattr);
        p9_node_unref(fid->node);
        free(fid);
}

void p9_fid_free(P9FidTable *table, P9Fid *fid)
{
        p9_table_remove(&table->table, &fid->item);
        p9_fid_unref(table, fid);
}

void p9_fid_free_all(P9FidTable *table)
{
        P9TableItem *item;
        size_t at = 0;

        while ((item = p9_table_any(&table->table, &at)))
                p9_fid_free(table, p9_fid_from_item(item));
        p9_table_done(&table->table);
}

int p9_fid_acquire(P9Fid *fid, P9Node **ret_acquired, int *ret_fd)
{
        int r;

        if (fid->fd >= 0) {
                *ret_acquired = NULL;
                *ret_fd = fid->fd;
                return 0;
        }
        r = p9_node_acquire(fid->node, ret_fd);
        *ret_acquired = r < 0 ? NULL : fid->node;
        return r;
}

void p9_fid_set_node(P9Fid *fid, P9Node *node)
{
        p9_node_ref(node);
        p9_node_unref(fid->node);
        fid->node = node;
}

int p9_fid_may_open(const P9FidTable *table)
{
        return table->files < table->files_max ? 0 : -ENFILE;
}

void p9_fid_set_open(P9FidTable *table, P9Fid *fid, int fd, int flags)
{
        assert(fid->kind == P9_FID_NODE && fid->fd < 0);
        fid->kind = S_ISDIR(fid->node->mode) ? P9_FID_DIR : P9_FID_FILE;
        fid->node->n_files += fid->kind == P9_FID_FILE;
        fid->access = flags & O_ACCMODE;
        fid->is_sync = flags & O_DSYNC; /* a bit of O_SYNC, too */
        fid->fd = fd;
        fid->dir_at = 0;
        table->files++;
}

void p9_fid_set_lock_fd(P9FidTable *table, P9Fid *fid, int fd)
{
        assert(fid->lock_fd < 0);
        fid->lock_fd = fd;
        table->files++;
}

int p9_fid_set_xattr(P9FidTable *table, P9Fid *fid, P9FidKind kind, uint32_t size)
{
        size_t total = sizeof(*fid->xattr) + size;

        assert(fid->kind == P9_FID_NODE && !fid->xattr);
        if (total > table->xattr_max - table->xattr)
                return -ENOSPC;
        fid->xattr = calloc(1, total);
        if (!fid->xattr)
                return -ENOMEM;
        fid->xattr->size = size;
        fid->kind = kind;
        table->xattr += total;
        return 0;
}
