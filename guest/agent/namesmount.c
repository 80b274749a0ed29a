/* A container's names, mounted; see names.h. In the child, beside the container's root. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/log.h"

#include "agent/mountfd.h"
#include "agent/mounts.h"
#include "agent/names.h"

#define HOSTS    "/etc/hosts"
#define RESOLVER "/etc/resolv.conf"

#define LINKS_MAX      8
#define IMAGE_SIZE_MAX 65536

bool names_is_place(const char *path)
{
        return strcmp(path, HOSTS) == 0 || strcmp(path, RESOLVER) == 0;
}

/* Whether something is mounted there, or on /etc. */
static bool is_taken(const AgentContainerSpec *spec, const char *path)
{
        for (uint32_t i = 0; i < spec->n_mounts; i++) {
                const char *target = spec->mounts[i].target;
                size_t length = strlen(target);

                while (length > 1 && target[length - 1] == '/')
                        length--;
                if ((length == strlen(path) && strncmp(target, path, length) == 0) ||
                    (length == 4 && strncmp(target, "/etc", length) == 0))
                        return true;
        }
        return false;
}

/* Where the link @path leads to: absolute. 0 or -errno; -ENOENT: it is none, and nothing else. */
static int follow(int root, char path[PATH_MAX])
{
        _cleanup_(fd_closep) int link = FD_NONE;
        char target[PATH_MAX], joined[PATH_MAX];
        ssize_t size;
        int r = mountfd_open_in_root(root, path, O_PATH | O_NOFOLLOW, &link), n;

        if (r < 0)
                return r;
        size = readlinkat(link, "", target, sizeof(target) - 1);
        if (size < 0)
                return errno_neg();
        target[size] = '\0';
        if (*target == '/')
                n = snprintf(joined, sizeof(joined), "%s", target);
        else
                n = snprintf(joined, sizeof(joined), "%.*s/%s", (int)(strrchr(path, '/') - path),
                             path, target);
        if (n >= (int)sizeof(joined))
                return -ENAMETOOLONG;
        memcpy(path, joined, (size_t)n + 1);
        return 0;
}

/* The file to mount on; where there is none it is made, also at the end of a link that leads nowhere. */
static int open_place(int root, const char *where, bool make, int *ret_fd)
{
        char path[PATH_MAX];
        int r;

        snprintf(path, sizeof(path), "%s", where);
        for (unsigned i = 0; i < LINKS_MAX; i++) {
                r = mountfd_open_in_root(root, path, O_PATH, ret_fd);
                if (r != -ENOENT || !make)
                        return r;
                r = follow(root, path);
                if (r == -ENOENT)
                        r = mounts_make_place(root, path, false);
                if (r < 0)
                        return r;
        }
        return -ELOOP;
}

static int is_file(int fd)
{
        struct stat status;

        if (fstat(fd, &status) < 0)
                return errno_neg();
        return S_ISREG(status.st_mode) ? 0 : -EINVAL;
}

/* What the image has to say, as far as it is a file of no great size. */
static void copy_from_image(int root, int to)
{
        _cleanup_(freep) char *data = malloc(IMAGE_SIZE_MAX);
        _cleanup_(fd_closep) int from = FD_NONE;
        ssize_t n = -1;

        if (data &&
            mountfd_open_in_root(root, RESOLVER, O_RDONLY | O_NONBLOCK | O_NOCTTY, &from) == 0 &&
            is_file(from) == 0)
                n = pread(from, data, IMAGE_SIZE_MAX, 0);
        if (n > 0 && io_write_full(to, data, (size_t)n) < 0)
                log_warning("cannot keep what the image has as " RESOLVER);
}

/* The agent has written it if it knew what; else it is made here, of the image's own. */
static int open_source(const char *state, const char *id, const char *place, int root, int *ret_fd)
{
        const char *file = strrchr(place, '/') + 1;
        char path[PATH_MAX];
        int fd;

        snprintf(path, sizeof(path), "%s/names/%s/%s", state, id, file);
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (fd >= 0)
                copy_from_image(root, fd);
        else if (errno != EEXIST)
                return errno_neg();
        fd_close(fd);
        fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return errno_neg();
        *ret_fd = fd;
        return 0;
}

static int mount_file(const char *state, const char *id, const AgentContainerSpec *spec, int root,
                      const char *place, Fault *fault)
{
        uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
        _cleanup_(fd_closep) int target = FD_NONE, source = FD_NONE, mount = FD_NONE;
        bool make = spec->root.upper != AGENT_UPPER_NONE;
        int r = is_taken(spec, place) ? -EEXIST : open_place(root, place, make, &target);

        if (r == 0)
                r = is_file(target);
        if (r < 0) {
                log_debug("%s is the container's own: %s", place, strerror(-r));
                return 0;
        }
        if (spec->root.read_only)
                attributes |= MOUNT_ATTR_RDONLY;
        r = open_source(state, id, place, root, &source);
        if (r == 0)
                r = mountfd_clone(source, "", false, &mount);
        if (r == 0)
                r = mountfd_set(mount, attributes, 0, false);
        if (r == 0)
                r = mountfd_attach(mount, target);
        return r < 0 ? fault_set(fault, r, "cannot mount %s", place) : 0;
}

int names_mount(const char *state, const char *id, const AgentContainerSpec *spec, int root,
                Fault *fault)
{
        int r = mount_file(state, id, spec, root, HOSTS, fault);

        if (r < 0 || (spec->namespaces & AGENT_NAMESPACE_NET))
                return r;
        return mount_file(state, id, spec, root, RESOLVER, fault);
}
