/*
 * Contents: Tread, Twrite, Tfsync, Treaddir. Data goes straight between guest memory and file. What
 * may wait for the host goes on in io.c.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "vmm/p9/ops.h"
#include "vmm/p9/set_id.h"

/* Room for any one entry; with less, getdents64() fails. */
#define P9_GETDENTS_MIN ((size_t)512)

/* As linux/dirent.h has it; glibc's own struct is the same but for its name's size. */
typedef struct P9HostEntry {
        uint64_t inode;
        int64_t offset;
        uint16_t size;
        uint8_t type;
        char name[];
} P9HostEntry;

size_t p9_reply_space(const P9Request *request)
{
        size_t space = MIN((size_t)request->message.io.count,
                           (size_t)request->server->msize - P9_IO_HEADER_SIZE);

        return MIN(space, request->out_size - P9_READ_HEADER_SIZE);
}

static void p9_put_read(P9Request *request, size_t n)
{
        wire_put_u32(&request->reply, (uint32_t)n);
        request->n_data = n;
}

/* The smallest unit of a page cache, on any host. */
#define P9_PAGE_SIZE 4096

static bool p9_is_page_end(const P9Request *request, size_t done)
{
        return (request->message.io.offset + done) % P9_PAGE_SIZE == 0;
}

/* What a read without waiting left to do. */
typedef struct P9Rest {
        unsigned n_spans; /* of server->spans; 0: nothing */
        size_t done;      /* bytes */
} P9Rest;

/*
 * Reads what needs no waiting. An answer with less than was asked for means the end of the file: one
 * that may have ended where the next page isn't in memory is gone on with. 0, and there may be a
 * rest; or -errno.
 */
static int p9_read_cached(P9Request *request, P9Speed *speed, P9Rest *rest)
{
        P9Server *server = request->server;
        size_t space = p9_reply_space(request);

        while (rest->n_spans > 0) {
                off_t offset = (off_t)(request->message.io.offset + rest->done);
                ssize_t n = preadv2(request->fid->fd, server->spans, (int)rest->n_spans, offset,
                                    RWF_NOWAIT);

                if (n < 0 && errno == EOPNOTSUPP)
                        speed->read = P9_READ_BY_POOL;
                if (n < 0 && (errno == EOPNOTSUPP || errno == EAGAIN))
                        return 0;
                if (n < 0 && rest->done == 0)
                        return errno_neg();
                if (n > 0)
                        rest->done += (size_t)n;
                rest->n_spans = 0;
                if (n > 0 && rest->done < space && p9_is_page_end(request, rest->done))
                        rest->n_spans = virtio_spans_slice(request->out, request->n_out,
                                                           P9_READ_HEADER_SIZE + rest->done,
                                                           space - rest->done, server->spans);
        }
        return 0;
}

/* @speed may be NULL. */
static int p9_read_waiting(P9Request *request, P9Speed *speed, unsigned n_spans)
{
        uint64_t start = speed ? clock_coarse_usec() : 0;
        ssize_t n = preadv2(request->fid->fd, request->server->spans, (int)n_spans,
                            (off_t)request->message.io.offset, 0);

        if (n < 0)
                return errno_neg();
        if (speed)
                p9_io_note(speed, clock_coarse_usec() - start);
        p9_put_read(request, (size_t)n);
        return 0;
}

int p9_do_read(P9Request *request)
{
        P9Server *server = request->server;
        P9Fid *fid = request->fid;
        P9Rest rest = {};
        P9Speed *speed;
        int r;

        if (fid->kind == P9_FID_XATTR_GET)
                return p9_xattr_read(request);
        if (fid->kind != P9_FID_FILE)
                return fid->kind == P9_FID_DIR ? -EISDIR : -EBADF;
        if (request->message.io.offset > INT64_MAX)
                return -EINVAL;
        rest.n_spans = virtio_spans_slice(request->out, request->n_out, P9_READ_HEADER_SIZE,
                                          p9_reply_space(request), server->spans);
        speed = p9_io_speed(server, fid);
        if (!speed || (speed->read == P9_READ_AT_ONCE && !speed->is_slow))
                return p9_read_waiting(request, speed, rest.n_spans);
        if (speed->read == P9_READ_TRIES) {
                r = p9_read_cached(request, speed, &rest);
                if (r < 0)
                        return r;
        }
        if (rest.n_spans > 0)
                return p9_io_begin(request, rest.n_spans, rest.done);
        p9_put_read(request, rest.done);
        return 0;
}

/* Whether a write is done at once. */
static bool p9_writes_at_once(const P9Fid *fid, const P9Speed *speed)
{
        return !speed || (speed->has_cache && !speed->is_slow && !fid->is_sync);
}

