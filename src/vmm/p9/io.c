/* Requests in flight; see io.h. */
#include <errno.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "vmm/p9/io.h"
#include "vmm/p9/ops.h"
#include "vmm/p9/set_id.h"

/* Not in linux/magic.h. */
#define P9_XFS_MAGIC 0x58465342U

/* What takes longer sends the next ones to the pool, one that is that quick none. By the coarse clock,
 * of which 4 ms are a step as a rule: where the host has no clock of the processor's (HPET, as in some
 * machines that are emulated) the exact one is a system call, twice for each read. */
#define P9_SLOW_USEC  (10 * USEC_PER_MSEC)
#define P9_QUICK_USEC (2 * USEC_PER_MSEC)

/* Where a reply goes that has no body but a count or an errno. */
typedef struct P9Place {
        uint32_t cookie;
        uint16_t tag;
        unsigned n_spans;
        struct iovec spans[P9_READ_HEADER_SIZE]; /* at worst a byte each */
} P9Place;

typedef struct P9Flush {
        List link;
        P9Place place;
} P9Flush;

typedef struct P9Io {
        PoolJob job;
        P9Server *server;
        P9Fid *fid; /* a reference */
        P9Speed *speed;
        List link; /* in the flight's requests */
        List flushes;
        P9Place place;
        bool is_endless; /* may wait for ever, and its turn is limited */
        bool is_in_pool;
        bool keeps_set_id; /* p9_set_id_end() is due */
        List turn;         /* in the flight's endless ones, until it is its turn */

        /* All that the thread looks at. */
        uint8_t type;
        bool data_only;
        int fd;
        off_t offset;
        ssize_t result; /* bytes, or -errno */
        uint64_t usec;  /* that it took */

        size_t done; /* bytes that were read before */
        unsigned n_spans;
        struct iovec spans[];
} P9Io;

/* On disks, with the host's page cache before them. Others, network and FUSE, may send each write on
 * its way before they say that it is done. */
static bool p9_magic_has_cache(uint32_t magic)
{
        switch (magic) {
        case OVERLAYFS_SUPER_MAGIC: /* as a rule */
        case EXT4_SUPER_MAGIC:      /* also ext2 and ext3 */
        case P9_XFS_MAGIC:
        case BTRFS_SUPER_MAGIC:
        case F2FS_SUPER_MAGIC:
        case TMPFS_MAGIC:
        case RAMFS_MAGIC:
                return true;
        }
        return false;
}

static P9Speed p9_speed_of(const P9Fid *fid, uint64_t device)
{
        P9Speed speed = {.device = device, .read = P9_READ_TRIES};
        struct statfs st;

        if (fstatfs(fid->fd, &st) < 0)
                return speed;
        speed.is_memory = st.f_type == TMPFS_MAGIC || st.f_type == RAMFS_MAGIC;
        if (speed.is_memory || st.f_type == OVERLAYFS_SUPER_MAGIC)
                speed.read = P9_READ_AT_ONCE;
        speed.has_cache = p9_magic_has_cache((uint32_t)st.f_type);
        return speed;
}

P9Speed *p9_io_speed(P9Server *server, P9Fid *fid)
{
        P9Flight *flight = &server->flight;
        uint64_t device = fid->node->identity.device;
        P9Speed *speed;

        if (!flight->pool)
                return NULL;
        for (unsigned i = 0; i < flight->n_speeds; i++)
                if (flight->speeds[i].device == device)
                        return &flight->speeds[i];
        /* More devices than places: the last is for all the rest, of which nothing is known. */
        if (flight->n_speeds == P9_SPEEDS_MAX) {
                speed = &flight->speeds[P9_SPEEDS_MAX - 1];
                *speed = (P9Speed){.read = P9_READ_TRIES};
                return speed;
        }
        speed = &flight->speeds[flight->n_speeds++];
        *speed = p9_speed_of(fid, device);
        return speed;
}

