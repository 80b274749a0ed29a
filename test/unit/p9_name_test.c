/*
 * Names that change under fids: unlink, rename and links, by the guest and behind its back, with
 * all fds open and with too few of them, so that nodes are closed and opened again.
 */
#include <sched.h>
#include <sys/mount.h>

#include "test/unit/p9_guest.h"

/* A guest whose server can't keep more than a few files open. */
static Guest *guest_open_narrow(void)
{
        P9Limits limits = p9_limits_for(512);

        limits.paths = P9_PATHS_MIN;
        return guest_open_with(limits, false);
}

/* Touches so many other files that every fd that may be closed is. */
static void use_up_fds(Guest *guest)
{
        char name[16];

        for (unsigned i = 0; i < 2 * P9_PATHS_MIN; i++) {
                snprintf(name, sizeof(name), "filler%u", i);
                mknodat(guest->dir, name, S_IFREG | 0600, 0);
                unit_assert_int(guest_walk(guest, GUEST_ROOT, 1000 + i, name), 0);
        }
        for (unsigned i = 0; i < 2 * P9_PATHS_MIN; i++)
                unit_assert_int(guest_clunk(guest, 1000 + i), 0);
}

static void put_file(Guest *guest, const char *name, const char *content)
{
        int fd = openat(guest->dir, name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);

        unit_assert_int(write(fd, content, strlen(content)), strlen(content));
        unit_assert_int(close(fd), 0);
}

/* The content of what @fid names, by a fid opened for this. */
static int fid_content(Guest *guest, uint32_t fid, char ret[static 64])
{
        int r = guest_walk(guest, fid, 900, "");

        if (r == 0)
                r = guest_lopen(guest, 900, O_RDONLY);
        if (r == 0)
                r = guest_read(guest, 900, 0, ret);
        guest_clunk(guest, 900);
        return r;
}

static void expect_content(Guest *guest, uint32_t fid, const char *expected)
{
        char content[64];

        unit_assert_int(fid_content(guest, fid, content), strlen(expected));
        unit_assert_string(content, expected);
}

static void check_unlinked_file(Guest *guest, uint32_t opened, uint32_t unopened)
{
        P9Attributes attributes;
        char text[64];

        unit_assert_int(guest_write(guest, opened, 0, "still here", 10), 10);
        unit_assert_int(guest_read(guest, opened, 0, text), 10);
        unit_assert_int(guest_getattr(guest, opened, &attributes), 0);
        unit_assert_int(attributes.n_links, 0);
        unit_assert_int(attributes.size, 10);
        unit_assert_int(guest_getattr(guest, unopened, &attributes), 0);
        unit_assert_int(attributes.n_links, 0);
        unit_assert_int(guest_truncate(guest, opened, 5), 0);
        unit_assert_int(guest_truncate(guest, unopened, 4), 0);
        unit_assert_int(guest_getattr(guest, opened, &attributes), 0);
        unit_assert_int(attributes.size, 4);
        unit_assert_int(guest_setattr(guest, opened, P9_SET_MODE, &(P9Attributes){.mode = 0600}),
                        0);
        guest_xattr_set(guest, opened, "user.key", "value", 0);
        if (guest_xattr_get(guest, opened, "user.key", text) != -EOPNOTSUPP)
                unit_assert_string(text, "value");
        unit_assert_int(guest_lock(guest, opened, P9_LOCK_WRITE, 0, 0), P9_LOCK_SUCCESS);
        expect_content(guest, unopened, "stil");
        unit_assert_int(guest_link(guest, GUEST_ROOT, opened, "again"), -ENOENT);
}

static void test_unlinked_file(void)
{
        Guest *guest = guest_open();

        guest_create(guest, 1, "file");
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 2, "file"), 0);
        unit_assert_int(guest_unlink(guest, GUEST_ROOT, "file", 0), 0);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 3, "file"), -ENOENT);
        check_unlinked_file(guest, 1, 2);
        guest_close(guest);
}

static void test_unlinked_with_few_fds(void)
{
        Guest *guest = guest_open_narrow();

        guest_create(guest, 1, "file");
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 2, "file"), 0);
        use_up_fds(guest);
        unit_assert_int(guest_unlink(guest, GUEST_ROOT, "file", 0), 0);
        use_up_fds(guest);
        check_unlinked_file(guest, 1, 2);
        guest_close(guest);
}

/* By a host program, while the node has its fd: it keeps it. */
static void test_unlinked_behind_our_back(void)
{
        Guest *guest = guest_open_narrow();

        guest_create(guest, 1, "file");
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 2, "file"), 0);
        unit_assert_int(unlinkat(guest->dir, "file", 0), 0);
        use_up_fds(guest);
        check_unlinked_file(guest, 1, 2);
        guest_close(guest);
}

