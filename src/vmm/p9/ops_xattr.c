/*
 * Extended attributes: Txattrwalk and Tread get one, or the list of names; Txattrcreate, Twrite and
 * Tclunk set or remove one.
 *
 * O_PATH fds have no fgetxattr(), and not every file can be opened; but a name in /proc/self/fd
 * stands for any file, also a symbolic link or a fifo. The calls take no directory fd, so the
 * process's working directory, which nothing else uses, is set to it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.h"
#include "vmm/p9/ops.h"

/* The fid's file as a path for the calls without "f" or "l". */
static int p9_xattr_path(P9Fid *fid, P9Node **ret_acquired, char name[static P9_PROC_NAME_SIZE])
{
        int fd, r;

        r = p9_fid_acquire(fid, ret_acquired, &fd);
        if (r < 0)
                return r;
        p9_proc_name(fd, name);
        return fchdir(fid->node->tree->proc_fd) < 0 ? errno_neg() : 0;
}

/* The attribute @name, or the list of names for "". The size, or -errno. */
static ssize_t p9_xattr_get(P9Fid *fid, const char *name, void *value, size_t size)
{
        _cleanup_(p9_node_releasep) P9Node *acquired = NULL;
        char path[P9_PROC_NAME_SIZE];
        ssize_t n;
        int r;

        r = p9_xattr_path(fid, &acquired, path);
        if (r < 0)
                return r;
        n = *name ? getxattr(path, name, value, size) : listxattr(path, value, size);
        return n < 0 ? errno_neg() : n;
}

/* Fetches the value into a fid made for it. Between asking for the size and the value it may grow:
 * -ERANGE, as for any program. */
static int p9_xattr_fetch(P9Request *request, const char *name, P9Fid *target)
{
        ssize_t n = p9_xattr_get(request->fid, name, NULL, 0);
        int r;

        if (n < 0)
                return (int)n;
        r = p9_fid_set_xattr(&request->server->fids, target, P9_FID_XATTR_GET, (uint32_t)n);
        if (r < 0)
                return r;
        if (n > 0)
                n = p9_xattr_get(request->fid, name, target->xattr->data, (size_t)n);
        if (n < 0)
                return (int)n;
        target->xattr->filled = (uint32_t)n;
        wire_put_u64(&request->reply, (uint64_t)n);
        return 0;
}

int p9_do_xattrwalk(P9Request *request)
{
        P9String name = request->message.xattrwalk.name;
        P9Fid *fid = request->fid, *target;
        int r;

        if (fid->kind == P9_FID_XATTR_GET || fid->kind == P9_FID_XATTR_SET)
                return -EINVAL;
        if (name.size > XATTR_NAME_MAX)
                return -ERANGE;
        r = p9_fid_new(&request->server->fids, request->message.xattrwalk.new_fid, fid->node,
                       fid->uid, &target);
        if (r < 0)
                return r;
        r = p9_xattr_fetch(request, name.text, target);
        if (r < 0)
                p9_fid_free(&request->server->fids, target);
        return r;
}

int p9_xattr_read(P9Request *request)
{
        const P9Xattr *xattr = request->fid->xattr;
        uint64_t offset = MIN(request->message.io.offset, (uint64_t)xattr->filled);
        size_t count = MIN((size_t)request->message.io.count, (size_t)(xattr->filled - offset));

        count = MIN(count, (size_t)request->server->msize - P9_IO_HEADER_SIZE);
        count = MIN(count, request->out_size - P9_READ_HEADER_SIZE);
        virtio_spans_write(request->out, request->n_out, P9_READ_HEADER_SIZE, xattr->data + offset,
                           count);
        wire_put_u32(&request->reply, (uint32_t)count);
        request->n_data = count;
        return 0;
}

/* The fid turns from the file into the attribute; the client made a copy of it before. */
int p9_do_xattrcreate(P9Request *request)
{
        P9String name = request->message.xattrcreate.name;
        uint64_t size = request->message.xattrcreate.size;
        P9Fid *fid = request->fid;
        int r;

        if (fid->kind != P9_FID_NODE)
                return -EINVAL;
        if (name.size == 0 || name.size > XATTR_NAME_MAX)
                return -ERANGE;
        if (size > XATTR_SIZE_MAX)
                return -E2BIG;
        if (request->message.xattrcreate.flags & ~(uint32_t)(XATTR_CREATE | XATTR_REPLACE))
                return -EINVAL;
        r = p9_fid_set_xattr(&request->server->fids, fid, P9_FID_XATTR_SET, (uint32_t)size);
        if (r < 0)
                return r;
        snprintf(fid->xattr->name, sizeof(fid->xattr->name), "%s", name.text);
        fid->xattr->flags = request->message.xattrcreate.flags;
        return 0;
}

/* From the start to the end, without gaps, as the client does. */
int p9_xattr_write(P9Request *request)
{
        P9Xattr *xattr = request->fid->xattr;
        uint32_t count = request->message.io.count;

        if (request->message.io.offset != xattr->filled || count > xattr->size - xattr->filled)
                return -EINVAL;
        virtio_spans_read(request->in, request->n_in, P9_WRITE_HEADER_SIZE,
                          xattr->data + xattr->filled, count);
        xattr->filled += count;
        wire_put_u32(&request->reply, count);
        return 0;
}

static bool p9_xattr_is_acl(const P9Xattr *xattr)
{
        return strcmp(xattr->name, "system.posix_acl_access") == 0 ||
               strcmp(xattr->name, "system.posix_acl_default") == 0;
}

/*
 * The value is complete when its fid is clunked. No bytes and XATTR_REPLACE is how the client asks
 * for a removal (__vfs_removexattr() in fs/xattr.c), and an access control list of no bytes is one
 * that says no more than the mode (v9fs_xattr_set_acl() in fs/9p/acl.c): none, whether there was one or
 * not. No bytes otherwise is an empty value.
 */
int p9_xattr_commit(P9Request *request)
{
        _cleanup_(p9_node_releasep) P9Node *acquired = NULL;
        const P9Xattr *xattr = request->fid->xattr;
        char path[P9_PROC_NAME_SIZE];
        int r;

        if (xattr->filled != xattr->size)
                return -EINVAL;
        r = p9_xattr_path(request->fid, &acquired, path);
        if (r < 0)
                return r;
        if (xattr->size == 0 && (xattr->flags == XATTR_REPLACE || p9_xattr_is_acl(xattr)))
                r = removexattr(path, xattr->name);
        else
                r = setxattr(path, xattr->name, xattr->data, xattr->size, (int)xattr->flags);
        return r < 0 ? errno_neg() : 0;
}
