/*
 * A guest for tests of the 9p server: it puts T-messages together, hands them over in memory cut
 * into odd pieces, as a driver's pages would be, and takes the replies apart. The export is a
 * temporary directory.
 */
#pragma once

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/wire.h"
#include "test/scratch.h"
#include "test/unit.h"
#include "vmm/p9/codec.h"
#include "vmm/p9/server.h"

#define GUEST_BUFFER_SIZE (P9_MSIZE_MAX + 4096)
#define GUEST_ROOT        0U /* the fid that guest_open() attaches */

typedef struct Guest {
        P9Server *server;
        char path[64]; /* of the exported directory */
        int dir, proc_fd;
        WireWriter request;
        WireReader reply; /* the body */
        size_t reply_room;
        uint8_t request_bytes[GUEST_BUFFER_SIZE], reply_bytes[GUEST_BUFFER_SIZE];
} Guest;

/* From here on this process is to files what a jailed monitor is: one that can't keep set-id bits. */
static inline void guest_drop_fsetid(void)
{
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct sets[2];

        unit_assert_int(syscall(SYS_capget, &header, sets), 0);
        sets[0].effective &= ~(1U << CAP_FSETID);
        unit_assert_int(syscall(SYS_capset, &header, sets), 0);
}

static inline void guest_begin(Guest *guest, uint8_t type)
{
        guest->request = wire_writer(guest->request_bytes, sizeof(guest->request_bytes));
        p9_reply_begin(&guest->request, type, 7);
        guest->reply_room = sizeof(guest->reply_bytes);
}

static inline void guest_put_string(Guest *guest, const char *text)
{
        p9_put_string(&guest->request, text, strlen(text));
}

/* Cuts [bytes, bytes + size) into pieces of 5, 19, 4096 … bytes. */
static inline unsigned guest_cut(uint8_t *bytes, size_t size, struct iovec *ret)
{
        static const size_t pieces[] = {5, 19, 4096};
        unsigned n = 0;

        while (size > 0) {
                size_t piece = n < 2 ? pieces[n] : pieces[2];

                if (piece > size)
                        piece = size;
                ret[n++] = (struct iovec){.iov_base = bytes, .iov_len = piece};
                bytes += piece;
                size -= piece;
        }
        return n;
}

/* What p9_server_handle() says to the @size bytes in request_bytes. */
static inline int guest_handle(Guest *guest, size_t size, size_t *ret_size)
{
        struct iovec request[160], reply[160];
        unsigned n_request = guest_cut(guest->request_bytes, size, request);
        unsigned n_reply = guest_cut(guest->reply_bytes, guest->reply_room, reply);

        memset(guest->reply_bytes, 0xee, 64);
        return p9_server_handle(guest->server, request, n_request, reply, n_reply, ret_size);
}

/* Sends what was put together. 0 and guest->reply, or the negative errno of an Rlerror. */
static inline int guest_send(Guest *guest)
{
        uint8_t type = guest->request_bytes[4];
        P9Header header;
        size_t size;

        unit_assert_int(p9_reply_end(&guest->request, 0), 0);
        unit_assert_int(guest_handle(guest, guest->request.at, &size), 0);
        unit_assert_int(p9_header_decode(guest->reply_bytes, size, &header), 0);
        unit_assert_int(header.size, size);
        unit_assert_int(header.tag, 7);
        guest->reply = wire_reader(guest->reply_bytes + P9_HEADER_SIZE, size - P9_HEADER_SIZE);
        if (header.type == P9_RLERROR)
                return -(int)wire_get_u32(&guest->reply);
        unit_assert_int(header.type, type + 1);
        return 0;
}

static inline int guest_version(Guest *guest, uint32_t msize, const char *version)
{
        guest_begin(guest, P9_TVERSION);
        wire_put_u32(&guest->request, msize);
        guest_put_string(guest, version);
        return guest_send(guest);
}

static inline int guest_attach(Guest *guest, uint32_t fid, uint32_t uid)
{
        guest_begin(guest, P9_TATTACH);
        wire_put_u32(&guest->request, fid);
        wire_put_u32(&guest->request, P9_NO_FID);
        guest_put_string(guest, "");
        guest_put_string(guest, "");
        wire_put_u32(&guest->request, uid);
        return guest_send(guest);
}