/* A file opened to append is written at its end, wherever the guest believes that to be. */
int p9_do_write(P9Request *request)
{
        P9Server *server = request->server;
        P9Fid *fid = request->fid;
        uint64_t start;
        unsigned n_spans;
        bool keeps_set_id;
        P9Speed *speed;
        ssize_t n;

        if (fid->kind == P9_FID_XATTR_SET)
                return p9_xattr_write(request);
        if (fid->kind != P9_FID_FILE)
                return -EBADF;
        if (request->message.io.offset > INT64_MAX)
                return -EINVAL;
        n_spans = virtio_spans_slice(request->in, request->n_in, P9_WRITE_HEADER_SIZE,
                                     request->message.io.count, server->spans);
        speed = p9_io_speed(server, fid);
        if (!p9_writes_at_once(fid, speed))
                return p9_io_begin(request, n_spans, 0);
        keeps_set_id = p9_set_id_begin(fid->node, fid->fd);
        start = clock_coarse_usec();
        n = pwritev2(fid->fd, server->spans, (int)n_spans, (off_t)request->message.io.offset, 0);
        if (n < 0)
                n = errno_neg();
        if (keeps_set_id)
                p9_set_id_end(fid->node, fid->fd);
        if (n < 0)
                return (int)n;
        if (speed)
                p9_io_note(speed, clock_coarse_usec() - start);
        wire_put_u32(&request->reply, (uint32_t)n);
        return 0;
}

int p9_do_fsync(P9Request *request)
{
        P9Fid *fid = request->fid;
        const P9Speed *speed;
        int r;

        if (fid->kind != P9_FID_FILE && fid->kind != P9_FID_DIR)
                return -EBADF;
        speed = p9_io_speed(request->server, fid);
        if (speed && !speed->is_memory)
                return p9_io_begin(request, 0, 0);
        r = request->message.fsync.data_only ? fdatasync(fid->fd) : fsync(fid->fd);
        return r < 0 ? errno_neg() : 0;
}

/* What lies above a tree on the host is nobody's business. */
static P9Qid p9_entry_qid(P9Request *request, const P9HostEntry *entry)
{
        P9Node *dir = request->fid->node;

        if (dir == dir->tree->root && strcmp(entry->name, "..") == 0)
                return dir->tree->above;
        return p9_qid_of_entry(&request->server->pool.devices, dir->identity.device, entry->inode,
                               entry->type);
}

/*
 * Turns a batch of host entries into @writer's, as many as fit. Returns whether all did;
 * fid->dir_at is where the next batch starts in either case.
 */
static bool p9_put_entries(P9Request *request, size_t size, WireWriter *writer)
{
        const uint8_t *entries = request->server->host_entries;

        for (size_t at = 0; at < size;) {
                const P9HostEntry *entry = (const P9HostEntry *)(entries + at);
                size_t name_size = strlen(entry->name);

                if (P9_DIRENT_SIZE + name_size > writer->size - writer->at)
                        return false;
                p9_put_dirent(writer, p9_entry_qid(request, entry), (uint64_t)entry->offset,
                              entry->type, entry->name, name_size);
                request->fid->dir_at = entry->offset;
                at += entry->size;
        }
        return true;
}

/* Moves the directory to @offset, an offset that an entry came with, unless it is there. */
static int p9_dir_seek(P9Fid *fid, uint64_t offset)
{
        if (fid->dir_at >= 0 && (uint64_t)fid->dir_at == offset)
                return 0;
        if (offset > INT64_MAX)
                return -EINVAL;
        fid->dir_at = -1;
        if (lseek(fid->fd, (off_t)offset, SEEK_SET) < 0)
                return errno_neg();
        fid->dir_at = (int64_t)offset;
        return 0;
}

enum {
        P9_DIR_MORE = 0, /* there is room for more, and there may be more */
        P9_DIR_END = 1,  /* of the directory */
        P9_DIR_FULL = 2, /* the reply is */
};

/* One batch into the guest's memory behind what is there. P9_DIR_* or -errno. */
static int p9_readdir_batch(P9Request *request, size_t space)
{
        P9Server *server = request->server;
        size_t left = space - request->n_data;
        WireWriter writer = wire_writer(server->entries, MIN(sizeof(server->entries), left));
        /* Not much more than fits: the rest would be read again. */
        size_t batch = MIN(MAX(left, P9_GETDENTS_MIN), sizeof(server->host_entries));
        long n = syscall(SYS_getdents64, request->fid->fd, server->host_entries, batch);
        bool all;

        if (n < 0)
                return errno_neg();
        if (n == 0)
                return P9_DIR_END;
        all = p9_put_entries(request, (size_t)n, &writer);
        virtio_spans_write(request->out, request->n_out, P9_READ_HEADER_SIZE + request->n_data,
                           server->entries, writer.at);
        request->n_data += writer.at;
        return all ? P9_DIR_MORE : P9_DIR_FULL;
}

/*
 * Entries that were read from the host and didn't fit are read again next time: then the position
 * of the fd is behind what the guest has, and must be set back.
 */
int p9_do_readdir(P9Request *request)
{
        size_t space = p9_reply_space(request);
        P9Fid *fid = request->fid;
        int r;

        if (fid->kind != P9_FID_DIR)
                return fid->kind == P9_FID_FILE ? -ENOTDIR : -EBADF;
        r = p9_dir_seek(fid, request->message.io.offset);
        while (r == P9_DIR_MORE && space - request->n_data >= P9_DIRENT_SIZE)
                r = p9_readdir_batch(request, space);
        if (r != P9_DIR_MORE)
                fid->dir_at = -1;
        if (r < 0)
                return r;
        /* Nothing fits, yet there is more: an empty reply would mean the end. */
        if (request->n_data == 0 && r != P9_DIR_END)
                return -EINVAL;
        wire_put_u32(&request->reply, (uint32_t)request->n_data);
        return 0;
}
