/* The request COPY; see copy.h. */
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/io.h"

#include "agent/copy.h"
#include "agent/copydata.h"
#include "agent/copytree.h"
#include "agent/mountfd.h"
#include "agent/operation.h"
#include "agent/release.h"
#include "agent/requests.h"
#include "agent/textfile.h"

/* A tree with very many hard links takes memory: rather than a container this is killed for it. */
#define OOM_SCORE_COPY "1000"

typedef struct Copy {
        Operation operation;
        AgentCopy message;
        AgentMount mount; /* of the device; borrows from @message */
} Copy;

static Copy *copy_of(Operation *operation)
{
        return CONTAINER_OF(operation, Copy, operation);
}

/* What @path is in the container. */
static int copy_out(const AgentCopy *message, CopyTree *tree, int root, int device, Fault *fault)
{
        bool follow = message->flags & AGENT_COPY_FOLLOW || !*message->name;
        _cleanup_(fd_closep) int source = FD_NONE;
        int r = mountfd_open_in_root(root, message->path, O_PATH | (follow ? 0 : O_NOFOLLOW),
                                     &source);

        if (r < 0)
                return fault_set(fault, r, "cannot copy %s", message->path);
        if (*message->name)
                return copy_tree_to(tree, source, device, message->name, fault);
        return copy_tree_contents(tree, source, device, true, fault);
}

/* The last component of @path, which is cut off; NULL: it has none that names something in it. */
static char *split(char *path)
{
        size_t length = strlen(path);
        char *name;

        while (length > 0 && path[length - 1] == '/')
                path[--length] = '\0';
        name = strrchr(path, '/');
        if (!name || !name[1] || strcmp(name + 1, ".") == 0 || strcmp(name + 1, "..") == 0)
                return NULL;
        *name = '\0';
        return name + 1;
}

static bool is_directory(int fd)
{
        struct stat status;

        return fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
}

/* To what @path is: a directory that is there keeps its attributes. */
static int copy_into(const AgentCopy *message, CopyTree *tree, int source, int to, Fault *fault)
{
        if (message->flags & AGENT_COPY_INTO && *message->name)
                return copy_tree_to(tree, source, to, message->name, fault);
        if (!is_directory(source))
                return fault_set(fault, -EISDIR, "cannot copy to %s", message->path);
        return copy_tree_contents(tree, source, to, false, fault);
}

