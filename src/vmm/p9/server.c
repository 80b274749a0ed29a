/* Dispatch, limits and replies of the 9p server; see server.h. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "vmm/p9/ops.h"

enum {
        P9_OP_NO_FID = 1,  /* the message isn't about a fid that exists */
        P9_OP_CHANGES = 2, /* EROFS on a read-only export */
};

typedef struct P9Op {
        int (*run)(P9Request *request);
        unsigned flags;
} P9Op;

static const P9Op p9_ops[P9_TYPE_MAX] = {
        [P9_TVERSION] = {p9_do_version, P9_OP_NO_FID},
        [P9_TATTACH] = {p9_do_attach, P9_OP_NO_FID},
        [P9_TFLUSH] = {p9_do_flush, P9_OP_NO_FID},
        [P9_TWALK] = {p9_do_walk, 0},
        [P9_TCLUNK] = {p9_do_clunk, 0},
        [P9_TLOPEN] = {p9_do_lopen, 0}, /* depends on its flags */
        [P9_TLCREATE] = {p9_do_lcreate, P9_OP_CHANGES},
        [P9_TMKDIR] = {p9_do_mkdir, P9_OP_CHANGES},
        [P9_TMKNOD] = {p9_do_mknod, P9_OP_CHANGES},
        [P9_TSYMLINK] = {p9_do_symlink, P9_OP_CHANGES},
        [P9_TREAD] = {p9_do_read, 0},
        [P9_TWRITE] = {p9_do_write, P9_OP_CHANGES},
        [P9_TFSYNC] = {p9_do_fsync, 0},
        [P9_TREADDIR] = {p9_do_readdir, 0},
        [P9_TGETATTR] = {p9_do_getattr, 0},
        [P9_TSETATTR] = {p9_do_setattr, P9_OP_CHANGES},
        [P9_TSTATFS] = {p9_do_statfs, 0},
        [P9_TREADLINK] = {p9_do_readlink, 0},
        [P9_TLINK] = {p9_do_link, P9_OP_CHANGES},
        [P9_TRENAME] = {p9_do_rename, P9_OP_CHANGES},
        [P9_TRENAMEAT] = {p9_do_renameat, P9_OP_CHANGES},
        [P9_TUNLINKAT] = {p9_do_unlinkat, P9_OP_CHANGES},
        [P9_TREMOVE] = {p9_do_remove, 0}, /* gives its fid up in any case */
        [P9_TXATTRWALK] = {p9_do_xattrwalk, 0},
        [P9_TXATTRCREATE] = {p9_do_xattrcreate, P9_OP_CHANGES},
        [P9_TLOCK] = {p9_do_lock, 0},
        [P9_TGETLOCK] = {p9_do_getlock, 0},
};

P9Limits p9_limits_for(unsigned fds)
{
        return (P9Limits){
                .fids = 1U << 20,
                .nodes = 1U << 20,
                .paths = MAX(fds / 2, (unsigned)P9_PATHS_MIN),
                .files = MAX(fds / 2, (unsigned)P9_PATHS_MIN),
                .locks = 4096,
                .xattr = 16U << 20,
        };
}

static int p9_server_plant(P9Server *server, int root_fd)
{
        int r;

        if (root_fd < 0) {
                r = p9_binds_init(&server->binds, &server->pool);
                server->tree = server->binds.tree;
                return r;
        }
        r = p9_tree_new(&server->pool, root_fd, &server->tree);
        if (r == 0)
                server->tree->read_only = server->read_only;
        return r;
}

int p9_server_new(P9Server **ret, const P9ServerConfig *config)
{
        _cleanup_(fd_closep) int root_fd = config->root_fd;
        P9Server *server;
        int r;

        server = calloc(1, sizeof(*server));
        if (!server)
                return -ENOMEM;
        server->uid = geteuid();
        server->fids.fids_max = config->limits.fids;
        server->fids.files_max = config->limits.files;
        server->fids.locks_max = config->limits.locks;
        server->fids.xattr_max = config->limits.xattr;
        server->read_only = config->read_only;
        server->pool.nodes_max = config->limits.nodes;
        server->pool.fds_max = MAX(config->limits.paths, (unsigned)P9_PATHS_MIN);
        server->flight.pool = config->pool;
        server->flight.answered = config->answered;
        server->flight.userdata = config->userdata;
        list_init(&server->flight.requests);
        list_init(&server->flight.endless);
        umask(0);
        p9_pool_init(&server->pool, config->proc_fd);
        r = p9_server_plant(server, TAKE_FD(root_fd));
        if (r < 0) {
                p9_server_free(server);
                return r;
        }
        *ret = server;
        return 0;
}

void p9_server_reset(P9Server *server)
{
        p9_fid_free_all(&server->fids);
        server->msize = 0;
}

void p9_server_cancel(P9Server *server)
{
        p9_io_cancel_all(server);
}

P9Server *p9_server_free(P9Server *server)
{
        if (!server)
                return NULL;
        assert(list_is_empty(&server->flight.requests));
        p9_server_reset(server);
        if (server->binds.tree)
                p9_binds_done(&server->binds);
        else
                p9_tree_abandon(server->tree);
        p9_pool_done(&server->pool);
        free(server);
        return NULL;
}

