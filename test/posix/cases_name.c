/* Names: rename(2), link(2), symlink(2), lengths and bytes. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "posix.h"

static void rename_file(void)
{
        ino_t inode;

        posix_file("a", "a");
        posix_file("b", "b");
        inode = posix_stat("a").st_ino;
        TRY(rename("a", "b"));
        CHECK(!posix_exists("a"));
        CHECK(posix_stat("b").st_ino == inode);
        CHECK(posix_file_is("b", "a"));
        FAILS(ENOENT, rename("a", "c"));
}

static void rename_directory(void)
{
        posix_file("file", "");
        TRY(mkdir("dir", 0755));
        TRY(mkdir("empty", 0755));
        TRY(mkdir("full", 0755));
        posix_file("full/file", "");
        FAILS(EISDIR, rename("file", "dir"));
        FAILS(ENOTDIR, rename("dir", "file"));
        FAILS(EINVAL, rename("full", "full/below"));
        CHECK(rename("dir", "full") < 0 && (errno == ENOTEMPTY || errno == EEXIST));
        CHECK(rename("full/file", "full") < 0); /* EISDIR or ENOTEMPTY, by the file system */
        TRY(rename("full", "empty"));
        CHECK(posix_exists("empty/file") && !posix_exists("full"));
        FAILS(EBUSY, rename("empty/.", "x"));
        FAILS(EBUSY, rename("empty/..", "x"));
}

static void rename_under_fds(void)
{
        char path[PATH_MAX];
        int dir_fd, fd;

        TRY(mkdir("from", 0755));
        TRY(mkdir("from/dir", 0755));
        TRY(mkdir("to", 0755));
        fd = posix_file("from/dir/file", "text");
        dir_fd = TRY(open("from/dir", O_RDONLY | O_DIRECTORY));
        TRY(chdir("from/dir"));
        TRY(rename("../../from", "../../to/moved"));
        CHECK(posix_fd_is(fd, "text"));
        CHECK(posix_file_is("file", "text"));
        CHECK(getcwd(path, sizeof(path)));
        CHECK(strstr(path, "/to/moved/dir"));
        TRY(openat(dir_fd, "more", O_CREAT | O_WRONLY, 0644));
        TRY(chdir("../../.."));
        CHECK(posix_exists("to/moved/dir/more"));
        CHECK(posix_file_is("to/moved/dir/file", "text"));
}

static void rename_parent(void)
{
        TRY(mkdir("a", 0755));
        TRY(mkdir("b", 0755));
        TRY(mkdir("a/dir", 0755));
        TRY(rename("a/dir", "b/dir"));
        CHECK(posix_stat("b/dir/..").st_ino == posix_stat("b").st_ino);
        CHECK(posix_stat("a").st_nlink == 2);
        CHECK(posix_stat("b").st_nlink == 3);
}

static void rename_onto_link(void)
{
        posix_file("a", "text");
        TRY(link("a", "b"));
        TRY(rename("a", "b"));
        CHECK(posix_exists("a") && posix_exists("b"));
        TRY(rename("a", "a"));
        CHECK(posix_exists("a"));
}

static void rename_symlink(void)
{
        posix_file("file", "text");
        TRY(symlink("file", "link"));
        TRY(rename("link", "moved"));
        CHECK(S_ISLNK(posix_stat("moved").st_mode));
        TRY(rename("file", "moved"));
        CHECK(S_ISREG(posix_stat("moved").st_mode));
}

static void rename_noreplace(void)
{
        posix_file("a", "a");
        posix_file("b", "b");
        FAILS(EEXIST, renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE));
        TRY(renameat2(AT_FDCWD, "a", AT_FDCWD, "c", RENAME_NOREPLACE));
}

static void rename_exchange(void)
{
        posix_file("a", "a");
        posix_file("b", "b");
        TRY(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE));
        CHECK(posix_file_is("a", "b"));
        CHECK(posix_file_is("b", "a"));
}

static void rename_devices(void)
{
        posix_file("file", "text");
        FAILS(EXDEV, rename("file", "/dev/shm/posix-test"));
        FAILS(EXDEV, link("file", "/dev/shm/posix-test"));
}