void p9_io_note(P9Speed *speed, uint64_t usec)
{
        if (usec > P9_SLOW_USEC)
                speed->is_slow = true;
        else if (usec < P9_QUICK_USEC)
                speed->is_slow = false;
}

static ssize_t p9_io_call(const P9Io *io)
{
        int r;

        switch (io->type) {
        case P9_TREAD:
                return preadv2(io->fd, io->spans, (int)io->n_spans, io->offset, 0);
        case P9_TWRITE:
                return pwritev2(io->fd, io->spans, (int)io->n_spans, io->offset, 0);
        }
        r = io->data_only ? fdatasync(io->fd) : fsync(io->fd);
        return r;
}

static void p9_io_run(PoolJob *job)
{
        P9Io *io = CONTAINER_OF(job, P9Io, job);
        uint64_t start = clock_coarse_usec();

        do {
                io->result = p9_io_call(io);
                if (io->result < 0)
                        io->result = errno_neg();
        } while (io->result == -EINTR && !atomic_load(&job->interrupted));
        io->usec = clock_coarse_usec() - start;
}

static void p9_place_set(P9Place *place, const P9Request *request)
{
        place->cookie = request->cookie;
        place->tag = request->message.header.tag;
        place->n_spans = virtio_spans_slice(request->out, request->n_out, 0, P9_READ_HEADER_SIZE,
                                            place->spans);
}

/* Writes the reply's head, behind which @n_data bytes of data are, and tells the owner. */
static void p9_place_answer(P9Flight *flight, const P9Place *place, const WireWriter *reply,
                            size_t n_data)
{
        virtio_spans_write(place->spans, place->n_spans, 0, reply->data, reply->at);
        flight->answered(flight->userdata, place->cookie, reply->at + n_data);
}

static void p9_io_answer(P9Io *io)
{
        uint8_t bytes[P9_READ_HEADER_SIZE];
        WireWriter reply = wire_writer(bytes, sizeof(bytes));
        size_t n_data = 0;

        /* What was read before the error is an answer. */
        if (io->result < 0 && io->done > 0)
                io->result = 0;
        if (io->result < 0) {
                p9_reply_begin(&reply, P9_RLERROR, io->place.tag);
                wire_put_u32(&reply, (uint32_t)-io->result);
        } else {
                p9_reply_begin(&reply, io->type + 1, io->place.tag);
                if (io->type != P9_TFSYNC)
                        wire_put_u32(&reply, (uint32_t)((size_t)io->result + io->done));
                if (io->type == P9_TREAD)
                        n_data = (size_t)io->result + io->done;
        }
        (void)p9_reply_end(&reply, n_data); /* it fits: that is how large the buffer is */
        p9_place_answer(&io->server->flight, &io->place, &reply, n_data);
}

static void p9_flush_answer(P9Flight *flight, P9Flush *flush)
{
        uint8_t bytes[P9_HEADER_SIZE];
        WireWriter reply = wire_writer(bytes, sizeof(bytes));

        p9_reply_begin(&reply, P9_TFLUSH + 1, flush->place.tag);
        (void)p9_reply_end(&reply, 0);
        p9_place_answer(flight, &flush->place, &reply, 0);
        free(flush);
}

static void p9_io_submit(P9Io *io);

/* An endless request has left the pool: it's the turn of the next. */
static void p9_flight_go_on(P9Flight *flight)
{
        List *item = list_first(&flight->endless);

        flight->n_endless--;
        if (!item)
                return;
        list_remove(item);
        p9_io_submit(LIST_ENTRY(item, P9Io, turn));
}

/* Answers, then those that wait for the answer, and frees. */
static void p9_io_end(P9Io *io)
{
        P9Flight *flight = &io->server->flight;
        bool was_endless = io->is_endless && io->is_in_pool;
        List *item;

        list_remove(&io->link);
        if (io->keeps_set_id)
                p9_set_id_end(io->fid->node, io->fd);
        p9_io_answer(io);
        while ((item = list_first(&io->flushes))) {
                list_remove(item);
                p9_flush_answer(flight, LIST_ENTRY(item, P9Flush, link));
        }
        p9_fid_unref(&io->server->fids, io->fid);
        free(io);
        if (was_endless)
                p9_flight_go_on(flight);
}

