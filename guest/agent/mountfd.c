/* Mounts as fds; see mountfd.h. musl has no wrappers for these system calls. */
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

#include "agent/mountfd.h"

#define OPEN_TRIES 1000
/* MNT_DETACH, UMOUNT_NOFOLLOW: <sys/mount.h> and <linux/mount.h> can't be had together. */
#define DETACH   2
#define NOFOLLOW 8

/* The kernel's message, "e tmpfs: Unknown parameter 'x'", without its letter. */
static void read_message(int fs, char *text, unsigned size)
{
        char line[256];
        ssize_t n = read(fs, line, sizeof(line) - 1);

        if (size > 0)
                text[0] = '\0';
        if (n <= 2)
                return;
        line[n] = '\0';
        snprintf(text, size, "%s", line + 2);
}

static int configure(int fs, unsigned command, const char *key, const char *value)
{
        return syscall(SYS_fsconfig, fs, command, key, value, 0) < 0 ? errno_neg() : 0;
}

static int configure_options(int fs, const char *options)
{
        _cleanup_(freep) char *copy = strdup(options);
        char *rest = copy, *option;

        if (!copy)
                return -ENOMEM;
        while ((option = strsep(&rest, ","))) {
                char *value = strchr(option, '=');
                int r;

                if (!*option)
                        continue;
                if (value)
                        *value++ = '\0';
                r = configure(fs, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, option, value);
                if (r < 0)
                        return r;
        }
        return 0;
}

int mountfd_new(const char *type, const char *source, const char *options, uint64_t attributes,
                char *text, unsigned text_size, int *ret_fd)
{
        _cleanup_(fd_closep) int fs = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
        int fd, r = 0;

        if (text_size > 0)
                text[0] = '\0';
        if (fs < 0)
                return errno_neg();
        if (source && *source)
                r = configure(fs, FSCONFIG_SET_STRING, "source", source);
        if (r == 0 && options)
                r = configure_options(fs, options);
        if (r == 0)
                r = configure(fs, FSCONFIG_CMD_CREATE, NULL, NULL);
        if (r < 0) {
                read_message(fs, text, text_size);
                return r;
        }
        fd = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, (unsigned)attributes);
        if (fd < 0)
                return errno_neg();
        *ret_fd = fd;
        return 0;
}

int mountfd_clone(int directory, const char *path, bool recursive, int *ret_fd)
{
        unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH |
                         (recursive ? (unsigned)AT_RECURSIVE : 0);
        int fd = (int)syscall(SYS_open_tree, directory, path, flags);

        if (fd < 0)
                return errno_neg();
        *ret_fd = fd;
        return 0;
}

int mountfd_set(int fd, uint64_t set, uint64_t clear, bool recursive)
{
        struct mount_attr attributes = {.attr_set = set, .attr_clr = clear};
        unsigned flags = AT_EMPTY_PATH | (recursive ? (unsigned)AT_RECURSIVE : 0);

        if (syscall(SYS_mount_setattr, fd, "", flags, &attributes, sizeof(attributes)) < 0)
                return errno_neg();
        return 0;
}

int mountfd_attach(int fd, int target)
{
        if (syscall(SYS_move_mount, fd, "", target, "",
                    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
                return errno_neg();
        return 0;
}

int mountfd_unmount(const char *path)
{
        return syscall(SYS_umount2, path, NOFOLLOW) < 0 ? errno_neg() : 0;
}

int mountfd_make_private(void)
{
        struct mount_attr attributes = {.propagation = MS_PRIVATE};

        if (syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &attributes,
                    sizeof(attributes)) < 0)
                return errno_neg();
        return 0;
}

/* The old root ends up under the new one, at the same place, and comes off first: pivot_root(2). */
int mountfd_pivot(int root)
{
        if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
            syscall(SYS_umount2, ".", DETACH) < 0 || chdir("/") < 0)
                return errno_neg();
        return 0;
}

int mountfd_open_in_root(int root, const char *path, int flags, int *ret_fd)
{
        struct open_how how = {
                .flags = (uint64_t)(flags | O_CLOEXEC),
                .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
        };
        int fd = FD_NONE;

        /* ".." below a root is refused with EAGAIN while anything on the machine is renamed or
         * mounted: openat2(2). */
        for (unsigned i = 0; fd < 0 && i < OPEN_TRIES; i++) {
                fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
                if (fd < 0 && errno != EAGAIN)
                        break;
        }
        if (fd < 0)
                return errno_neg();
        *ret_fd = fd;
        return 0;
}