static int copy_in(const AgentCopy *message, CopyTree *tree, int root, int device, Fault *fault)
{
        _cleanup_(fd_closep) int source = FD_NONE, to = FD_NONE, parent = FD_NONE;
        _cleanup_(freep) char *path = strdup(message->path);
        const char *name = path ? split(path) : NULL;
        int r = path ? 0 : -ENOMEM;

        source = openat(device, *message->name ? message->name : ".",
                        O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (r == 0 && source < 0)
                r = errno_neg();
        if (r < 0)
                return fault_set(fault, r, "cannot copy \"%s\"", message->name);
        /* A directory over one that exists is merged with it, wherever links lead. */
        r = mountfd_open_in_root(root, message->path, O_PATH, &to);
        if (r == 0 && is_directory(to) &&
            (!name || message->flags & AGENT_COPY_INTO || is_directory(source)))
                return copy_into(message, tree, source, to, fault);
        if (name)
                r = mountfd_open_in_root(root, *path ? path : "/", O_PATH | O_DIRECTORY, &parent);
        else if (r == 0)
                r = -ENOTDIR;
        if (r < 0)
                return fault_set(fault, r, "cannot copy to %s", message->path);
        return copy_tree_to(tree, source, parent, name, fault);
}

/* The root without what is mounted on it is a mount of its own. */
static int open_root(uint32_t flags, int *ret_root, Fault *fault)
{
        _cleanup_(fd_closep) int root = FD_NONE;
        int r = operation_enter(&root, fault);

        if (r < 0)
                return r;
        if (!(flags & AGENT_COPY_ROOT)) {
                *ret_root = TAKE_FD(root);
                return 0;
        }
        r = mountfd_clone(root, "", false, ret_root);
        return r < 0 ? fault_set(fault, r, "cannot clone the container's root") : 0;
}

static bool is_kernels(AgentMountType type)
{
        switch (type) {
        case AGENT_MOUNT_PROC:
        case AGENT_MOUNT_SYSFS:
        case AGENT_MOUNT_DEV:
        case AGENT_MOUNT_DEVPTS:
        case AGENT_MOUNT_MQUEUE:
        case AGENT_MOUNT_CGROUP:
                return true;
        case AGENT_MOUNT_9P:
        case AGENT_MOUNT_BIND:
        case AGENT_MOUNT_TMPFS:
        case AGENT_MOUNT_BLOCK:
        case AGENT_MOUNT_DEVICE:
        case AGENT_MOUNT_MAX_:
                break;
        }
        return false;
}

/* What the specification has mounted for programs to work, and has no files to copy. */
static int find_closed(const AgentContainerSpec *spec, int root, CopyTree *tree)
{
        struct stat status;

        tree->closed = calloc((size_t)spec->n_mounts + 1, sizeof(*tree->closed));
        if (!tree->closed)
                return -ENOMEM;
        for (uint32_t i = 0; i < spec->n_mounts; i++) {
                _cleanup_(fd_closep) int fd = FD_NONE;

                if (is_kernels(spec->mounts[i].type) &&
                    mountfd_open_in_root(root, spec->mounts[i].target, O_PATH, &fd) == 0 &&
                    fstat(fd, &status) == 0)
                        tree->closed[tree->n_closed++] = status.st_dev;
        }
        return 0;
}

static int transfer(const AgentContainerSpec *spec, const AgentCopy *message, int device,
                    CopyTree *tree, Fault *fault)
{
        _cleanup_(fd_closep) int fds = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(fd_closep) int root = FD_NONE;
        int r;

        if (fds < 0)
                return fault_set(fault, errno_neg(), "cannot open /proc/self/fd");
        r = open_root(message->flags, &root, fault);
        if (r < 0)
                return r;
        if (!(message->flags & AGENT_COPY_ROOT)) {
                r = find_closed(spec, root, tree);
                if (r < 0)
                        return fault_set(fault, r, "cannot copy %s", message->path);
        }
        if (fchdir(fds) < 0)
                return fault_set(fault, errno_neg(), "cannot enter /proc/self/fd");
        if (*message->path != '/')
                return fault_set(fault, -EINVAL, "path \"%s\"", message->path);
        return message->flags & AGENT_COPY_OUT ? copy_out(message, tree, root, device, fault)
                                               : copy_in(message, tree, root, device, fault);
}

/* With the device mounted. */
static int run_mounted(const Copy *copy, AgentCopied *ret, Fault *fault)
{
        const char *state = copy->operation.container->guest->state;
        _cleanup_(fd_closep) int device = FD_NONE;
        CopyTree tree;
        int r = shares_open(state, &copy->mount, &device, fault);

        if (r < 0)
                return r;
        r = copy_tree_init(&tree, copy->message.path);
        if (r < 0)
                fault_set(fault, r, "cannot copy %s", copy->message.path);
        else
                r = transfer(&copy->operation.container->spec, &copy->message, device, &tree,
                             fault);
        *ret = (AgentCopied){.files = tree.files, .bytes = tree.bytes};
        copy_tree_done(&tree);
        return r;
}

static int write_copied(const AgentCopied *copied, int output)
{
        uint8_t payload[sizeof(*copied)]; /* nothing but u64s */
        size_t size;
        int r = agent_copied_encode(copied, payload, sizeof(payload), &size);

        return r < 0 ? r : io_write_full(output, payload, size);
}

static int copy_run(Operation *operation, int output, Fault *fault)
{
        const Copy *copy = copy_of(operation);
        const char *state = operation->container->guest->state;
        _cleanup_(fd_closep) int own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
        char name[SHARE_NAME_SIZE];
        AgentCopied copied;
        int r, s;

        copy_hold_stop();
        text_write(AT_FDCWD, "/proc/self/oom_score_adj", OOM_SCORE_COPY, strlen(OOM_SCORE_COPY));
        if (own < 0)
                return fault_set(fault, errno_neg(), "cannot open /proc/self/ns/mnt");
        r = shares_mount(state, &copy->mount, fault);
        if (r < 0)
                return r;
        r = run_mounted(copy, &copied, fault);
        shares_name(&copy->mount, name);
        s = setns(own, CLONE_NEWNS) < 0 ? errno_neg() : shares_unmount(state, name);
        if (r == 0 && s < 0)
                r = fault_set(fault, s, "cannot unmount the device \"%s\"", copy->message.tag);
        if (r == 0) {
                r = write_copied(&copied, output);
                if (r < 0)
                        fault_set(fault, r, "cannot tell what was copied");
        }
        return r;
}

/* One that was ended in the middle has left the device mounted. */
static void copy_done(Operation *operation, int r)
{
        Guest *guest = operation->container->guest;
        CodecStrings unused;

        shares_give_back_mount(&guest->shares, &copy_of(operation)->mount, &unused);
        if (r == -EINTR)
                release_start(guest, &unused);
        else
                shares_names_free(&unused);
}

static void copy_free(Operation *operation)
{
        agent_copy_done(&copy_of(operation)->message);
        free(copy_of(operation));
}

static const OperationKind copy_kind = {
        .ends_with_container = true,
        .run = copy_run,
        .done = copy_done,
        .free = copy_free,
};

void copy_start(Container *container, uint32_t request, AgentCopy *message)
{
        Copy *copy = calloc(1, sizeof(*copy));
        int r = -ENOMEM;

        if (copy) {
                copy->mount = (AgentMount){.type = AGENT_MOUNT_9P, .source = message->tag};
                r = shares_take_alone(&container->guest->shares, &copy->mount);
        }
        if (r < 0) {
                guest_reply_error(container->guest, request, r, "device \"%s\"", message->tag);
                free(copy);
                return;
        }
        copy->message = *message;
        *message = (AgentCopy){};
        operation_start(&copy->operation, &copy_kind, container, request);
}

void copy_stop(Container *container)
{
        operations_ask(container, &copy_kind);
}
