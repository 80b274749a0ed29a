/* The 9p server's frame: sessions, fids, walks, limits, a read-only export, broken messages. */
#include "test/unit/p9_guest.h"

static void test_version(void)
{
        Guest *guest = guest_open();

        unit_assert_int(guest_version(guest, 1U << 20, "9P2000.L"), 0);
        unit_assert_int(wire_get_u32(&guest->reply), P9_MSIZE_MAX);
        unit_assert_int(guest_version(guest, 8192, "9P2000.L"), 0);
        unit_assert_int(wire_get_u32(&guest->reply), 8192);
        unit_assert_int(guest_version(guest, 100, "9P2000.L"), -EMSGSIZE);
        /* The session before is over, and there is no other. */
        unit_assert_int(guest_attach(guest, GUEST_ROOT, P9_NO_ID), -EPROTO);
        unit_assert_int(guest_version(guest, 8192, "9P2000"), 0);
        unit_assert_int(wire_get_u32(&guest->reply), 8192);
        unit_assert_int(wire_get_u16(&guest->reply), strlen("unknown"));
        unit_assert_int(guest_attach(guest, GUEST_ROOT, P9_NO_ID), -EPROTO);
        guest_close(guest);
}

static void test_version_ends_session(void)
{
        Guest *guest = guest_open();

        guest_create(guest, 1, "file");
        unit_assert_int(p9_server_usage(guest->server).files, 1);
        unit_assert(p9_server_is_in_use(guest->server));
        unit_assert_int(guest_version(guest, 8192, "9P2000.L"), 0);
        unit_assert(!p9_server_is_in_use(guest->server));
        unit_assert_int(p9_server_usage(guest->server).files, 0);
        unit_assert_int(p9_server_usage(guest->server).nodes, 1);
        unit_assert_int(guest_simple(guest, P9_TSTATFS, GUEST_ROOT), -EBADF);
        guest_close(guest);
}

static void test_attach(void)
{
        Guest *guest = guest_open();

        unit_assert_int(guest_attach(guest, GUEST_ROOT, 0), -EINVAL); /* in use */
        unit_assert_int(guest_attach(guest, P9_NO_FID, 0), -EINVAL);
        unit_assert_int(guest_attach(guest, 5, 0), 0);
        unit_assert_int(guest_get_qid(guest).type, P9_QID_DIR);
        guest_begin(guest, P9_TATTACH);
        wire_put_u32(&guest->request, 6);
        wire_put_u32(&guest->request, P9_NO_FID);
        guest_put_string(guest, "");
        guest_put_string(guest, "elsewhere");
        wire_put_u32(&guest->request, 0);
        unit_assert_int(guest_send(guest), -ENOENT);
        guest_close(guest);
}

static void test_walk(void)
{
        Guest *guest = guest_open();

        unit_assert_int(mkdirat(guest->dir, "a", 0755), 0);
        unit_assert_int(mkdirat(guest->dir, "a/b", 0755), 0);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, "a/b"), 0);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, "a"), -EINVAL); /* fid 1 is in use */
        unit_assert_int(guest_walk(guest, 9, 2, ""), -EBADF);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 2, "none"), -ENOENT);
        unit_assert_int(guest_walk_some(guest, GUEST_ROOT, 2, "a/none", 1), 0);
        unit_assert_int(guest_clunk(guest, 2), -EBADF); /* a partial walk makes no fid */
        unit_assert_int(guest_walk(guest, 1, 1, ""), 0);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 2, ""), 0);
        unit_assert_int(guest_walk(guest, 2, 2, "a"), 0); /* moves the fid itself */
        unit_assert_int(guest_walk(guest, 2, 3, "b"), 0);
        unit_assert_int(p9_server_usage(guest->server).nodes, 3);
        guest_close(guest);
}

/* "." and "..", absolute names and paths don't get anywhere, whatever lies there. */
static void test_walk_out(void)
{
        static const char *const names[] = {"..", ".", "", "/etc", "a/..", "../../etc"};
        Guest *guest = guest_open();

        unit_assert_int(mkdirat(guest->dir, "a", 0755), 0);
        unit_assert_int(symlinkat("/", guest->dir, "out"), 0);
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                guest_begin(guest, P9_TWALK);
                wire_put_u32(&guest->request, GUEST_ROOT);
                wire_put_u32(&guest->request, 1);
                wire_put_u16(&guest->request, 1);
                guest_put_string(guest, names[i]);
                unit_assert_int(guest_send(guest), -EINVAL);
                unit_assert_int(guest_mkdir(guest, GUEST_ROOT, names[i], 0755, P9_NO_ID), -EINVAL);
                unit_assert_int(guest_unlink(guest, GUEST_ROOT, names[i], 0), -EINVAL);
        }
        /* A symbolic link is a file like others: the guest follows it, in its own tree. */
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, "out/etc"), -ENOTDIR);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, "out"), 0);
        unit_assert_int(guest_lopen(guest, 1, O_RDONLY), -ELOOP);
        guest_close(guest);
}

