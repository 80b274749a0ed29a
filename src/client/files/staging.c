/* Directories for files on their way; see staging.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "client/bus.h"
#include "client/files/staging.h"
#include "client/files/tree.h"

/* Those that Linux 6.1 can map ids on, and that people keep files on. */
static bool staging_can_map(const char *directory)
{
        static const long types[] = {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC,
                                     F2FS_SUPER_MAGIC};
        struct statfs st;

        if (statfs(directory, &st) < 0)
                return false;
        for (size_t i = 0; i < ELEMENTSOF(types); i++)
                if ((long)st.f_type == types[i])
                        return true;
        return false;
}

static const char *staging_choose(const char *directory)
{
        const char *temporary = getenv("TMPDIR");

        if (directory && staging_can_map(directory) && access(directory, W_OK) == 0)
                return directory;
        return temporary && temporary[0] ? temporary : "/var/tmp";
}

/* The child: has nothing of ours but the directory's name, and waits for the pipe's end. */
static void staging_keep(const Staging *staging, int watch)
{
        static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        char byte;

        for (size_t i = 0; i < ELEMENTSOF(ignored); i++)
                signal(ignored[i], SIG_IGN);
        setsid();
        /* Whoever reads our output must not wait for the child. */
        for (int fd = 0; null >= 0 && fd <= 2; fd++)
                dup2(null, fd);
        while (read(watch, &byte, 1) < 0 && errno == EINTR)
                ;
        _exit(tree_remove(AT_FDCWD, staging->path) < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

static int staging_start_keeper(Staging *staging)
{
        int pair[2];

        if (pipe2(pair, O_CLOEXEC) < 0)
                return errno_neg();
        staging->keeper = fork();
        if (staging->keeper == 0) {
                fd_close(pair[1]);
                fd_close(staging->fd);
                staging_keep(staging, pair[0]);
        }
        fd_close(pair[0]);
        if (staging->keeper < 0) {
                fd_close(pair[1]);
                return errno_neg();
        }
        staging->watch = pair[1];
        return 0;
}

int staging_open(Staging *staging, const char *directory)
{
        const char *parent = staging_choose(directory);
        _cleanup_(freep) char *absolute = realpath(parent, NULL);
        int r;

        if (!absolute)
                return client_fail_errno(errno_neg(), "cannot use %s for files on their way",
                                         parent);
        if (asprintf(&staging->path, "%s/.uvm-XXXXXX", absolute) < 0) {
                staging->path = NULL;
                return client_fail_errno(-ENOMEM, "cannot go on");
        }
        if (!mkdtemp(staging->path)) {
                r = errno_neg();
                free(TAKE_PTR(staging->path));
                return client_fail_errno(r, "cannot make a directory in %s for files on their way",
                                         absolute);
        }
        staging->fd = open(staging->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        r = staging->fd < 0 ? errno_neg() : staging_start_keeper(staging);
        if (r < 0) {
                rmdir(staging->path);
                return client_fail_errno(r, "cannot use %s", staging->path);
        }
        return 0;
}

bool staging_is_beside(const Staging *staging, int fd)
{
        struct stat a, b;

        return fstat(staging->fd, &a) == 0 && fstat(fd, &b) == 0 && a.st_dev == b.st_dev;
}

void staging_done(Staging *staging)
{
        int status = 0;

        staging->fd = fd_close(staging->fd);
        staging->watch = fd_close(staging->watch);
        if (staging->keeper > 0)
                while (waitpid(staging->keeper, &status, 0) < 0 && errno == EINTR)
                        ;
        if (status)
                client_warn("cannot remove all of %s", staging->path);
        staging->keeper = 0;
        free(TAKE_PTR(staging->path));
}
