/*
 * Identities of files, as the host has them and as the guest sees them.
 *
 * A host file is its mount, device and inode number, and its birth time where the file system keeps
 * one: an inode number is used again soon after its file is gone. The mount counts because the same
 * file may be writable below one mount of an export and read-only below another.
 *
 * The guest tells files apart by qid.path (it becomes st_ino) and qid.version (fs/9p's
 * v9fs_test_inode_dotl). The path is the inode number itself on the export's first device; other
 * devices of the same export get a number of their own in the upper bits. The version is made of
 * the birth time and not of times that change: a cached inode must stay the same inode when its
 * content changes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "vmm/p9/codec.h"

#define P9_DEVICES_MAX 64

/* What is asked of statx() wherever an identity is taken. */
#define P9_STATX_MASK (STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID)

typedef struct P9Identity {
        uint64_t mount, device, inode;
        uint64_t birth; /* nanoseconds; 0: not known */
} P9Identity;

P9Identity p9_identity(const struct statx *st);

/* Of two files that may exist at different times. */
bool p9_identity_equal(const P9Identity *a, const P9Identity *b);

/* Of two files that exist now: an open inode's number isn't used again. */
bool p9_identity_same_inode(const P9Identity *a, const P9Identity *b);

uint64_t p9_identity_hash(const P9Identity *identity);

/* The devices seen in one server's exports, in the order of their appearance. */
typedef struct P9Devices {
        uint64_t devices[P9_DEVICES_MAX];
        unsigned n;
} P9Devices;

/* @mode gives the type (S_IFMT). */
P9Qid p9_qid(P9Devices *devices, const P9Identity *identity, uint32_t mode);

/* The qid of a directory entry that nobody has looked at: no version, @type is a DT_* value. */
P9Qid p9_qid_of_entry(P9Devices *devices, uint64_t device, uint64_t inode, uint8_t type);
