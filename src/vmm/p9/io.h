/*
 * Requests in flight: Tread, Twrite and Tfsync that may have to wait for the host are done by a pool
 * of threads (thread/pool.h), so that a slow file keeps no other waiting.
 *
 *   Tread    first what the page cache has (RWF_NOWAIT, which ext4, xfs, btrfs and f2fs know); the
 *            rest by the pool. Those of tmpfs and overlayfs, which don't know it (Linux 6.1, 6.18),
 *            are waited for unless the last one took long. Those of FUSE, of the network and of
 *            whatever else doesn't, which may wait for ever, always go to the pool.
 *   Twrite   into the page cache at once, unless the file system isn't one of those above, or the
 *            last one took long; files opened with O_SYNC or O_DSYNC by the pool.
 *   Tfsync   by the pool, but on tmpfs.
 *
 * File systems that may never answer (all but those named above) get at most three of the four
 * threads, so that there is always one for disks.
 *
 * All others are answered one after the other. They change or look at the tree of nodes, whose
 * rules (node.h) need an order, and the client waits for each anyway. So a Tgetattr that waits keeps
 * its export, and nothing else: what may wait for ever wants an export of its own.
 *
 * Order is what a local kernel gives: none between requests that are in flight together. What was
 * answered is there for all that come later; O_APPEND is the host kernel's; a Tfsync is about the
 * writes that were answered before it was sent.
 *
 * A request in flight holds its fid, whose file is closed after the answer, whatever becomes of the
 * number. Tflush has the request end early if it can, and is answered behind it (flush(5)).
 *
 * Thread: the server's, but p9_io_run(), which touches its own request only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "vmm/thread/pool.h"

typedef struct P9Request P9Request;
typedef struct P9Server P9Server;
typedef struct P9Fid P9Fid;

typedef enum P9ReadWay {
        P9_READ_TRIES, /* the cache first */
        P9_READ_AT_ONCE,
        P9_READ_BY_POOL,
} P9ReadWay;

/* How the files of one host device are read and written; learned as it goes. */
typedef struct P9Speed {
        uint64_t device;
        P9ReadWay read;
        bool has_cache; /* writes go to memory first */
        bool is_memory; /* and nowhere else */
        bool is_slow;   /* what is done at once took long: the pool does it until it doesn't */
} P9Speed;

#define P9_SPEEDS_MAX 16

/* How many threads of the pool may wait for file systems that may never answer. */
#define P9_ENDLESS_MAX (POOL_THREADS_MAX - 1)

/* All of a server's. */
typedef struct P9Flight {
        Pool *pool; /* borrowed; NULL: nothing is ever in flight */
        void (*answered)(void *userdata, uint32_t cookie, size_t size);
        void *userdata;
        List requests;
        unsigned n_endless; /* in the pool, and may never end */
        List endless;       /* would be the next of them */
        P9Speed speeds[P9_SPEEDS_MAX];
        unsigned n_speeds;
} P9Flight;

/* How the fid's file is read and written; NULL: there is no pool to go to. */
P9Speed *p9_io_speed(P9Server *server, P9Fid *fid);

/* Takes note of how long something took that is done at once. */
void p9_io_note(P9Speed *speed, uint64_t usec);

/*
 * Sends the request to the pool: its data is the first @n_spans of server->spans, and @done bytes of
 * it have been read already. P9_LATER or -errno.
 */
int p9_io_begin(P9Request *request, unsigned n_spans, size_t done);

/* A Tflush of @old_tag: 0, it can be answered; P9_LATER; or -errno. */
int p9_io_flush(P9Request *request, uint16_t old_tag);

/* Has all requests end soon; those that have not begun end at once. */
void p9_io_cancel_all(P9Server *server);
