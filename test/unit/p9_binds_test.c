/* The 9p server's made-up root: entries that come and go, what they share and what keeps them apart. */
#include <dirent.h>
#include <sched.h>
#include <sys/mount.h>

#include "test/unit/p9_guest.h"
#include "vmm/p9/binds.h"

static Guest *guest_open_binds(P9Limits limits)
{
        return guest_open_config((P9ServerConfig){.root_fd = FD_NONE, .limits = limits});
}

/* Binds @path of the scratch directory as @name. */
static int bind_path(Guest *guest, const char *name, const char *path, bool read_only)
{
        int fd = openat(guest->dir, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

        unit_assert(fd >= 0);
        return p9_server_add_bind(guest->server, name, fd, read_only);
}

static void put_file(Guest *guest, const char *name, const char *content)
{
        int fd = openat(guest->dir, name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);

        unit_assert_int(write(fd, content, strlen(content)), strlen(content));
        unit_assert_int(close(fd), 0);
}

/* Two directories a and b with a file each, and a single file. */
static Guest *guest_open_three(void)
{
        Guest *guest = guest_open_binds(p9_limits_for(512));

        unit_assert_int(mkdirat(guest->dir, "a", 0755), 0);
        unit_assert_int(mkdirat(guest->dir, "b", 0755), 0);
        put_file(guest, "a/file", "in a");
        put_file(guest, "b/file", "in b");
        put_file(guest, "hosts", "localhost");
        unit_assert_int(bind_path(guest, "b1", "a", false), 0);
        unit_assert_int(bind_path(guest, "b2", "b", true), 0);
        unit_assert_int(bind_path(guest, "b3", "hosts", false), 0);
        return guest;
}

static unsigned count_fds(void)
{
        DIR *dir = opendir("/proc/self/fd");
        unsigned n = 0;

        while (readdir(dir))
                n++;
        closedir(dir);
        return n;
}

static void expect_content(Guest *guest, uint32_t fid, const char *path, const char *expected)
{
        char text[64];

        unit_assert_int(guest_walk(guest, fid, 900, path), 0);
        unit_assert_int(guest_lopen(guest, 900, O_RDONLY), 0);
        unit_assert_int(guest_read(guest, 900, 0, text), strlen(expected));
        unit_assert_string(text, expected);
        unit_assert_int(guest_clunk(guest, 900), 0);
}

static void test_root(void)
{
        Guest *guest = guest_open_three();
        P9Attributes attributes, later;
        P9Qid qid;

        unit_assert_int(guest_getattr(guest, GUEST_ROOT, &attributes), 0);
        unit_assert_int(attributes.mode, S_IFDIR | 0555);
        unit_assert_int(attributes.uid, 0);
        unit_assert_int(attributes.gid, 0);
        unit_assert_int(attributes.n_links, 4);
        unit_assert(attributes.mtime.sec > 1600000000 && attributes.mtime.nsec < 1000000000);
        unit_assert_int(attributes.qid.type, P9_QID_DIR);
        qid = attributes.qid;
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, "b1"), 0);
        unit_assert_int(guest_getattr(guest, 1, &attributes), 0);
        unit_assert(attributes.qid.path != qid.path);
        /* What it has changes when an entry comes or goes. */
        unit_assert_int(p9_server_remove_bind(guest->server, "b1"), 0);
        unit_assert_int(guest_getattr(guest, GUEST_ROOT, &later), 0);
        unit_assert_int(later.n_links, 3);
        unit_assert(later.mtime.sec * 1000000000 + later.mtime.nsec >=
                    attributes.mtime.sec * 1000000000 + attributes.mtime.nsec);
        unit_assert_int(guest_simple(guest, P9_TSTATFS, GUEST_ROOT), 0);
        unit_assert_int(wire_get_u32(&guest->reply), P9_STATFS_TYPE);
        guest_close(guest);
}

