/* Mounting what is mounted once for the whole machine; see shares.h. All of it in children. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

#include "agent/disk.h"
#include "agent/mountfd.h"
#include "agent/shares.h"

#define MSIZE_DEFAULT 512000 /* 128 descriptors of a page each, less the header */
#define PATH_SIZE     512

static int is_mounted(const char *path)
{
        char parent[PATH_SIZE + 4];
        struct stat here, above;

        snprintf(parent, sizeof(parent), "%s/..", path);
        if (stat(path, &here) < 0 || stat(parent, &above) < 0)
                return errno_neg();
        return here.st_dev != above.st_dev;
}

static int new_9p(const AgentMount *mount, int *ret_fd, Fault *fault)
{
        char options[192], text[256];
        int r;

        snprintf(options, sizeof(options),
                 "trans=virtio,version=9p2000.L,access=client,locktimeout=1,cache=%s,msize=%u%s",
                 agent_cache_to_string(mount->cache), mount->msize ? mount->msize : MSIZE_DEFAULT,
                 mount->flags & AGENT_MOUNT_READ_ONLY ? "" : ",posixacl");
        r = mountfd_new("9p", mount->source, options, 0, text, sizeof(text), ret_fd);
        return r < 0 ? fault_set(fault, r, "cannot mount the 9p device \"%s\"%s%s", mount->source,
                                 *text ? ": " : "", text)
                     : 0;
}

static int new_disk(const AgentMount *mount, int *ret_fd, Fault *fault)
{
        bool has_options = mount->options && *mount->options;
        char path[DISK_PATH_SIZE], options[AGENT_PATH_MAX + 8], text[256];
        int r = disk_find(mount->source, path);

        if (r < 0)
                return fault_set(fault, r, "disk \"%s\"", mount->source);
        if (!mount->fs || !*mount->fs)
                return fault_set(fault, -EINVAL, "file system of the disk \"%s\"", mount->source);
        /* The device may be read-only: then the file system must not try to write. */
        snprintf(options, sizeof(options), "%s%s%s",
                 mount->flags & AGENT_MOUNT_READ_ONLY ? "ro" : "rw", has_options ? "," : "",
                 has_options ? mount->options : "");
        r = mountfd_new(mount->fs, path, options, 0, text, sizeof(text), ret_fd);
        return r < 0 ? fault_set(fault, r, "cannot mount the disk \"%s\" as %s%s%s", mount->source,
                                 mount->fs, *text ? ": " : "", text)
                     : 0;
}

static int mount_at(const char *path, const AgentMount *mount, Fault *fault)
{
        _cleanup_(fd_closep) int fd = FD_NONE, target = FD_NONE;
        int r = mount->type == AGENT_MOUNT_9P ? new_9p(mount, &fd, fault)
                                              : new_disk(mount, &fd, fault);

        if (r < 0)
                return r;
        target = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        r = target < 0 ? errno_neg() : mountfd_attach(fd, target);
        return r < 0 ? fault_set(fault, r, "cannot attach a mount at %s", path) : 0;
}

static int share_path(const char *state, const AgentMount *mount, char path[PATH_SIZE],
                      Fault *fault)
{
        char name[SHARE_NAME_SIZE];

        if (!shares_name(mount, name))
                return fault_set(fault, -EINVAL, "%s \"%s\"",
                                 mount->type == AGENT_MOUNT_9P ? "9p tag" : "disk",
                                 mount->source ? mount->source : "");
        if (snprintf(path, PATH_SIZE, "%s/%s", state, name) >= PATH_SIZE)
                return fault_set(fault, -ENAMETOOLONG, "%s", mount->source);
        return 0;
}

int shares_mount(const char *state, const AgentMount *mount, Fault *fault)
{
        _cleanup_(fd_closep) int lock = FD_NONE;
        char path[PATH_SIZE];
        int r = share_path(state, mount, path, fault);

        if (r < 0)
                return r;
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
                return fault_set(fault, errno_neg(), "cannot make %s", path);
        /* The lock is on the state directory: two children may want the same share. */
        lock = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (lock < 0 || flock(lock, LOCK_EX) < 0)
                return fault_set(fault, errno_neg(), "cannot lock %s", state);
        r = is_mounted(path);
        if (r < 0)
                return fault_set(fault, r, "%s", path);
        return r ? 0 : mount_at(path, mount, fault);
}

int shares_unmount(const char *state, const char *name)
{
        char path[PATH_SIZE];
        int r = 0;

        if (snprintf(path, sizeof(path), "%s/%s", state, name) >= (int)sizeof(path))
                return -ENAMETOOLONG;
        r = mountfd_unmount(path);
        if (r == -EINVAL || r == -ENOENT)
                r = 0;
        rmdir(path);
        return r;
}

/* What nobody has mounted can be mounted, and a disk be opened by one alone. */
int shares_check_free(const AgentMount *mount)
{
        _cleanup_(fd_closep) int fd = FD_NONE;
        char path[DISK_PATH_SIZE];
        Fault fault;

        if (mount->type == AGENT_MOUNT_9P)
                return new_9p(mount, &fd, &fault) == -EBUSY ? -EBUSY : 0;
        if (disk_find(mount->source, path) < 0)
                return 0;
        fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC);
        return fd < 0 && errno == EBUSY ? -EBUSY : 0;
}

int shares_open(const char *state, const AgentMount *mount, int *ret_fd, Fault *fault)
{
        const char *below = mount->subpath && *mount->subpath ? mount->subpath : ".";
        _cleanup_(fd_closep) int top = FD_NONE;
        char path[PATH_SIZE];
        int r = share_path(state, mount, path, fault);

        if (r < 0)
                return r;
        top = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        r = top < 0 ? errno_neg() : mountfd_open_in_root(top, below, O_PATH, ret_fd);
        return r < 0 ? fault_set(fault, r, "cannot open %s of the %s \"%s\"", below,
                                 mount->type == AGENT_MOUNT_9P ? "9p device" : "disk",
                                 mount->source)
                     : 0;
}