/* The name leads to another file now; each fid keeps its own. */
static void test_replaced_file(void)
{
        Guest *guest = guest_open_narrow();

        put_file(guest, "file", "old");
        put_file(guest, "new", "new");
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, "file"), 0);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 2, "new"), 0);
        use_up_fds(guest);
        unit_assert_int(guest_renameat(guest, GUEST_ROOT, "new", GUEST_ROOT, "file"), 0);
        use_up_fds(guest);
        expect_content(guest, 1, "old");
        expect_content(guest, 2, "new");
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 3, "file"), 0);
        expect_content(guest, 3, "new");
        guest_close(guest);
}

/* Replaced by the host while the node was closed: stale, and never the other file. */
static void test_stale(void)
{
        Guest *guest = guest_open_narrow();
        P9Attributes attributes;

        put_file(guest, "file", "old");
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, "file"), 0);
        use_up_fds(guest);
        put_file(guest, "other", "new");
        unit_assert_int(renameat(guest->dir, "other", guest->dir, "file"), 0);
        unit_assert_int(guest_getattr(guest, 1, &attributes), -ESTALE);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 2, "file"), 0);
        expect_content(guest, 2, "new");
        unit_assert_int(guest_getattr(guest, 1, &attributes), -ESTALE);
        unit_assert_int(guest_simple(guest, P9_TREMOVE, 1), -ESTALE);
        unit_assert_int(guest_clunk(guest, 1), -EBADF);
        guest_close(guest);
}

/* The inode number is used again for another file: not the same file, whatever the number. */
static void test_inode_used_again(void)
{
        Guest *guest = guest_open_narrow();
        P9Attributes attributes;
        P9Qid before, after;
        int r;

        put_file(guest, "file", "old");
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, "file"), 0);
        unit_assert_int(guest_getattr(guest, 1, &attributes), 0);
        before = attributes.qid;
        use_up_fds(guest);
        unit_assert_int(unlinkat(guest->dir, "file", 0), 0);
        put_file(guest, "file", "new");
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 2, "file"), 0);
        unit_assert_int(guest_getattr(guest, 2, &attributes), 0);
        after = attributes.qid;
        unit_assert(before.path != after.path || before.version != after.version);
        r = guest_getattr(guest, 1, &attributes);
        unit_assert_int(r, -ESTALE);
        unit_assert_int(guest_clunk(guest, 1), 0);
        expect_content(guest, 2, "new");
        guest_close(guest);
}

static void test_hard_links(void)
{
        Guest *guest = guest_open_narrow();
        P9Attributes a, b;

        put_file(guest, "one", "content");
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, "one"), 0);
        unit_assert_int(guest_link(guest, GUEST_ROOT, 1, "two"), 0);
        unit_assert_int(guest_link(guest, GUEST_ROOT, 1, "two"), -EEXIST);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 2, "two"), 0);
        unit_assert_int(guest_getattr(guest, 1, &a), 0);
        unit_assert_int(guest_getattr(guest, 2, &b), 0);
        unit_assert_int(a.n_links, 2);
        unit_assert(a.qid.path == b.qid.path && a.qid.version == b.qid.version);
        unit_assert_int(p9_server_usage(guest->server).nodes, 2);
        /* Either name may go; the file is found by the other. */
        use_up_fds(guest);
        unit_assert_int(guest_unlink(guest, GUEST_ROOT, "two", 0), 0);
        use_up_fds(guest);
        expect_content(guest, 1, "content");
        expect_content(guest, 2, "content");
        guest_close(guest);
}

/* A link to a symbolic link is one to the link itself, not to its target. */
static void test_link_to_symlink(void)
{
        Guest *guest = guest_open();
        P9Attributes attributes;

        unit_assert_int(symlinkat("/etc/passwd", guest->dir, "symlink"), 0);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, "symlink"), 0);
        unit_assert_int(guest_link(guest, GUEST_ROOT, 1, "second"), 0);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 2, "second"), 0);
        unit_assert_int(guest_getattr(guest, 2, &attributes), 0);
        unit_assert_int(attributes.mode & S_IFMT, S_IFLNK);
        unit_assert_int(attributes.n_links, 2);
        guest_close(guest);
}

