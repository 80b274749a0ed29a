/*
 * What the operations share: the server's inside, a request on its way, and their prototypes.
 *
 * An operation gets a decoded message and, unless it is Tversion, Tattach or Tflush, its fid. It
 * returns 0 after it has put the reply's body into request->reply (the header stands there
 * already), the negative errno that goes out as Rlerror instead, or P9_LATER: io.h answers.
 */
#pragma once

#include "vmm/p9/binds.h"
#include "vmm/p9/codec.h"
#include "vmm/p9/fid.h"
#include "vmm/p9/io.h"
#include "vmm/p9/node.h"
#include "vmm/p9/server.h"
#include "vmm/virtio/queue.h"

/* A batch of getdents64(), and the same entries as Rreaddir has them: 24 bytes and the name instead
 * of 20 and the name rounded up to 8, so at most 28 for 24. */
#define P9_GETDENTS_SIZE 16384
#define P9_DIRENTS_SIZE  (P9_GETDENTS_SIZE / 24 * 28 + 32)

enum {
        P9_LATER = 1,
};

struct P9Server {
        P9Pool pool;
        P9Tree *tree; /* what Tattach gives; the made-up root's if there are binds */
        P9Binds binds;
        P9FidTable fids;
        uint32_t msize; /* 0: no session */
        bool read_only;
        uint32_t uid; /* the server's own, which new files have at first */
        P9Flight flight;

        /* Of the request at hand: nothing is allocated for one. */
        uint8_t message[P9_MESSAGE_MAX];
        uint8_t answer[P9_MESSAGE_MAX];
        struct iovec spans[VIRTIO_QUEUE_SIZE_MAX];
        _Alignas(8) uint8_t host_entries[P9_GETDENTS_SIZE];
        uint8_t entries[P9_DIRENTS_SIZE];
};

struct P9Request {
        P9Server *server;
        uint32_t cookie; /* what the caller knows it by */
        P9Message message;
        P9Fid *fid;
        const struct iovec *in, *out; /* the guest's memory */
        unsigned n_in, n_out;
        size_t out_size;
        WireWriter reply;
        size_t n_data; /* bytes of data in @out, right behind what @reply holds */
};

/* How much data the reply to a Tread or Treaddir may carry: the guest's wish, its buffers and
 * msize. */
size_t p9_reply_space(const P9Request *request);

int p9_do_version(P9Request *request);
int p9_do_attach(P9Request *request);
int p9_do_flush(P9Request *request);
int p9_do_walk(P9Request *request);
int p9_do_clunk(P9Request *request);

int p9_do_lopen(P9Request *request);
int p9_do_lcreate(P9Request *request);
int p9_do_mkdir(P9Request *request);
int p9_do_mknod(P9Request *request);
int p9_do_symlink(P9Request *request);

int p9_do_read(P9Request *request);
int p9_do_write(P9Request *request);
int p9_do_fsync(P9Request *request);
int p9_do_readdir(P9Request *request);

int p9_do_getattr(P9Request *request);
int p9_do_setattr(P9Request *request);
int p9_do_statfs(P9Request *request);
int p9_do_readlink(P9Request *request);

int p9_do_link(P9Request *request);
int p9_do_rename(P9Request *request);
int p9_do_renameat(P9Request *request);
int p9_do_unlinkat(P9Request *request);
int p9_do_remove(P9Request *request);

int p9_do_xattrwalk(P9Request *request);
int p9_do_xattrcreate(P9Request *request);
/* Parts of Tread, Twrite and Tclunk on a fid of an attribute. */
int p9_xattr_read(P9Request *request);
int p9_xattr_write(P9Request *request);
int p9_xattr_commit(P9Request *request);

/* What is different on the made-up root: the operation for a message of this type, or NULL. */
int (*p9_binds_op(uint8_t type))(P9Request *request);

int p9_do_lock(P9Request *request);
int p9_do_getlock(P9Request *request);
