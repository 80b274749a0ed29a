/* The writable layer of a container; see overlay.h. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

#include "agent/mountfd.h"
#include "agent/overlay.h"
#include "agent/shares.h"

#define PATH_SIZE 512

int overlay_attach_at(const char *state, const char *name, int mount, Fault *fault)
{
        char path[PATH_SIZE];
        _cleanup_(fd_closep) int target = FD_NONE;
        int r;

        snprintf(path, sizeof(path), "%s/%s", state, name);
        target = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        r = target < 0 ? errno_neg() : mountfd_attach(mount, target);
        return r < 0 ? fault_set(fault, r, "cannot attach a mount at %s", path) : 0;
}

/* A tmpfs at <state>/upper. */
static int mount_memory(const char *state, const AgentRoot *root, Fault *fault)
{
        _cleanup_(fd_closep) int tmpfs = FD_NONE;
        char size[64] = "mode=0700", text[256];
        int r;

        if (root->upper_size > 0)
                snprintf(size, sizeof(size), "mode=0700,size=%llu",
                         (unsigned long long)root->upper_size);
        r = mountfd_new("tmpfs", "upper", size, 0, text, sizeof(text), &tmpfs);
        if (r < 0)
                return fault_set(fault, r, "cannot make the writable layer: %s", text);
        return overlay_attach_at(state, "upper", tmpfs, fault);
}

/* The disk, which is mounted already, at <state>/upper. */
static int mount_disk(const char *state, const AgentRoot *root, Fault *fault)
{
        _cleanup_(fd_closep) int top = FD_NONE, disk = FD_NONE;
        AgentMount mount;
        int r;

        shares_of_root(root, 1, &mount);
        r = shares_open(state, &mount, &top, fault);
        if (r < 0)
                return r;
        r = mountfd_clone(top, "", false, &disk);
        if (r < 0)
                return fault_set(fault, r, "cannot clone the mount of the writable layer");
        return overlay_attach_at(state, "upper", disk, fault);
}

/*
 * The directory that shows through the overlay's root is the upper one: it looks like the lower.
 * One that was left half made by a machine that ended then has another name, and is used.
 */
static int make_directories(int top, int lower)
{
        struct stat status;

        if (mkdirat(top, "work", 0700) < 0 && errno != EEXIST)
                return errno_neg();
        if (fstatat(top, "upper", &status, AT_SYMLINK_NOFOLLOW) == 0)
                return S_ISDIR(status.st_mode) ? 0 : -ENOTDIR;
        if (errno != ENOENT || fstat(lower, &status) < 0 ||
            (mkdirat(top, "upper.new", 0700) < 0 && errno != EEXIST) ||
            fchownat(top, "upper.new", status.st_uid, status.st_gid, 0) < 0 ||
            fchmodat(top, "upper.new", status.st_mode & 07777, 0) < 0 ||
            renameat(top, "upper.new", top, "upper") < 0)
                return errno_neg();
        return 0;
}

static int open_upper(const char *state, int lower, int *ret_fd)
{
        _cleanup_(fd_closep) int top = FD_NONE;
        char path[PATH_SIZE];
        int r;

        snprintf(path, sizeof(path), "%s/upper", state);
        top = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        r = top < 0 ? errno_neg() : make_directories(top, lower);
        if (r < 0)
                return r;
        *ret_fd = openat(top, "upper", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return *ret_fd < 0 ? errno_neg() : 0;
}

int overlay_make(const char *state, const AgentRoot *root, int lower, Layers *ret_layers,
                 int *ret_fd, Fault *fault)
{
        char options[4 * PATH_SIZE], text[256];
        int r = root->upper == AGENT_UPPER_BLOCK ? mount_disk(state, root, fault)
                                                 : mount_memory(state, root, fault);

        if (r < 0)
                return r;
        r = open_upper(state, lower, &ret_layers->upper);
        if (r < 0)
                return fault_set(fault, r, "cannot make the writable layer");
        r = overlay_attach_at(state, "lower", lower, fault);
        if (r < 0)
                return r;
        /* The fd of the mount stays what it is when that is attached. */
        ret_layers->lower = fcntl(lower, F_DUPFD_CLOEXEC, 0);
        if (ret_layers->lower < 0)
                return fault_set(fault, errno_neg(), "cannot make the writable layer");
        snprintf(options, sizeof(options),
                 "lowerdir=%s/lower,upperdir=%s/upper/upper,workdir=%s/upper/work,"
                 "redirect_dir=off,index=off,metacopy=off",
                 state, state, state);
        r = mountfd_new("overlay", "overlay", options, 0, text, sizeof(text), ret_fd);
        return r < 0 ? fault_set(fault, r, "cannot mount the overlay%s%s", *text ? ": " : "", text)
                     : 0;
}