static void test_fid_kinds(void)
{
        Guest *guest = guest_open();
        char text[64];

        guest_create(guest, 1, "file");
        unit_assert_int(guest_lopen(guest, 1, O_RDONLY), -EBADF); /* twice */
        unit_assert_int(guest_walk(guest, 1, 1, ""), -EINVAL);    /* an opened fid stays */
        unit_assert_int(guest_walk(guest, 1, 2, ""), 0);          /* but may be copied */
        unit_assert_int(guest_read(guest, 2, 0, text), -EBADF);   /* the copy isn't open */
        unit_assert_int(guest_write(guest, 2, 0, "x", 1), -EBADF);
        unit_assert_int(guest_lock(guest, 2, P9_LOCK_READ, 0, 0), -EBADF);
        unit_assert_int(guest_fetch(guest, P9_TREADDIR, 1, 0, 4096), -ENOTDIR);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 3, ""), 0);
        unit_assert_int(guest_fetch(guest, P9_TREADDIR, 3, 0, 4096), -EBADF);
        unit_assert_int(guest_lopen(guest, 3, O_RDONLY), 0);
        unit_assert_int(guest_read(guest, 3, 0, text), -EISDIR);
        unit_assert_int(guest_clunk(guest, 3), 0);
        unit_assert_int(guest_clunk(guest, 3), -EBADF);
        unit_assert_int(guest_simple(guest, P9_TREADLINK, 2), -EINVAL);
        guest_close(guest);
}

static void test_flush(void)
{
        Guest *guest = guest_open();

        guest_begin(guest, P9_TFLUSH);
        wire_put_u16(&guest->request, 3);
        unit_assert_int(guest_send(guest), 0);
        guest_close(guest);
}

static void test_unknown_message(void)
{
        Guest *guest = guest_open();

        guest_begin(guest, 102); /* Tauth */
        wire_put_u32(&guest->request, 3);
        unit_assert_int(guest_send(guest), -EOPNOTSUPP);
        guest_begin(guest, 255);
        unit_assert_int(guest_send(guest), -EOPNOTSUPP);
        guest_close(guest);
}

static void test_broken_frames(void)
{
        Guest *guest = guest_open();
        size_t size;

        guest_begin(guest, P9_TCLUNK);
        wire_put_u32(&guest->request, GUEST_ROOT);
        unit_assert_int(p9_reply_end(&guest->request, 0), 0);
        for (size_t cut = 0; cut < guest->request.at; cut++)
                unit_assert_int(guest_handle(guest, cut, &size), P9_SERVER_E_FRAME);
        guest->reply_room = P9_READ_HEADER_SIZE - 1;
        unit_assert_int(guest_handle(guest, guest->request.at, &size), P9_SERVER_E_FRAME);
        guest->reply_room = 0;
        unit_assert_int(guest_handle(guest, guest->request.at, &size), P9_SERVER_E_FRAME);
        guest->request_bytes[0] = 6;
        guest->reply_room = 64;
        unit_assert_int(guest_handle(guest, guest->request.at, &size), P9_SERVER_E_FRAME);
        guest_close(guest);
}

static void test_reply_room(void)
{
        Guest *guest = guest_open();
        char big[4096] = {};

        guest_begin(guest, P9_TGETATTR);
        wire_put_u32(&guest->request, GUEST_ROOT);
        wire_put_u64(&guest->request, 0);
        guest->reply_room = 100;
        unit_assert_int(guest_send(guest), -EMSGSIZE);
        /* A read is cut to what has room. */
        guest_create(guest, 1, "file");
        unit_assert_int(guest_write(guest, 1, 0, big, sizeof(big)), sizeof(big));
        guest_begin(guest, P9_TREAD);
        wire_put_u32(&guest->request, 1);
        wire_put_u64(&guest->request, 0);
        wire_put_u32(&guest->request, UINT32_MAX);
        guest->reply_room = 100;
        unit_assert_int(guest_send(guest), 0);
        unit_assert_int(wire_get_u32(&guest->reply), 100 - P9_READ_HEADER_SIZE);
        guest_close(guest);
}

