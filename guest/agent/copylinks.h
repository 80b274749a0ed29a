/* Hard links within a tree that is copied: where each file that has several names was copied to. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* A file's identity; in the source and in the destination. */
typedef struct CopyIdentity {
        dev_t dev;
        ino_t ino;
} CopyIdentity;

typedef struct CopyLink {
        CopyIdentity from, to;
        char *path; /* from the top of the destination: "/a/b"; NULL: an empty place */
} CopyLink;

/* A hash table with open places; all zero is an empty one. */
typedef struct CopyLinks {
        CopyLink *links;
        size_t n, capacity; /* a power of two, or 0 */
} CopyLinks;

void copy_links_done(CopyLinks *links);

/* NULL: that file has not been copied yet. */
const CopyLink *copy_links_find(const CopyLinks *links, CopyIdentity from);

/* Once for each file. @path is copied. 0 or -ENOMEM. */
int copy_links_add(CopyLinks *links, CopyIdentity from, CopyIdentity to, const char *path);
