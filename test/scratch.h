/* Scratch directories of tests: what is in one may have any name, type and mode. */
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One component, or what mkdtemp() made of a template below /tmp. Any other name leads out of what is
 * a test's own, and would take the machine with it. */
static inline bool scratch_is_own(int parent, const char *name)
{
        if (parent == AT_FDCWD) {
                if (strncmp(name, "/tmp/", 5) != 0)
                        return false;
                name += 5;
        }
        return name[0] && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/*
 * Removes @name in @parent (AT_FDCWD: a path below /tmp) and all below it; what can't be removed
 * stays. Follows no symbolic link, and goes into no other file system.
 */
static inline void scratch_remove(int parent, const char *name)
{
        const struct dirent *entry;
        struct stat st, st_parent;
        DIR *dir;
        int fd;

        if (!scratch_is_own(parent, name))
                abort();
        if (unlinkat(parent, name, 0) == 0 || fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISDIR(st.st_mode) ||
            (parent != AT_FDCWD &&
             (fstat(parent, &st_parent) < 0 || st_parent.st_dev != st.st_dev)))
                return;
        (void)!fchmodat(parent, name, 0700, 0);
        fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        dir = fd < 0 ? NULL : fdopendir(fd);
        if (!dir)
                return;
        while ((entry = readdir(dir)))
                if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                        scratch_remove(fd, entry->d_name);
        closedir(dir);
        unlinkat(parent, name, AT_REMOVEDIR);
}