/* Nothing changes it, opens it for writing or finds a name there that isn't an entry's. */
static void test_root_is_read_only(void)
{
        const P9Attributes attributes = {.mode = 0777};
        Guest *guest = guest_open_three();
        char text[64];

        unit_assert_int(guest_mkdir(guest, GUEST_ROOT, "new", 0755, P9_NO_ID), -EROFS);
        unit_assert_int(guest_unlink(guest, GUEST_ROOT, "b3", 0), -EROFS);
        unit_assert_int(guest_setattr(guest, GUEST_ROOT, P9_SET_MODE, &attributes), -EROFS);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, ""), 0);
        unit_assert_int(guest_lcreate(guest, 1, "new", O_RDWR, 0644, P9_NO_ID), -EROFS);
        unit_assert_int(guest_lopen(guest, 1, O_RDWR), -EROFS);
        unit_assert_int(guest_lopen(guest, 1, O_RDONLY | P9_O_TRUNC), -EROFS);
        unit_assert_int(guest_xattr_set(guest, 1, "user.x", "y", 0), -EROFS);
        unit_assert_int(guest_xattr_get(guest, GUEST_ROOT, "user.x", text), -ENODATA);
        unit_assert_int(guest_xattr_get(guest, GUEST_ROOT, "", text), 0);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 2, "none"), -ENOENT);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 2, ".."), -EINVAL);
        unit_assert_int(guest_walk_some(guest, GUEST_ROOT, 2, "b1/none", 1), 0);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 2, "b3/none"), -ENOTDIR);
        unit_assert_int(guest_simple(guest, P9_TREADLINK, GUEST_ROOT), -EINVAL);
        unit_assert_int(guest_simple(guest, P9_TREMOVE, 1), -EROFS);
        unit_assert_int(guest_clunk(guest, 1), -EBADF);
        guest_close(guest);
}

static int guest_fsync(Guest *guest, uint32_t fid)
{
        guest_begin(guest, P9_TFSYNC);
        wire_put_u32(&guest->request, fid);
        wire_put_u32(&guest->request, 0);
        return guest_send(guest);
}

static void test_root_kinds(void)
{
        Guest *guest = guest_open_three();
        char text[64];

        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, ""), 0);
        unit_assert_int(guest_fsync(guest, 1), -EBADF);
        unit_assert_int(guest_fetch(guest, P9_TREADDIR, 1, 0, 4096), -EBADF);
        unit_assert_int(guest_read(guest, 1, 0, text), -EBADF);
        unit_assert_int(guest_lopen(guest, 1, O_RDONLY | O_DIRECTORY), 0);
        unit_assert_int(guest_lopen(guest, 1, O_RDONLY), -EBADF);
        unit_assert_int(guest_fsync(guest, 1), 0);
        unit_assert_int(guest_read(guest, 1, 0, text), -EISDIR);
        unit_assert_int(guest_lock(guest, 1, P9_LOCK_READ, 0, 0), -EBADF);
        unit_assert_int(guest_walk(guest, 1, 1, ""), -EINVAL);
        unit_assert_int(guest_walk(guest, 1, 2, "b1/file"), 0);
        unit_assert_int(p9_server_usage(guest->server).files, 0);
        guest_close(guest);
}

/* Reads entries from @offset on into @names, a list with blanks between; the last one's offset. */
static uint64_t list(Guest *guest, uint32_t fid, uint64_t offset, uint32_t count, char *names)
{
        int r = guest_fetch(guest, P9_TREADDIR, fid, offset, count);

        unit_assert(r >= 0);
        names[0] = 0;
        while (wire_left(&guest->reply) > 0) {
                size_t size;

                guest_get_qid(guest);
                offset = wire_get_u64(&guest->reply);
                wire_get_u8(&guest->reply);
                size = wire_get_u16(&guest->reply);
                strncat(names, (const char *)wire_get_bytes(&guest->reply, size), size);
                strcat(names, " ");
        }
        return offset;
}

