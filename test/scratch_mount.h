/*
 * A file system that is mounted nowhere and has room for so many bytes: for what must meet a full one.
 */
#pragma once

#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

/* A descriptor of its root, or negative: who may not mount gets none, and skips the test. */
static inline int scratch_mount(unsigned bytes)
{
        int context = fsopen("tmpfs", FSOPEN_CLOEXEC), fd = -1;
        char size[16];

        if (context < 0)
                return -1;
        snprintf(size, sizeof(size), "%u", bytes);
        if (fsconfig(context, FSCONFIG_SET_STRING, "size", size, 0) == 0 &&
            fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
                fd = fsmount(context, FSMOUNT_CLOEXEC, 0);
        close(context);
        return fd;
}
