/* Nodes: identity, names and references. How their fds come and go is in node_fd.c; see node.h. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/fd.h"
#include "vmm/p9/node.h"
#include "vmm/p9/node_fd.h"

static int p9_stat(int fd, const char *name, struct statx *ret)
{
        int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (*name ? 0 : AT_EMPTY_PATH);

        return statx(fd, name, flags, P9_STATX_MASK, ret) < 0 ? errno_neg() : 0;
}

static P9Node *p9_node_from_item(P9TableItem *item)
{
        return item ? CONTAINER_OF(item, P9Node, item) : NULL;
}

/* Takes a node out of the table for good. */
static void p9_node_set_stale(P9Node *node)
{
        p9_table_remove(&node->tree->pool->nodes, &node->item);
        node->stale = true;
}

/*
 * The node of a file that exists now. One without an fd whose inode number went to another file is
 * found out here, and is stale from then on.
 */
static P9Node *p9_tree_lookup(P9Tree *tree, const P9Identity *identity)
{
        P9TableItem *item = p9_table_first(&tree->pool->nodes, p9_identity_hash(identity));

        for (P9TableItem *next; item; item = next) {
                P9Node *node = p9_node_from_item(item);

                next = p9_table_next(item);
                if (node->tree != tree || !p9_identity_same_inode(&node->identity, identity))
                        continue;
                if (node->fd >= 0 || p9_identity_equal(&node->identity, identity))
                        return node;
                p9_node_set_stale(node);
        }
        return NULL;
}

static int p9_node_new(P9Tree *tree, int fd, const struct statx *st, P9Node **ret)
{
        P9Pool *pool = tree->pool;
        P9Node *node;
        int r;

        if (pool->n_nodes >= pool->nodes_max)
                return -ENFILE;
        node = calloc(1, sizeof(*node));
        if (!node)
                return -ENOMEM;
        *node = (P9Node){
                .tree = tree,
                .identity = p9_identity(st),
                .fd = FD_NONE,
                .mode = st->stx_mode,
                .n_refs = 1,
        };
        r = p9_table_insert(&pool->nodes, &node->item, p9_identity_hash(&node->identity));
        if (r < 0) {
                free(node);
                return r;
        }
        node->qid = p9_qid(&pool->devices, &node->identity, node->mode);
        tree->n_nodes++;
        pool->n_nodes++;
        p9_node_fd_set(node, fd);
        *ret = node;
        return 0;
}

void p9_pool_init(P9Pool *pool, int proc_fd)
{
        pool->proc_fd = proc_fd;
        list_init(&pool->lru);
}

void p9_pool_done(P9Pool *pool)
{
        assert(pool->n_nodes == 0 && pool->n_open == 0);
        p9_table_done(&pool->nodes);
}

/* A tree with its root; consumes @fd (or FD_NONE) on success. */
static int p9_tree_plant(P9Pool *pool, int fd, const struct statx *st, P9Tree **ret)
{
        P9Tree *tree = calloc(1, sizeof(*tree));
        int r;

        if (!tree)
                return -ENOMEM;
        tree->pool = pool;
        tree->proc_fd = pool->proc_fd;
        r = p9_node_new(tree, fd, st, &tree->root);
        if (r < 0) {
                free(tree);
                return r;
        }
        tree->above = tree->root->qid;
        *ret = tree;
        return 0;
}

int p9_tree_new(P9Pool *pool, int root_fd, P9Tree **ret)
{
        _cleanup_(fd_closep) int fd = root_fd;
        struct statx st;
        int r;

        r = p9_stat(fd, "", &st);
        if (r == 0)
                r = p9_tree_plant(pool, fd, &st, ret);
        if (r == 0)
                TAKE_FD(fd);
        return r;
}

int p9_tree_new_made_up(P9Pool *pool, P9Qid qid, P9Tree **ret)
{
        /* No file has this identity: mount, device and inode are 0. */
        const struct statx st = {.stx_mode = S_IFDIR | 0555};
        P9Tree *tree;
        int r;

        r = p9_tree_plant(pool, FD_NONE, &st, &tree);
        if (r < 0)
                return r;
        tree->read_only = tree->made_up = true;
        tree->root->qid = tree->above = qid;
        *ret = tree;
        return 0;
}

static void p9_node_free(P9Node *node)
{
        P9Tree *tree = node->tree;

        p9_node_fd_close(node);
        if (!node->stale)
                p9_table_remove(&tree->pool->nodes, &node->item);
        tree->n_nodes--;
        tree->pool->n_nodes--;
        free(node->name);
        free(node);
}

/* Ends an abandoned tree of which nobody but itself has a node any more. */
static void p9_tree_settle(P9Tree *tree)
{
        if (!tree->abandoned || tree->n_nodes > 1 || tree->root->n_refs > 1)
                return;
        p9_node_free(tree->root);
        free(tree);
}

void p9_tree_abandon(P9Tree *tree)
{
        if (!tree)
                return;
        tree->abandoned = true;
        p9_tree_settle(tree);
}

P9Node *p9_node_ref(P9Node *node)
{
        node->n_refs++;
        return node;
}

P9Node *p9_node_unref(P9Node *node)
{
        P9Tree *tree = node ? node->tree : NULL;

        while (node && --node->n_refs == 0) {
                P9Node *parent = node->parent; /* its reference is the loop's now */

                p9_node_free(node);
                node = parent;
        }
        if (tree)
                p9_tree_settle(tree);
        return NULL;
}

static bool p9_node_is_named(const P9Node *node, const P9Node *dir, const char *name)
{
        return node->parent == dir && strcmp(node->name, name) == 0;
}

