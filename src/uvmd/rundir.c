/*
 * Runtime directories; see rundir.h. They are root's, on a tmpfs; files in them are written by a
 * shim, which is not trusted: they are opened without following links and read up to a size.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/parse.h"
#include "uvmd/rundir.h"

char *rundir_path(const char *run_dir, const char *id, const char *name)
{
        char *path;
        int n = asprintf(&path, "%s/%s%s%s", run_dir, id, name ? "/" : "", name ?: "");

        return n < 0 ? NULL : path;
}

int rundir_make(const char *run_dir, const char *id, int *ret)
{
        _cleanup_(freep) char *path = rundir_path(run_dir, id, NULL);
        int fd;

        if (!path)
                return -ENOMEM;
        rundir_remove(run_dir, id);
        if (mkdir(run_dir, 0755) < 0 && errno != EEXIST)
                return errno_neg();
        if (mkdir(path, 0700) < 0)
                return errno_neg();
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return errno_neg();
        *ret = fd;
        return 0;
}

int rundir_read_end(const char *run_dir, const char *id, ShimEndRecord *ret)
{
        _cleanup_(freep) char *path = rundir_path(run_dir, id, "end");
        _cleanup_(fd_closep) int fd = FD_NONE;
        uint8_t buffer[SHIM_END_SIZE_MAX];
        ssize_t n;

        if (!path)
                return -ENOMEM;
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0)
                return errno_neg();
        n = read(fd, buffer, sizeof(buffer));
        if (n < 0)
                return errno_neg();
        return n == 0 ? -ENOENT : shim_end_decode(buffer, (size_t)n, ret);
}

void rundir_remove(const char *run_dir, const char *id)
{
        _cleanup_(freep) char *path = rundir_path(run_dir, id, NULL);
        struct dirent *entry;
        DIR *directory;

        if (!path)
                return;
        directory = opendir(path);
        if (!directory)
                return;
        while ((entry = readdir(directory)))
                if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                        unlinkat(dirfd(directory), entry->d_name, 0);
        closedir(directory);
        if (rmdir(path) < 0)
                log_warning_errno(errno_neg(), "Can't remove %s", path);
}

void rundir_sweep(const char *run_dir, bool (*is_known)(void *userdata, const char *id),
                  void *userdata)
{
        DIR *directory = opendir(run_dir);
        struct dirent *entry;

        if (!directory)
                return;
        while ((entry = readdir(directory))) {
                if (!id_is_valid(entry->d_name) || is_known(userdata, entry->d_name))
                        continue;
                log_info("Removing %s/%s: there is no such sandbox", run_dir, entry->d_name);
                rundir_remove(run_dir, entry->d_name);
        }
        closedir(directory);
}
