/* The mounts of a container; see mounts.h. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

#include "agent/devices.h"
#include "agent/disk.h"
#include "agent/mountfd.h"
#include "agent/mounts.h"
#include "agent/shares.h"

#define DISK_GID      6
#define DEVPTS        "newinstance,ptmxmode=0666,mode=0620,gid=5"
#define DEVPTS_NO_GID "newinstance,ptmxmode=0666,mode=0620"

static uint64_t attributes(uint32_t flags)
{
        static const struct {
                uint32_t flag;
                uint64_t attribute;
        } pairs[] = {
                {AGENT_MOUNT_READ_ONLY, MOUNT_ATTR_RDONLY},
                {AGENT_MOUNT_NOSUID, MOUNT_ATTR_NOSUID},
                {AGENT_MOUNT_NODEV, MOUNT_ATTR_NODEV},
                {AGENT_MOUNT_NOEXEC, MOUNT_ATTR_NOEXEC},
                {AGENT_MOUNT_NOATIME, MOUNT_ATTR_NOATIME},
                {AGENT_MOUNT_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW},
        };
        uint64_t result = 0;

        for (size_t i = 0; i < ELEMENTSOF(pairs); i++)
                if (flags & pairs[i].flag)
                        result |= pairs[i].attribute;
        return result;
}

/* Makes @name below @parent: a directory, or an empty file to put a mount of a file on. */
static int make_entry(int parent, const char *name, bool directory)
{
        _cleanup_(fd_closep) int fd = FD_NONE;

        if (directory)
                return mkdirat(parent, name, 0755) < 0 && errno != EEXIST ? errno_neg() : 0;
        fd = openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644);
        return fd < 0 && errno != EEXIST ? errno_neg() : 0;
}

int mounts_make_place(int root, const char *path, bool directory)
{
        _cleanup_(freep) char *prefix = strdup(path);
        char *end = prefix;

        if (!prefix)
                return -ENOMEM;
        while (end && *end) {
                _cleanup_(fd_closep) int parent = FD_NONE;
                char *name = end + strspn(end, "/");
                char saved;
                int r;

                if (!*name)
                        return 0;
                saved = *name;
                *name = '\0';
                r = mountfd_open_in_root(root, *prefix ? prefix : ".", O_PATH | O_DIRECTORY,
                                         &parent);
                if (r < 0)
                        return r;
                *name = saved;
                end = name + strcspn(name, "/");
                saved = *end;
                *end = '\0';
                r = strcmp(name, "..") == 0 ? 0 : make_entry(parent, name, directory || saved);
                if (r < 0)
                        return r;
                *end = saved;
        }
        return 0;
}

static int open_target(int root, const char *path, bool directory, int *ret_fd, Fault *fault)
{
        int r;

        if (!path || *path != '/')
                return fault_set(fault, -EINVAL, "mount target \"%s\"", path ? path : "");
        r = mountfd_open_in_root(root, path, O_PATH, ret_fd);
        if (r == -ENOENT) {
                r = mounts_make_place(root, path, directory);
                if (r == 0)
                        r = mountfd_open_in_root(root, path, O_PATH, ret_fd);
        }
        return r < 0 ? fault_set(fault, r, "cannot make the mount target %s", path) : 0;
}

static int is_directory(int fd)
{
        struct stat status;

        return fstat(fd, &status) < 0 ? errno_neg() : S_ISDIR(status.st_mode);
}

/* Attaches @fd over @path, which is made to fit if it is missing. */
static int attach(int root, const char *path, int fd, Fault *fault)
{
        _cleanup_(fd_closep) int target = FD_NONE;
        int directory = is_directory(fd);
        int r = directory < 0 ? fault_set(fault, directory, "mount for %s", path)
                              : open_target(root, path, directory, &target, fault);

        if (r < 0)
                return r;
        r = mountfd_attach(fd, target);
        return r < 0 ? fault_set(fault, r, "cannot mount on %s", path) : 0;
}

/*
 * The node of a disk belongs to root and the group that has the number of "disk" wherever there is
 * one. One that is left of an earlier run, with another number, makes way.
 */
