/*
 * The guest's handles. A fid names a node; opened, it also has a file of its own, and so its own
 * position in a directory and its own locks. The number is the guest's choice.
 *
 *   P9_FID_NODE ──Tlopen, Tlcreate──> P9_FID_FILE | P9_FID_DIR
 *               ──Txattrcreate──────> P9_FID_XATTR_SET   (its Tclunk sets the attribute)
 *   Txattrwalk makes a P9_FID_XATTR_GET.
 *
 * A fid whose number was given up lives on, with its file open, until its requests in flight have
 * been answered.
 *
 * Thread: one at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/p9/locks.h"
#include "vmm/p9/node.h"

typedef enum P9FidKind {
        P9_FID_NODE,
        P9_FID_FILE,
        P9_FID_DIR,
        P9_FID_XATTR_GET,
        P9_FID_XATTR_SET,
} P9FidKind;

/* The value of an extended attribute, or the list of their names, on its way. */
typedef struct P9Xattr {
        char name[P9_NAME_MAX + 1];
        uint32_t flags;  /* XATTR_CREATE, XATTR_REPLACE */
        uint32_t size;   /* of data[] */
        uint32_t filled; /* the guest has written so many bytes from the start */
        uint8_t data[];
} P9Xattr;

typedef struct P9Fid {
        P9TableItem item;
        unsigned n_refs; /* the number's, and one for each request in flight */
        uint32_t id;
        uint32_t uid; /* owner of what is made through it, from Tattach; P9_NO_ID: the server's */
        P9Node *node; /* a reference */
        P9FidKind kind;
        int access;     /* O_RDONLY, O_WRONLY or O_RDWR of @fd */
        bool is_sync;   /* each write to @fd waits until it is on the disk */
        int fd;         /* FILE, DIR: open for I/O; else FD_NONE */
        int lock_fd;    /* holds its locks if @fd can't; else FD_NONE */
        P9Locks locks;  /* FILE */
        int64_t dir_at; /* DIR: where @fd's position is; -1: unknown */
        P9Xattr *xattr; /* XATTR_*: owned */
} P9Fid;

typedef struct P9FidTable {
        P9Table table;
        unsigned fids_max;
        unsigned files, files_max; /* fds of opened fids and locks */
        unsigned locks, locks_max; /* ranges that all fids have locked on the host */
        size_t xattr, xattr_max;   /* bytes of all P9Xattr */
} P9FidTable;

/* NULL if there is none. Borrowed. */
P9Fid *p9_fid_get(const P9FidTable *table, uint32_t id);

/*
 * A new fid of kind NODE with a reference of its own to @node. 0; -EINVAL: the number is in use or
 * P9_NO_FID; -ENFILE: too many; -ENOMEM.
 */
int p9_fid_new(P9FidTable *table, uint32_t id, P9Node *node, uint32_t uid, P9Fid **ret);

/* Gives the number up; closes and frees all that it holds, unless others have references. */
void p9_fid_free(P9FidTable *table, P9Fid *fid);
void p9_fid_free_all(P9FidTable *table);

P9Fid *p9_fid_ref(P9Fid *fid);
void p9_fid_unref(P9FidTable *table, P9Fid *fid);

/*
 * An fd of the fid's file for everything but I/O: its own if it is opened, which works whatever
 * became of the node's, else the node's. Borrowed; release *ret_acquired (may be NULL) when done.
 * 0 or -errno as p9_node_acquire().
 */
int p9_fid_acquire(P9Fid *fid, P9Node **ret_acquired, int *ret_fd);

/* Points the fid to another node; takes a reference. */
void p9_fid_set_node(P9Fid *fid, P9Node *node);

/* -ENFILE if one more fd of an opened fid would be too many, else 0. */
int p9_fid_may_open(const P9FidTable *table);

/* Makes an opened fid; consumes @fd. @access is part of @flags. */
void p9_fid_set_open(P9FidTable *table, P9Fid *fid, int fd, int flags);
void p9_fid_set_lock_fd(P9FidTable *table, P9Fid *fid, int fd);

/* Gives the fid room for @size bytes of attribute. 0, -ENOSPC beyond the limit of all together, or
 * -ENOMEM. */
int p9_fid_set_xattr(P9FidTable *table, P9Fid *fid, P9FidKind kind, uint32_t size);