static void test_rename_directory(void)
{
        Guest *guest = guest_open_narrow();

        unit_assert_int(mkdirat(guest->dir, "a", 0755), 0);
        unit_assert_int(mkdirat(guest->dir, "a/b", 0755), 0);
        unit_assert_int(mkdirat(guest->dir, "z", 0755), 0);
        put_file(guest, "a/b/file", "deep");
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, "a/b/file"), 0);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 2, "a/b"), 0);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 3, "z"), 0);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 4, "a"), 0);
        use_up_fds(guest);
        unit_assert_int(guest_renameat(guest, GUEST_ROOT, "a", 3, "moved"), 0);
        use_up_fds(guest);
        expect_content(guest, 1, "deep");
        unit_assert_int(guest_walk(guest, 2, 5, "file"), 0);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 6, "z/moved/b/file"), 0);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 7, "a"), -ENOENT);
        /* A directory can't go below itself, and our books agree. */
        unit_assert_int(guest_renameat(guest, GUEST_ROOT, "z", 4, "loop"), -EINVAL);
        unit_assert_int(guest_renameat(guest, 3, "none", 3, "other"), -ENOENT);
        guest_close(guest);
}

/* Trename and Tremove go by the fid's own name. */
static void test_by_fid(void)
{
        Guest *guest = guest_open_narrow();

        unit_assert_int(mkdirat(guest->dir, "dir", 0755), 0);
        put_file(guest, "file", "content");
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, "file"), 0);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 2, "dir"), 0);
        use_up_fds(guest);
        guest_begin(guest, P9_TRENAME);
        wire_put_u32(&guest->request, 1);
        wire_put_u32(&guest->request, 2);
        guest_put_string(guest, "name");
        unit_assert_int(guest_send(guest), 0);
        unit_assert_int(faccessat(guest->dir, "dir/name", F_OK, 0), 0);
        expect_content(guest, 1, "content");
        unit_assert_int(guest_walk(guest, 2, 3, ""), 0);
        unit_assert_int(guest_simple(guest, P9_TREMOVE, 3), -ENOTEMPTY);
        unit_assert_int(guest_clunk(guest, 3), -EBADF);
        unit_assert_int(guest_simple(guest, P9_TREMOVE, 1), 0);
        unit_assert_int(faccessat(guest->dir, "dir/name", F_OK, 0), -1);
        unit_assert_int(guest_simple(guest, P9_TREMOVE, 2), 0);
        unit_assert_int(faccessat(guest->dir, "dir", F_OK, 0), -1);
        unit_assert_int(guest_simple(guest, P9_TREMOVE, GUEST_ROOT), -EBUSY);
        guest_close(guest);
}

/* Directories change places on the host, so that what we remember would make a circle. */
static void test_circle(void)
{
        Guest *guest = guest_open_narrow();
        P9Attributes attributes;

        unit_assert_int(mkdirat(guest->dir, "a", 0755), 0);
        unit_assert_int(mkdirat(guest->dir, "a/b", 0755), 0);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, "a/b"), 0); /* b below a */
        unit_assert_int(renameat(guest->dir, "a/b", guest->dir, "b"), 0);
        unit_assert_int(renameat(guest->dir, "a", guest->dir, "b/a"), 0);
        unit_assert_int(guest_walk(guest, 1, 2, "a"), 0); /* a below b */
        use_up_fds(guest);
        unit_assert_int(guest_getattr(guest, 1, &attributes), 0);
        unit_assert_int(guest_getattr(guest, 2, &attributes), 0);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 3, "b/a"), 0);
        guest_close(guest);
}

static void test_remove_directory(void)
{
        Guest *guest = guest_open();
        P9Attributes attributes;

        unit_assert_int(guest_mkdir(guest, GUEST_ROOT, "dir", 0750, P9_NO_ID), 0);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, "dir"), 0);
        unit_assert_int(guest_unlink(guest, GUEST_ROOT, "dir", 0), -EISDIR);
        put_file(guest, "dir/file", "x");
        unit_assert_int(guest_unlink(guest, GUEST_ROOT, "dir", P9_AT_REMOVEDIR), -ENOTEMPTY);
        unit_assert_int(guest_unlink(guest, 1, "file", P9_AT_REMOVEDIR), -ENOTDIR);
        unit_assert_int(guest_unlink(guest, 1, "file", 1), -EINVAL);
        unit_assert_int(guest_unlink(guest, 1, "file", 0), 0);
        unit_assert_int(guest_unlink(guest, GUEST_ROOT, "dir", P9_AT_REMOVEDIR), 0);
        unit_assert_int(guest_getattr(guest, 1, &attributes), 0);
        unit_assert_int(guest_mkdir(guest, 1, "lost", 0755, P9_NO_ID), -ENOENT);
        guest_close(guest);
}

