/* Mounts of a container that is there already; see attach.h. */
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

#include "agent/attach.h"
#include "agent/cgroup.h"
#include "agent/devices.h"
#include "agent/mountfd.h"
#include "agent/mounts.h"
#include "agent/operation.h"
#include "agent/release.h"
#include "agent/requests.h"

typedef struct Attach {
        Operation operation;
        AgentMount mount; /* adding: the mount */
        uint32_t index;   /* removing: its number in the specification; it is the only one that
                             changes that while it is under way */
        bool last;        /* removing: nobody else uses the share */
} Attach;

static Attach *attach_of(Operation *operation)
{
        return CONTAINER_OF(operation, Attach, operation);
}

static void mount_free(AgentMount *mount)
{
        free(mount->source);
        free(mount->subpath);
        free(mount->target);
        free(mount->options);
        free(mount->fs);
        *mount = (AgentMount){};
}

/* The rest needs more of the container's namespaces, or makes no sense alone. */
static bool can_be_added(AgentMountType type)
{
        switch (type) {
        case AGENT_MOUNT_9P:
        case AGENT_MOUNT_BIND:
        case AGENT_MOUNT_TMPFS:
        case AGENT_MOUNT_BLOCK:
        case AGENT_MOUNT_DEVICE:
                return true;
        case AGENT_MOUNT_PROC:
        case AGENT_MOUNT_SYSFS:
        case AGENT_MOUNT_DEV:
        case AGENT_MOUNT_DEVPTS:
        case AGENT_MOUNT_MQUEUE:
        case AGENT_MOUNT_CGROUP:
        case AGENT_MOUNT_MAX_:
                break;
        }
        return false;
}

/* The container's devices are what its mounts say. */
static int restrict_devices(const Container *container, const AgentMount *mounts, uint32_t n)
{
        _cleanup_(fd_closep) int group = FD_NONE;
        int r;

        if (container->guest->cgroup_root < 0)
                return 0;
        r = cgroup_open(container->id, &group);
        return r < 0 ? r : devices_restrict(group, mounts, n);
}

/* The mounts of @container with the one at hand, which has none of its memory of its own. */
static int allow_device(const Container *container, const AgentMount *mount)
{
        uint32_t n = container->spec.n_mounts;
        _cleanup_(freep) AgentMount *mounts = calloc((size_t)n + 1, sizeof(*mounts));

        if (!mounts)
                return -ENOMEM;
        if (n > 0)
                memcpy(mounts, container->spec.mounts, n * sizeof(*mounts));
        mounts[n] = *mount;
        return restrict_devices(container, mounts, n + 1);
}

static int own_namespace(Fault *fault)
{
        int r = unshare(CLONE_NEWNS) < 0 ? errno_neg() : mountfd_make_private();

        return r < 0 ? fault_set(fault, r, "cannot unshare the mount namespace") : 0;
}

static int add_run(Operation *operation, int output, Fault *fault)
{
        const AgentMount *mount = &attach_of(operation)->mount;
        const char *state = operation->container->guest->state;
        _cleanup_(mounts_close) MountSource source = {.fd = FD_NONE};
        _cleanup_(fd_closep) int root = FD_NONE;
        bool bind = mount->type == AGENT_MOUNT_BIND;
        char name[SHARE_NAME_SIZE];
        int r = 0;

        if (shares_name(mount, name))
                r = shares_mount(state, mount, fault);
        if (r == 0)
                r = own_namespace(fault);
        if (r == 0 && !bind)
                r = mounts_open(state, FD_NONE, mount, &source, fault);
        if (r == 0 && mount->type == AGENT_MOUNT_DEVICE) {
                r = allow_device(operation->container, mount);
                if (r < 0)
                        fault_set(fault, r, "cannot let the container use %s", mount->source);
        }
        if (r == 0)
                r = operation_enter(&root, fault);
        if (r == 0 && bind)
                r = mounts_open(state, root, mount, &source, fault);
        return r < 0 ? r : mounts_attach(root, mount, &source, fault);
}

/* It belongs to the container's specification from now on; the room was made before. */
static void keep_mount(Container *container, AgentMount *mount)
{
        container->spec.mounts[container->spec.n_mounts++] = *mount;
        *mount = (AgentMount){};
}

