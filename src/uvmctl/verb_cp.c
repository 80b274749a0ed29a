/* uvmctl cp: files into and out of containers, as podman copies them. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "client/files/copy_path.h"
#include "client/files/staging.h"
#include "client/files/tarball.h"
#include "client/files/tree.h"
#include "uvmctl/borrow.h"
#include "uvmctl/verbs.h"

/* What a container's file is called while it is in the staging directory. */
#define CP_ITEM "item"

typedef struct Copy {
        CopyPath from, to;
        bool archive; /* keep owners */
        bool follow;
} Copy;

/* ------------------------------------------------------------------ into a container */

/* The container's path, and the name of what goes there. */
static int cp_send(Copy *copy, const Staging *staging, const char *name)
{
        _cleanup_(borrow_done) Borrow borrow = {};
        _cleanup_(freep) char *inside = NULL;
        const char *path = copy->to.path;
        bool into = true;
        int r;

        /* "DIR/": it must be there, so it goes below it in any case. */
        if (name[0] && copy->to.directory) {
                if (asprintf(&inside, "%s/%s", strcmp(path, "/") == 0 ? "" : path, name) < 0) {
                        inside = NULL;
                        return client_fail_errno(-ENOMEM, "cannot go on");
                }
                path = inside;
                into = false;
        }
        r = borrow_open(&borrow, copy->to.container, true);
        return r ? r : borrow_copy_in(&borrow, staging->fd, name, path, into);
}

static int cp_in_stream(Copy *copy)
{
        _cleanup_(staging_done) Staging staging = STAGING_INIT;
        int r = staging_open(&staging, NULL);

        if (!r)
                r = tarball_read(STDIN_FILENO, staging.fd, geteuid() == 0);
        return r ? r : cp_send(copy, &staging, "");
}

/*
 * The files pass through a directory of their own: the machine is shown no more than what it is to
 * get, and nothing that changes while it looks.
 */
static int cp_in(Copy *copy)
{
        _cleanup_(staging_done) Staging staging = STAGING_INIT;
        _cleanup_(freep) char *resolved = copy->follow ? realpath(copy->from.path, NULL)
                                                       : strdup(copy->from.path);
        const char *name = copy->from.contents ? "" : copy_path_name(&copy->from);
        struct stat st;
        int r;

        if (!resolved || lstat(resolved, &st) < 0)
                return client_fail_errno(errno_neg(), "cannot read %s", copy->from.path);
        if ((copy->from.directory || copy->from.contents) && S_ISLNK(st.st_mode)) {
                char *target = realpath(resolved, NULL);

                if (!target || stat(target, &st) < 0)
                        return client_fail_errno(errno_neg(), "cannot read %s", copy->from.path);
                free(resolved);
                resolved = target;
        }
        if ((copy->from.directory || copy->from.contents) && !S_ISDIR(st.st_mode))
                return client_fail_errno(-ENOTDIR, "cannot read %s", copy->from.path);
        r = staging_open(&staging, NULL);
        if (!r)
                r = tarball_copy(resolved, staging.path, name[0] ? name : NULL,
                                 copy->archive && geteuid() == 0);
        return r ? r : cp_send(copy, &staging, name);
}

/* ------------------------------------------------------------------ out of a container */

static int cp_fetch(const Copy *copy, const Staging *staging, const char *name)
{
        _cleanup_(borrow_done) Borrow borrow = {};
        int r = borrow_open(&borrow, copy->from.container, false);

        return r ? r
                 : borrow_copy_out(&borrow, staging->fd, copy->from.path, name,
                                   copy->follow || copy->from.directory, false);
}

static int cp_out_stream(const Copy *copy)
{
        _cleanup_(staging_done) Staging staging = STAGING_INIT;
        const char *name = copy->from.contents ? "" : copy_path_name(&copy->from);
        int r;

        if (isatty(STDOUT_FILENO))
                return client_fail("a tar archive is not for the terminal: redirect it");
        r = staging_open(&staging, NULL);
        if (!r)
                r = cp_fetch(copy, &staging, name);
        return r ? r
                 : tarball_write(staging.fd, name[0] ? name : NULL, geteuid() == 0, STDOUT_FILENO);
}

/* Where it goes on this host. */
typedef struct Target {
        char *directory; /* absolute */
        char *name;      /* NULL: what is copied is a directory whose contents go there */
        int fd;          /* of the directory */
} Target;

static void target_done(Target *target)
{
        free(target->directory);
        free(target->name);
        fd_close(target->fd);
}