/* Many more files than fds, each found again; and no fd is lost on the way. */
static void test_many_files(void)
{
        enum { N = 500 };
        Guest *guest = guest_open_narrow();
        char name[16];

        for (uint32_t i = 1; i <= N; i++) {
                snprintf(name, sizeof(name), "%u", i);
                put_file(guest, name, name);
                unit_assert_int(guest_walk(guest, GUEST_ROOT, i, name), 0);
                unit_assert(p9_server_usage(guest->server).paths <= P9_PATHS_MIN);
        }
        for (uint32_t i = N; i > 0; i--) {
                snprintf(name, sizeof(name), "%u", i);
                expect_content(guest, i, name);
        }
        unit_assert_int(p9_server_usage(guest->server).nodes, N + 1);
        for (uint32_t i = 1; i <= N; i++)
                unit_assert_int(guest_clunk(guest, i), 0);
        unit_assert_int(p9_server_usage(guest->server).nodes, 1);
        unit_assert_int(p9_server_usage(guest->server).paths, 1);
        guest_close(guest);
}

/* Files without names can't give their fds up: that is the limit. */
static void test_too_many_unlinked(void)
{
        Guest *guest = guest_open_narrow();
        char name[16];
        uint32_t i;
        int r = 0;

        for (i = 1; i < 100 && r == 0; i++) {
                snprintf(name, sizeof(name), "%u", i);
                put_file(guest, name, name);
                r = guest_walk(guest, GUEST_ROOT, i, name);
                unit_assert_int(guest_unlink(guest, GUEST_ROOT, name, 0), 0);
        }
        unit_assert_int(r, -ENFILE);
        unit_assert_int(i, P9_PATHS_MIN + 1);
        unit_assert_int(guest_clunk(guest, 1), 0);
        put_file(guest, "file", "x");
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, "file"), 0);
        guest_close(guest);
}

/* On overlayfs a file changes its birth, or even its number, when it is first written. */
static void test_copy_up(void)
{
        /* Before the guest: its root belongs to the namespace it was opened in. */
        bool own = unshare(CLONE_NEWNS) == 0 &&
                   mount("none", "/", "", MS_REC | MS_PRIVATE, NULL) == 0;
        Guest *guest = guest_open_narrow();
        char options[256], merged[80];
        char name[16];

        for (size_t i = 0; i < 4; i++)
                unit_assert_int(mkdirat(guest->dir, (const char *[]){"l", "u", "w", "m"}[i], 0755),
                                0);
        for (unsigned i = 0; i < 2 * P9_PATHS_MIN; i++) {
                snprintf(name, sizeof(name), "l/%u", i);
                put_file(guest, name, "lower");
        }
        snprintf(options, sizeof(options), "lowerdir=%1$s/l,upperdir=%1$s/u,workdir=%1$s/w",
                 guest->path);
        snprintf(merged, sizeof(merged), "%s/m", guest->path);
        if (!own || mount("overlay", merged, "overlay", 0, options) < 0) {
                printf("# skipped: can't mount an overlay: %s\n", strerror(errno));
                guest_close(guest);
                return;
        }
        for (unsigned i = 0; i < 2 * P9_PATHS_MIN; i++) {
                snprintf(name, sizeof(name), "m/%u", i);
                unit_assert_int(guest_walk(guest, GUEST_ROOT, 100 + i, name), 0);
                unit_assert_int(guest_walk(guest, 100 + i, 200 + i, ""), 0);
                unit_assert_int(guest_lopen(guest, 200 + i, O_RDWR), 0);
                unit_assert_int(guest_write(guest, 200 + i, 0, "upper", 5), 5);
                unit_assert_int(guest_clunk(guest, 200 + i), 0);
        }
        for (unsigned i = 0; i < 2 * P9_PATHS_MIN; i++)
                expect_content(guest, 100 + i, "upper");
        guest->server = p9_server_free(guest->server);
        unit_assert_int(umount2(merged, MNT_DETACH), 0);
        guest_close(guest);
}

UNIT_MAIN(UNIT_TEST(test_unlinked_file), UNIT_TEST(test_unlinked_with_few_fds),
          UNIT_TEST(test_unlinked_behind_our_back), UNIT_TEST(test_replaced_file),
          UNIT_TEST(test_stale), UNIT_TEST(test_inode_used_again), UNIT_TEST(test_hard_links),
          UNIT_TEST(test_link_to_symlink), UNIT_TEST(test_rename_directory), UNIT_TEST(test_by_fid),
          UNIT_TEST(test_circle), UNIT_TEST(test_remove_directory), UNIT_TEST(test_many_files),
          UNIT_TEST(test_too_many_unlinked), UNIT_TEST(test_copy_up))