static void test_message_size(void)
{
        static char text[P9_MSIZE_MAX];
        Guest *guest = guest_open();

        unit_assert_int(guest_version(guest, 4096, "9P2000.L"), 0);
        unit_assert_int(guest_attach(guest, GUEST_ROOT, P9_NO_ID), 0);
        guest_create(guest, 1, "file");
        unit_assert_int(guest_write(guest, 1, 0, text, 4096), -EMSGSIZE);
        unit_assert_int(guest_write(guest, 1, 0, text, 4096 - 23), 4096 - 23);
        unit_assert_int(guest_version(guest, P9_MSIZE_MAX, "9P2000.L"), 0);
        unit_assert_int(guest_attach(guest, GUEST_ROOT, P9_NO_ID), 0);
        memset(text, 'x', 60000);
        guest_begin(guest, P9_TSYMLINK);
        wire_put_u32(&guest->request, GUEST_ROOT);
        guest_put_string(guest, "link");
        p9_put_string(&guest->request, text, 60000);
        wire_put_u32(&guest->request, P9_NO_ID);
        unit_assert_int(guest_send(guest), -EMSGSIZE); /* longer than any path */
        guest_close(guest);
}

static void test_fid_limit(void)
{
        P9Limits limits = p9_limits_for(512);
        Guest *guest;

        limits.fids = 10;
        guest = guest_open_with(limits, false);
        for (uint32_t fid = 1; fid < 10; fid++)
                unit_assert_int(guest_walk(guest, GUEST_ROOT, fid, ""), 0);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 10, ""), -ENFILE);
        unit_assert_int(guest_clunk(guest, 3), 0);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 10, ""), 0);
        guest_close(guest);
}

static void test_node_limit(void)
{
        P9Limits limits = p9_limits_for(512);
        Guest *guest;
        char name[16];

        limits.nodes = 20;
        guest = guest_open_with(limits, false);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, ""), 0);
        /* One fid that goes down a deep tree holds all the directories above it. */
        for (unsigned i = 1; i < 20; i++) {
                snprintf(name, sizeof(name), "d%u", i);
                unit_assert_int(guest_mkdir(guest, 1, name, 0755, P9_NO_ID), 0);
                unit_assert_int(guest_walk(guest, 1, 1, name), 0);
        }
        unit_assert_int(guest_mkdir(guest, 1, "more", 0755, P9_NO_ID), -ENFILE);
        unit_assert_int(guest_walk(guest, 1, 1, "more"), -ENOENT); /* taken back */
        unit_assert_int(guest_clunk(guest, 1), 0);
        unit_assert_int(p9_server_usage(guest->server).nodes, 1);
        guest_close(guest);
}

static void test_file_limit(void)
{
        P9Limits limits = p9_limits_for(512);
        Guest *guest;

        limits.files = 2;
        guest = guest_open_with(limits, false);
        guest_create(guest, 1, "one");
        guest_create(guest, 2, "two");
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 3, ""), 0);
        unit_assert_int(guest_lcreate(guest, 3, "three", O_RDWR, 0644, P9_NO_ID), -ENFILE);
        unit_assert_int(guest_walk(guest, 3, 3, "one"), 0);
        unit_assert_int(guest_lopen(guest, 3, O_RDONLY), -ENFILE);
        unit_assert_int(guest_clunk(guest, 1), 0);
        unit_assert_int(guest_lopen(guest, 3, O_RDONLY), 0);
        guest_close(guest);
}

static void test_xattr_limit(void)
{
        P9Limits limits = p9_limits_for(512);
        Guest *guest;

        limits.xattr = 4096;
        guest = guest_open_with(limits, false);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, ""), 0);
        guest_begin(guest, P9_TXATTRCREATE);
        wire_put_u32(&guest->request, 1);
        guest_put_string(guest, "user.x");
        wire_put_u64(&guest->request, 4096);
        wire_put_u32(&guest->request, 0);
        unit_assert_int(guest_send(guest), -ENOSPC);
        guest->request_bytes[P9_HEADER_SIZE + 4 + 2 + 6 + 2] = 1; /* 4096 + 65536 */
        unit_assert_int(guest_send(guest), -E2BIG);
        guest_close(guest);
}

