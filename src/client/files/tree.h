/*
 * Trees of files that a container has filled: nothing in them is followed, names and depths may be
 * anything. All: 0 or -errno.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* Deeper trees than this are refused with -ELOOP (but removed). */
#define TREE_DEPTH_MAX 500

/* Removes @name in @parent and all below it, whatever its modes; nothing there is fine. */
int tree_remove(int parent, const char *name);

/*
 * Makes it the caller's: takes set-user-id and set-group-id bits off, so that nothing of a container's
 * runs with the caller's rights for others, and gives all to @uid and @gid where the caller is root.
 */
int tree_give(int parent, const char *name, uid_t uid, gid_t gid);

/*
 * Moves @name to @to_name on the same file system. Directories that are there are merged, other files
 * replaced; -EISDIR, -ENOTDIR where the types don't fit.
 */
int tree_move(int parent, const char *name, int to, const char *to_name);

/* The same for all that is in @directory. */
int tree_move_contents(int directory, int to);