static int make_node(int root, const char *path, dev_t device, Fault *fault)
{
        _cleanup_(fd_closep) int target = FD_NONE, parent = FD_NONE;
        _cleanup_(freep) char *directory = strdup(path);
        const char *name = strrchr(path, '/') + 1;
        struct stat status;
        int r;

        if (!directory)
                return fault_set(fault, -ENOMEM, "device node %s", path);
        directory[name - path] = '\0';
        r = open_target(root, path, false, &target, fault);
        if (r < 0)
                return r;
        if (fstat(target, &status) < 0)
                return fault_set(fault, errno_neg(), "device node %s", path);
        if (!S_ISBLK(status.st_mode) && (!S_ISREG(status.st_mode) || status.st_size > 0))
                return fault_set(fault, -EEXIST, "device node %s", path);
        r = mountfd_open_in_root(root, directory, O_PATH | O_DIRECTORY, &parent);
        if (r == 0 &&
            (unlinkat(parent, name, 0) < 0 || mknodat(parent, name, S_IFBLK | 0660, device) < 0 ||
             fchownat(parent, name, 0, DISK_GID, AT_SYMLINK_NOFOLLOW) < 0 ||
             fchmodat(parent, name, 0660, 0) < 0))
                r = errno_neg();
        return r < 0 ? fault_set(fault, r, "cannot make the device node %s", path) : 0;
}

static int open_new(const AgentMount *mount, const char *type, const char *options, int *ret_fd,
                    Fault *fault)
{
        char text[256];
        int r = mountfd_new(type, type, options, attributes(mount->flags), text, sizeof(text),
                            ret_fd);

        return r < 0 ? fault_set(fault, r, "cannot mount %s on %s%s%s", type, mount->target,
                                 *text ? ": " : "", text)
                     : 0;
}

/* A tmpfs whose nodes are there before anybody sees it. */
static int open_dev(const AgentMount *mount, int *ret_fd, Fault *fault)
{
        char text[256];
        int r = mountfd_new("tmpfs", "dev", "mode=0755,size=64k", MOUNT_ATTR_NOSUID, text,
                            sizeof(text), ret_fd);

        if (r == 0)
                r = devices_make_nodes(*ret_fd);
        return r < 0 ? fault_set(fault, r, "cannot make the device nodes of %s", mount->target) : 0;
}

static int open_clone(const AgentMount *mount, int source, int *ret_fd, Fault *fault)
{
        bool recursive = mount->flags & AGENT_MOUNT_RECURSIVE;
        int r = mountfd_clone(source, "", recursive, ret_fd);

        if (r == 0)
                r = mountfd_set(*ret_fd, attributes(mount->flags), 0, recursive);
        return r < 0 ? fault_set(fault, r, "cannot bind %s to %s", mount->source, mount->target)
                     : 0;
}

static int open_share(const char *state, const AgentMount *mount, int *ret_fd, Fault *fault)
{
        _cleanup_(fd_closep) int source = FD_NONE;
        int r = shares_open(state, mount, &source, fault);

        return r < 0 ? r : open_clone(mount, source, ret_fd, fault);
}

static int open_bind(int root, const AgentMount *mount, int *ret_fd, Fault *fault)
{
        _cleanup_(fd_closep) int source = FD_NONE;
        int r = mountfd_open_in_root(root, mount->source, O_PATH, &source);

        if (r < 0)
                return fault_set(fault, r, "cannot open %s to bind it", mount->source);
        return open_clone(mount, source, ret_fd, fault);
}

/* Group 5 is "tty" wherever there is one; where the id doesn't map, root's will do. */
static int open_devpts(const AgentMount *mount, int *ret_fd, Fault *fault)
{
        if (open_new(mount, "devpts", DEVPTS, ret_fd, fault) == 0)
                return 0;
        return open_new(mount, "devpts", DEVPTS_NO_GID, ret_fd, fault);
}

static int open_device(const AgentMount *mount, dev_t *ret, Fault *fault)
{
        int r = disk_number(mount->source, ret);

        return r < 0 ? fault_set(fault, r, "disk \"%s\"", mount->source) : 0;
}

