/* A container's root; see rootfs.h. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

#include "agent/mountfd.h"
#include "agent/mounts.h"
#include "agent/rootfs.h"
#include "agent/settings.h"
#include "agent/shares.h"

#define PATH_SIZE 512

/* Opens what the spec calls the root: a directory below a share, or one of the guest (tests). */
static int open_source(const char *state, const AgentRoot *root, int *ret_fd, Fault *fault)
{
        char path[PATH_SIZE];
        const char *source = root->source;
        _cleanup_(fd_closep) int top = FD_NONE;
        int r;

        if (root->type == AGENT_MOUNT_9P) {
                r = shares_path(state, root->source, path, sizeof(path));
                if (r < 0)
                        return fault_set(fault, r, "root");
                source = path;
        }
        top = open(source, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (top < 0)
                return fault_set(fault, errno_neg(), "cannot open the root %s", source);
        r = mountfd_open_in_root(top, root->subpath && *root->subpath ? root->subpath : ".",
                                 O_PATH | O_DIRECTORY, ret_fd);
        return r < 0 ? fault_set(fault, r, "cannot open %s in the root", root->subpath) : 0;
}

/* The directory that shows through the overlay's root is the upper one: it looks like the lower. */
static int make_upper(int tmpfs, int lower, Fault *fault)
{
        struct stat status;

        if (fstat(lower, &status) < 0 || mkdirat(tmpfs, "work", 0700) < 0 ||
            mkdirat(tmpfs, "upper", 0700) < 0 ||
            fchownat(tmpfs, "upper", status.st_uid, status.st_gid, 0) < 0 ||
            fchmodat(tmpfs, "upper", status.st_mode & 07777, 0) < 0)
                return fault_set(fault, errno_neg(), "cannot make the writable layer");
        return 0;
}

/* Attaches @mount at <state>/@name so that the overlay can name it. */
static int attach_at(const char *state, const char *name, int mount, Fault *fault)
{
        char path[PATH_SIZE];
        _cleanup_(fd_closep) int target = FD_NONE;
        int r;

        snprintf(path, sizeof(path), "%s/%s", state, name);
        target = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        r = target < 0 ? errno_neg() : mountfd_attach(mount, target);
        return r < 0 ? fault_set(fault, r, "cannot attach a mount at %s", path) : 0;
}

static int make_overlay(const char *state, const AgentRoot *root, int lower, int *ret_fd,
                        Fault *fault)
{
        _cleanup_(fd_closep) int tmpfs = FD_NONE;
        char options[3 * PATH_SIZE], size[64] = "mode=0700", text[256];
        int r;

        if (root->upper_size > 0)
                snprintf(size, sizeof(size), "mode=0700,size=%llu",
                         (unsigned long long)root->upper_size);
        r = mountfd_new("tmpfs", "upper", size, 0, text, sizeof(text), &tmpfs);
        if (r < 0)
                return fault_set(fault, r, "cannot make the writable layer: %s", text);
        r = make_upper(tmpfs, lower, fault);
        if (r == 0)
                r = attach_at(state, "upper", tmpfs, fault);
        if (r == 0)
                r = attach_at(state, "lower", lower, fault);
        if (r < 0)
                return r;
        snprintf(options, sizeof(options),
                 "lowerdir=%s/lower,upperdir=%s/upper/upper,workdir=%s/upper/work", state, state,
                 state);
        r = mountfd_new("overlay", "overlay", options, 0, text, sizeof(text), ret_fd);
        return r < 0 ? fault_set(fault, r, "cannot mount the overlay: %s", text) : 0;
}

/* The container's root as a detached mount. */
static int make_root(const char *state, const AgentRoot *root, int *ret_fd, Fault *fault)
{
        _cleanup_(fd_closep) int source = FD_NONE, lower = FD_NONE;
        int r;

        r = open_source(state, root, &source, fault);
        if (r < 0)
                return r;
        r = mountfd_clone(source, "", false, &lower);
        if (r < 0)
                return fault_set(fault, r, "cannot clone the root's mount");
        switch (root->upper) {
        case AGENT_UPPER_NONE:
                *ret_fd = TAKE_FD(lower);
                return 0;
        case AGENT_UPPER_MEMORY:
                return make_overlay(state, root, lower, ret_fd, fault);
        case AGENT_UPPER_BLOCK:
                return fault_set(fault, -EOPNOTSUPP, "writable layer on a disk");
        case AGENT_UPPER_MAX_:
                break;
        }
        return fault_set(fault, -EINVAL, "writable layer");
}

static int mount_shares(const char *state, const AgentContainerSpec *spec, Fault *fault)
{
        int r = 0;

        if (spec->root.type == AGENT_MOUNT_9P)
                r = shares_mount(state, spec->root.source, spec->root.cache, spec->root.msize,
                                 fault);
        for (uint32_t i = 0; r == 0 && i < spec->n_mounts; i++) {
                const AgentMount *mount = &spec->mounts[i];

                if (mount->type == AGENT_MOUNT_9P)
                        r = shares_mount(state, mount->source, mount->cache, mount->msize, fault);
        }
        return r;
}

static int unshare_mounts(const AgentContainerSpec *spec, Fault *fault)
{
        int flags = CLONE_NEWNS, r;

        /* Not a flag of clone3(): the namespace's root would be the agent's cgroup. */
        if (spec->namespaces & AGENT_NAMESPACE_CGROUP)
                flags |= CLONE_NEWCGROUP;
        if (unshare(flags) < 0)
                return fault_set(fault, errno_neg(), "cannot unshare the mount namespace");
        r = mountfd_make_private();
        return r < 0 ? fault_set(fault, r, "cannot make the mounts private") : 0;
}

/* What has to be done with the machine's /proc in sight and the container's root at @root. */
static int furnish(const char *state, const AgentContainerSpec *spec, int root, Fault *fault)
{
        int r = settings_apply(spec, fault);

        for (uint32_t i = 0; r == 0 && i < spec->n_mounts; i++)
                r = mounts_add(state, root, &spec->mounts[i], fault);
        for (uint32_t i = 0; r == 0 && i < spec->masked_paths.n; i++)
                r = mounts_mask(root, spec->masked_paths.items[i], fault);
        for (uint32_t i = 0; r == 0 && i < spec->readonly_paths.n; i++)
                r = mounts_make_readonly(root, spec->readonly_paths.items[i], fault);
        if (r == 0 && spec->root.read_only) {
                r = mountfd_set(root, MOUNT_ATTR_RDONLY, 0, false);
                if (r < 0)
                        fault_set(fault, r, "cannot make the root read-only");
        }
        return r;
}

int rootfs_enter(const char *state, const AgentContainerSpec *spec, Fault *fault)
{
        _cleanup_(fd_closep) int root = FD_NONE;
        int r;

        r = mount_shares(state, spec, fault);
        if (r == 0)
                r = unshare_mounts(spec, fault);
        if (r == 0)
                r = make_root(state, &spec->root, &root, fault);
        if (r == 0)
                r = attach_at(state, "root", root, fault);
        if (r < 0)
                return r;
        r = furnish(state, spec, root, fault);
        if (r < 0)
                return r;
        /* The fd of a mount that was detached stands for it once it is attached, too. */
        r = mountfd_pivot(root);
        return r < 0 ? fault_set(fault, r, "cannot enter the container's root") : 0;
}
