/* The operations that are different on the made-up root of a server with binds; see binds.h. What is
 * not here finds a read-only directory, or one that isn't open, and says so. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "vmm/p9/ops.h"

#define P9_BINDS_BLOCK_SIZE 4096

static int p9_binds_lopen(P9Request *request)
{
        uint32_t flags = request->message.lopen.flags;
        P9Fid *fid = request->fid;

        if (fid->kind != P9_FID_NODE)
                return -EBADF;
        if ((flags & P9_O_ACCESS) != O_RDONLY || (flags & P9_O_TRUNC))
                return -EROFS;
        fid->kind = P9_FID_DIR;
        p9_put_open(&request->reply, fid->node->qid, 0);
        return 0;
}

static P9Time p9_binds_time(const struct timespec *time)
{
        return (P9Time){.sec = (uint64_t)time->tv_sec, .nsec = (uint64_t)time->tv_nsec};
}

static int p9_binds_getattr(P9Request *request)
{
        const P9Binds *binds = &request->server->binds;
        P9Time changed = p9_binds_time(&binds->changed);

        p9_put_attributes(&request->reply, &(P9Attributes){
                                                   .valid = P9_STATS_BASIC | P9_STATS_BTIME,
                                                   .qid = request->fid->node->qid,
                                                   .mode = request->fid->node->mode,
                                                   .n_links = 2 + (uint64_t)binds->n_dirs,
                                                   .block_size = P9_BINDS_BLOCK_SIZE,
                                                   .atime = changed,
                                                   .mtime = changed,
                                                   .ctime = changed,
                                                   .btime = p9_binds_time(&binds->born),
                                           });
        return 0;
}

/* Full, as every read-only file system. */
static int p9_binds_statfs(P9Request *request)
{
        p9_put_statfs(&request->reply, &(P9Statfs){
                                               .type = P9_STATFS_TYPE,
                                               .block_size = P9_BINDS_BLOCK_SIZE,
                                               .files = request->server->binds.n,
                                               .name_max = P9_NAME_MAX,
                                       });
        return 0;
}

/* Appends an entry to what goes out. False if it doesn't fit. */
static bool p9_binds_put(P9Request *request, size_t space, const P9Node *node, uint64_t position,
                         const char *name)
{
        WireWriter writer = wire_writer(request->server->entries, P9_DIRENT_SIZE + P9_NAME_MAX);
        size_t size = strlen(name);

        if (P9_DIRENT_SIZE + size > space - request->n_data)
                return false;
        p9_put_dirent(&writer, node->qid, position, IFTODT(node->mode), name, size);
        virtio_spans_write(request->out, request->n_out, P9_READ_HEADER_SIZE + request->n_data,
                           writer.data, writer.at);
        request->n_data += writer.at;
        return true;
}

/* All entries behind position @from that fit. False if one did not. */
static bool p9_binds_list(P9Request *request, size_t space, uint64_t from)
{
        const P9Binds *binds = &request->server->binds;
        const P9Node *root = binds->tree->root;

        if (from < P9_BINDS_DOT && !p9_binds_put(request, space, root, P9_BINDS_DOT, "."))
                return false;
        if (from < P9_BINDS_DOT_DOT && !p9_binds_put(request, space, root, P9_BINDS_DOT_DOT, ".."))
                return false;
        list_for_each (item, &binds->entries) {
                const P9Bind *bind = LIST_ENTRY(item, P9Bind, item);

                if (bind->position > from &&
                    !p9_binds_put(request, space, bind->tree->root, bind->position, bind->name))
                        return false;
        }
        return true;
}

/* Positions only grow, so what is added or taken away while the guest reads changes nothing else. */
static int p9_binds_readdir(P9Request *request)
{
        size_t space = p9_reply_space(request);

        if (request->fid->kind != P9_FID_DIR)
                return -EBADF;
        if (!p9_binds_list(request, space, request->message.io.offset) && request->n_data == 0)
                return -EINVAL;
        wire_put_u32(&request->reply, (uint32_t)request->n_data);
        return 0;
}

/* It has none: the list of names is empty. */
static int p9_binds_xattrwalk(P9Request *request)
{
        P9FidTable *fids = &request->server->fids;
        P9Fid *fid = request->fid, *target;
        int r;

        if (fid->kind == P9_FID_XATTR_GET)
                return -EINVAL;
        if (request->message.xattrwalk.name.size > 0)
                return -ENODATA;
        r = p9_fid_new(fids, request->message.xattrwalk.new_fid, fid->node, fid->uid, &target);
        if (r < 0)
                return r;
        r = p9_fid_set_xattr(fids, target, P9_FID_XATTR_GET, 0);
        if (r < 0) {
                p9_fid_free(fids, target);
                return r;
        }
        wire_put_u64(&request->reply, 0);
        return 0;
}

static int p9_binds_fsync(P9Request *request)
{
        return request->fid->kind == P9_FID_DIR ? 0 : -EBADF;
}

int (*p9_binds_op(uint8_t type))(P9Request *request)
{
        switch (type) {
        case P9_TLOPEN:
                return p9_binds_lopen;
        case P9_TGETATTR:
                return p9_binds_getattr;
        case P9_TSTATFS:
                return p9_binds_statfs;
        case P9_TREADDIR:
                return p9_binds_readdir;
        case P9_TXATTRWALK:
                return p9_binds_xattrwalk;
        case P9_TFSYNC:
                return p9_binds_fsync;
        }
        return NULL;
}
