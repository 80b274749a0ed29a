/* One file that is copied, of any type but a directory; see copytree.h. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

#include "agent/copydata.h"
#include "agent/copymeta.h"
#include "agent/copytree.h"

/* What is to replace something is made beside it under such a name. */
#define TEMPORARY       ".uvm-copy-%u"
#define TEMPORARY_SIZE  32
#define TEMPORARY_TRIES 1000

typedef struct Job {
        CopyTree *copy;
        int source;
        const struct stat *status;
        int to;
        bool plain;
        const CopyLink *link; /* the file is there already, under another name */
} Job;

static int make_symlink(int source, int to, const char *name)
{
        char target[PATH_MAX];
        ssize_t n = readlinkat(source, "", target, sizeof(target));

        if (n < 0)
                return errno_neg();
        if ((size_t)n == sizeof(target))
                return -ENAMETOOLONG;
        target[n] = '\0';
        return symlinkat(target, to, name) < 0 ? errno_neg() : 0;
}

/* An fd of what was made: to be written to for a regular file, else O_PATH. */
static int make(const Job *job, const char *name, int *ret_fd)
{
        mode_t mode = job->status->st_mode;
        int r = 0, fd;

        if (S_ISREG(mode)) {
                fd = openat(job->to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                            0600);
        } else {
                if (S_ISLNK(mode))
                        r = make_symlink(job->source, job->to, name);
                else if (mknodat(job->to, name, mode & (S_IFMT | 0600), job->status->st_rdev) < 0)
                        r = errno_neg();
                if (r < 0)
                        return r;
                fd = openat(job->to, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        }
        if (fd < 0)
                return errno_neg();
        *ret_fd = fd;
        return 0;
}

/* It was opened before it was looked at; what it is now is what it was. */
static int open_to_read(int source)
{
        char number[COPY_NUMBER_SIZE];
        int fd = open(copy_number(source, number), O_RDONLY | O_NOATIME | O_CLOEXEC);

        return fd < 0 ? errno_neg() : fd;
}

static int fill(const Job *job, int fd, uint64_t *ret_size)
{
        _cleanup_(fd_closep) int from = FD_NONE;
        int r;

        if (S_ISREG(job->status->st_mode)) {
                from = open_to_read(job->source);
                if (from < 0)
                        return from;
                r = copy_data(from, job->status, fd, job->copy->buffer, ret_size);
                if (r < 0)
                        return r;
        }
        return copy_attributes(job->source, job->status, fd, job->plain);
}

/* Several names are one file in the destination too. */
static int remember(const Job *job, int fd)
{
        const struct stat *from = job->status;
        struct stat to;

        if (from->st_nlink < 2 || !walk_top(&job->copy->walk) ||
            copy_links_find(&job->copy->links, (CopyIdentity){from->st_dev, from->st_ino}))
                return 0;
        if (fstat(fd, &to) < 0)
                return errno_neg();
        return copy_links_add(&job->copy->links, (CopyIdentity){from->st_dev, from->st_ino},
                              (CopyIdentity){to.st_dev, to.st_ino}, job->copy->walk.path);
}

static int make_whole(const Job *job, const char *name, uint64_t *ret_size)
{
        int fd = FD_NONE, r = make(job, name, &fd);

        if (r < 0)
                return r;
        r = fill(job, fd, ret_size);
        if (r == 0)
                r = remember(job, fd);
        /* Some file systems tell only now that they could not write. */
        if (close(fd) < 0 && r == 0)
                r = errno_neg();
        if (r < 0)
                unlinkat(job->to, name, 0);
        return r;
}

/* Opens the directory that holds @path, by single names; *ret_name is the last of them. */
static int open_parent(int top, char *path, int *ret_fd, const char **ret_name)
{
        _cleanup_(fd_closep) int fd = fcntl(top, F_DUPFD_CLOEXEC, 0);
        char *name = path + 1, *end;

        if (fd < 0)
                return errno_neg();
        while ((end = strchr(name, '/'))) {
                int next;

                *end = '\0';
                next = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (next < 0)
                        return errno_neg();
                fd_close(fd);
                fd = next;
                name = end + 1;
        }
        *ret_fd = TAKE_FD(fd);
        *ret_name = name;
        return 0;
}

/* -EXDEV: the first copy isn't where it was, or can't be linked to. */
static int make_link(const Job *job, const char *name)
{
        _cleanup_(freep) char *path = strdup(job->link->path);
        _cleanup_(fd_closep) int parent = FD_NONE;
        const char *first = NULL;
        struct stat status;

        if (!path)
                return -ENOMEM;
        if (open_parent(job->copy->top, path, &parent, &first) < 0 ||
            fstatat(parent, first, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
            status.st_dev != job->link->to.dev || status.st_ino != job->link->to.ino)
                return -EXDEV;
        if (linkat(parent, first, job->to, name, 0) == 0)
                return 0;
        return errno == EEXIST ? -EEXIST : -EXDEV;
}

static int make_any(Job *job, const char *name, uint64_t *ret_size)
{
        int r = job->link ? make_link(job, name) : -EXDEV;

        *ret_size = 0;
        if (r != -EXDEV)
                return r;
        job->link = NULL;
        return make_whole(job, name, ret_size);
}

/* What is there is replaced at once, and never by half a file. */
static int replace(Job *job, const char *name, uint64_t *ret_size)
{
        char temporary[TEMPORARY_SIZE];
        struct stat status;
        int r = -EEXIST;

        if (fstatat(job->to, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode))
                return -EISDIR;
        for (unsigned i = 0; r == -EEXIST && i < TEMPORARY_TRIES; i++) {
                snprintf(temporary, sizeof(temporary), TEMPORARY, i);
                r = make_any(job, temporary, ret_size);
        }
        if (r < 0)
                return r;
        if (renameat(job->to, temporary, job->to, name) < 0)
                r = errno_neg();
        /* Two names of one file are left as they are by rename(2). */
        unlinkat(job->to, temporary, 0);
        return r;
}

int copy_file(CopyTree *copy, int source, const struct stat *status, int to, const char *name,
              bool plain)
{
        Job job = {
                .copy = copy,
                .source = source,
                .status = status,
                .to = to,
                .plain = plain,
                .link = status->st_nlink < 2
                                ? NULL
                                : copy_links_find(&copy->links,
                                                  (CopyIdentity){status->st_dev, status->st_ino}),
        };
        uint64_t size;
        int r = make_any(&job, name, &size);

        if (r == -EEXIST)
                r = replace(&job, name, &size);
        if (r < 0)
                return r;
        copy->files++;
        copy->bytes += size;
        return 0;
}