static void p9_io_done(PoolJob *job)
{
        P9Io *io = CONTAINER_OF(job, P9Io, job);

        if (io->type == P9_TWRITE || (io->type == P9_TREAD && io->speed->read == P9_READ_AT_ONCE))
                p9_io_note(io->speed, io->usec);
        p9_io_end(io);
}

static void p9_io_submit(P9Io *io)
{
        P9Flight *flight = &io->server->flight;

        if (io->is_endless && flight->n_endless == P9_ENDLESS_MAX) {
                list_append(&flight->endless, &io->turn);
                return;
        }
        flight->n_endless += io->is_endless;
        io->is_in_pool = true;
        /* No thread to be had: slow is better than not at all. */
        if (pool_submit(flight->pool, &io->job) < 0) {
                p9_io_run(&io->job);
                p9_io_done(&io->job);
        }
}

static void p9_io_set(P9Io *io, const P9Request *request, size_t done)
{
        const P9Message *message = &request->message;

        io->type = message->header.type;
        if (io->type == P9_TFSYNC)
                io->data_only = message->fsync.data_only;
        else
                io->offset = (off_t)(message->io.offset + done);
        io->fd = request->fid->fd;
        io->done = done;
        p9_place_set(&io->place, request);
}

int p9_io_begin(P9Request *request, unsigned n_spans, size_t done)
{
        P9Server *server = request->server;
        P9Io *io = calloc(1, sizeof(*io) + n_spans * sizeof(io->spans[0]));

        if (!io)
                return -ENOMEM;
        io->job.run = p9_io_run;
        io->job.done = p9_io_done;
        io->server = server;
        io->speed = p9_io_speed(server, request->fid);
        io->is_endless = !io->speed->has_cache;
        p9_io_set(io, request, done);
        io->n_spans = n_spans;
        memcpy(io->spans, server->spans, n_spans * sizeof(io->spans[0]));
        list_init(&io->flushes);
        io->fid = p9_fid_ref(request->fid);
        if (io->type == P9_TWRITE)
                io->keeps_set_id = p9_set_id_begin(io->fid->node, io->fd);
        list_append(&server->flight.requests, &io->link);
        p9_io_submit(io);
        return P9_LATER;
}

static P9Io *p9_io_find(P9Server *server, uint16_t tag)
{
        list_for_each (item, &server->flight.requests) {
                P9Io *io = LIST_ENTRY(item, P9Io, link);

                if (io->place.tag == tag)
                        return io;
        }
        return NULL;
}

/* True: it had not begun, and has been answered. */
static bool p9_io_cancel(P9Io *io)
{
        if (io->is_in_pool && !pool_cancel(io->server->flight.pool, &io->job))
                return false;
        list_remove(&io->turn);
        io->result = -EINTR;
        p9_io_end(io);
        return true;
}

static void p9_io_interrupt(P9Io *io)
{
        pool_interrupt(io->server->flight.pool, &io->job);
}

int p9_io_flush(P9Request *request, uint16_t old_tag)
{
        P9Io *io = p9_io_find(request->server, old_tag);
        P9Flush *flush;

        if (!io)
                return 0;
        flush = calloc(1, sizeof(*flush));
        if (!flush)
                return -ENOMEM;
        p9_place_set(&flush->place, request);
        if (p9_io_cancel(io)) {
                free(flush);
                return 0;
        }
        p9_io_interrupt(io);
        list_append(&io->flushes, &flush->link);
        return P9_LATER;
}

void p9_io_cancel_all(P9Server *server)
{
        /* In this order: a thread that is let go would take the next. */
        list_for_each (item, &server->flight.requests)
                (void)p9_io_cancel(LIST_ENTRY(item, P9Io, link));
        list_for_each (item, &server->flight.requests)
                p9_io_interrupt(LIST_ENTRY(item, P9Io, link));
}