int mounts_open(const char *state, int root, const AgentMount *mount, MountSource *ret,
                Fault *fault)
{
        *ret = (MountSource){.fd = FD_NONE};
        switch (mount->type) {
        case AGENT_MOUNT_9P:
        case AGENT_MOUNT_BLOCK:
                return open_share(state, mount, &ret->fd, fault);
        case AGENT_MOUNT_BIND:
                return open_bind(root, mount, &ret->fd, fault);
        case AGENT_MOUNT_TMPFS:
                return open_new(mount, "tmpfs", mount->options, &ret->fd, fault);
        case AGENT_MOUNT_PROC:
                return open_new(mount, "proc", NULL, &ret->fd, fault);
        case AGENT_MOUNT_SYSFS:
                return open_new(mount, "sysfs", NULL, &ret->fd, fault);
        case AGENT_MOUNT_DEV:
                return open_dev(mount, &ret->fd, fault);
        case AGENT_MOUNT_DEVPTS:
                return open_devpts(mount, &ret->fd, fault);
        case AGENT_MOUNT_MQUEUE:
                return open_new(mount, "mqueue", NULL, &ret->fd, fault);
        case AGENT_MOUNT_CGROUP:
                return open_new(mount, "cgroup2", NULL, &ret->fd, fault);
        case AGENT_MOUNT_DEVICE:
                return open_device(mount, &ret->device, fault);
        case AGENT_MOUNT_MAX_:
                break;
        }
        return fault_set(fault, -EINVAL, "mount on %s", mount->target);
}

void mounts_close(MountSource *source)
{
        source->fd = fd_close(source->fd);
}

int mounts_attach(int root, const AgentMount *mount, const MountSource *source, Fault *fault)
{
        if (source->fd < 0)
                return make_node(root, mount->target, source->device, fault);
        return attach(root, mount->target, source->fd, fault);
}

int mounts_add(const char *state, int root, const AgentMount *mount, Fault *fault)
{
        _cleanup_(mounts_close) MountSource source = {.fd = FD_NONE};
        int r = mounts_open(state, root, mount, &source, fault);

        return r < 0 ? r : mounts_attach(root, mount, &source, fault);
}

static int cover_file(int target)
{
        _cleanup_(fd_closep) int null = open("/dev/null", O_PATH | O_CLOEXEC);
        _cleanup_(fd_closep) int mount = FD_NONE;
        int r = null < 0 ? errno_neg() : mountfd_clone(null, "", false, &mount);

        return r < 0 ? r : mountfd_attach(mount, target);
}

static int cover_directory(int target)
{
        _cleanup_(fd_closep) int mount = FD_NONE;
        int r = mountfd_new("tmpfs", "masked", "size=0,mode=0", MOUNT_ATTR_RDONLY, NULL, 0, &mount);

        return r < 0 ? r : mountfd_attach(mount, target);
}

int mounts_mask(int root, const char *path, Fault *fault)
{
        _cleanup_(fd_closep) int target = FD_NONE;
        int r = mountfd_open_in_root(root, path, O_PATH, &target), directory;

        if (r == -ENOENT || r == -ENOTDIR)
                return 0;
        if (r < 0)
                return fault_set(fault, r, "cannot mask %s", path);
        directory = is_directory(target);
        if (directory >= 0)
                r = directory ? cover_directory(target) : cover_file(target);
        else
                r = directory;
        return r < 0 ? fault_set(fault, r, "cannot mask %s", path) : 0;
}

int mounts_make_readonly(int root, const char *path, Fault *fault)
{
        _cleanup_(fd_closep) int target = FD_NONE, mount = FD_NONE;
        int r = mountfd_open_in_root(root, path, O_PATH, &target);

        if (r == -ENOENT || r == -ENOTDIR)
                return 0;
        if (r == 0)
                r = mountfd_clone(target, "", true, &mount);
        if (r == 0)
                r = mountfd_set(mount, MOUNT_ATTR_RDONLY, 0, true);
        if (r == 0)
                r = mountfd_attach(mount, target);
        return r < 0 ? fault_set(fault, r, "cannot make %s read-only", path) : 0;
}
