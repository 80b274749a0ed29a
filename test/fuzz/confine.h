/*
 * Keeps a fuzz target that works on files away from the machine's: while an input runs, the root
 * directory is that of a tmpfs which is mounted nowhere, and root is nobody. So what a mistake of the
 * code under test, or of the test itself, reaches by "/" or ".." is an empty directory.
 *
 * In between, libFuzzer has its own root and rights for the corpus. A user who isn't root isn't
 * confined: there are no more rights to take away than that user's own, and the scratch directory is
 * below /tmp. Root that can't be confined doesn't run at all: exit status 77, a skipped test.
 */
#pragma once

#include <fcntl.h>
#include <grp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#define CONFINE_NOBODY 65534

typedef struct Confine {
        bool is_root;
        int root;    /* the machine's root directory; not used while an input runs */
        int cwd;     /* libFuzzer's paths may be relative */
        int scratch; /* where scratch directories may be made */
} Confine;

static inline int confine_mount(void)
{
        int context = fsopen("tmpfs", FSOPEN_CLOEXEC), fd;

        if (context < 0 || fsconfig(context, FSCONFIG_SET_STRING, "mode", "1777", 0) < 0 ||
            fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
                return -1;
        fd = fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
        close(context);
        return fd;
}

static inline Confine confine_open(void)
{
        Confine confine = {
                .is_root = getuid() == 0,
                .root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC),
                .cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC),
        };

        confine.scratch = confine.is_root ? confine_mount()
                                          : open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (confine.root < 0 || confine.cwd < 0 || confine.scratch < 0) {
                perror("can't be confined, so not run");
                exit(77);
        }
        return confine;
}

static inline void confine_enter(Confine *confine)
{
        if (!confine->is_root)
                return;
        if (fchdir(confine->scratch) < 0 || chroot(".") < 0 || setgroups(0, NULL) < 0 ||
            setegid(CONFINE_NOBODY) < 0 || seteuid(CONFINE_NOBODY) < 0)
                abort();
}

static inline void confine_leave(Confine *confine)
{
        if (confine->is_root &&
            (seteuid(0) < 0 || setegid(0) < 0 || fchdir(confine->root) < 0 || chroot(".") < 0))
                abort();
        if (fchdir(confine->cwd) < 0)
                abort();
}