static void test_list(void)
{
        Guest *guest = guest_open_three();
        char names[256];
        uint64_t offset;

        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, ""), 0);
        unit_assert_int(guest_lopen(guest, 1, O_RDONLY), 0);
        list(guest, 1, 0, 4096, names);
        unit_assert_string(names, ". .. b1 b2 b3 ");
        /* In pieces, while entries go and come: none twice, none of the others missed. */
        offset = list(guest, 1, 0, 3 * P9_DIRENT_SIZE + 5, names);
        unit_assert_string(names, ". .. b1 ");
        unit_assert_int(p9_server_remove_bind(guest->server, "b1"), 0);
        unit_assert_int(p9_server_remove_bind(guest->server, "b2"), 0);
        unit_assert_int(bind_path(guest, "b1", "b", false), 0);
        offset = list(guest, 1, offset, 4096, names);
        unit_assert_string(names, "b3 b1 ");
        list(guest, 1, offset, 4096, names);
        unit_assert_string(names, "");
        list(guest, 1, UINT64_MAX, 4096, names);
        unit_assert_string(names, "");
        unit_assert_int(guest_fetch(guest, P9_TREADDIR, 1, 2, P9_DIRENT_SIZE), -EINVAL);
        guest_close(guest);
}

/* The qid of @name in the listing of @fid, which is opened for this. */
static P9Qid listed_qid(Guest *guest, uint32_t fid, const char *name, uint8_t *ret_type)
{
        unit_assert_int(guest_walk(guest, fid, 900, ""), 0);
        unit_assert_int(guest_lopen(guest, 900, O_RDONLY), 0);
        unit_assert(guest_fetch(guest, P9_TREADDIR, 900, 0, 4096) > 0);
        while (wire_left(&guest->reply) > 0) {
                P9Qid qid = guest_get_qid(guest);
                size_t size;

                wire_get_u64(&guest->reply);
                *ret_type = wire_get_u8(&guest->reply);
                size = wire_get_u16(&guest->reply);
                if (size == strlen(name) &&
                    memcmp(wire_get_bytes(&guest->reply, size), name, size) == 0) {
                        unit_assert_int(guest_clunk(guest, 900), 0);
                        return qid;
                }
                if (size != strlen(name))
                        wire_get_bytes(&guest->reply, size);
        }
        unit_fail("%s isn't listed", name);
}

/* Listed as the entry's root itself is; ".." of that root is the made-up one. */
static void test_list_identities(void)
{
        Guest *guest = guest_open_three();
        P9Attributes root, entry;
        uint8_t type;
        P9Qid qid;

        unit_assert_int(guest_getattr(guest, GUEST_ROOT, &root), 0);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, "b1"), 0);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 3, "b3"), 0);
        unit_assert_int(guest_getattr(guest, 3, &entry), 0);
        qid = listed_qid(guest, GUEST_ROOT, "b3", &type);
        unit_assert_int(qid.path, entry.qid.path);
        unit_assert_int(qid.type, P9_QID_FILE);
        unit_assert_int(type, DT_REG);
        qid = listed_qid(guest, GUEST_ROOT, "..", &type);
        unit_assert_int(qid.path, root.qid.path);
        unit_assert_int(type, DT_DIR);
        qid = listed_qid(guest, 1, "..", &type);
        unit_assert_int(qid.path, root.qid.path);
        qid = listed_qid(guest, 1, ".", &type);
        unit_assert(qid.path != root.qid.path);
        guest_close(guest);
}

static void test_files(void)
{
        Guest *guest = guest_open_three();
        P9Attributes attributes;
        char text[64];

        expect_content(guest, GUEST_ROOT, "b1/file", "in a");
        expect_content(guest, GUEST_ROOT, "b2/file", "in b");
        /* A single file. */
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, "b3"), 0);
        unit_assert_int(guest_walk(guest, 1, 2, ""), 0);
        unit_assert_int(guest_lopen(guest, 2, O_RDWR), 0);
        unit_assert_int(guest_read(guest, 2, 0, text), 9);
        unit_assert_int(guest_write(guest, 2, 9, "!", 1), 1);
        unit_assert_int(guest_truncate(guest, 1, 5), 0);
        unit_assert_int(guest_getattr(guest, 1, &attributes), 0);
        unit_assert_int(attributes.size, 5);
        unit_assert_int(attributes.mode, S_IFREG | 0644);
        unit_assert_int(guest_xattr_set(guest, 1, "user.x", "y", 0), 0);
        unit_assert_int(guest_lock(guest, 2, P9_LOCK_WRITE, 0, 0), P9_LOCK_SUCCESS);
        unit_assert_int(guest_simple(guest, P9_TREMOVE, 1), -EBUSY); /* its name isn't its own */
        guest_close(guest);
}

