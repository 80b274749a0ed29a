/*
 * An empty read-only root, and one directory of /proc.
 *
 * The fds directory is a clone of the mount of the host's /proc with /proc/self/fd as its root, on
 * no tree: ".." from it is itself, so neither /proc/self/mem nor /proc/sys is one step away, as
 * both would be from an fd into a /proc that was mounted and unmounted again (such an fd keeps the
 * whole of it alive). /proc/self is looked up in the host's instance, which knows this process by
 * its host pid whatever its own pid namespace; so no /proc has to be mounted here, which a kernel
 * refuses where the host's is partly covered (mount_too_revealing() of fs/namespace.c).
 *
 * open_tree() clones mounts of the caller's own mount namespace only, so this comes before
 * pivot_root().
 */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

#include "vmm/jail/jail_steps.h"

#define JAIL_MOUNT_ATTRIBUTES \
        (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

static int jail_open_fds(int *ret_fd, const char **ret_step)
{
        _cleanup_(fd_closep) int fd = FD_NONE;
        struct mount_attr attributes = {.attr_set = JAIL_MOUNT_ATTRIBUTES};

        *ret_step = "clone the mount of /proc/self/fd";
        fd = open_tree(AT_FDCWD, "/proc/self/fd", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        if (fd < 0)
                return errno_neg();
        *ret_step = "make the mount of /proc/self/fd read-only";
        if (mount_setattr(fd, "", AT_EMPTY_PATH, &attributes, sizeof(attributes)) < 0)
                return errno_neg();
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* A tmpfs with room for its root directory only. */
static int jail_make_root(int *ret_fd, const char **ret_step)
{
        _cleanup_(fd_closep) int context = FD_NONE;
        _cleanup_(fd_closep) int fd = FD_NONE;

        *ret_step = "make the empty root";
        context = fsopen("tmpfs", FSOPEN_CLOEXEC);
        if (context < 0)
                return errno_neg();
        if (fsconfig(context, FSCONFIG_SET_STRING, "mode", "0555", 0) < 0 ||
            fsconfig(context, FSCONFIG_SET_STRING, "nr_inodes", "1", 0) < 0 ||
            fsconfig(context, FSCONFIG_SET_STRING, "size", "4096", 0) < 0 ||
            fsconfig(context, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0 ||
            fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
                return errno_neg();
        fd = fsmount(context, FSMOUNT_CLOEXEC, JAIL_MOUNT_ATTRIBUTES);
        if (fd < 0)
                return errno_neg();
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int jail_pivot(int root_fd, const char **ret_step)
{
        /* The new root must be a mount point of the old tree: /proc was there a moment ago. */
        *ret_step = "mount the empty root";
        if (move_mount(root_fd, "", AT_FDCWD, "/proc", MOVE_MOUNT_F_EMPTY_PATH) < 0)
                return errno_neg();
        *ret_step = "pivot to the empty root";
        if (fchdir(root_fd) < 0)
                return errno_neg();
        /* Puts the old root on top of the new one, where one umount finds it: pivot_root(2). */
        if (syscall(SYS_pivot_root, ".", ".") < 0)
                return errno_neg();
        *ret_step = "unmount the old root";
        if (umount2(".", MNT_DETACH) < 0)
                return errno_neg();
        *ret_step = "enter the empty root";
        return chdir("/") < 0 ? errno_neg() : 0;
}

int jail_root_enter(int *ret_fds_fd, const char **ret_step)
{
        _cleanup_(fd_closep) int fds_fd = FD_NONE;
        _cleanup_(fd_closep) int root_fd = FD_NONE;
        int r;

        *ret_step = "make all mounts private";
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return errno_neg();
        r = jail_open_fds(&fds_fd, ret_step);
        if (r < 0)
                return r;
        r = jail_make_root(&root_fd, ret_step);
        if (r < 0)
                return r;
        r = jail_pivot(root_fd, ret_step);
        if (r < 0)
                return r;
        *ret_fds_fd = TAKE_FD(fds_fd);
        return 0;
}
