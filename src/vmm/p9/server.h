/*
 * A 9P2000.L file server for one guest mount, straight between the guest's memory and the host's
 * files. It answers one message at a time, but those that may wait for a disk or another program:
 * they are done by a pool of threads (io.h).
 *
 *   codec.h    bytes <-> messages           fid.h   the guest's handles
 *   server.c   dispatch, limits, replies    node.h  files, O_PATH fds, names
 *   ops_*.c    the operations by theme      qid.h   identities
 *   io.h       requests in flight           binds.h a root made up of several trees
 *
 * Who may do what is the guest kernel's business: it sees the owners and modes and checks them
 * before it asks (mount with access=client, or access=any for a single owner). The server has the
 * file capabilities of its user namespace and does what it is told, within the export: it has no
 * path to anything else. Files are made with the group that the message carries and the user of the
 * fid's Tattach.
 *
 * Names of bits and permissions are the guest's already: p9_server_new() clears the process's umask.
 *
 * Thread: that of the pool's loop, one call at a time. Trust: all messages are hostile. A malformed one gets
 * Rlerror; one whose frame is broken, so that there is nothing to answer to, is P9_SERVER_E_FRAME.
 * What a guest can hold is bounded by P9Limits, and paid for by its own VM.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "vmm/thread/pool.h"

typedef struct P9Server P9Server;

enum {
        P9_SERVER_E_LATER = 2, /* the answer comes by config.answered */
        P9_SERVER_E_FRAME = 1, /* no whole header, a wrong size, no room for an Rlerror, or more
                                  spans than a virtqueue has descriptors */
};

/* Nothing larger is agreed on in Tversion: 128 descriptors of 4 KiB less some (trans_virtio.c). */
#define P9_MSIZE_MAX 512000
#define P9_MSIZE_MIN 4096

typedef struct P9Limits {
        unsigned fids;  /* the Linux client keeps one for each name in its dentry cache */
        unsigned nodes; /* files with a fid, and the directories above them */
        unsigned paths; /* O_PATH fds of nodes; at least P9_PATHS_MIN */
        unsigned files; /* fds of opened files, and of their locks */
        unsigned locks; /* locked ranges: the host charges its records of them to nobody */
        size_t xattr;   /* bytes of extended attributes on their way */
} P9Limits;

#define P9_PATHS_MIN 16

/* For a server that may use about @fds file descriptors. */
P9Limits p9_limits_for(unsigned fds);

typedef struct P9ServerConfig {
        int root_fd;    /* a directory or a single file; consumed. FD_NONE: a made-up directory,
                           whose entries come by p9_server_add_bind() */
        int proc_fd;    /* of this process's own /proc/self/fd; borrowed */
        bool read_only; /* everything that would change a file is EROFS */
        P9Limits limits;

        /* For what may wait; borrowed. NULL: each message is waited for. */
        Pool *pool;
        /* The message that the caller knows by @cookie was answered with @size bytes. */
        void (*answered)(void *userdata, uint32_t cookie, size_t size);
        void *userdata;
} P9ServerConfig;

/* 0 or -errno. */
int p9_server_new(P9Server **ret, const P9ServerConfig *config);

/* Nothing may be in flight. */
P9Server *p9_server_free(P9Server *server);
DEFINE_CLEANUP(P9Server *, p9_server_free)

/*
 * The entries of a made-up root (binds.h): -EINVAL for a server with a root of its own. To add one
 * consumes @root_fd, also on failure; the errors are those of p9_binds_add() and p9_binds_remove().
 */
int p9_server_add_bind(P9Server *server, const char *name, int root_fd, bool read_only);
int p9_server_remove_bind(P9Server *server, const char *name);

/*
 * Ends the session: all fids are gone, all files closed, all locks released; those of requests in
 * flight behind their answers.
 */
void p9_server_reset(P9Server *server);

/* Has requests in flight end soon, with what they have or EINTR; some at once, others later. */
void p9_server_cancel(P9Server *server);

/* Whether a session is open, that is whether the guest has it mounted. */
bool p9_server_is_in_use(const P9Server *server);

/*
 * Handles the message in @request and writes its answer to @reply; both are the guest's memory, which
 * stays, and may change under the server. The spans themselves are the caller's again. 0 and the size
 * of the answer, P9_SERVER_E_LATER or P9_SERVER_E_FRAME.
 */
int p9_server_begin(P9Server *server, uint32_t cookie, const struct iovec *request,
                    unsigned n_request, const struct iovec *reply, unsigned n_reply,
                    size_t *ret_size);

/* The same for a server without a pool: never later. */
int p9_server_handle(P9Server *server, const struct iovec *request, unsigned n_request,
                     const struct iovec *reply, unsigned n_reply, size_t *ret_size);

/* For statistics. */
typedef struct P9Usage {
        unsigned fids, nodes, paths, files, locks;
        size_t xattr;
} P9Usage;

P9Usage p9_server_usage(const P9Server *server);