/* Whether @dir lies at or below @node, by our own books, which the host may have outdated. */
static bool p9_node_contains(const P9Node *node, const P9Node *dir)
{
        for (; dir; dir = dir->parent)
                if (dir == node)
                        return true;
        return false;
}

static void p9_node_drop_name(P9Node *node)
{
        P9Node *parent = TAKE_PTR(node->parent);

        free(TAKE_PTR(node->name));
        if (!parent)
                return;
        p9_node_fd_left(node, parent);
        p9_node_unref(parent);
}

void p9_node_set_name(P9Node *node, P9Node *dir, const char *name)
{
        char *copy;

        if (node == node->tree->root || (node->parent && p9_node_is_named(node, dir, name)))
                return;
        /* Never a circle of parents. Nor is a missed rename a disaster: the fd stays open. */
        if (S_ISDIR(node->mode) && p9_node_contains(node, dir))
                return;
        copy = strdup(name);
        if (!copy)
                return;
        p9_node_ref(dir); /* before the old name goes: it may hold the last reference */
        p9_node_drop_name(node);
        node->parent = dir;
        node->name = copy;
        p9_node_fd_joined(node);
}

void p9_node_lose_name(P9Node *node, const P9Node *dir, const char *name)
{
        if (node->parent && p9_node_is_named(node, dir, name))
                p9_node_drop_name(node);
}

int p9_node_note(P9Node *dir, const char *name, const struct statx *st, P9Node **ret)
{
        P9Identity identity = p9_identity(st);
        P9Node *node = p9_tree_lookup(dir->tree, &identity);
        int r;

        if (node) {
                p9_node_ref(node);
                node->mode = st->stx_mode;
        } else {
                r = p9_node_new(dir->tree, FD_NONE, st, &node);
                if (r < 0)
                        return r;
        }
        p9_node_set_name(node, dir, name);
        *ret = node;
        return 0;
}

/* The node of an open file found as @name in @dir; consumes @fd on success. */
static int p9_tree_intern(P9Node *dir, const char *name, int fd, struct statx *st, P9Node **ret)
{
        P9Node *node;
        int r;

        r = p9_stat(fd, "", st);
        if (r == 0)
                r = p9_node_note(dir, name, st, &node);
        if (r < 0)
                return r;
        if (node->fd >= 0)
                fd_close(fd);
        else {
                /* If it kept an older name, whose directory may be closed: do without one. */
                if (node->parent != dir)
                        p9_node_drop_name(node);
                p9_node_fd_set(node, fd);
        }
        *ret = node;
        return 0;
}

int p9_node_walk(P9Node *dir, const char *name, struct statx *ret_st, P9Node **ret)
{
        _cleanup_(p9_node_releasep) P9Node *acquired = NULL;
        _cleanup_(fd_closep) int fd = FD_NONE;
        struct statx st;
        int dir_fd, r;

        r = p9_node_acquire(dir, &dir_fd);
        if (r < 0)
                return r;
        acquired = dir;
        r = p9_tree_open_path(dir->tree, dir_fd, name, &fd);
        if (r < 0)
                return r;
        r = p9_tree_intern(dir, name, fd, ret_st ?: &st, ret);
        if (r == 0)
                TAKE_FD(fd);
        return r;
}

int p9_node_find(P9Node *dir, const char *name, P9Node **ret)
{
        P9Identity identity;
        struct statx st;
        P9Node *node;
        int r;

        assert(dir->fd >= 0);
        *ret = NULL;
        r = p9_stat(dir->fd, name, &st);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        identity = p9_identity(&st);
        node = p9_tree_lookup(dir->tree, &identity);
        *ret = node ? p9_node_ref(node) : NULL;
        return 0;
}

bool p9_tree_has_closed(const P9Tree *tree)
{
        return tree->n_open < tree->n_nodes;
}

bool p9_node_is_at(const P9Node *node, int fd, const char *name)
{
        P9Identity identity;
        struct statx st;

        if (p9_stat(fd, name, &st) < 0)
                return false;
        identity = p9_identity(&st);
        return p9_identity_equal(&identity, &node->identity);
}

void p9_node_refresh(P9Node *node)
{
        P9Identity identity;
        struct statx st;
        P9Node *other;
        int r;

        if (p9_stat(node->fd, "", &st) < 0)
                return;
        identity = p9_identity(&st);
        other = p9_tree_lookup(node->tree, &identity);
        if (other && other != node)
                return;
        p9_table_remove(&node->tree->pool->nodes, &node->item);
        node->identity = identity;
        r = p9_table_insert(&node->tree->pool->nodes, &node->item, p9_identity_hash(&identity));
        assert(r == 0); /* there is room where it was */
}

int p9_fd_stat(int fd, struct statx *ret)
{
        return p9_stat(fd, "", ret);
}

void p9_proc_name(int fd, char name[static P9_PROC_NAME_SIZE])
{
        assert(fd >= 0);
        snprintf(name, P9_PROC_NAME_SIZE, "%d", fd);
}

int p9_tree_reopen(P9Tree *tree, int fd, int flags, int *ret_fd)
{
        char name[P9_PROC_NAME_SIZE];

        p9_proc_name(fd, name);
        return p9_tree_open_proc(tree, name, flags, ret_fd);
}

int p9_node_open(P9Node *node, int flags, int *ret_fd)
{
        _cleanup_(p9_node_releasep) P9Node *acquired = NULL;
        int fd, r;

        if (S_ISLNK(node->mode))
                return -ELOOP;
        if (!S_ISREG(node->mode) && !S_ISDIR(node->mode))
                return -EOPNOTSUPP;
        r = p9_node_acquire(node, &fd);
        if (r < 0)
                return r;
        acquired = node;
        return p9_tree_reopen(node->tree, fd, flags, ret_fd);
}
