/* Trees of files; see tree.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "client/files/tree.h"

#define TREE_OPEN (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* Deeper directories are brought up before they are emptied. */
#define TREE_REMOVE_DEPTH 100
/* Turns against whoever still fills what is being removed. */
#define TREE_REMOVE_TURNS 1000

typedef int (*TreeVisit)(int directory, const char *name, void *userdata);

/* Calls @visit for each name in @directory, borrowed, until one fails. */
static int tree_each(int directory, TreeVisit visit, void *userdata)
{
        int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
        DIR *stream = copy >= 0 ? fdopendir(copy) : NULL;
        struct dirent *entry;

        if (!stream) {
                r = errno_neg();
                fd_close(copy);
                return r;
        }
        while (!r && (errno = 0, entry = readdir(stream)))
                if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                        r = visit(directory, entry->d_name, userdata);
        if (!r && errno)
                r = errno_neg();
        closedir(stream);
        return r;
}

/* ------------------------------------------------------------------ removing */

typedef struct TreeRemoval {
        int top; /* where what is too deep is brought to */
        unsigned depth;
        unsigned turn, n_brought;
        bool again;
} TreeRemoval;

static int tree_remove_entry(int parent, const char *name, void *userdata)
{
        TreeRemoval *removal = userdata;
        _cleanup_(fd_closep) int directory = FD_NONE;
        char away[32];
        int r;

        if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
                return 0;
        if (errno != EISDIR && errno != EPERM)
                return errno_neg();
        if (removal->depth >= TREE_REMOVE_DEPTH) {
                snprintf(away, sizeof(away), ".uvm-deep-%u-%u", removal->turn,
                         removal->n_brought++);
                removal->again = true;
                return renameat(parent, name, removal->top, away) < 0 ? errno_neg() : 0;
        }
        directory = openat(parent, name, TREE_OPEN);
        /* It need not be readable to be ours. */
        if (directory < 0 && errno == EACCES && fchmodat(parent, name, 0700, 0) == 0)
                directory = openat(parent, name, TREE_OPEN);
        if (directory < 0)
                return errno == ENOENT ? 0 : errno_neg();
        (void)!fchmod(directory, 0700);
        removal->depth++;
        r = tree_each(directory, tree_remove_entry, removal);
        removal->depth--;
        if (r < 0)
                return r;
        if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
                return 0;
        /* Somebody has put something in meanwhile. */
        removal->again |= errno == ENOTEMPTY || errno == EEXIST;
        return removal->again ? 0 : errno_neg();
}

int tree_remove(int parent, const char *name)
{
        for (unsigned turn = 0; turn < TREE_REMOVE_TURNS; turn++) {
                TreeRemoval removal = {.top = parent, .turn = turn};
                _cleanup_(fd_closep) int top = openat(parent, name, TREE_OPEN);
                int r;

                if (top >= 0)
                        removal.top = top;
                r = tree_remove_entry(parent, name, &removal);
                if (r < 0 || !removal.again)
                        return r;
        }
        return -ENOTEMPTY;
}

/* ------------------------------------------------------------------ giving */

typedef struct TreeGift {
        uid_t uid;
        gid_t gid;
        bool chown;
        unsigned depth;
} TreeGift;

static int tree_give_entry(int parent, const char *name, void *userdata)
{
        TreeGift *gift = userdata;
        _cleanup_(fd_closep) int directory = FD_NONE;
        struct stat st;
        int r;

        if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno_neg();
        if (gift->chown && fchownat(parent, name, gift->uid, gift->gid, AT_SYMLINK_NOFOLLOW) < 0)
                return errno_neg();
        if (S_ISLNK(st.st_mode))
                return 0;
        if (st.st_mode & (S_ISUID | S_ISGID) && fchmodat(parent, name, st.st_mode & 01777, 0) < 0)
                return errno_neg();
        if (!S_ISDIR(st.st_mode))
                return 0;
        if (gift->depth >= TREE_DEPTH_MAX)
                return -ELOOP;
        directory = openat(parent, name, TREE_OPEN);
        /* A directory that its owner can't read has nothing that could be run. */
        if (directory < 0)
                return errno == EACCES ? 0 : errno_neg();
        gift->depth++;
        r = tree_each(directory, tree_give_entry, gift);
        gift->depth--;
        return r;
}

int tree_give(int parent, const char *name, uid_t uid, gid_t gid)
{
        TreeGift gift = {.uid = uid, .gid = gid, .chown = geteuid() == 0};

        return tree_give_entry(parent, name, &gift);
}

/* ------------------------------------------------------------------ moving */

typedef struct TreeMove {
        int to;
        unsigned depth;
} TreeMove;

static int tree_move_depth(int parent, const char *name, int to, const char *to_name,
                           unsigned depth);

static int tree_move_entry(int parent, const char *name, void *userdata)
{
        const TreeMove *move = userdata;

        return tree_move_depth(parent, name, move->to, name, move->depth);
}

static int tree_merge(int parent, const char *name, int to, const char *to_name, unsigned depth)
{
        _cleanup_(fd_closep) int source = openat(parent, name, TREE_OPEN);
        _cleanup_(fd_closep) int target = openat(to, to_name, TREE_OPEN);
        TreeMove move = {.to = target, .depth = depth + 1};

        if (depth >= TREE_DEPTH_MAX)
                return -ELOOP;
        if (source < 0 || target < 0)
                return errno_neg();
        return tree_each(source, tree_move_entry, &move);
}

static int tree_move_depth(int parent, const char *name, int to, const char *to_name,
                           unsigned depth)
{
        struct stat source, target;

        if (fstatat(parent, name, &source, AT_SYMLINK_NOFOLLOW) < 0)
                return errno_neg();
        if (fstatat(to, to_name, &target, AT_SYMLINK_NOFOLLOW) == 0) {
                if (S_ISDIR(source.st_mode) && S_ISDIR(target.st_mode))
                        return tree_merge(parent, name, to, to_name, depth);
                if (S_ISDIR(source.st_mode))
                        return -ENOTDIR;
                if (S_ISDIR(target.st_mode))
                        return -EISDIR;
        }
        return renameat(parent, name, to, to_name) < 0 ? errno_neg() : 0;
}

int tree_move(int parent, const char *name, int to, const char *to_name)
{
        return tree_move_depth(parent, name, to, to_name, 0);
}

int tree_move_contents(int directory, int to)
{
        TreeMove move = {.to = to};

        return tree_each(directory, tree_move_entry, &move);
}
