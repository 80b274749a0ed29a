/* Directories reached one component at a time; see walk.h. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "uvmd/image/entry_name.h"
#include "uvmd/image/walk.h"

#define WALK_OPEN (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/*
 * The way that is left to go, and the directories passed, innermost last: ".." in a link goes back to
 * one of them, so it never asks the kernel for a parent.
 */
typedef struct Walk {
        int root;
        int passed[WALK_DEPTH_MAX];
        int n_passed;
        int n_links;
        char way[2 * PATH_MAX];
} Walk;

static int walk_top(const Walk *walk)
{
        return walk->n_passed > 0 ? walk->passed[walk->n_passed - 1] : walk->root;
}

static void walk_back(Walk *walk, int n)
{
        while (walk->n_passed > n)
                fd_close(walk->passed[--walk->n_passed]);
}

/* Puts the target of link @name in front of the way. */
static int walk_follow(Walk *walk, const char *name)
{
        char target[PATH_MAX + 1], rest[2 * PATH_MAX];
        ssize_t n = readlinkat(walk_top(walk), name, target, PATH_MAX);

        if (n < 0)
                return errno_neg();
        if (++walk->n_links > WALK_LINKS_MAX)
                return WALK_E_LOOP;
        target[n] = 0;
        if (target[0] == '/')
                walk_back(walk, 0);
        memcpy(rest, walk->way, sizeof(rest));
        n = snprintf(walk->way, sizeof(walk->way), "%s/%s", target, rest);
        return n < (ssize_t)sizeof(walk->way) ? 0 : WALK_E_LOOP;
}

static int walk_enter(Walk *walk, const char *name)
{
        int top = walk_top(walk), fd;

        if (walk->n_passed == WALK_DEPTH_MAX)
                return WALK_E_LOOP;
        fd = openat(top, name, WALK_OPEN);
        if (fd < 0 && errno == ENOENT) {
                if (mkdirat(top, name, 0755) < 0)
                        return errno_neg();
                fd = openat(top, name, WALK_OPEN);
        }
        if (fd < 0 && (errno == ELOOP || errno == ENOTDIR)) {
                struct stat status;

                if (fstatat(top, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
                        return errno_neg();
                return S_ISLNK(status.st_mode) ? walk_follow(walk, name) : WALK_E_NOT_DIR;
        }
        if (fd < 0)
                return errno_neg();
        walk->passed[walk->n_passed++] = fd;
        return 0;
}

/* Goes one component of the way. 0, WALK_E_*, -errno. */
static int walk_step(Walk *walk)
{
        char component[ENTRY_COMPONENT_MAX + 1];
        size_t size = strcspn(walk->way, "/"), skip = size + strspn(walk->way + size, "/");

        if (size > ENTRY_COMPONENT_MAX)
                return WALK_E_LOOP;
        memcpy(component, walk->way, size);
        component[size] = 0;
        memmove(walk->way, walk->way + skip, strlen(walk->way + skip) + 1);
        if (size == 0 || strcmp(component, ".") == 0)
                return 0;
        if (strcmp(component, "..") == 0) {
                if (walk->n_passed == 0)
                        return WALK_E_ESCAPE;
                walk_back(walk, walk->n_passed - 1);
                return 0;
        }
        return walk_enter(walk, component);
}

int walk_open(int root, const char *name, int *ret)
{
        Walk walk = {.root = root};
        int r = 0;

        snprintf(walk.way, sizeof(walk.way), "%s", name);
        while (!r && walk.way[0])
                r = walk_step(&walk);
        if (!r) {
                if (walk.n_passed > 0)
                        *ret = walk.passed[--walk.n_passed];
                else
                        *ret = fcntl(root, F_DUPFD_CLOEXEC, 3);
                if (*ret < 0)
                        r = errno_neg();
        }
        walk_back(&walk, 0);
        return r;
}

const char *walk_strerror(int error)
{
        switch (error) {
        case WALK_E_ESCAPE:
                return "a symbolic link on its way leads out of the image";
        case WALK_E_LOOP:
                return "there are too many symbolic links or directories on its way";
        case WALK_E_NOT_DIR:
                return "something on its way is not a directory";
        default:
                return "it can't be reached";
        }
}

static int walk_remove_depth(int parent, const char *name, int depth);

static int walk_empty(int directory, int depth)
{
        DIR *stream = fdopendir(directory);
        struct dirent *entry;
        int r = 0;

        if (!stream) {
                fd_close(directory);
                return errno_neg();
        }
        while (!r && (errno = 0, entry = readdir(stream)))
                if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                        r = walk_remove_depth(dirfd(stream), entry->d_name, depth + 1);
        if (!r && errno)
                r = errno_neg();
        closedir(stream);
        return r;
}

static int walk_remove_depth(int parent, const char *name, int depth)
{
        int directory, r;

        if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
                return 0;
        if (errno != EISDIR && errno != EPERM)
                return errno_neg();
        if (depth >= WALK_DEPTH_MAX)
                return WALK_E_LOOP;
        directory = openat(parent, name, WALK_OPEN);
        if (directory < 0)
                return errno_neg();
        r = walk_empty(directory, depth);
        if (r)
                return r;
        return unlinkat(parent, name, AT_REMOVEDIR) < 0 ? errno_neg() : 0;
}

int walk_remove(int parent, const char *name)
{
        return walk_remove_depth(parent, name, 0);
}
