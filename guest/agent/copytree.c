/* Copies of files and trees; see copytree.h. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

#include "agent/copydata.h"
#include "agent/copymeta.h"
#include "agent/copytree.h"

/* Of a level of the walk. */
#define ATTRIBUTES (1u << 0) /* it gets the attributes of the source when it is left */
#define INHERITS   (1u << 1) /* what is made in it inherits an access control list */
#define PLAIN      (1u << 2) /* it has itself inherited one */

int copy_tree_init(CopyTree *copy, const char *name)
{
        *copy = (CopyTree){.name = name, .top = FD_NONE, .buffer = malloc(COPY_BUFFER_SIZE)};
        return copy->buffer ? 0 : -ENOMEM;
}

void copy_tree_done(CopyTree *copy)
{
        walk_done(&copy->walk);
        copy_links_done(&copy->links);
        copy->top = fd_close(copy->top);
        free(copy->buffer);
        free(copy->closed);
        copy->buffer = NULL;
        copy->closed = NULL;
}

static int fail(CopyTree *copy, int r, Fault *fault)
{
        return fault_set(fault, r, "cannot copy %s%s", copy->name,
                         copy->walk.path ? copy->walk.path : "");
}

static int reopen_directory(int fd, int *ret)
{
        *ret = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return *ret < 0 ? errno_neg() : 0;
}

/* Enters @source and @to, both O_PATH or better. */
static int enter(CopyTree *copy, int source, int to, unsigned flags)
{
        int first = FD_NONE, second = FD_NONE, r = reopen_directory(source, &first);

        if (r == 0)
                r = reopen_directory(to, &second);
        if (r < 0) {
                fd_close(first);
                return r;
        }
        if (copy_inherits(second))
                flags |= INHERITS;
        return walk_enter(&copy->walk, first, second, WALK_AS_READ, flags);
}

static bool is_closed(const CopyTree *copy, dev_t dev)
{
        const WalkLevel *level = walk_top(&copy->walk);

        if (!level || level->places[0].dev == dev)
                return false;
        for (size_t i = 0; i < copy->n_closed; i++)
                if (copy->closed[i] == dev)
                        return true;
        return false;
}

/* A directory that exists is merged with. */
static int enter_new(CopyTree *copy, int source, const struct stat *status, int to,
                     const char *name, bool plain)
{
        _cleanup_(fd_closep) int made = FD_NONE;
        bool fresh = mkdirat(to, name, 0700) == 0;

        if (!fresh && errno != EEXIST)
                return errno_neg();
        made = openat(to, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (made < 0)
                return errno_neg();
        if (is_closed(copy, status->st_dev)) {
                copy->files++;
                return copy_attributes(source, status, made, fresh && plain);
        }
        return enter(copy, source, made, ATTRIBUTES | (fresh && plain ? PLAIN : 0));
}

static int copy_any(CopyTree *copy, int source, int to, const char *name, bool plain)
{
        struct stat status;

        if (fstat(source, &status) < 0)
                return errno_neg();
        if (S_ISDIR(status.st_mode))
                return enter_new(copy, source, &status, to, name, plain);
        return copy_file(copy, source, &status, to, name, plain);
}

/* What has been removed since its directory was read is left out. */
static int copy_entry(CopyTree *copy, const WalkLevel *level, const char *name)
{
        _cleanup_(fd_closep) int source = openat(level->places[0].fd, name,
                                                 O_PATH | O_NOFOLLOW | O_CLOEXEC);
        struct stat status;
        int r;

        if (source < 0)
                return errno == ENOENT ? 0 : errno_neg();
        r = copy_any(copy, source, level->places[1].fd, name, level->flags & INHERITS);
        return r == -ENOENT && fstat(source, &status) == 0 && status.st_nlink == 0 ? 0 : r;
}

/* Now that nothing is made in it any more. */
static int leave(CopyTree *copy, const WalkLevel *level)
{
        struct stat status;
        int r = 0;

        if (level->flags & ATTRIBUTES) {
                r = fstat(level->places[0].fd, &status) < 0
                            ? errno_neg()
                            : copy_attributes(level->places[0].fd, &status, level->places[1].fd,
                                              level->flags & PLAIN);
                copy->files++;
        }
        return r < 0 ? r : walk_leave(&copy->walk);
}

static int run(CopyTree *copy, Fault *fault)
{
        WalkLevel *level;

        while ((level = walk_top(&copy->walk))) {
                const char *name;
                int r = walk_next(&copy->walk, &name);

                if (r == 0 && copy_is_stopped())
                        r = -ECANCELED;
                if (r == 0)
                        r = name ? copy_entry(copy, level, name) : leave(copy, level);
                if (r < 0)
                        return fail(copy, r, fault);
        }
        return 0;
}

int copy_tree_to(CopyTree *copy, int source, int to, const char *name, Fault *fault)
{
        int r = copy_any(copy, source, to, name, copy_inherits(to));
        const WalkLevel *level = walk_top(&copy->walk);

        if (r < 0)
                return fail(copy, r, fault);
        if (level) {
                copy->top = fcntl(level->places[1].fd, F_DUPFD_CLOEXEC, 0);
                if (copy->top < 0)
                        return fail(copy, errno_neg(), fault);
        }
        return run(copy, fault);
}

int copy_tree_contents(CopyTree *copy, int source, int to, bool attributes, Fault *fault)
{
        int r = enter(copy, source, to, attributes ? ATTRIBUTES : 0);

        if (r < 0)
                return fail(copy, r, fault);
        copy->top = fcntl(to, F_DUPFD_CLOEXEC, 0);
        return copy->top < 0 ? fail(copy, errno_neg(), fault) : run(copy, fault);
}