/* What comes in @config: limits, read_only, and whether the root is made up: then the directory isn't
 * exported at all. */
static inline Guest *guest_open_config(P9ServerConfig config)
{
        Guest *guest = calloc(1, sizeof(*guest));

        snprintf(guest->path, sizeof(guest->path), "/tmp/uvm-p9-test.XXXXXX");
        unit_assert(mkdtemp(guest->path));
        guest->dir = open(guest->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        guest->proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (config.root_fd != FD_NONE)
                config.root_fd = open(guest->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        config.proc_fd = guest->proc_fd;
        unit_assert(guest->dir >= 0 && guest->proc_fd >= 0);
        unit_assert_int(p9_server_new(&guest->server, &config), 0);
        unit_assert_int(guest_version(guest, P9_MSIZE_MAX, "9P2000.L"), 0);
        unit_assert_int(guest_attach(guest, GUEST_ROOT, P9_NO_ID), 0);
        return guest;
}

static inline Guest *guest_open_with(P9Limits limits, bool read_only)
{
        return guest_open_config((P9ServerConfig){.limits = limits, .read_only = read_only});
}

static inline Guest *guest_open(void)
{
        return guest_open_with(p9_limits_for(512), false);
}

static inline void guest_close(Guest *guest)
{
        p9_server_free(guest->server);
        fd_close(guest->dir);
        fd_close(guest->proc_fd);
        scratch_remove(AT_FDCWD, guest->path);
        free(guest);
}

/* @path is names with "/" between them, or "" for none. The reply must have all or, if @partial,
 * @partial qids. */
static inline int guest_walk_some(Guest *guest, uint32_t fid, uint32_t new_fid, const char *path,
                                  unsigned partial)
{
        unsigned n = *path ? 1 : 0;
        int r;

        for (const char *c = path; *c; c++)
                n += *c == '/';
        guest_begin(guest, P9_TWALK);
        wire_put_u32(&guest->request, fid);
        wire_put_u32(&guest->request, new_fid);
        wire_put_u16(&guest->request, (uint16_t)n);
        for (; *path; path += *path == '/') {
                size_t size = strcspn(path, "/");

                p9_put_string(&guest->request, path, size);
                path += size;
        }
        r = guest_send(guest);
        if (r == 0)
                unit_assert_int(wire_get_u16(&guest->reply), partial ? partial : n);
        return r;
}

static inline int guest_walk(Guest *guest, uint32_t fid, uint32_t new_fid, const char *path)
{
        return guest_walk_some(guest, fid, new_fid, path, 0);
}

/* A message of a fid and nothing else. */
static inline int guest_simple(Guest *guest, uint8_t type, uint32_t fid)
{
        guest_begin(guest, type);
        wire_put_u32(&guest->request, fid);
        return guest_send(guest);
}

static inline int guest_clunk(Guest *guest, uint32_t fid)
{
        return guest_simple(guest, P9_TCLUNK, fid);
}

static inline int guest_lopen(Guest *guest, uint32_t fid, uint32_t flags)
{
        guest_begin(guest, P9_TLOPEN);
        wire_put_u32(&guest->request, fid);
        wire_put_u32(&guest->request, flags);
        return guest_send(guest);
}

static inline int guest_lcreate(Guest *guest, uint32_t fid, const char *name, uint32_t flags,
                                uint32_t mode, uint32_t gid)
{
        guest_begin(guest, P9_TLCREATE);
        wire_put_u32(&guest->request, fid);
        guest_put_string(guest, name);
        wire_put_u32(&guest->request, flags);
        wire_put_u32(&guest->request, mode);
        wire_put_u32(&guest->request, gid);
        return guest_send(guest);
}

/* A new file @name in the root, opened for both as @fid. */
static inline void guest_create(Guest *guest, uint32_t fid, const char *name)
{
        unit_assert_int(guest_walk(guest, GUEST_ROOT, fid, ""), 0);
        unit_assert_int(guest_lcreate(guest, fid, name, O_RDWR | P9_O_CREATE, 0644, P9_NO_ID), 0);
}

static inline int guest_mkdir(Guest *guest, uint32_t fid, const char *name, uint32_t mode,
                              uint32_t gid)
{
        guest_begin(guest, P9_TMKDIR);
        wire_put_u32(&guest->request, fid);
        guest_put_string(guest, name);
        wire_put_u32(&guest->request, mode);
        wire_put_u32(&guest->request, gid);
        return guest_send(guest);
}

static inline int guest_unlink(Guest *guest, uint32_t fid, const char *name, uint32_t flags)
{
        guest_begin(guest, P9_TUNLINKAT);
        wire_put_u32(&guest->request, fid);
        guest_put_string(guest, name);
        wire_put_u32(&guest->request, flags);
        return guest_send(guest);
}

static inline int guest_renameat(Guest *guest, uint32_t fid, const char *old_name, uint32_t new_fid,
                                 const char *new_name)
{
        guest_begin(guest, P9_TRENAMEAT);
        wire_put_u32(&guest->request, fid);
        guest_put_string(guest, old_name);
        wire_put_u32(&guest->request, new_fid);
        guest_put_string(guest, new_name);
        return guest_send(guest);
}

static inline int guest_link(Guest *guest, uint32_t dir_fid, uint32_t fid, const char *name)
{
        guest_begin(guest, P9_TLINK);
        wire_put_u32(&guest->request, dir_fid);
        wire_put_u32(&guest->request, fid);
        guest_put_string(guest, name);
        return guest_send(guest);
}

/* Tread and Treaddir. The number of bytes, which guest->reply stands at, or -errno. */
static inline int guest_fetch(Guest *guest, uint8_t type, uint32_t fid, uint64_t offset,
                              uint32_t count)
{
        int r;

        guest_begin(guest, type);
        wire_put_u32(&guest->request, fid);
        wire_put_u64(&guest->request, offset);
        wire_put_u32(&guest->request, count);
        r = guest_send(guest);
        if (r < 0)
                return r;
        r = (int)wire_get_u32(&guest->reply);
        unit_assert_int(wire_left(&guest->reply), r);
        return r;
}

/* Reads up to the end of the 64 bytes of @ret, terminated. */
static inline int guest_read(Guest *guest, uint32_t fid, uint64_t offset, char ret[static 64])
{
        int r = guest_fetch(guest, P9_TREAD, fid, offset, 63);

        if (r >= 0) {
                memcpy(ret, wire_get_bytes(&guest->reply, (size_t)r), (size_t)r);
                ret[r] = 0;
        }
        return r;
}

static inline int guest_write(Guest *guest, uint32_t fid, uint64_t offset, const void *data,
                              size_t size)
{
        int r;

        guest_begin(guest, P9_TWRITE);
        wire_put_u32(&guest->request, fid);
        wire_put_u64(&guest->request, offset);
        wire_put_u32(&guest->request, (uint32_t)size);
        wire_put_bytes(&guest->request, data, size);
        r = guest_send(guest);
        return r < 0 ? r : (int)wire_get_u32(&guest->reply);
}

static inline P9Qid guest_get_qid(Guest *guest)
{
        P9Qid qid = {.type = wire_get_u8(&guest->reply)};

        qid.version = wire_get_u32(&guest->reply);
        qid.path = wire_get_u64(&guest->reply);
        return qid;
}

static inline int guest_getattr(Guest *guest, uint32_t fid, P9Attributes *ret)
{
        int r;

        guest_begin(guest, P9_TGETATTR);
        wire_put_u32(&guest->request, fid);
        wire_put_u64(&guest->request, P9_STATS_BASIC);
        r = guest_send(guest);
        if (r < 0)
                return r;
        ret->valid = wire_get_u64(&guest->reply);
        ret->qid = guest_get_qid(guest);
        ret->mode = wire_get_u32(&guest->reply);
        ret->uid = wire_get_u32(&guest->reply);
        ret->gid = wire_get_u32(&guest->reply);
        ret->n_links = wire_get_u64(&guest->reply);
        ret->rdev = wire_get_u64(&guest->reply);
        ret->size = wire_get_u64(&guest->reply);
        ret->block_size = wire_get_u64(&guest->reply);
        ret->blocks = wire_get_u64(&guest->reply);
        ret->atime.sec = wire_get_u64(&guest->reply);
        ret->atime.nsec = wire_get_u64(&guest->reply);
        ret->mtime.sec = wire_get_u64(&guest->reply);
        ret->mtime.nsec = wire_get_u64(&guest->reply);
        wire_get_bytes(&guest->reply, 48);
        unit_assert_int(wire_reader_end(&guest->reply), 0);
        return 0;
}

static inline int guest_setattr(Guest *guest, uint32_t fid, uint32_t valid,
                                const P9Attributes *attributes)
{
        guest_begin(guest, P9_TSETATTR);
        wire_put_u32(&guest->request, fid);
        wire_put_u32(&guest->request, valid);
        wire_put_u32(&guest->request, attributes->mode);
        wire_put_u32(&guest->request, attributes->uid);
        wire_put_u32(&guest->request, attributes->gid);
        wire_put_u64(&guest->request, attributes->size);
        wire_put_u64(&guest->request, attributes->atime.sec);
        wire_put_u64(&guest->request, attributes->atime.nsec);
        wire_put_u64(&guest->request, attributes->mtime.sec);
        wire_put_u64(&guest->request, attributes->mtime.nsec);
        return guest_send(guest);
}

static inline int guest_truncate(Guest *guest, uint32_t fid, uint64_t size)
{
        return guest_setattr(guest, fid, P9_SET_SIZE, &(P9Attributes){.size = size});
}

static inline int guest_xattr_set(Guest *guest, uint32_t fid, const char *name, const char *value,
                                  uint32_t flags)
{
        uint32_t attribute = 0x7fffff00;
        size_t size = strlen(value);
        int r;

        r = guest_walk(guest, fid, attribute, "");
        if (r < 0)
                return r;
        guest_begin(guest, P9_TXATTRCREATE);
        wire_put_u32(&guest->request, attribute);
        guest_put_string(guest, name);
        wire_put_u64(&guest->request, size);
        wire_put_u32(&guest->request, flags);
        r = guest_send(guest);
        if (r == 0 && size > 0)
                unit_assert_int(guest_write(guest, attribute, 0, value, size), size);
        if (r == 0)
                return guest_clunk(guest, attribute);
        guest_clunk(guest, attribute);
        return r;
}

/* The size, or -errno. */
static inline int guest_xattr_get(Guest *guest, uint32_t fid, const char *name, char ret[static 64])
{
        uint32_t attribute = 0x7fffff01;
        int r;

        guest_begin(guest, P9_TXATTRWALK);
        wire_put_u32(&guest->request, fid);
        wire_put_u32(&guest->request, attribute);
        guest_put_string(guest, name);
        r = guest_send(guest);
        if (r < 0)
                return r;
        r = (int)wire_get_u64(&guest->reply);
        unit_assert_int(guest_read(guest, attribute, 0, ret), r < 63 ? r : 63);
        unit_assert_int(guest_clunk(guest, attribute), 0);
        return r;
}

/* The status, or -errno. @process 0: the lock is the fid's. */
static inline int guest_lock_as(Guest *guest, uint32_t process, uint32_t fid, uint8_t type,
                                uint64_t start, uint64_t length)
{
        int r;

        guest_begin(guest, P9_TLOCK);
        wire_put_u32(&guest->request, fid);
        wire_put_u8(&guest->request, type);
        wire_put_u32(&guest->request, 0);
        wire_put_u64(&guest->request, start);
        wire_put_u64(&guest->request, length);
        wire_put_u32(&guest->request, process);
        guest_put_string(guest, "client");
        r = guest_send(guest);
        return r < 0 ? r : wire_get_u8(&guest->reply);
}

static inline int guest_lock(Guest *guest, uint32_t fid, uint8_t type, uint64_t start,
                             uint64_t length)
{
        return guest_lock_as(guest, 0, fid, type, start, length);
}

/* The type of a lock that is in the way of writing anywhere in the file, or -errno. */
static inline int guest_getlock_as(Guest *guest, uint32_t process, uint32_t fid)
{
        int r;

        guest_begin(guest, P9_TGETLOCK);
        wire_put_u32(&guest->request, fid);
        wire_put_u8(&guest->request, P9_LOCK_NONE);
        wire_put_u64(&guest->request, 0);
        wire_put_u64(&guest->request, 0);
        wire_put_u32(&guest->request, process);
        guest_put_string(guest, "client");
        r = guest_send(guest);
        return r < 0 ? r : wire_get_u8(&guest->reply);
}