static void test_read_only(void)
{
        Guest *guest = guest_open_three();

        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, "b2"), 0);
        unit_assert_int(guest_mkdir(guest, 1, "new", 0755, P9_NO_ID), -EROFS);
        unit_assert_int(guest_walk(guest, 1, 2, "file"), 0);
        unit_assert_int(guest_lopen(guest, 2, O_RDWR), -EROFS);
        unit_assert_int(guest_truncate(guest, 2, 0), -EROFS);
        /* The same tree writable: another entry, and nothing of one reaches the other. */
        unit_assert_int(bind_path(guest, "b4", "b", false), 0);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 3, "b4"), 0);
        unit_assert_int(guest_walk(guest, 3, 4, "file"), 0);
        unit_assert_int(guest_truncate(guest, 4, 2), 0);
        unit_assert_int(guest_truncate(guest, 2, 0), -EROFS);
        expect_content(guest, 1, "file", "in");
        guest_close(guest);

        guest = guest_open_config((P9ServerConfig){
                .root_fd = FD_NONE, .read_only = true, .limits = p9_limits_for(64)});
        unit_assert_int(bind_path(guest, "b1", ".", false), 0);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, "b1"), 0);
        unit_assert_int(guest_mkdir(guest, 1, "new", 0755, P9_NO_ID), -EROFS);
        guest_close(guest);
}

static int guest_rename(Guest *guest, uint32_t fid, uint32_t dir_fid, const char *name)
{
        guest_begin(guest, P9_TRENAME);
        wire_put_u32(&guest->request, fid);
        wire_put_u32(&guest->request, dir_fid);
        guest_put_string(guest, name);
        return guest_send(guest);
}

/* Two entries of one directory are as far apart as two file systems. */
static void test_across(void)
{
        Guest *guest = guest_open_three();

        unit_assert_int(bind_path(guest, "b4", "a", false), 0);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, "b1"), 0);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 2, "b4"), 0);
        unit_assert_int(guest_walk(guest, 1, 3, "file"), 0);
        unit_assert_int(guest_renameat(guest, 1, "file", 2, "moved"), -EXDEV);
        unit_assert_int(guest_renameat(guest, 1, "file", GUEST_ROOT, "moved"), -EXDEV);
        unit_assert_int(guest_rename(guest, 3, 2, "moved"), -EXDEV);
        unit_assert_int(guest_link(guest, 2, 3, "linked"), -EXDEV);
        unit_assert_int(guest_link(guest, 2, GUEST_ROOT, "linked"), -EXDEV);
        unit_assert_int(guest_rename(guest, 1, 1, "moved"), -EBUSY);
        unit_assert_int(guest_renameat(guest, 1, "file", 1, "moved"), 0);
        unit_assert_int(guest_link(guest, 1, 3, "linked"), 0);
        expect_content(guest, 2, "linked", "in a");
        guest_close(guest);
}