static int target_resolve(Target *target, const Copy *copy)
{
        const char *path = copy->to.path;
        _cleanup_(freep) char *real = realpath(path, NULL), *parent = NULL;
        struct stat st;

        if (real && stat(real, &st) < 0)
                return errno_neg();
        if (real && S_ISDIR(st.st_mode)) {
                target->directory = TAKE_PTR(real);
                target->name = copy->from.contents ? NULL : strdup(copy_path_name(&copy->from));
                return target->name || copy->from.contents ? 0 : -ENOMEM;
        }
        if (copy->to.directory || copy->to.contents)
                return real ? -ENOTDIR : -ENOENT;
        if (real && !S_ISREG(st.st_mode))
                return -EINVAL;
        parent = strdup(real ? real : path);
        target->name = strdup(basename(parent));
        free(parent);
        parent = strdup(real ? real : path);
        if (!parent || !target->name)
                return -ENOMEM;
        target->directory = realpath(dirname(parent), NULL);
        return target->directory ? 0 : errno_neg();
}

static int target_open(Target *target, const Copy *copy)
{
        int r = target_resolve(target, copy);

        if (r >= 0) {
                target->fd = open(target->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                r = target->fd < 0 ? errno_neg() : 0;
        }
        return r < 0 ? client_fail_errno(r, "cannot copy to %s", copy->to.path) : 0;
}

/* From the staging directory to its place: by a rename where that can be. */
static int cp_place(const Staging *staging, const Target *target, bool owners)
{
        _cleanup_(freep) char *item = NULL;
        _cleanup_(fd_closep) int directory = FD_NONE;
        int r;

        if (!staging_is_beside(staging, target->fd)) {
                if (asprintf(&item, "%s/" CP_ITEM, staging->path) < 0) {
                        item = NULL;
                        return client_fail_errno(-ENOMEM, "cannot go on");
                }
                return tarball_copy(item, target->directory, target->name, owners);
        }
        if (target->name) {
                r = tree_move(staging->fd, CP_ITEM, target->fd, target->name);
        } else {
                directory = openat(staging->fd, CP_ITEM, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                r = directory < 0 ? errno_neg() : tree_move_contents(directory, target->fd);
        }
        return r < 0 ? client_fail_errno(r, "cannot copy to %s", target->directory) : 0;
}

static int cp_out(const Copy *copy)
{
        _cleanup_(staging_done) Staging staging = STAGING_INIT;
        _cleanup_(target_done) Target target = {.fd = FD_NONE};
        bool owners = copy->archive && geteuid() == 0;
        int r = target_open(&target, copy);

        if (!r)
                r = staging_open(&staging, target.directory);
        if (!r)
                r = cp_fetch(copy, &staging, CP_ITEM);
        if (r)
                return r;
        if (!owners) {
                r = tree_give(staging.fd, CP_ITEM, getuid(), getgid());
                if (r < 0)
                        return client_fail_errno(r, "cannot take over the files");
        }
        return cp_place(&staging, &target, owners);
}

/* ------------------------------------------------------------------ between containers */

static int cp_across(Copy *copy)
{
        _cleanup_(staging_done) Staging staging = STAGING_INIT;
        const char *name = copy->from.contents ? "" : copy_path_name(&copy->from);
        int r = staging_open(&staging, NULL);

        if (!r)
                r = cp_fetch(copy, &staging, name);
        return r ? r : cp_send(copy, &staging, name);
}

static int cp_run(Copy *copy)
{
        if (copy->from.container && copy->to.container)
                return cp_across(copy);
        if (copy->from.container)
                return copy_path_is_stream(&copy->to) ? cp_out_stream(copy) : cp_out(copy);
        if (copy->to.container)
                return copy_path_is_stream(&copy->from) ? cp_in_stream(copy) : cp_in(copy);
        return verb_usage_error(&verb_cp, "one of the two must be CONTAINER:PATH");
}

static int run(int argc, char **argv)
{
        static const struct option options[] = {
                {"archive", no_argument, NULL, 'a'},
                {"follow-link", no_argument, NULL, 'L'},
                {0},
        };
        Copy copy = {};
        int option, r;

        while ((option = getopt_long(argc, argv, "aL", options, NULL)) >= 0) {
                if (option == 'a')
                        copy.archive = true;
                else if (option == 'L')
                        copy.follow = true;
                else
                        return verb_usage_error(&verb_cp, "unknown option");
        }
        if (optind + 2 != argc)
                return verb_usage_error(&verb_cp, "from where, and to where?");
        r = copy_path_parse(argv[optind], &copy.from);
        if (r >= 0)
                r = copy_path_parse(argv[optind + 1], &copy.to);
        r = r < 0 ? client_fail_errno(r, "cannot copy from \"%s\" to \"%s\"", argv[optind],
                                      argv[optind + 1])
                  : cp_run(&copy);
        copy_path_done(&copy.from);
        copy_path_done(&copy.to);
        return r;
}

const Verb verb_cp = {
        .name = "cp",
        .arguments = "[OPTION…] CONTAINER:PATH|PATH|- CONTAINER:PATH|PATH|-",
        .summary = "copy files into, out of and between containers",
        .help = "  -a, --archive       keep owners (root only)\n"
                "  -L, --follow-link   copy what a symbolic link leads to\n"
                "\n"
                "\"-\" is a tar archive on standard input or output; \"DIR/.\" is what is in "
                "DIR.\n",
        .run = run,
};
