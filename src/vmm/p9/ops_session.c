/* Sessions and fids: Tversion, Tattach, Tflush, Twalk, Tclunk. */
#include <errno.h>
#include <string.h>

#include "vmm/p9/ops.h"

#define P9_VERSION "9P2000.L"

/* Starts a session, and ends the one before (version(5)). A version that we don't speak is answered
 * by "unknown", and the client gives up. */
int p9_do_version(P9Request *request)
{
        uint32_t msize = MIN(request->message.version.msize, (uint32_t)P9_MSIZE_MAX);

        p9_server_reset(request->server);
        if (strcmp(request->message.version.version.text, P9_VERSION) != 0) {
                p9_put_version(&request->reply, msize, "unknown");
                return 0;
        }
        if (msize < P9_MSIZE_MIN)
                return -EMSGSIZE;
        request->server->msize = msize;
        p9_put_version(&request->reply, msize, P9_VERSION);
        return 0;
}

/* The export is the one tree there is: aname is empty or "/". No authentication: who holds the
 * device may use it. */
int p9_do_attach(P9Request *request)
{
        P9Server *server = request->server;
        const char *tree = request->message.attach.tree.text;
        P9Fid *fid;
        int r;

        if (request->message.attach.auth_fid != P9_NO_FID)
                return -EOPNOTSUPP;
        if (*tree && strcmp(tree, "/") != 0)
                return -ENOENT;
        r = p9_fid_new(&server->fids, request->message.fid, server->tree->root,
                       request->message.attach.uid, &fid);
        if (r < 0)
                return r;
        p9_put_qid(&request->reply, fid->node->qid);
        return 0;
}

/* What isn't in flight has been answered. */
int p9_do_flush(P9Request *request)
{
        return p9_io_flush(request, request->message.flush.old_tag);
}

static int p9_walk_end(P9Request *request, P9Node *node)
{
        uint32_t new_id = request->message.walk.new_fid;
        P9Fid *fid = request->fid;

        if (new_id != fid->id)
                return p9_fid_new(&request->server->fids, new_id, node, fid->uid, &fid);
        if (fid->kind != P9_FID_NODE)
                return -EINVAL;
        p9_fid_set_node(fid, node);
        return 0;
}

static int p9_walk_step(P9Request *request, P9Node *node, const char *name, P9Node **ret)
{
        if (node->tree->made_up)
                return p9_binds_walk(&request->server->binds, name, ret);
        return p9_node_walk(node, name, NULL, ret);
}

/*
 * Opened fids may be walked from: that is how the client gets a second fid for a file without a
 * name any more (net/9p's clone_fid() of an open one, for xattrs). Where a later component doesn't
 * exist the reply has fewer qids and makes no fid; other errors are told as such.
 */
int p9_do_walk(P9Request *request)
{
        _cleanup_(p9_node_unrefp) P9Node *node = NULL;
        P9Qid qids[P9_WALK_MAX];
        uint16_t n_names = request->message.walk.n_names, n = 0;
        int r;

        if (request->fid->kind == P9_FID_XATTR_GET || request->fid->kind == P9_FID_XATTR_SET)
                return -EINVAL;
        node = p9_node_ref(request->fid->node);
        for (; n < n_names; n++) {
                P9Node *next;

                r = p9_walk_step(request, node, request->message.walk.names[n].text, &next);
                if (r == -ENOENT && n > 0)
                        break;
                if (r < 0)
                        return r;
                p9_node_unref(node);
                node = next;
                qids[n] = node->qid;
        }
        if (n == n_names) {
                r = p9_walk_end(request, node);
                if (r < 0)
                        return r;
        }
        p9_put_walk(&request->reply, qids, n);
        return 0;
}

/* The fid is gone whatever the answer says. */
int p9_do_clunk(P9Request *request)
{
        int r = request->fid->kind == P9_FID_XATTR_SET ? p9_xattr_commit(request) : 0;

        p9_fid_free(&request->server->fids, request->fid);
        return r;
}