int p9_server_add_bind(P9Server *server, const char *name, int root_fd, bool read_only)
{
        if (server->binds.tree)
                return p9_binds_add(&server->binds, name, root_fd, read_only || server->read_only);
        fd_close(root_fd);
        return -EINVAL;
}

int p9_server_remove_bind(P9Server *server, const char *name)
{
        return server->binds.tree ? p9_binds_remove(&server->binds, name) : -EINVAL;
}

bool p9_server_is_in_use(const P9Server *server)
{
        return server->fids.table.n_items > 0;
}

P9Usage p9_server_usage(const P9Server *server)
{
        return (P9Usage){
                .fids = (unsigned)server->fids.table.n_items,
                .nodes = server->pool.n_nodes,
                .paths = server->pool.n_open,
                .files = server->fids.files,
                .locks = server->fids.locks,
                .xattr = server->fids.xattr,
        };
}

/*
 * Brings the message, without a Twrite's data, home to server->message and decodes it. What was
 * read once isn't read again: the guest may have changed it.
 */
static int p9_request_decode(P9Request *request, size_t first)
{
        P9Server *server = request->server;
        const P9Header *header = &request->message.header;
        size_t size = header->size;

        if (server->msize == 0 && header->type != P9_TVERSION)
                return -EPROTO;
        if (server->msize > 0 && size > server->msize)
                return -EMSGSIZE;
        if (header->type == P9_TWRITE)
                size = MIN(size, (size_t)P9_WRITE_HEADER_SIZE);
        if (size > sizeof(server->message))
                return -EMSGSIZE;
        if (size > first)
                virtio_spans_read(request->in, request->n_in, first, server->message + first,
                                  size - first);
        return p9_message_decode(server->message, size, &request->message);
}

static int p9_request_run(P9Request *request)
{
        const P9Op *op = &p9_ops[request->message.header.type];
        int (*run)(P9Request * request) = NULL;

        if (!(op->flags & P9_OP_NO_FID)) {
                request->fid = p9_fid_get(&request->server->fids, request->message.fid);
                if (!request->fid)
                        return -EBADF;
                if ((op->flags & P9_OP_CHANGES) && request->fid->node->tree->read_only)
                        return -EROFS;
                if (request->fid->node->tree->made_up)
                        run = p9_binds_op(request->message.header.type);
        }
        return run ? run(request) : op->run(request);
}

/* Closes the reply; one that doesn't fit where the guest wants it is an error to tell it about. */
static int p9_request_finish(P9Request *request)
{
        int r = p9_reply_end(&request->reply, request->n_data);

        if (r < 0)
                return r;
        return request->reply.at > request->out_size - request->n_data ? -EMSGSIZE : 0;
}

static void p9_request_fail(P9Request *request, int error)
{
        int r;

        request->n_data = 0;
        request->reply = wire_writer(request->server->answer, sizeof(request->server->answer));
        p9_reply_begin(&request->reply, P9_RLERROR, request->message.header.tag);
        wire_put_u32(&request->reply, (uint32_t)-error);
        r = p9_request_finish(request);
        assert(r == 0);
}

static size_t p9_spans_size(const struct iovec *spans, unsigned n)
{
        size_t size = 0;

        for (unsigned i = 0; i < n; i++)
                size += spans[i].iov_len;
        return size;
}

int p9_server_begin(P9Server *server, uint32_t cookie, const struct iovec *request,
                    unsigned n_request, const struct iovec *reply, unsigned n_reply,
                    size_t *ret_size)
{
        P9Request self; /* not cleared: its names are large, and the decoder fills what it uses */
        P9Header *header = &self.message.header;
        size_t first;
        int r;

        if (n_request > VIRTIO_QUEUE_SIZE_MAX || n_reply > VIRTIO_QUEUE_SIZE_MAX)
                return P9_SERVER_E_FRAME;
        self.server = server;
        self.cookie = cookie;
        self.fid = NULL;
        self.in = request;
        self.n_in = n_request;
        self.out = reply;
        self.n_out = n_reply;
        self.n_data = 0;
        self.out_size = p9_spans_size(reply, n_reply);
        first = virtio_spans_read(request, n_request, 0, server->message, P9_WRITE_HEADER_SIZE);
        if (p9_header_decode(server->message, first, header) < 0 ||
            header->size > p9_spans_size(request, n_request) || self.out_size < P9_READ_HEADER_SIZE)
                return P9_SERVER_E_FRAME;
        self.reply = wire_writer(server->answer, sizeof(server->answer));
        p9_reply_begin(&self.reply, header->type + 1, header->tag);
        r = p9_request_decode(&self, first);
        if (r == 0)
                r = p9_request_run(&self);
        if (r == P9_LATER)
                return P9_SERVER_E_LATER;
        if (r == 0)
                r = p9_request_finish(&self);
        if (r < 0)
                p9_request_fail(&self, r);
        virtio_spans_write(reply, n_reply, 0, server->answer, self.reply.at);
        *ret_size = self.reply.at + self.n_data;
        return 0;
}

int p9_server_handle(P9Server *server, const struct iovec *request, unsigned n_request,
                     const struct iovec *reply, unsigned n_reply, size_t *ret_size)
{
        assert(!server->flight.pool);
        return p9_server_begin(server, 0, request, n_request, reply, n_reply, ret_size);
}