/* Gone at once for names; what is open, and what is walked to from it, goes on. */
static void test_remove(void)
{
        Guest *guest = guest_open_three();
        unsigned nodes = p9_server_usage(guest->server).nodes;
        P9Attributes attributes;
        char text[64];

        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, "b1"), 0);
        unit_assert_int(guest_walk(guest, 1, 2, "file"), 0);
        unit_assert_int(guest_walk(guest, 2, 3, ""), 0);
        unit_assert_int(guest_lopen(guest, 3, O_RDWR), 0);
        unit_assert_int(p9_server_remove_bind(guest->server, "b1"), 0);
        unit_assert_int(p9_server_remove_bind(guest->server, "b1"), -ENOENT);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 4, "b1"), -ENOENT);
        /* Its name may be another's while it lives on. */
        unit_assert_int(bind_path(guest, "b1", "b", false), 0);
        expect_content(guest, GUEST_ROOT, "b1/file", "in b");
        unit_assert_int(guest_read(guest, 3, 0, text), 4);
        unit_assert_int(guest_write(guest, 3, 4, "!", 1), 1);
        expect_content(guest, 1, "file", "in a!");
        unit_assert_int(guest_mkdir(guest, 1, "new", 0755, P9_NO_ID), 0);
        unit_assert_int(guest_getattr(guest, 1, &attributes), 0);
        unit_assert_int(guest_clunk(guest, 3), 0);
        unit_assert_int(guest_clunk(guest, 1), 0);
        expect_content(guest, 2, "", "in a!"); /* by the root, which nobody else holds */
        unit_assert_int(p9_server_usage(guest->server).nodes, nodes + 2);
        unit_assert_int(guest_clunk(guest, 2), 0);
        unit_assert_int(p9_server_usage(guest->server).nodes, nodes);
        unit_assert_int(p9_server_usage(guest->server).paths, nodes - 1);
        guest_close(guest);
}

/* A file that lost its last name is the last of its tree. */
static void test_remove_unlinked(void)
{
        Guest *guest = guest_open_three();
        unsigned before = count_fds();

        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, "b1"), 0);
        unit_assert_int(guest_walk(guest, 1, 2, "file"), 0);
        unit_assert_int(p9_server_remove_bind(guest->server, "b1"), 0);
        unit_assert_int(guest_unlink(guest, 1, "file", 0), 0);
        unit_assert_int(guest_clunk(guest, 1), 0);
        expect_content(guest, 2, "", "in a");
        unit_assert_int(guest_clunk(guest, 2), 0);
        unit_assert_int(count_fds(), before - 1);
        guest_close(guest);
}

/* Whatever becomes of a session and its binds, no fd stays. */
static void test_no_leaks(void)
{
        unsigned before = count_fds();
        Guest *guest = guest_open_three();

        for (unsigned i = 0; i < 100; i++) {
                unit_assert_int(bind_path(guest, "x", i % 2 ? "a" : "hosts", false), 0);
                unit_assert_int(bind_path(guest, "x", "b", false), -EEXIST);
                unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, "x"), 0);
                if (i % 3)
                        unit_assert_int(p9_server_remove_bind(guest->server, "x"), 0);
                if (i % 5)
                        unit_assert_int(guest_clunk(guest, 1), 0);
                else
                        unit_assert_int(guest_version(guest, P9_MSIZE_MAX, "9P2000.L"), 0);
                if (i % 5 == 0)
                        unit_assert_int(guest_attach(guest, GUEST_ROOT, P9_NO_ID), 0);
                if (i % 3 == 0)
                        unit_assert_int(p9_server_remove_bind(guest->server, "x"), 0);
                unit_assert_int(p9_server_usage(guest->server).nodes, 4);
        }
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, "b1/file"), 0);
        unit_assert_int(p9_server_remove_bind(guest->server, "b1"), 0);
        guest_close(guest); /* with a fid on a tree that was taken away */
        unit_assert_int(count_fds(), before);
}

static void test_refusals(void)
{
        static const char *const names[] = {"", ".", "..", "a/b"};
        unsigned before = count_fds();
        Guest *guest = guest_open_three();
        char name[300];

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                unit_assert_int(bind_path(guest, names[i], "a", false), -EINVAL);
        memset(name, 'x', sizeof(name) - 1);
        name[sizeof(name) - 1] = 0;
        unit_assert_int(bind_path(guest, name, "a", false), -EINVAL);
        unit_assert_int(p9_server_add_bind(guest->server, "x", FD_NONE, false), -EBADF);
        for (unsigned i = 3; i < P9_BINDS_MAX; i++) {
                snprintf(name, sizeof(name), "n%u", i);
                unit_assert_int(bind_path(guest, name, "a", false), 0);
        }
        unit_assert_int(bind_path(guest, "x", "a", false), -ENOSPC);
        guest_close(guest);
        /* A server with a root of its own. */
        guest = guest_open();
        unit_assert_int(bind_path(guest, "x", ".", false), -EINVAL);
        unit_assert_int(p9_server_remove_bind(guest->server, "x"), -EINVAL);
        guest_close(guest);
        unit_assert_int(count_fds(), before);
}