static void link_identity(void)
{
        int fd = posix_file("a", "text");
        struct stat a, b;

        TRY(link("a", "b"));
        a = posix_stat("a"), b = posix_stat("b");
        CHECK(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
        CHECK(a.st_nlink == 2 && b.st_nlink == 2 && posix_fstat(fd).st_nlink == 2);
        TRY(unlink("a"));
        CHECK(posix_stat("b").st_nlink == 1);
        CHECK(posix_fstat(fd).st_nlink == 1);
        CHECK(posix_file_is("b", "text"));
}

static void link_content(void)
{
        int a = posix_file("a", "text"), b;

        TRY(link("a", "b"));
        b = TRY(open("b", O_RDWR));
        CHECK(TRY(pwrite(a, "NEW", 3, 0)) == 3);
        CHECK(posix_fd_is(b, "NEWt"));
        TRY(ftruncate(b, 2));
        CHECK(posix_fstat(a).st_size == 2);
        TRY(fchmod(a, 0600));
        CHECK((posix_stat("b").st_mode & 07777) == 0600);
        TRY(mkdir("dir", 0755));
        TRY(link("dir/../b", "dir/c"));
        CHECK(posix_file_is("dir/c", "NE"));
}

static void link_errors(void)
{
        posix_file("file", "");
        TRY(mkdir("dir", 0755));
        FAILS(EPERM, link("dir", "other"));
        FAILS(EEXIST, link("file", "dir"));
        FAILS(EEXIST, link("file", "file"));
        FAILS(ENOENT, link("nothing", "other"));
}

static void link_to_symlink(void)
{
        posix_file("file", "text");
        TRY(symlink("file", "link"));
        TRY(linkat(AT_FDCWD, "link", AT_FDCWD, "hard", 0));
        CHECK(S_ISLNK(posix_stat("hard").st_mode));
        CHECK(posix_stat("hard").st_ino == posix_stat("link").st_ino);
        TRY(linkat(AT_FDCWD, "link", AT_FDCWD, "followed", AT_SYMLINK_FOLLOW));
        CHECK(S_ISREG(posix_stat("followed").st_mode));
}

static void symlink_target(void)
{
        char target[PATH_MAX], back[PATH_MAX + 1];

        memset(target, 'x', sizeof(target));
        target[sizeof(target) - 1] = 0;
        TRY(symlink("some/where", "link"));
        CHECK(TRY(readlink("link", back, sizeof(back))) == 10);
        CHECK(memcmp(back, "some/where", 10) == 0);
        CHECK(posix_stat("link").st_size == 10);
        CHECK(TRY(readlink("link", back, 4)) == 4);
        FAILS(EEXIST, symlink("x", "link"));
        FAILS(ENOENT, open("link", O_RDONLY));
        TRY(symlink(target, "long"));
        CHECK(TRY(readlink("long", back, sizeof(back))) == PATH_MAX - 1);
        CHECK(memcmp(target, back, PATH_MAX - 1) == 0);
        FAILS(EINVAL, readlink(".", back, sizeof(back)));
}

static void symlink_loop(void)
{
        char from[16], to[16];

        TRY(symlink("b", "a"));
        TRY(symlink("a", "b"));
        FAILS(ELOOP, open("a", O_RDONLY));
        FAILS(ELOOP, chmod("a", 0600));
        posix_file("l0", "text");
        for (int i = 1; i <= 41; i++) {
                snprintf(from, sizeof(from), "l%d", i);
                snprintf(to, sizeof(to), "l%d", i - 1);
                TRY(symlink(to, from));
        }
        CHECK(posix_file_is("l40", "text"));
        FAILS(ELOOP, open("l41", O_RDONLY));
}

static void name_length(void)
{
        char name[257];

        memset(name, 'n', sizeof(name));
        name[256] = 0;
        FAILS(ENAMETOOLONG, open(name, O_CREAT | O_WRONLY, 0644));
        name[255] = 0;
        posix_file(name, "text");
        CHECK(posix_file_is(name, "text"));
        CHECK(posix_count(".") == 1);
        TRY(rename(name, "short"));
        TRY(rename("short", name));
        TRY(unlink(name));
        TRY(mkdir(name, 0755));
        TRY(symlink("x", "link"));
        FAILS(ENAMETOOLONG, rename("link", memset(name, 'm', 256)));
}

/* Any byte but '/' and 0, and in any order: names are no text. */
static void name_bytes(void)
{
        static const char *const names[] = {
                "\x01",
                "\n",
                " ",
                "\\",
                "\x7f",
                "\x80",
                "\xff",
                "...",
                "-",
                "*",
                "\xc3\x28",
                "\xe2\x82",
                "\xed\xa0\x80",
                "\xff\xfe(\n\x1b[2J",
                "\xc3\xa9",
                "e\xcc\x81",
        };
        size_t n = sizeof(names) / sizeof(names[0]);

        for (size_t i = 0; i < n; i++)
                TRY(close(posix_file(names[i], names[i])));
        for (size_t i = 0; i < n; i++)
                CHECK(posix_file_is(names[i], names[i]));
        CHECK(posix_count(".") == n);
}

static void name_case(void)
{
        posix_file("name", "small");
        posix_file("NAME", "large");
        CHECK(posix_file_is("name", "small"));
        CHECK(posix_file_is("NAME", "large"));
}

static void deep_tree(void)
{
        char name[200], path[PATH_MAX];

        memset(name, 'd', sizeof(name));
        name[199] = 0;
        for (int i = 0; i < 25; i++) {
                TRY(mkdir(name, 0755));
                TRY(chdir(name));
        }
        errno = 0;
        CHECK(syscall(SYS_getcwd, path, sizeof(path)) < 0 && errno == ENAMETOOLONG);
        posix_file("file", "text");
        CHECK(posix_file_is("file", "text"));
        TRY(unlink("file"));
        for (int i = 0; i < 25; i++) {
                TRY(chdir(".."));
                TRY(rmdir(name));
        }
}

static void path_length(void)
{
        char path[PATH_MAX + 1] = "";

        for (size_t i = 0; i + 2 < sizeof(path); i += 2)
                memcpy(path + i, "./", 2);
        memcpy(path + PATH_MAX - 2, "f", 2);
        TRY(open(path, O_CREAT | O_WRONLY, 0644));
        memcpy(path + PATH_MAX - 2, "ff", 3);
        FAILS(ENAMETOOLONG, open(path, O_CREAT | O_WRONLY, 0644));
}

static void unlink_errors(void)
{
        posix_file("file", "");
        TRY(mkdir("dir", 0755));
        posix_file("dir/file", "");
        FAILS(EISDIR, unlink("dir"));
        FAILS(ENOTDIR, rmdir("file"));
        FAILS(ENOTEMPTY, rmdir("dir"));
        FAILS(EINVAL, rmdir("dir/."));
        FAILS(ENOTEMPTY, rmdir("dir/.."));
        FAILS(ENOENT, unlink("nothing"));
        FAILS(ENOTDIR, unlink("file/"));
        FAILS(EEXIST, mkdir("file", 0755));
        FAILS(EEXIST, mkdir("dir", 0755));
        FAILS(ENOENT, mkdir("nothing/dir", 0755));
        TRY(mkdir("slash/", 0755));
}

const PosixCase posix_cases_name[] = {
        {"rename-file", rename_file, 0},
        {"rename-directory", rename_directory, 0},
        {"rename-under-fds", rename_under_fds, 0},
        {"rename-parent", rename_parent, 0},
        {"rename-onto-link", rename_onto_link, 0},
        {"rename-symlink", rename_symlink, 0},
        {"rename-noreplace", rename_noreplace, 0},
        {"rename-exchange", rename_exchange, 0},
        {"rename-devices", rename_devices, 0},
        {"link-identity", link_identity, 0},
        {"link-content", link_content, 0},
        {"link-errors", link_errors, 0},
        {"link-to-symlink", link_to_symlink, 0},
        {"symlink-target", symlink_target, 0},
        {"symlink-loop", symlink_loop, 0},
        {"name-length", name_length, 0},
        {"name-bytes", name_bytes, 0},
        {"name-case", name_case, 0},
        {"name-deep-tree", deep_tree, 0},
        {"name-path-length", path_length, 0},
        {"name-unlink-errors", unlink_errors, 0},
        {},
};