static void test_read_only(void)
{
        Guest *guest = guest_open_with(p9_limits_for(512), true);
        P9Attributes attributes = {.mode = 0600};
        char text[64];

        unit_assert_int(mkdirat(guest->dir, "dir", 0755), 0);
        unit_assert_int(symlinkat("content", guest->dir, "link"), 0);
        unit_assert_int(close(openat(guest->dir, "file", O_CREAT | O_WRONLY, 0644)), 0);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, "file"), 0);
        unit_assert_int(guest_lopen(guest, 1, O_RDWR), -EROFS);
        unit_assert_int(guest_lopen(guest, 1, O_RDONLY | P9_O_TRUNC), -EROFS);
        unit_assert_int(guest_setattr(guest, 1, P9_SET_MODE, &attributes), -EROFS);
        unit_assert_int(guest_xattr_set(guest, 1, "user.x", "y", 0), -EROFS);
        unit_assert_int(guest_mkdir(guest, GUEST_ROOT, "new", 0755, P9_NO_ID), -EROFS);
        unit_assert_int(guest_unlink(guest, GUEST_ROOT, "file", 0), -EROFS);
        unit_assert_int(guest_renameat(guest, GUEST_ROOT, "file", GUEST_ROOT, "other"), -EROFS);
        unit_assert_int(guest_link(guest, GUEST_ROOT, 1, "other"), -EROFS);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 2, ""), 0);
        unit_assert_int(guest_lcreate(guest, 2, "new", O_RDWR, 0644, P9_NO_ID), -EROFS);
        unit_assert_int(guest_walk(guest, 2, 2, "dir"), 0);
        unit_assert_int(guest_simple(guest, P9_TREMOVE, 2), -EROFS);
        unit_assert_int(guest_clunk(guest, 2), -EBADF); /* the fid is gone all the same */
        unit_assert_int(guest_lopen(guest, 1, O_RDONLY), 0);
        unit_assert_int(guest_read(guest, 1, 0, text), 0);
        unit_assert_int(guest_write(guest, 1, 0, "x", 1), -EROFS);
        guest_close(guest);
}

/* Its files are other machines', too: a guest's locks leave no trace on them, and see none. */
static void test_read_only_locks(void)
{
        Guest *guest = guest_open_with(p9_limits_for(64), true);
        struct flock seen = {.l_type = F_WRLCK};
        int host = openat(guest->dir, "file", O_CREAT | O_RDWR | O_CLOEXEC, 0644);

        unit_assert(host >= 0);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, "file"), 0);
        unit_assert_int(guest_lopen(guest, 1, O_RDONLY), 0);
        unit_assert_int(guest_lock(guest, 1, P9_LOCK_READ, 0, 0), P9_LOCK_SUCCESS);
        unit_assert_int(fcntl(host, F_OFD_GETLK, &seen), 0);
        unit_assert_int(seen.l_type, F_UNLCK);
        unit_assert_int(fcntl(host, F_OFD_SETLK, &(struct flock){.l_type = F_WRLCK}), 0);
        unit_assert_int(guest_lock(guest, 1, P9_LOCK_READ, 0, 0), P9_LOCK_SUCCESS);
        unit_assert_int(guest_lock(guest, 1, P9_LOCK_WRITE, 0, 0), P9_LOCK_SUCCESS);
        unit_assert_int(guest_lock(guest, 1, 3, 0, 0), -EINVAL);
        unit_assert_int(close(host), 0);
        guest_close(guest);
}

/* A bind mount of one file: the export's root isn't a directory. */
static void test_single_file(void)
{
        Guest *guest = guest_open();
        P9ServerConfig config = {.limits = p9_limits_for(64), .proc_fd = guest->proc_fd};
        char text[64];

        config.root_fd = openat(guest->dir, "hosts", O_CREAT | O_RDWR | O_CLOEXEC, 0644);
        unit_assert_int(write(config.root_fd, "content", 7), 7);
        guest->server = p9_server_free(guest->server);
        unit_assert_int(p9_server_new(&guest->server, &config), 0);
        unit_assert_int(guest_version(guest, 8192, "9P2000.L"), 0);
        unit_assert_int(guest_attach(guest, GUEST_ROOT, 0), 0);
        unit_assert_int(guest_get_qid(guest).type, P9_QID_FILE);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, "any"), -ENOTDIR);
        unit_assert_int(guest_lopen(guest, GUEST_ROOT, O_RDWR), 0);
        unit_assert_int(guest_read(guest, GUEST_ROOT, 0, text), 7);
        unit_assert_string(text, "content");
        guest_close(guest);
}

UNIT_MAIN(UNIT_TEST(test_version), UNIT_TEST(test_version_ends_session), UNIT_TEST(test_attach),
          UNIT_TEST(test_walk), UNIT_TEST(test_walk_out), UNIT_TEST(test_fid_kinds),
          UNIT_TEST(test_flush), UNIT_TEST(test_unknown_message), UNIT_TEST(test_broken_frames),
          UNIT_TEST(test_reply_room), UNIT_TEST(test_message_size), UNIT_TEST(test_fid_limit),
          UNIT_TEST(test_node_limit), UNIT_TEST(test_file_limit), UNIT_TEST(test_xattr_limit),
          UNIT_TEST(test_read_only), UNIT_TEST(test_read_only_locks), UNIT_TEST(test_single_file))