/* Room for one mount more than those on their way need. */
static int make_room(Container *container)
{
        size_t n = (size_t)container->spec.n_mounts + 1;
        AgentMount *grown;

        list_for_each (item, &container->operations)
                n++;
        if (n > AGENT_LIST_MAX)
                return -E2BIG;
        grown = realloc(container->spec.mounts, n * sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        container->spec.mounts = grown;
        return 0;
}

static void add_done(Operation *operation, int r)
{
        Attach *attach = attach_of(operation);
        Guest *guest = operation->container->guest;
        CodecStrings unused = {};

        if (r == 0)
                keep_mount(operation->container, &attach->mount);
        else
                shares_give_back_mount(&guest->shares, &attach->mount, &unused);
        guest->shares.mounting--;
        release_start(guest, &unused);
        requests_resume(guest);
}

static void add_free(Operation *operation)
{
        mount_free(&attach_of(operation)->mount);
        free(attach_of(operation));
}

static const OperationKind add_kind = {.run = add_run, .done = add_done, .free = add_free};

void attach_mount(Container *container, uint32_t request, AgentAddMount *add)
{
        Shares *shares = &container->guest->shares;
        Attach *attach = calloc(1, sizeof(*attach));
        int r = !attach ? -ENOMEM : can_be_added(add->mount.type) ? 0 : -EOPNOTSUPP;

        if (r == 0)
                r = make_room(container);
        if (r == 0)
                r = shares_take_mount(shares, &add->mount);
        if (r < 0) {
                guest_reply_error(container->guest, request, r, "mount on %s", add->mount.target);
                free(attach);
                return;
        }
        attach->mount = add->mount;
        add->mount = (AgentMount){};
        shares->mounting++;
        operation_start(&attach->operation, &add_kind, container, request);
}

/*
 * Removing.
 */

/* Where @path leads in the root, without links: what is there is not held while it is taken off.
 * @fds is /proc/self/fd as the agent sees it. */
static int real_path(int fds, int root, const char *path, char *ret, size_t size)
{
        _cleanup_(fd_closep) int target = FD_NONE;
        char number[16];
        ssize_t n;
        int r = mountfd_open_in_root(root, path, O_PATH, &target);

        if (r < 0)
                return r;
        snprintf(number, sizeof(number), "%d", target);
        n = readlinkat(fds, number, ret, size);
        if (n < 0)
                return errno_neg();
        if ((size_t)n == size)
                return -ENAMETOOLONG;
        ret[n] = '\0';
        return 0;
}

static int remove_node(const char *path)
{
        struct stat status;

        if (lstat(path, &status) < 0)
                return errno_neg();
        if (!S_ISBLK(status.st_mode))
                return 0;
        return unlink(path) < 0 ? errno_neg() : 0;
}

/* In the container. What the container itself has taken off or away is no failure. */
static int take_off(int fds, const AgentMount *mount, Fault *fault)
{
        _cleanup_(fd_closep) int root = FD_NONE;
        char path[PATH_MAX];
        int r = operation_enter(&root, fault);

        if (r < 0)
                return r;
        r = real_path(fds, root, mount->target, path, sizeof(path));
        if (r == 0)
                r = mount->type == AGENT_MOUNT_DEVICE ? remove_node(path) : mountfd_unmount(path);
        if (r == -EINVAL || r == -ENOENT || r == -ENOTDIR)
                return 0;
        return r < 0 ? fault_set(fault, r, "cannot unmount %s", mount->target) : 0;
}

/* Back in the agent's namespace: the share goes with its last user, and then its device is free. */
static int release_share(const char *state, const AgentMount *mount, Fault *fault)
{
        char name[SHARE_NAME_SIZE];
        int r = 0;

        if (shares_name(mount, name)) {
                r = shares_unmount(state, name);
                if (r == 0)
                        r = shares_check_free(mount);
        }
        return r < 0 ? fault_set(fault, r, "cannot unmount the device \"%s\"", mount->source) : 0;
}

/* The specification without the mount at hand, which goes when this has worked. */
static int forbid_device(const Container *container, const AgentMount *mount)
{
        uint32_t n = container->spec.n_mounts, at = (uint32_t)(mount - container->spec.mounts);
        AgentMount *mounts = container->spec.mounts; /* the worker's copy */

        memmove(&mounts[at], &mounts[at + 1], (n - at - 1) * sizeof(*mounts));
        return restrict_devices(container, mounts, n - 1);
}

static int remove_run(Operation *operation, int output, Fault *fault)
{
        const Attach *attach = attach_of(operation);
        const Container *container = operation->container;
        AgentMount mount = container->spec.mounts[attach->index];
        _cleanup_(fd_closep) int own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
        _cleanup_(fd_closep) int fds = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
        int r = own < 0 || fds < 0 ? fault_set(fault, errno_neg(), "cannot open /proc/self")
                                   : take_off(fds, &mount, fault);

        if (r == 0 && setns(own, CLONE_NEWNS) < 0)
                r = fault_set(fault, errno_neg(), "cannot leave the container");
        if (r == 0 && attach->last)
                r = release_share(container->guest->state, &mount, fault);
        if (r == 0 && mount.type == AGENT_MOUNT_DEVICE) {
                r = forbid_device(container, &container->spec.mounts[attach->index]);
                if (r < 0)
                        fault_set(fault, r, "cannot keep the container from %s", mount.source);
        }
        return r;
}

static void forget_mount(Container *container, uint32_t index)
{
        AgentContainerSpec *spec = &container->spec;
        CodecStrings unused;

        shares_give_back_mount(&container->guest->shares, &spec->mounts[index], &unused);
        shares_names_free(&unused);
        mount_free(&spec->mounts[index]);
        spec->n_mounts--;
        memmove(&spec->mounts[index], &spec->mounts[index + 1],
                (spec->n_mounts - index) * sizeof(*spec->mounts));
}

static void remove_done(Operation *operation, int r)
{
        Guest *guest = operation->container->guest;

        if (r == 0)
                forget_mount(operation->container, attach_of(operation)->index);
        guest->shares.unmounting--;
        requests_resume(guest);
}

static void remove_free(Operation *operation)
{
        free(attach_of(operation));
}

static const OperationKind remove_kind = {
        .run = remove_run,
        .done = remove_done,
        .free = remove_free,
};

/* The last one that was mounted there. */
static int find_mount(const Container *container, const char *target, uint32_t *ret)
{
        for (uint32_t i = container->spec.n_mounts; i-- > 0;)
                if (strcmp(container->spec.mounts[i].target, target) == 0) {
                        *ret = i;
                        return 0;
                }
        return -ENOENT;
}

void attach_unmount(Container *container, uint32_t request, const AgentRemoveMount *remove)
{
        Shares *shares = &container->guest->shares;
        Attach *attach = calloc(1, sizeof(*attach));
        int r = attach ? find_mount(container, remove->target, &attach->index) : -ENOMEM;

        if (r < 0) {
                guest_reply_error(container->guest, request, r, "mount on %s", remove->target);
                free(attach);
                return;
        }
        attach->last = shares_is_last(shares, &container->spec.mounts[attach->index]);
        shares->unmounting++;
        operation_start(&attach->operation, &remove_kind, container, request);
}
