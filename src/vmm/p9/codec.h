/*
 * 9P2000.L messages: every T-message decoded into a struct with all lengths checked, every
 * R-message encoded. Pure: no state, no system call, no allocation.
 *
 *   size[4] type[1] tag[2] body…      size counts itself; integers are little-endian
 *   string: size[2] bytes…            no NUL inside
 *   qid:    type[1] version[4] path[8]
 *
 * The bodies are those of net/9p/client.c of Linux 6.1; each decoder and encoder shows its own.
 *
 * Trust: the input is hostile. A body that is too short, too long or holds a NUL in a string is
 * -EINVAL. Names (one component of a path) are checked here, so nothing behind the codec ever sees
 * "", ".", ".." (-EINVAL), a "/" (-EINVAL) or more than 255 bytes (-ENAMETOOLONG). These errors are
 * what the guest gets as Rlerror.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/wire.h"

enum {
        P9_RLERROR = 7,
        P9_TSTATFS = 8,
        P9_TLOPEN = 12,
        P9_TLCREATE = 14,
        P9_TSYMLINK = 16,
        P9_TMKNOD = 18,
        P9_TRENAME = 20,
        P9_TREADLINK = 22,
        P9_TGETATTR = 24,
        P9_TSETATTR = 26,
        P9_TXATTRWALK = 30,
        P9_TXATTRCREATE = 32,
        P9_TREADDIR = 40,
        P9_TFSYNC = 50,
        P9_TLOCK = 52,
        P9_TGETLOCK = 54,
        P9_TLINK = 70,
        P9_TMKDIR = 72,
        P9_TRENAMEAT = 74,
        P9_TUNLINKAT = 76,
        P9_TVERSION = 100,
        P9_TATTACH = 104,
        P9_TFLUSH = 108,
        P9_TWALK = 110,
        P9_TREAD = 116,
        P9_TWRITE = 118,
        P9_TCLUNK = 120,
        P9_TREMOVE = 122,
        P9_TYPE_MAX = 128, /* the reply to T is T + 1 */
};

#define P9_NO_TAG 0xffffU
#define P9_NO_FID 0xffffffffU
#define P9_NO_ID  0xffffffffU /* a uid or gid: "nobody in particular" */

#define P9_HEADER_SIZE       7
#define P9_WRITE_HEADER_SIZE 23 /* Twrite up to its data */
#define P9_READ_HEADER_SIZE  11 /* Rread and Rreaddir up to their data; Rlerror as a whole */
#define P9_DIRENT_SIZE       24 /* an entry of Rreaddir without its name */
#define P9_WALK_MAX          16 /* components of one Twalk */
#define P9_NAME_MAX          255

/* Room the client keeps in msize around the data of a read or write (P9_IOHDRSZ). */
#define P9_IO_HEADER_SIZE 24

/* What a T-message without its data may be at most: the longest is Tsymlink, with name and target.
 * Also room enough for each R-message without data. */
#define P9_MESSAGE_MAX 8192

/* Qid types. */
#define P9_QID_DIR     0x80
#define P9_QID_SYMLINK 0x02
#define P9_QID_FILE    0x00

/* Tlopen and Tlcreate: Linux's open flags with the numbers of x86 and arm64's generic ones. */
#define P9_O_ACCESS    00000003U
#define P9_O_CREATE    00000100U
#define P9_O_EXCL      00000200U
#define P9_O_TRUNC     00001000U
#define P9_O_APPEND    00002000U
#define P9_O_DSYNC     00010000U
#define P9_O_DIRECTORY 00200000U
#define P9_O_NOATIME   01000000U
#define P9_O_SYNC      04000000U

/* Tgetattr's and Rgetattr's mask. */
#define P9_STATS_BASIC 0x000007ffULL
#define P9_STATS_BTIME 0x00000800ULL

/* Tsetattr's mask. ATIME and MTIME without their _SET mean now. */
#define P9_SET_MODE      0x001U
#define P9_SET_UID       0x002U
#define P9_SET_GID       0x004U
#define P9_SET_SIZE      0x008U
#define P9_SET_ATIME     0x010U
#define P9_SET_MTIME     0x020U
#define P9_SET_CTIME     0x040U
#define P9_SET_ATIME_SET 0x080U
#define P9_SET_MTIME_SET 0x100U

#define P9_AT_REMOVEDIR 0x200U /* Tunlinkat */

/* Rstatfs: V9FS_MAGIC, so that no program takes the file system for what it isn't. */
#define P9_STATFS_TYPE 0x01021997U

enum {
        P9_LOCK_READ = 0,
        P9_LOCK_WRITE = 1,
        P9_LOCK_NONE = 2,
};

enum {
        P9_LOCK_SUCCESS = 0,
        P9_LOCK_BLOCKED = 1,
        P9_LOCK_ERROR = 2,
};

typedef struct P9Header {
        uint32_t size; /* of the whole message */
        uint8_t type;
        uint16_t tag;
} P9Header;

/* Bytes inside the decoded buffer, with a NUL behind them. */
typedef struct P9String {
        const char *text;
        uint16_t size;
} P9String;

typedef struct P9Time {
        uint64_t sec, nsec;
} P9Time;

typedef struct P9Qid {
        uint8_t type;
        uint32_t version;
        uint64_t path;
} P9Qid;

