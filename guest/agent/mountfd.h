/*
 * Mounts as fds (fsopen(2) and its kin): a mount is made detached, set up, and then attached to a
 * place that was looked up once. No path is looked up twice and no /proc is needed. All functions
 * return 0 or a negative errno.
 */
#pragma once

#include <linux/mount.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A new file system of @type. @options is a comma-separated list as mount(8) takes it, or NULL.
 * @attributes: MOUNT_ATTR_*. The kernel's own words for a failure go to @text, if it has some.
 */
int mountfd_new(const char *type, const char *source, const char *options, uint64_t attributes,
                char *text, unsigned text_size, int *ret_fd);

/* A detached copy of the mount at @path below @directory ("" is @directory itself). */
int mountfd_clone(int directory, const char *path, bool recursive, int *ret_fd);

/* Sets and clears MOUNT_ATTR_*. */
int mountfd_set(int fd, uint64_t set, uint64_t clear, bool recursive);

/* Attaches it over @target. */
int mountfd_attach(int fd, int target);

/* Takes off what is mounted at @path, which is no symbolic link. -EBUSY: it is in use; -EINVAL:
 * nothing is mounted there. */
int mountfd_unmount(const char *path);

/* Makes the whole tree of the calling process's mount namespace private. */
int mountfd_make_private(void);

/* Leaves the old root for @root, a mount, and drops the old one. The working directory is "/". */
int mountfd_pivot(int root);

/* Opens @path as a process whose root is @root would find it. @flags of open(2), O_CLOEXEC is
 * added. Magic links are refused. */
int mountfd_open_in_root(int root, const char *path, int flags, int *ret_fd);
