/*
 * Directories of a root file system that is being filled, reached one component at a time, never by a
 * path: symbolic links on the way are followed inside the root as a chroot would follow them, but one
 * that climbs out of the root by ".." is refused.
 */
#pragma once

#define WALK_LINKS_MAX 40 /* as Linux's own limit (path_resolution(7)) */

/* The archive did this; -errno is ours or the host's. */
enum {
        WALK_E_ESCAPE = 1, /* a link on the way leads out of the root */
        WALK_E_LOOP,       /* too many links, or too deep */
        WALK_E_NOT_DIR,    /* something on the way is no directory */
};

/*
 * Opens the directory @name (normalised, "" is the root) below @root, making those that are missing
 * with mode 0755. 0 and an O_RDONLY fd, WALK_E_*, or -errno.
 */
int walk_open(int root, const char *name, int *ret);
const char *walk_strerror(int error);

/*
 * Removes @name, and all below it, from directory @parent; nothing there is fine. Never follows a
 * link, never leaves the file system. 0, WALK_E_LOOP (deeper than WALK_DEPTH_MAX), or -errno.
 */
#define WALK_DEPTH_MAX 512
int walk_remove(int parent, const char *name);
