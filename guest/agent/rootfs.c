/* A container's root; see rootfs.h. */
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

#include "agent/devices.h"
#include "agent/limits.h"
#include "agent/mountfd.h"
#include "agent/mounts.h"
#include "agent/names.h"
#include "agent/overlay.h"
#include "agent/rootfs.h"
#include "agent/settings.h"
#include "agent/shares.h"

/* Opens what the spec calls the root: a directory below a share, or one of the guest (tests). */
static int open_source(const char *state, const AgentRoot *root, int *ret_fd, Fault *fault)
{
        _cleanup_(fd_closep) int top = FD_NONE;
        AgentMount mount;
        int r;

        if (root->type == AGENT_MOUNT_9P) {
                shares_of_root(root, 0, &mount);
                return shares_open(state, &mount, ret_fd, fault);
        }
        top = open(root->source, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (top < 0)
                return fault_set(fault, errno_neg(), "cannot open the root %s", root->source);
        r = mountfd_open_in_root(top, root->subpath && *root->subpath ? root->subpath : ".",
                                 O_PATH | O_DIRECTORY, ret_fd);
        return r < 0 ? fault_set(fault, r, "cannot open %s in the root", root->subpath) : 0;
}

/* The container's root as a detached mount. */
static int make_root(const char *state, const AgentRoot *root, Layers *ret_layers, int *ret_fd,
                     Fault *fault)
{
        _cleanup_(fd_closep) int source = FD_NONE, lower = FD_NONE;
        int r = open_source(state, root, &source, fault);

        if (r < 0)
                return r;
        r = mountfd_clone(source, "", false, &lower);
        if (r < 0)
                return fault_set(fault, r, "cannot clone the root's mount");
        if (root->upper == AGENT_UPPER_NONE) {
                *ret_fd = TAKE_FD(lower);
                return 0;
        }
        return overlay_make(state, root, lower, ret_layers, ret_fd, fault);
}

static int mount_shares(const char *state, const AgentContainerSpec *spec, Fault *fault)
{
        char name[SHARE_NAME_SIZE];
        AgentMount mount;
        int r = 0;

        for (unsigned i = 0; r == 0 && shares_of_root(&spec->root, i, &mount); i++)
                if (mount.type != AGENT_MOUNT_BIND)
                        r = shares_mount(state, &mount, fault);
        for (uint32_t i = 0; r == 0 && i < spec->n_mounts; i++)
                if (shares_name(&spec->mounts[i], name))
                        r = shares_mount(state, &spec->mounts[i], fault);
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
static int furnish(const char *state, const char *id, const AgentContainerSpec *spec, int root,
                   Fault *fault)
{
        int r = settings_apply(spec, fault);

        for (uint32_t i = 0; r == 0 && i < spec->n_mounts; i++)
                r = mounts_add(state, root, &spec->mounts[i], fault);
        if (r == 0)
                r = names_mount(state, id, spec, root, fault);
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

static int restrict_devices(const AgentContainerSpec *spec, int cgroup, Fault *fault)
{
        int r = cgroup < 0 ? 0 : devices_restrict(cgroup, spec->mounts, spec->n_mounts);

        return r < 0 ? fault_set(fault, r, "cannot restrict the container's devices") : 0;
}

int rootfs_enter(const char *state, const char *id, const AgentContainerSpec *spec, int cgroup,
                 Layers *ret_layers, Fault *fault)
{
        _cleanup_(fd_closep) int root = FD_NONE;
        int r;

        *ret_layers = (Layers){.upper = FD_NONE, .lower = FD_NONE};
        r = mount_shares(state, spec, fault);
        /* Before the group is the root of a namespace of its own (nsdelegate). */
        if (r == 0 && cgroup >= 0)
                r = limits_set_io(cgroup, &spec->limits, true, fault);
        if (r == 0)
                r = unshare_mounts(spec, fault);
        if (r == 0)
                r = make_root(state, &spec->root, ret_layers, &root, fault);
        if (r == 0)
                r = overlay_attach_at(state, "root", root, fault);
        if (r < 0)
                return r;
        r = furnish(state, id, spec, root, fault);
        /* Only now: this process may itself have mounted disks. */
        if (r == 0)
                r = restrict_devices(spec, cgroup, fault);
        if (r < 0)
                return r;
        /* The fd of a mount that was detached stands for it once it is attached, too. */
        r = mountfd_pivot(root);
        return r < 0 ? fault_set(fault, r, "cannot enter the container's root") : 0;
}
