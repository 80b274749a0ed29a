/* Files through the 9p server: create, read, write, attributes, directories, xattrs, locks. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/xattr.h>

#include "test/unit/p9_guest.h"

/* Says why and returns true if a test needs root and hasn't got it. */
static bool needs_root(const char *why)
{
        if (geteuid() == 0)
                return false;
        printf("# skipped without root: %s\n", why);
        return true;
}

static void test_create_write_read(void)
{
        Guest *guest = guest_open();
        char text[64];

        guest_create(guest, 1, "file");
        unit_assert_int(guest_write(guest, 1, 0, "hello", 5), 5);
        unit_assert_int(guest_write(guest, 1, 5, " world", 6), 6);
        unit_assert_int(guest_read(guest, 1, 0, text), 11);
        unit_assert_string(text, "hello world");
        unit_assert_int(guest_read(guest, 1, 6, text), 5);
        unit_assert_int(guest_read(guest, 1, 100, text), 0);
        unit_assert_int(guest_read(guest, 1, 1ULL << 63, text), -EINVAL);
        unit_assert_int(guest_write(guest, 1, UINT64_MAX, "x", 1), -EINVAL);
        unit_assert_int(guest_write(guest, 1, 0, "", 0), 0);
        guest_begin(guest, P9_TFSYNC);
        wire_put_u32(&guest->request, 1);
        wire_put_u32(&guest->request, 0);
        unit_assert_int(guest_send(guest), 0);
        guest_close(guest);
}

/* The largest message, over pages that begin anywhere. */
static void test_large_io(void)
{
        static uint8_t data[P9_MSIZE_MAX - P9_IO_HEADER_SIZE];
        Guest *guest = guest_open();
        uint64_t far = (1ULL << 33) + 5;

        for (size_t i = 0; i < sizeof(data); i++)
                data[i] = (uint8_t)(i * 7 + i / 251);
        guest_create(guest, 1, "file");
        unit_assert_int(guest_write(guest, 1, far, data, sizeof(data)), sizeof(data));
        unit_assert_int(guest_fetch(guest, P9_TREAD, 1, far, sizeof(data)), sizeof(data));
        unit_assert_bytes(wire_get_bytes(&guest->reply, sizeof(data)), data, sizeof(data));
        /* More than the session's messages may hold is cut, not refused. */
        unit_assert_int(guest_fetch(guest, P9_TREAD, 1, far, UINT32_MAX), sizeof(data));
        guest_close(guest);
}

static void test_create_flags(void)
{
        Guest *guest = guest_open();
        char text[64];

        guest_create(guest, 1, "file");
        unit_assert_int(guest_write(guest, 1, 0, "content", 7), 7);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 2, ""), 0);
        unit_assert_int(guest_lcreate(guest, 2, "file", O_RDWR | P9_O_EXCL, 0600, P9_NO_ID),
                        -EEXIST);
        /* Without O_EXCL an existing file is opened as it is. */
        unit_assert_int(guest_lcreate(guest, 2, "file", O_RDWR | P9_O_CREATE, 0600, 12345), 0);
        unit_assert_int(guest_read(guest, 2, 0, text), 7);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 3, "file"), 0);
        unit_assert_int(guest_lopen(guest, 3, O_WRONLY | P9_O_APPEND), 0);
        unit_assert_int(guest_write(guest, 3, 0, "+", 1), 1);
        unit_assert_int(guest_read(guest, 1, 0, text), 8);
        unit_assert_string(text, "content+");
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 4, "file"), 0);
        unit_assert_int(guest_lopen(guest, 4, O_WRONLY | P9_O_TRUNC), 0);
        unit_assert_int(guest_read(guest, 1, 0, text), 0);
        guest_close(guest);
}