/*
 * A decoded T-message. @fid is the one that the message is about: the first of its body. Tversion
 * and Tflush have none. Strings point into the buffer that was decoded.
 */
typedef struct P9Message {
        P9Header header;
        uint32_t fid;
        union {
                struct {
                        uint32_t msize;
                        P9String version;
                } version;
                struct {
                        uint32_t auth_fid;
                        P9String user, tree;
                        uint32_t uid;
                } attach;
                struct {
                        uint16_t old_tag;
                } flush;
                struct {
                        uint32_t new_fid;
                        uint16_t n_names;
                        P9String names[P9_WALK_MAX];
                } walk;
                struct {
                        uint32_t flags;
                } lopen;
                struct {
                        P9String name;
                        uint32_t flags, mode, gid;
                } lcreate;
                struct {
                        P9String name, target;
                        uint32_t gid;
                } symlink;
                struct {
                        P9String name;
                        uint32_t mode, major, minor, gid;
                } mknod;
                struct {
                        P9String name;
                        uint32_t mode, gid;
                } mkdir;
                struct {
                        uint32_t dir_fid;
                        P9String name;
                } rename;
                struct {
                        P9String old_name;
                        uint32_t new_dir_fid;
                        P9String new_name;
                } renameat;
                struct {
                        P9String name;
                        uint32_t flags;
                } unlinkat;
                struct {
                        uint32_t old_fid;
                        P9String name;
                } link;
                struct {
                        uint64_t mask;
                } getattr;
                struct {
                        uint32_t valid, mode, uid, gid;
                        uint64_t size;
                        P9Time atime, mtime;
                } setattr;
                struct {
                        uint32_t new_fid;
                        P9String name; /* "" asks for the list of names */
                } xattrwalk;
                struct {
                        P9String name;
                        uint64_t size;
                        uint32_t flags;
                } xattrcreate;
                struct {
                        uint64_t offset;
                        uint32_t count;
                } io; /* Tread, Twrite, Treaddir */
                struct {
                        uint32_t data_only;
                } fsync;
                struct {
                        uint8_t type;
                        uint32_t flags;
                        uint64_t start, length;
                        uint32_t process;
                        P9String client;
                } lock; /* Tlock; Tgetlock has no flags */
        };
} P9Message;

/* Whether this is one component of a path: 0, -EINVAL or -ENAMETOOLONG. */
int p9_name_check(P9String name);

/* Decodes the first P9_HEADER_SIZE bytes. 0, or -EINVAL if the size is less than a header's. */
int p9_header_decode(const uint8_t *data, size_t size, P9Header *ret);

/*
 * Decodes one T-message of @size bytes; of a Twrite only what stands before its data. Strings are
 * terminated in place, so @data changes and must be the server's own copy. 0, -EINVAL,
 * -ENAMETOOLONG, or -EOPNOTSUPP for a type that 9P2000.L lacks or that this server doesn't speak.
 */
int p9_message_decode(uint8_t *data, size_t size, P9Message *ret);

/* Attributes as Rgetattr carries them. @rdev is in the kernel's new_encode_dev() form. */
typedef struct P9Attributes {
        uint64_t valid;
        P9Qid qid;
        uint32_t mode, uid, gid;
        uint64_t n_links, rdev, size, block_size, blocks;
        P9Time atime, mtime, ctime, btime;
} P9Attributes;

typedef struct P9Statfs {
        uint32_t type, block_size;
        uint64_t blocks, blocks_free, blocks_available;
        uint64_t files, files_free;
        uint64_t fsid;
        uint32_t name_max;
} P9Statfs;

/* major:minor as the kernel's new_encode_dev(): what the client decodes. */
uint64_t p9_device_number(uint32_t major, uint32_t minor);

/*
 * A reply: p9_reply_begin(), its body by the p9_put_* below or by wire_put_*, p9_reply_end().
 * Replies without a body (Rclunk, Rflush, Rfsync, Rlink, Rremove, Rrename, Rrenameat, Rsetattr,
 * Runlinkat, Rxattrcreate) are a header alone.
 */
void p9_reply_begin(WireWriter *writer, uint8_t type, uint16_t tag);

/* Writes the size: what the writer holds plus @n_behind bytes of data that follow elsewhere. 0, or
 * -ENOBUFS if the writer overran. */
int p9_reply_end(WireWriter *writer, size_t n_behind);

void p9_put_string(WireWriter *writer, const char *text, size_t size);
void p9_put_qid(WireWriter *writer, P9Qid qid); /* Rattach, Rmkdir, Rmknod, Rsymlink */
void p9_put_version(WireWriter *writer, uint32_t msize, const char *version);
void p9_put_walk(WireWriter *writer, const P9Qid *qids, uint16_t n);
void p9_put_open(WireWriter *writer, P9Qid qid, uint32_t io_unit); /* Rlopen, Rlcreate */
void p9_put_attributes(WireWriter *writer, const P9Attributes *attributes);
void p9_put_statfs(WireWriter *writer, const P9Statfs *statfs);
void p9_put_lock(WireWriter *writer, uint8_t status);
void p9_put_getlock(WireWriter *writer, uint8_t type, uint64_t start, uint64_t length,
                    uint32_t process, P9String client);
/* One entry of Rreaddir. */
void p9_put_dirent(WireWriter *writer, P9Qid qid, uint64_t offset, uint8_t type, const char *name,
                   size_t name_size);
