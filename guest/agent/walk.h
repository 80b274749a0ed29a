/*
 * A walk of a tree, or of two side by side, by file descriptors only: each directory is opened below
 * its parent by one name, and links are not followed. Whoever renames things meanwhile makes the
 * walk fail (ESTALE) or lets it see one thing or the other, but never leads it out.
 *
 * The way down is a list in memory, not the stack, and of it only the last WALK_OPEN levels are
 * kept open. On the way up the others are opened again by "..", and must be the directories that
 * they were. So neither depth nor the length of a path has a limit but memory.
 *
 * Names are read when a directory is entered; what is made in it later isn't seen.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#define WALK_OPEN 32

typedef struct WalkPlace {
        int fd;     /* the directory; FD_NONE: there is none here, or it isn't held open */
        bool there; /* there is one */
        dev_t dev;
        ino_t ino;
} WalkPlace;

typedef struct WalkLevel {
        WalkPlace places[2]; /* the names are those of the first */
        char *text;          /* the names, each with a NUL */
        char **names;
        size_t n_names, next;
        size_t path_size; /* of the path to this directory */
        unsigned flags;   /* the caller's */
} WalkLevel;

/* All zero is an empty one. */
typedef struct Walk {
        WalkLevel *levels;
        size_t n, capacity;
        char *path; /* of what was named last, from the top on: "/a/b"; "": the top */
        size_t path_capacity;
} Walk;

void walk_done(Walk *walk);

typedef enum WalkOrder {
        WALK_AS_READ,
        WALK_SORTED,
        WALK_MERGED, /* the names of both, sorted */
} WalkOrder;

/* Enters the directory @first, beside @second (FD_NONE: there is none). Both are open for reading
 * and taken, also on failure. 0 or -errno. */
int walk_enter(Walk *walk, int first, int second, WalkOrder order, unsigned flags);

/* The directory we are in, its places open; NULL: the walk is over. */
WalkLevel *walk_top(const Walk *walk);

/* The next name in it, which walk->path then ends with; NULL: there is none. 0 or -ENOMEM. */
int walk_next(Walk *walk, const char **ret);

/* Leaves it. 0 or -errno: -ESTALE: the way up isn't what it was. */
int walk_leave(Walk *walk);