static void test_ownership(void)
{
        P9Attributes attributes;
        Guest *guest = guest_open();

        if (!needs_root("chown")) {
                unit_assert_int(guest_attach(guest, 50, 1000), 0);
                unit_assert_int(guest_mkdir(guest, 50, "dir", 02755, 2000), 0);
                unit_assert_int(guest_walk(guest, 50, 1, "dir"), 0);
                unit_assert_int(guest_getattr(guest, 1, &attributes), 0);
                unit_assert_int(attributes.uid, 1000);
                unit_assert_int(attributes.gid, 2000);
                unit_assert_int(attributes.mode, S_IFDIR | 02755);
                unit_assert_int(guest_lcreate(guest, 1, "tool", O_RDWR, 06755, 2001), 0);
                unit_assert_int(guest_getattr(guest, 1, &attributes), 0);
                unit_assert_int(attributes.uid, 1000);
                unit_assert_int(attributes.gid, 2001);
                unit_assert_int(attributes.mode, S_IFREG | 06755);
        }
        guest_close(guest);
}

static int make_node(Guest *guest, const char *name, uint32_t mode)
{
        guest_begin(guest, P9_TMKNOD);
        wire_put_u32(&guest->request, GUEST_ROOT);
        guest_put_string(guest, name);
        wire_put_u32(&guest->request, mode);
        wire_put_u32(&guest->request, 0);
        wire_put_u32(&guest->request, 0);
        wire_put_u32(&guest->request, P9_NO_ID);
        return guest_send(guest);
}

/* What isn't a file or directory is made, seen and removed, but never opened. */
static void test_special_files(void)
{
        Guest *guest = guest_open();
        P9Attributes attributes;

        unit_assert_int(make_node(guest, "fifo", S_IFIFO | 0640), 0);
        unit_assert_int(make_node(guest, "socket", S_IFSOCK | 0600), 0);
        unit_assert_int(make_node(guest, "file", S_IFREG | 0604), 0);
        unit_assert_int(make_node(guest, "fifo", S_IFIFO | 0640), -EEXIST);
        unit_assert_int(make_node(guest, "dir", S_IFDIR | 0755), -EINVAL);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, "fifo"), 0);
        unit_assert_int(guest_getattr(guest, 1, &attributes), 0);
        unit_assert_int(attributes.mode, S_IFIFO | 0640);
        unit_assert_int(guest_lopen(guest, 1, O_RDONLY), -EOPNOTSUPP);
        unit_assert_int(guest_truncate(guest, 1, 0), -EINVAL);
        unit_assert_int(guest_setattr(guest, 1, P9_SET_MODE, &(P9Attributes){.mode = 0600}), 0);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 2, "file"), 0);
        unit_assert_int(guest_getattr(guest, 2, &attributes), 0);
        unit_assert_int(attributes.mode, S_IFREG | 0604);
        guest_close(guest);
}

static void test_symlink(void)
{
        Guest *guest = guest_open();
        char target[4095];

        memset(target, 't', sizeof(target));
        target[sizeof(target) - 1] = 0;
        guest_begin(guest, P9_TSYMLINK);
        wire_put_u32(&guest->request, GUEST_ROOT);
        guest_put_string(guest, "link");
        guest_put_string(guest, target);
        wire_put_u32(&guest->request, P9_NO_ID);
        unit_assert_int(guest_send(guest), 0);
        unit_assert_int(guest_get_qid(guest).type, P9_QID_SYMLINK);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, "link"), 0);
        unit_assert_int(guest_simple(guest, P9_TREADLINK, 1), 0);
        unit_assert_int(wire_get_u16(&guest->reply), strlen(target));
        unit_assert_bytes(wire_get_bytes(&guest->reply, strlen(target)), target, strlen(target));
        unit_assert_int(guest_setattr(guest, 1, P9_SET_MODE, &(P9Attributes){.mode = 0600}),
                        -EOPNOTSUPP);
        guest_close(guest);
}