/* The limits are those of all trees together, and whichever rested longest gives its fds up. */
static void test_limits(void)
{
        P9Limits limits = p9_limits_for(512);
        Guest *guest;
        char name[16];

        limits.paths = P9_PATHS_MIN;
        limits.nodes = 40;
        guest = guest_open_binds(limits);
        unit_assert_int(mkdirat(guest->dir, "a", 0755), 0);
        unit_assert_int(mkdirat(guest->dir, "b", 0755), 0);
        for (unsigned i = 0; i < 40; i++) {
                snprintf(name, sizeof(name), "%c/%u", i % 2 ? 'a' : 'b', i);
                put_file(guest, name, name);
        }
        unit_assert_int(bind_path(guest, "a", "a", false), 0);
        unit_assert_int(bind_path(guest, "b", "b", false), 0);
        for (unsigned i = 0; i < 37; i++) {
                snprintf(name, sizeof(name), "%c/%u", i % 2 ? 'a' : 'b', i);
                unit_assert_int(guest_walk(guest, GUEST_ROOT, 100 + i, name), 0);
        }
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 200, "a/39"), -ENFILE);
        unit_assert_int(p9_server_usage(guest->server).nodes, 40);
        unit_assert(p9_server_usage(guest->server).paths <= P9_PATHS_MIN);
        for (unsigned i = 0; i < 37; i++) {
                snprintf(name, sizeof(name), "%c/%u", i % 2 ? 'a' : 'b', i);
                expect_content(guest, 100 + i, "", name);
        }
        unit_assert_int(bind_path(guest, "x", "a", false), -ENFILE);
        guest_close(guest);
}

/* Files of two file systems with the same inode number. */
static void test_devices(void)
{
        P9Attributes first, second;
        Guest *guest;

        if (unshare(CLONE_NEWNS) < 0) {
                printf("# skipped: no mount namespace: %s\n", strerror(errno));
                return;
        }
        unit_assert_int(mount("none", "/", "", MS_REC | MS_PRIVATE, NULL), 0);
        guest = guest_open_binds(p9_limits_for(512));
        for (unsigned i = 0; i < 2; i++) {
                const char *name = i ? "b" : "a";
                char path[80];

                snprintf(path, sizeof(path), "%s/%s", guest->path, name);
                unit_assert_int(mkdir(path, 0755), 0);
                unit_assert_int(mount("none", path, "tmpfs", 0, NULL), 0);
                unit_assert_int(bind_path(guest, name, name, false), 0);
        }
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 1, "a"), 0);
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 2, "b"), 0);
        unit_assert_int(guest_getattr(guest, 1, &first), 0);
        unit_assert_int(guest_getattr(guest, 2, &second), 0);
        unit_assert(first.qid.path != second.qid.path);
        p9_server_remove_bind(guest->server, "a");
        unit_assert_int(guest_clunk(guest, 1), 0);
        for (unsigned i = 0; i < 2; i++) {
                char path[80];

                snprintf(path, sizeof(path), "%s/%s", guest->path, i ? "b" : "a");
                /* The one that was taken away is nobody's any more. */
                unit_assert_int(umount(path), i ? -1 : 0);
                umount2(path, MNT_DETACH);
        }
        guest_close(guest);
}

UNIT_MAIN(UNIT_TEST(test_root), UNIT_TEST(test_root_is_read_only), UNIT_TEST(test_root_kinds),
          UNIT_TEST(test_list), UNIT_TEST(test_list_identities), UNIT_TEST(test_files),
          UNIT_TEST(test_read_only), UNIT_TEST(test_across), UNIT_TEST(test_remove),
          UNIT_TEST(test_remove_unlinked), UNIT_TEST(test_no_leaks), UNIT_TEST(test_refusals),
          UNIT_TEST(test_limits), UNIT_TEST(test_devices))
