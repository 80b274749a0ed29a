/* Scratch directories of tests: what is in one may have any name, type and mode. */
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Removes @name in @parent and all below it; what can't be removed stays. */
static inline void scratch_remove(int parent, const char *name)
{
        const struct dirent *entry;
        DIR *dir;
        int fd;

        if (unlinkat(parent, name, 0) == 0)
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