static void test_setattr(void)
{
        Guest *guest = guest_open();
        P9Attributes attributes = {
                .mode = 0751,
                .size = 1ULL << 40,
                .atime = {.sec = 1000, .nsec = 5},
                .mtime = {.sec = 2000, .nsec = 999999999},
        };
        uint32_t times = P9_SET_ATIME | P9_SET_ATIME_SET | P9_SET_MTIME | P9_SET_MTIME_SET;

        guest_create(guest, 1, "file");
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 2, "file"), 0);
        unit_assert_int(guest_setattr(guest, 2, P9_SET_MODE | P9_SET_SIZE | times, &attributes), 0);
        unit_assert_int(guest_getattr(guest, 1, &attributes), 0);
        unit_assert_int(attributes.mode, S_IFREG | 0751);
        unit_assert(attributes.size == 1ULL << 40);
        unit_assert_int(attributes.atime.sec, 1000);
        unit_assert_int(attributes.mtime.nsec, 999999999);
        unit_assert_int(guest_setattr(guest, 2, P9_SET_MTIME, &attributes), 0); /* now */
        unit_assert_int(guest_getattr(guest, 1, &attributes), 0);
        unit_assert(attributes.mtime.sec > 2000);
        unit_assert_int(attributes.atime.sec, 1000);
        attributes.mtime.nsec = 1000000000;
        unit_assert_int(guest_setattr(guest, 2, times, &attributes), -EINVAL);
        attributes.uid = P9_NO_ID;
        unit_assert_int(guest_setattr(guest, 2, P9_SET_UID, &attributes), -EINVAL);
        unit_assert_int(guest_setattr(guest, 2, P9_SET_CTIME, &attributes), 0);
        unit_assert_int(guest_truncate(guest, 2, UINT64_MAX), -EINVAL);
        unit_assert_int(guest_truncate(guest, GUEST_ROOT, 0), -EISDIR);
        guest_close(guest);
}

static void test_statfs(void)
{
        Guest *guest = guest_open();

        unit_assert_int(guest_simple(guest, P9_TSTATFS, GUEST_ROOT), 0);
        unit_assert_int(wire_get_u32(&guest->reply), 0x01021997);
        unit_assert(wire_get_u32(&guest->reply) > 0);
        unit_assert(wire_get_u64(&guest->reply) > 0);
        guest_close(guest);
}

/* Counts the entries of fid 1, an open directory, reading @count bytes at a time. */
static unsigned count_entries(Guest *guest, uint32_t count, bool seen[static 2000])
{
        uint64_t offset = 0;
        unsigned n = 0;
        int r;

        while ((r = guest_fetch(guest, P9_TREADDIR, 1, offset, count)) > 0) {
                unit_assert(r <= (int)count);
                while (wire_left(&guest->reply) > 0) {
                        char name[256] = "";
                        uint16_t size;

                        guest_get_qid(guest);
                        offset = wire_get_u64(&guest->reply);
                        wire_get_u8(&guest->reply);
                        size = wire_get_u16(&guest->reply);
                        memcpy(name, wire_get_bytes(&guest->reply, size), size);
                        unit_assert(!guest->reply.bad);
                        if (name[0] == 'e')
                                seen[atoi(name + 1)] = true;
                        n++;
                }
        }
        unit_assert_int(r, 0);
        return n;
}

static void test_readdir(void)
{
        static const uint32_t counts[] = {64, 300, 4096, 100000, P9_MSIZE_MAX};
        Guest *guest = guest_open();
        char name[16];

        for (unsigned i = 0; i < 2000; i++) {
                snprintf(name, sizeof(name), "e%u", i);
                unit_assert_int(mknodat(guest->dir, name, S_IFREG | 0600, 0), 0);
        }
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, ""), 0);
        unit_assert_int(guest_lopen(guest, 1, O_RDONLY | P9_O_DIRECTORY), 0);
        for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
                bool seen[2000] = {};

                unit_assert_int(count_entries(guest, counts[i], seen), 2000 + 2);
                unit_assert(!memchr(seen, 0, sizeof(seen)));
        }
        unit_assert_int(guest_fetch(guest, P9_TREADDIR, 1, 0, 10), -EINVAL);
        unit_assert_int(guest_fetch(guest, P9_TREADDIR, 1, UINT64_MAX, 4096), -EINVAL);
        guest_close(guest);
}

