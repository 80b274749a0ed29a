/* Opening, closing and reopening the nodes' fds; see node_fd.h and node.h. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>

#include "base/error.h"
#include "base/fd.h"
#include "vmm/p9/node_fd.h"

/* How many fds are given back when the process, not the tree, has run out of them. */
#define P9_EVICT_BATCH 32

/* Puts the node at the recently used end of the list, or takes it off: node.h's second invariant.
 */
static void p9_node_fd_review(P9Node *node)
{
        list_remove(&node->lru);
        if (node->fd >= 0 && node->parent && node->n_users == 0 && node->n_open_children == 0)
                list_append(&node->tree->pool->lru, &node->lru);
}

void p9_node_fd_joined(P9Node *node)
{
        if (node->fd < 0)
                return;
        node->parent->n_open_children++;
        p9_node_fd_review(node->parent);
        p9_node_fd_review(node);
}

void p9_node_fd_left(P9Node *node, P9Node *parent)
{
        if (node->fd < 0)
                return;
        parent->n_open_children--;
        p9_node_fd_review(parent);
        p9_node_fd_review(node);
}

void p9_node_fd_set(P9Node *node, int fd)
{
        assert(node->fd < 0);
        if (fd < 0)
                return;
        node->fd = fd;
        node->tree->n_open++;
        node->tree->pool->n_open++;
        if (node->parent)
                p9_node_fd_joined(node);
}

void p9_node_fd_close(P9Node *node)
{
        if (node->fd < 0)
                return;
        node->fd = fd_close(node->fd);
        node->tree->n_open--;
        node->tree->pool->n_open--;
        p9_node_fd_review(node);
        if (node->parent) {
                node->parent->n_open_children--;
                p9_node_fd_review(node->parent);
        }
}

/* Whether the node's name still leads to its file. */
static bool p9_node_is_reachable(P9Node *node)
{
        if (p9_node_is_at(node, node->parent->fd, node->name))
                return true;
        p9_node_refresh(node);
        return p9_node_is_at(node, node->parent->fd, node->name);
}

/* Closes one fd that can be had again. False if there is none. */
static bool p9_pool_evict(P9Pool *pool)
{
        for (List *item; (item = list_first(&pool->lru));) {
                P9Node *node = LIST_ENTRY(item, P9Node, lru);

                if (p9_node_is_reachable(node)) {
                        p9_node_fd_close(node);
                        return true;
                }
                /* Renamed or unlinked behind our back: this fd is all that leads to the file. */
                p9_node_lose_name(node, node->parent, node->name);
        }
        return false;
}

static int p9_pool_make_room(P9Pool *pool)
{
        while (pool->n_open >= pool->fds_max)
                if (!p9_pool_evict(pool))
                        return -ENFILE;
        return 0;
}

/* openat() that gives fds of the pool back if the process, or the machine, has none left. */
static int p9_pool_openat(P9Pool *pool, int dir_fd, const char *name, int flags, int *ret_fd)
{
        int fd = openat(dir_fd, name, flags | O_CLOEXEC);

        if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
                for (unsigned i = 0; i < P9_EVICT_BATCH && p9_pool_evict(pool); i++)
                        ;
                fd = openat(dir_fd, name, flags | O_CLOEXEC);
        }
        if (fd < 0)
                return errno_neg();
        *ret_fd = fd;
        return 0;
}

int p9_tree_open_path(P9Tree *tree, int dir_fd, const char *name, int *ret_fd)
{
        int r = p9_pool_make_room(tree->pool);

        return r < 0 ? r : p9_pool_openat(tree->pool, dir_fd, name, O_PATH | O_NOFOLLOW, ret_fd);
}

int p9_tree_open_proc(P9Tree *tree, const char *name, int flags, int *ret_fd)
{
        return p9_pool_openat(tree->pool, tree->proc_fd, name, flags, ret_fd);
}

/* One step of a chain: the parent has its fd. */
static int p9_node_reopen_one(P9Node *node)
{
        _cleanup_(fd_closep) int fd = FD_NONE;
        int r = p9_tree_open_path(node->tree, node->parent->fd, node->name, &fd);

        if (r < 0)
                return r == -ENOENT ? -ESTALE : r;
        if (!p9_node_is_at(node, fd, ""))
                return -ESTALE;
        p9_node_fd_set(node, TAKE_FD(fd));
        return 0;
}

/* Goes up to the nearest ancestor with an fd, then down again opening each. */
static int p9_node_reopen(P9Node *node)
{
        P9Node *at = node;

        at->reopen = NULL;
        for (; at->fd < 0; at = at->parent) {
                if (at->stale || !at->parent)
                        return -ESTALE;
                at->parent->reopen = at;
        }
        while ((at = at->reopen)) {
                int r;

                at->parent->n_users++; /* making room must not close what this step stands on */
                p9_node_fd_review(at->parent);
                r = p9_node_reopen_one(at);
                at->parent->n_users--;
                p9_node_fd_review(at->parent);
                if (r < 0)
                        return r;
        }
        return 0;
}

int p9_node_acquire(P9Node *node, int *ret_fd)
{
        if (node->fd < 0) {
                int r = p9_node_reopen(node);

                if (r < 0)
                        return r;
        }
        node->n_users++;
        p9_node_fd_review(node);
        *ret_fd = node->fd;
        return 0;
}

void p9_node_release(P9Node *node)
{
        if (!node)
                return;
        assert(node->n_users > 0);
        node->n_users--;
        p9_node_fd_review(node);
}
