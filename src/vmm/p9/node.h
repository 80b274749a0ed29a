/*
 * The files of one export that the guest holds on to: one node a file, whatever names it has.
 *
 *   fid ─┐
 *   fid ─┴─> node ──parent + name──> node ──parent + name──> root
 *              └ O_PATH fd (or none for now)                   └ the export's detached mount
 *
 * A node is reached by single components from its parent's O_PATH fd, never by a path string. Its
 * fd pins the inode, so a node with an fd means that very file for ever, also when it was renamed
 * or unlinked. There are more nodes than fds: the fd that was used least recently is closed and
 * opened again from parent and name when needed; the identity must then be the same, or the node is
 * stale (-ESTALE). A node whose name no longer leads to it keeps its fd.
 *
 * Invariants
 * - a node with an fd has a parent with an fd, or none (the root, or its name is gone)
 * - an fd may be closed only if its node has a name, no user and no child with an fd; exactly those
 *   nodes are on the tree's list, least recently used first
 * - a node holds a reference to its parent; all walks along parents are loops, not recursion,
 *   because the guest decides how deep a tree is
 * - a tree's root lives as long as any node of the tree
 *
 * A server may have several trees (binds.h). They share a pool: its limits are those of all
 * together, and whichever has the fd that was used least recently gives it up. A file that two trees
 * reach has a node in each.
 *
 * Thread: one at a time. Trust: names come checked from the codec; what the host has behind them
 * may change at any time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/list.h"
#include "vmm/p9/qid.h"
#include "vmm/p9/table.h"

typedef struct P9Tree P9Tree;

typedef struct P9Node {
        P9TableItem item; /* in the pool's nodes, unless stale */
        P9Tree *tree;
        struct P9Node *parent; /* NULL: the root, or its name is gone */
        char *name;            /* in @parent; NULL when @parent is */
        List lru;
        P9Identity identity;
        P9Qid qid;     /* for as long as the node lives, also where the identity changes */
        int fd;        /* O_PATH, or FD_NONE */
        uint32_t mode; /* the type for good, the rest as it was last seen or set */
        unsigned n_refs;
        unsigned n_users;                /* acquired and not yet released */
        unsigned n_open_children;        /* children with an fd */
        bool stale;                      /* the inode number belongs to another file now */
        unsigned n_files;                /* fids that have it open, as a file */
        unsigned n_set_id;               /* changes of its data under way, set_id.h */
        uint32_t set_id;                 /* the bits that these have to keep */
        struct P9LockOwner *lock_owners; /* owner.h: as long as there are such fids */
        struct P9Node *reopen;           /* the next one down, while a chain is reopened */
} P9Node;

/* What the trees of a server share. */
typedef struct P9Pool {
        P9Devices devices;
        int proc_fd; /* borrowed: /proc/self/fd */
        unsigned nodes_max, fds_max;
        P9Table nodes;
        List lru;
        unsigned n_nodes, n_open;
} P9Pool;

struct P9Tree {
        P9Pool *pool;
        int proc_fd; /* the pool's */
        bool read_only;
        bool made_up; /* its root has no file: binds.h answers for it */
        bool abandoned;
        P9Node *root;
        P9Qid above; /* what ".." of the root is: the root itself, or what it hangs below */
        unsigned n_nodes, n_open;
};

/* @proc_fd is borrowed; the limits are the caller's to fill in. */
void p9_pool_init(P9Pool *pool, int proc_fd);
void p9_pool_done(P9Pool *pool); /* all trees must be gone */

/*
 * Consumes @root_fd (any fd of the root directory or of a single file), also on failure. The tree
 * ends by p9_tree_abandon(). 0, -ENFILE beyond the pool's limits, or -errno.
 */
int p9_tree_new(P9Pool *pool, int root_fd, P9Tree **ret);

/* A read-only tree of one directory that exists nowhere, with this qid. Its node has no fd. */
int p9_tree_new_made_up(P9Pool *pool, P9Qid qid, P9Tree **ret);

/* Frees the tree: now, or with the last reference to a node of it. */
void p9_tree_abandon(P9Tree *tree);

P9Node *p9_node_ref(P9Node *node);
P9Node *p9_node_unref(P9Node *node);
DEFINE_CLEANUP(P9Node *, p9_node_unref)

/*
 * The node's O_PATH fd, borrowed until the release. 0; -ESTALE: the file is gone or another one;
 * -ENFILE: too many fds are in use; other -errno of openat().
 */
int p9_node_acquire(P9Node *node, int *ret_fd);

/* Accepts NULL. */
void p9_node_release(P9Node *node);
DEFINE_CLEANUP(P9Node *, p9_node_release)

/*
 * A new reference to what @name in @dir is now. Symbolic links aren't followed. @ret_st (or NULL) is
 * what it was when it was looked at. 0 or -errno; -ENFILE beyond the limits.
 */
int p9_node_walk(P9Node *dir, const char *name, struct statx *ret_st, P9Node **ret);

/*
 * The node of a file that was just made as @name in @dir, an acquired node, without an fd for now: the
 * caller has one of its own, whose @st it is. A new reference. 0 or -errno.
 */
int p9_node_note(P9Node *dir, const char *name, const struct statx *st, P9Node **ret);

/*
 * A new reference to the node, if there is one, of what @name in @dir (acquired) is now; else *ret
 * is NULL. 0 or -errno.
 */
int p9_node_find(P9Node *dir, const char *name, P9Node **ret);

/* Whether a file of this tree may lack an fd. */
bool p9_tree_has_closed(const P9Tree *tree);

/* The file is @name in @dir (acquired) from now on. */
void p9_node_set_name(P9Node *node, P9Node *dir, const char *name);

/* @name in @dir no longer is this file (its fd is open). No-op if the node goes by another name. */
void p9_node_lose_name(P9Node *node, const P9Node *dir, const char *name);

/*
 * Opens the file itself with open(2) @flags. Regular files and directories only: opening anything
 * else has effects, and the guest's kernel doesn't ask for it. 0, -ELOOP, -EOPNOTSUPP or -errno.
 */
int p9_node_open(P9Node *node, int flags, int *ret_fd);

/* The same for a file that is held by any fd, of whatever type. */
int p9_tree_reopen(P9Tree *tree, int fd, int flags, int *ret_fd);

/* The name of @fd's file below proc_fd, for system calls that take neither an O_PATH fd nor an empty
 * path. */
#define P9_PROC_NAME_SIZE 12
void p9_proc_name(int fd, char name[static P9_PROC_NAME_SIZE]);

/* statx() of the file behind @fd, all that P9_STATX_MASK asks for. 0 or -errno. */
int p9_fd_stat(int fd, struct statx *ret);