/* Deleting while reading: each entry is seen once, then gone (rm -r). */
static void test_readdir_while_deleting(void)
{
        Guest *guest = guest_open();
        uint64_t offset = 0;
        unsigned n = 0;
        char name[256];
        int r;

        for (unsigned i = 0; i < 300; i++) {
                snprintf(name, sizeof(name), "e%u", i);
                unit_assert_int(mknodat(guest->dir, name, S_IFREG | 0600, 0), 0);
        }
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, ""), 0);
        unit_assert_int(guest_lopen(guest, 1, O_RDONLY), 0);
        while ((r = guest_fetch(guest, P9_TREADDIR, 1, offset, 1000)) > 0)
                while (wire_left(&guest->reply) > 0) {
                        uint16_t size;

                        guest_get_qid(guest);
                        offset = wire_get_u64(&guest->reply);
                        wire_get_u8(&guest->reply);
                        size = wire_get_u16(&guest->reply);
                        memcpy(name, wire_get_bytes(&guest->reply, size), size);
                        name[size] = 0;
                        if (name[0] != 'e')
                                continue;
                        unit_assert_int(unlinkat(guest->dir, name, 0), 0);
                        n++;
                }
        unit_assert_int(r, 0);
        unit_assert_int(n, 300);
        guest_close(guest);
}

static void test_xattrs(void)
{
        Guest *guest = guest_open();
        char value[64];

        guest_create(guest, 1, "file");
        if (fsetxattr(guest->dir, "user.probe", "1", 1, 0) < 0) {
                printf("# skipped: no user xattrs here\n");
                guest_close(guest);
                return;
        }
        unit_assert_int(guest_xattr_set(guest, 1, "user.color", "blue", 0), 0);
        unit_assert_int(guest_xattr_get(guest, 1, "user.color", value), 4);
        unit_assert_string(value, "blue");
        unit_assert_int(guest_xattr_set(guest, 1, "user.color", "red", XATTR_CREATE), -EEXIST);
        unit_assert_int(guest_xattr_set(guest, 1, "user.none", "red", XATTR_REPLACE), -ENODATA);
        unit_assert_int(guest_xattr_get(guest, 1, "", value), sizeof("user.color"));
        unit_assert_string(value, "user.color");
        unit_assert_int(guest_xattr_set(guest, 1, "user.empty", "", 0), 0);
        unit_assert_int(guest_xattr_get(guest, 1, "user.empty", value), 0);
        unit_assert_int(guest_xattr_set(guest, 1, "user.color", "", XATTR_REPLACE), 0);
        unit_assert_int(guest_xattr_get(guest, 1, "user.color", value), -ENODATA);
        unit_assert_int(guest_xattr_set(guest, GUEST_ROOT, "user.dir", "x", 0), 0);
        unit_assert_int(guest_xattr_get(guest, GUEST_ROOT, "user.dir", value), 1);
        unit_assert_int(p9_server_usage(guest->server).xattr, 0);
        guest_close(guest);
}

/* What the client sends for an access control list that the mode can say. */
static void test_empty_acl(void)
{
        /* linux/posix_acl_xattr.h: rw- for the owner, r-- for user 7, the mask and all others. */
        static const uint8_t acl[] = {
                2, 0, 0,   0,   1,   0,   6,  0, 255, 255, 255, 255, 2,   0,   4,
                0, 7, 0,   0,   0,   4,   0,  4, 0,   255, 255, 255, 255, 16,  0,
                4, 0, 255, 255, 255, 255, 32, 0, 4,   0,   255, 255, 255, 255,
        };
        static const char name[] = "system.posix_acl_access";
        Guest *guest = guest_open();
        char value[64];
        int host;

        guest_create(guest, 1, "file");
        unit_assert_int(guest_xattr_set(guest, 1, "user.probe", "", 0), 0);
        host = openat(guest->dir, "file", O_RDWR);
        if (fsetxattr(host, name, acl, sizeof(acl), 0) < 0) {
                printf("# skipped: no ACLs here\n");
                guest_close(guest);
                return;
        }
        unit_assert_int(guest_xattr_get(guest, 1, name, value), sizeof(acl));
        unit_assert_int(guest_xattr_set(guest, 1, name, "", 0), 0);
        unit_assert_int(guest_xattr_get(guest, 1, name, value), -ENODATA);
        unit_assert_int(guest_xattr_set(guest, 1, name, "", 0), 0);
        close(host);
        guest_close(guest);
}

