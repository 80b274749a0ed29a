/*
 * A made-up root directory, whose entries are trees of their own: what lets one device export any
 * number of files and directories from anywhere on the host.
 *
 *   /            read-only, mode 0555, owned by 0; a qid that no file has
 *   ├── name     root of a tree: a directory or a single file, writable or not
 *   └── name …
 *
 * Entries come and go while the guest has the root mounted. One that is taken away is gone from
 * Twalk and Treaddir at once; fids on its files, and what is walked to from them, go on until they are
 * clunked, like open files of a file system that was detached by umount(2). The tree and its mount go
 * with the last of them.
 *
 * Between two entries there is no way: rename and link are EXDEV, as between two mounts.
 *
 * Thread: one at a time. Trust: names and fds come from the shim.
 */
#pragma once

#include <time.h>

#include "base/list.h"
#include "vmm/p9/node.h"

/* The fd of each root stays open. */
#define P9_BINDS_MAX 1024

/* Positions in the root directory (Treaddir's offsets): behind "." and "..". Entries follow. */
#define P9_BINDS_DOT     1
#define P9_BINDS_DOT_DOT 2

typedef struct P9Bind {
        List item;
        P9Tree *tree;
        uint64_t position;
        char name[];
} P9Bind;

typedef struct P9Binds {
        P9Tree *tree; /* of the made-up root; NULL: this server has none */
        List entries; /* in the order of their positions */
        unsigned n, n_dirs;
        uint64_t position; /* of the last one that was added: none is used twice */
        struct timespec born, changed;
} P9Binds;

/* 0 or -errno. */
int p9_binds_init(P9Binds *binds, P9Pool *pool);
void p9_binds_done(P9Binds *binds); /* harmless on all zero */

/*
 * Adds an entry; consumes @root_fd, also on failure. 0; -EINVAL: no file name; -EEXIST; -ENOSPC:
 * P9_BINDS_MAX are there; -ENFILE: beyond the pool's limits; or -errno.
 */
int p9_binds_add(P9Binds *binds, const char *name, int root_fd, bool read_only);

/* 0 or -ENOENT. */
int p9_binds_remove(P9Binds *binds, const char *name);

/* A new reference to the root of entry @name. 0 or -ENOENT. */
int p9_binds_walk(const P9Binds *binds, const char *name, P9Node **ret);
