/*
 * Names: Tlink, Trename, Trenameat, Tunlinkat, Tremove.
 *
 * Before a name goes, the node of its file (if the guest has one) gets its fd, because afterwards
 * nothing else leads to the file: that is what keeps unlinked files working.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "vmm/p9/ops.h"

/* Two acquired nodes, released together. */
typedef struct P9Pair {
        P9Node *a, *b;
} P9Pair;

static void p9_pair_release(P9Pair *pair)
{
        p9_node_release(pair->a);
        p9_node_release(pair->b);
}

static int p9_pair_acquire(P9Pair *pair, P9Node *a, P9Node *b)
{
        int fd, r;

        r = p9_node_acquire(a, &fd);
        if (r < 0)
                return r;
        pair->a = a;
        r = p9_node_acquire(b, &fd);
        if (r < 0)
                return r;
        pair->b = b;
        return 0;
}

/*
 * The node of the file that @name in @dir (acquired) is about to lose, with its fd; a new reference,
 * or NULL if there is no such node. With every node open there is nothing to save, and the search
 * is spared.
 */
static int p9_save_file(P9Node *dir, const char *name, P9Node **ret)
{
        int fd, r;

        *ret = NULL;
        if (!p9_tree_has_closed(dir->tree))
                return 0;
        r = p9_node_find(dir, name, ret);
        if (r < 0 || !*ret)
                return r;
        r = p9_node_acquire(*ret, &fd);
        if (r == 0)
                p9_node_release(*ret);
        else
                *ret = p9_node_unref(*ret);
        return r == -ESTALE ? 0 : r;
}

static int p9_unlink(P9Node *dir, const char *name, int flags)
{
        _cleanup_(p9_node_unrefp) P9Node *node = NULL;
        _cleanup_(p9_node_releasep) P9Node *acquired = NULL;
        int fd, r;

        r = p9_node_acquire(dir, &fd);
        if (r < 0)
                return r;
        acquired = dir;
        r = p9_save_file(dir, name, &node);
        if (r < 0)
                return r;
        if (unlinkat(fd, name, flags) < 0)
                return errno_neg();
        if (node)
                p9_node_lose_name(node, dir, name);
        return 0;
}

int p9_do_unlinkat(P9Request *request)
{
        if (request->message.unlinkat.flags & ~P9_AT_REMOVEDIR)
                return -EINVAL;
        return p9_unlink(request->fid->node, request->message.unlinkat.name.text,
                         request->message.unlinkat.flags ? AT_REMOVEDIR : 0);
}

/*
 * Where the file of a fid is: @name gets a copy of its name, *ret_dir a reference. -ESTALE if the
 * name leads elsewhere by now, -EBUSY for the root.
 */
static int p9_locate(P9Node *node, P9Node **ret_dir, char name[static P9_NAME_MAX + 1])
{
        _cleanup_(p9_node_unrefp) P9Node *found = NULL;
        int fd, r;

        if (node == node->tree->root)
                return -EBUSY;
        if (!node->parent)
                return -ENOENT;
        r = p9_node_acquire(node->parent, &fd);
        if (r < 0)
                return r;
        r = p9_node_find(node->parent, node->name, &found);
        p9_node_release(node->parent);
        if (r < 0)
                return r;
        if (found != node)
                return -ESTALE;
        snprintf(name, P9_NAME_MAX + 1, "%s", node->name);
        *ret_dir = p9_node_ref(node->parent);
        return 0;
}

static int p9_remove(P9Node *node)
{
        _cleanup_(p9_node_unrefp) P9Node *dir = NULL;
        char name[P9_NAME_MAX + 1];
        int r;

        if (node->tree->read_only)
                return -EROFS;
        r = p9_locate(node, &dir, name);
        if (r < 0)
                return r;
        return p9_unlink(dir, name, S_ISDIR(node->mode) ? AT_REMOVEDIR : 0);
}

/* The fid is gone whatever the answer says. */
int p9_do_remove(P9Request *request)
{
        int r = p9_remove(request->fid->node);

        p9_fid_free(&request->server->fids, request->fid);
        return r;
}

/* The directory fids keep the nodes alive; in between, the renamed node changes its parent. */
static int p9_rename(P9Node *old_dir, const char *old_name, P9Node *new_dir, const char *new_name)
{
        _cleanup_(p9_node_unrefp) P9Node *moved = NULL, *replaced = NULL;
        _cleanup_(p9_pair_release) P9Pair dirs = {};
        int r;

        r = p9_pair_acquire(&dirs, old_dir, new_dir);
        if (r < 0)
                return r;
        r = p9_node_find(old_dir, old_name, &moved);
        if (r < 0)
                return r;
        r = p9_save_file(new_dir, new_name, &replaced);
        if (r < 0)
                return r;
        if (renameat(old_dir->fd, old_name, new_dir->fd, new_name) < 0)
                return errno_neg();
        if (replaced && replaced != moved)
                p9_node_lose_name(replaced, new_dir, new_name);
        if (moved && replaced != moved)
                p9_node_set_name(moved, new_dir, new_name);
        return 0;
}

static int p9_target_dir(P9Request *request, uint32_t id, P9Node **ret)
{
        P9Fid *fid = p9_fid_get(&request->server->fids, id);

        if (!fid)
                return -EBADF;
        if (fid->node->tree != request->fid->node->tree)
                return -EXDEV;
        if (fid->node->tree->read_only)
                return -EROFS;
        *ret = fid->node;
        return 0;
}

int p9_do_renameat(P9Request *request)
{
        P9Node *new_dir;
        int r = p9_target_dir(request, request->message.renameat.new_dir_fid, &new_dir);

        if (r < 0)
                return r;
        return p9_rename(request->fid->node, request->message.renameat.old_name.text, new_dir,
                         request->message.renameat.new_name.text);
}

int p9_do_rename(P9Request *request)
{
        _cleanup_(p9_node_unrefp) P9Node *old_dir = NULL;
        char old_name[P9_NAME_MAX + 1];
        P9Node *new_dir;
        int r;

        r = p9_target_dir(request, request->message.rename.dir_fid, &new_dir);
        if (r < 0)
                return r;
        r = p9_locate(request->fid->node, &old_dir, old_name);
        if (r < 0)
                return r;
        return p9_rename(old_dir, old_name, new_dir, request->message.rename.name.text);
}

/*
 * linkat() of an O_PATH fd by AT_EMPTY_PATH needs CAP_DAC_READ_SEARCH of the initial user
 * namespace; through /proc/self/fd it needs nothing. The link isn't followed any further: one to a
 * symbolic link is made to that link itself.
 */
int p9_do_link(P9Request *request)
{
        _cleanup_(p9_node_releasep) P9Node *acquired = NULL;
        _cleanup_(p9_node_releasep) P9Node *dir = NULL;
        P9Fid *old = p9_fid_get(&request->server->fids, request->message.link.old_fid);
        char name[P9_PROC_NAME_SIZE];
        int fd, dir_fd, r;

        if (!old)
                return -EBADF;
        if (old->node->tree != request->fid->node->tree)
                return -EXDEV;
        r = p9_fid_acquire(old, &acquired, &fd);
        if (r < 0)
                return r;
        r = p9_node_acquire(request->fid->node, &dir_fd);
        if (r < 0)
                return r;
        dir = request->fid->node;
        p9_proc_name(fd, name);
        if (linkat(old->node->tree->proc_fd, name, dir_fd, request->message.link.name.text,
                   AT_SYMLINK_FOLLOW) < 0)
                return errno_neg();
        return 0;
}