/* An attribute that wasn't written as announced isn't set. */
static void test_xattr_incomplete(void)
{
        Guest *guest = guest_open();
        char value[64];

        guest_create(guest, 1, "file");
        unit_assert_int(guest_walk(guest, 1, 2, ""), 0);
        guest_begin(guest, P9_TXATTRCREATE);
        wire_put_u32(&guest->request, 2);
        guest_put_string(guest, "user.part");
        wire_put_u64(&guest->request, 10);
        wire_put_u32(&guest->request, 0);
        unit_assert_int(guest_send(guest), 0);
        unit_assert_int(guest_write(guest, 2, 1, "x", 1), -EINVAL);
        unit_assert_int(guest_write(guest, 2, 0, "0123456789+", 11), -EINVAL);
        unit_assert_int(guest_write(guest, 2, 0, "01234", 5), 5);
        unit_assert_int(guest_clunk(guest, 2), -EINVAL);
        unit_assert(guest_xattr_get(guest, 1, "user.part", value) < 0);
        guest_close(guest);
}

static void test_locks(void)
{
        Guest *guest = guest_open();
        int host;

        guest_create(guest, 1, "file");
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 2, "file"), 0);
        unit_assert_int(guest_lopen(guest, 2, O_RDONLY), 0);
        unit_assert_int(guest_lock(guest, 1, P9_LOCK_WRITE, 0, 10), P9_LOCK_SUCCESS);
        unit_assert_int(guest_lock(guest, 2, P9_LOCK_READ, 5, 1), P9_LOCK_BLOCKED);
        unit_assert_int(guest_lock(guest, 2, P9_LOCK_READ, 10, 0), P9_LOCK_SUCCESS);
        unit_assert_int(guest_lock(guest, 1, P9_LOCK_WRITE, 10, 1), P9_LOCK_BLOCKED);
        unit_assert_int(guest_lock(guest, 1, P9_LOCK_NONE, 0, 0), P9_LOCK_SUCCESS);
        /* flock() in the guest locks for writing what is open for reading. */
        unit_assert_int(guest_lock(guest, 2, P9_LOCK_WRITE, 0, 0), P9_LOCK_SUCCESS);
        unit_assert_int(guest_lock(guest, 1, P9_LOCK_READ, 0, 0), P9_LOCK_BLOCKED);
        /* The host's programs see it too, until the fid goes. */
        host = openat(guest->dir, "file", O_RDWR | O_CLOEXEC);
        unit_assert_int(fcntl(host, F_OFD_SETLK, &(struct flock){.l_type = F_WRLCK}), -1);
        unit_assert_int(guest_clunk(guest, 2), 0);
        unit_assert_int(fcntl(host, F_OFD_SETLK, &(struct flock){.l_type = F_WRLCK}), 0);
        unit_assert_int(guest_lock(guest, 1, P9_LOCK_READ, 0, 0), P9_LOCK_BLOCKED);
        unit_assert_int(close(host), 0);
        unit_assert_int(guest_lock(guest, 1, 3, 0, 0), -EINVAL);
        unit_assert_int(guest_lock(guest, 1, P9_LOCK_READ, UINT64_MAX, 0), -EINVAL);
        guest_close(guest);
}

static void test_getlock(void)
{
        Guest *guest = guest_open();

        guest_create(guest, 1, "file");
        guest_create(guest, 2, "file");
        unit_assert_int(guest_lock(guest, 1, P9_LOCK_READ, 100, 50), P9_LOCK_SUCCESS);
        unit_assert_int(guest_getlock_as(guest, 1, 2), P9_LOCK_READ);
        unit_assert_int(wire_get_u64(&guest->reply), 100);
        unit_assert_int(wire_get_u64(&guest->reply), 50);
        wire_get_u32(&guest->reply);
        unit_assert_int(wire_get_u16(&guest->reply), 6);
        guest_close(guest);
}

UNIT_MAIN(UNIT_TEST(test_create_write_read), UNIT_TEST(test_large_io), UNIT_TEST(test_create_flags),
          UNIT_TEST(test_ownership), UNIT_TEST(test_special_files), UNIT_TEST(test_symlink),
          UNIT_TEST(test_setattr), UNIT_TEST(test_statfs), UNIT_TEST(test_readdir),
          UNIT_TEST(test_readdir_while_deleting), UNIT_TEST(test_xattrs),
          UNIT_TEST(test_xattr_incomplete), UNIT_TEST(test_empty_acl), UNIT_TEST(test_locks),
          UNIT_TEST(test_getlock))
