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
#include "agent/mountfd.h"
#include "agent/mounts.h"
#include "agent/shares.h"

#define PATH_SIZE     512
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

/* Makes what is missing of @path, component by component, each looked up in the root again: a
 * symbolic link on the way leads where it leads in the container. */
static int make_target(int root, const char *path, bool directory)
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
                r = make_target(root, path, directory);
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

/* Attaches @mount over @path, which is made to fit if it is missing. */
static int attach(int root, const char *path, int mount, Fault *fault)
{
        _cleanup_(fd_closep) int target = FD_NONE;
        int directory = is_directory(mount);
        int r = directory < 0 ? fault_set(fault, directory, "mount for %s", path)
                              : open_target(root, path, directory, &target, fault);

        if (r < 0)
                return r;
        r = mountfd_attach(mount, target);
        return r < 0 ? fault_set(fault, r, "cannot mount on %s", path) : 0;
}

static int add_new(int root, const AgentMount *mount, const char *type, const char *options,
                   Fault *fault)
{
        _cleanup_(fd_closep) int fd = FD_NONE;
        char text[256];
        int r = mountfd_new(type, type, options, attributes(mount->flags), text, sizeof(text), &fd);

        if (r < 0)
                return fault_set(fault, r, "cannot mount %s on %s%s%s", type, mount->target,
                                 *text ? ": " : "", text);
        return attach(root, mount->target, fd, fault);
}

/* A tmpfs whose nodes are there before anybody sees it. */
static int add_dev(int root, const AgentMount *mount, Fault *fault)
{
        _cleanup_(fd_closep) int fd = FD_NONE;
        char text[256];
        int r = mountfd_new("tmpfs", "dev", "mode=0755,size=64k", MOUNT_ATTR_NOSUID, text,
                            sizeof(text), &fd);

        if (r == 0)
                r = devices_make_nodes(fd);
        if (r < 0)
                return fault_set(fault, r, "cannot make the device nodes of %s", mount->target);
        return attach(root, mount->target, fd, fault);
}

static int add_clone(int root, const AgentMount *mount, int source, Fault *fault)
{
        _cleanup_(fd_closep) int fd = FD_NONE;
        bool recursive = mount->flags & AGENT_MOUNT_RECURSIVE;
        int r = mountfd_clone(source, "", recursive, &fd);

        if (r == 0)
                r = mountfd_set(fd, attributes(mount->flags), 0, recursive);
        if (r < 0)
                return fault_set(fault, r, "cannot bind %s to %s", mount->source, mount->target);
        return attach(root, mount->target, fd, fault);
}

static int add_9p(const char *state, int root, const AgentMount *mount, Fault *fault)
{
        _cleanup_(fd_closep) int top = FD_NONE, source = FD_NONE;
        const char *below = mount->subpath && *mount->subpath ? mount->subpath : ".";
        char path[PATH_SIZE];
        int r = shares_path(state, mount->source, path, sizeof(path));

        if (r == 0) {
                top = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
                r = top < 0 ? errno_neg() : mountfd_open_in_root(top, below, O_PATH, &source);
        }
        if (r < 0)
                return fault_set(fault, r, "cannot open %s of the 9p device \"%s\"", below,
                                 mount->source);
        return add_clone(root, mount, source, fault);
}

static int add_bind(int root, const AgentMount *mount, Fault *fault)
{
        _cleanup_(fd_closep) int source = FD_NONE;
        int r = mountfd_open_in_root(root, mount->source, O_PATH, &source);

        if (r < 0)
                return fault_set(fault, r, "cannot open %s to bind it", mount->source);
        return add_clone(root, mount, source, fault);
}

/* Group 5 is "tty" wherever there is one; where the id doesn't map, root's will do. */
static int add_devpts(int root, const AgentMount *mount, Fault *fault)
{
        if (add_new(root, mount, "devpts", DEVPTS, fault) == 0)
                return 0;
        return add_new(root, mount, "devpts", DEVPTS_NO_GID, fault);
}

int mounts_add(const char *state, int root, const AgentMount *mount, Fault *fault)
{
        switch (mount->type) {
        case AGENT_MOUNT_9P:
                return add_9p(state, root, mount, fault);
        case AGENT_MOUNT_BIND:
                return add_bind(root, mount, fault);
        case AGENT_MOUNT_TMPFS:
                return add_new(root, mount, "tmpfs", mount->options, fault);
        case AGENT_MOUNT_PROC:
                return add_new(root, mount, "proc", NULL, fault);
        case AGENT_MOUNT_SYSFS:
                return add_new(root, mount, "sysfs", NULL, fault);
        case AGENT_MOUNT_DEV:
                return add_dev(root, mount, fault);
        case AGENT_MOUNT_DEVPTS:
                return add_devpts(root, mount, fault);
        case AGENT_MOUNT_MQUEUE:
                return add_new(root, mount, "mqueue", NULL, fault);
        case AGENT_MOUNT_CGROUP:
                return add_new(root, mount, "cgroup2", NULL, fault);
        case AGENT_MOUNT_BLOCK:
        case AGENT_MOUNT_DEVICE:
                return fault_set(fault, -EOPNOTSUPP, "disk on %s", mount->target);
        case AGENT_MOUNT_MAX_:
                break;
        }
        return fault_set(fault, -EINVAL, "mount on %s", mount->target);
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
