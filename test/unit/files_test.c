/*
 * What cp and export do on the host: which side is a container's, trees that are moved, given, removed
 * and put through a tar stream whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "client/files/copy_path.h"
#include "client/files/staging.h"
#include "client/files/tarball.h"
#include "client/files/tree.h"
#include "test/unit.h"

/* ------------------------------------------------------------------ paths */

static void tells_the_sides_apart(void)
{
        static const struct {
                const char *text, *container, *path, *name;
                bool contents, directory;
        } cases[] = {
                {"web:/etc/motd", "web", "/etc/motd", "motd", false, false},
                {"web:etc", "web", "/etc", "etc", false, false},
                {"web:/etc/", "web", "/etc", "etc", false, true},
                {"web:/etc/.", "web", "/etc", "etc", true, false},
                {"web:/etc/./.", "web", "/etc", "etc", true, false},
                {"web:/etc//", "web", "/etc", "etc", false, true},
                {"web:/", "web", "/", "", true, false},
                {"web:/.", "web", "/", "", true, false},
                {"web:/a:b", "web", "/a:b", "a:b", false, false},
                {"/web:/etc", NULL, "/web:/etc", "etc", false, false},
                {"./web:x", NULL, "./web:x", "web:x", false, false},
                {"a/b:c", NULL, "a/b:c", "b:c", false, false},
                {":x", NULL, ":x", ":x", false, false},
                {"plain", NULL, "plain", "plain", false, false},
                {"dir/.", NULL, "dir", "dir", true, false},
                {".", NULL, ".", ".", true, false},
                {"..", NULL, "..", "..", true, false},
                {"x/..", NULL, "x/..", "..", true, false},
                {"/", NULL, "/", "", true, false},
                {"-", NULL, "-", "-", false, false},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CopyPath path;

                unit_assert_int(copy_path_parse(cases[i].text, &path), 0);
                unit_assert(!path.container == !cases[i].container);
                if (path.container)
                        unit_assert(strcmp(path.container, cases[i].container) == 0);
                unit_assert(strcmp(path.path, cases[i].path) == 0);
                unit_assert(strcmp(copy_path_name(&path), cases[i].name) == 0);
                unit_assert_int(path.contents, cases[i].contents);
                unit_assert_int(path.directory, cases[i].directory);
                unit_assert_int(copy_path_is_stream(&path), strcmp(cases[i].text, "-") == 0);
                copy_path_done(&path);
        }
}

static void refuses_paths_that_are_none(void)
{
        CopyPath path;

        unit_assert_int(copy_path_parse("", &path), -EINVAL);
        unit_assert_int(copy_path_parse("web:", &path), -EINVAL);
}

/* ------------------------------------------------------------------ a place for trees */

static char place[] = "/var/tmp/uvm-files-test-XXXXXX";
static int top = FD_NONE;

static void place_open(void)
{
        strcpy(place + sizeof(place) - 7, "XXXXXX");
        unit_assert(mkdtemp(place));
        top = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        unit_assert(top >= 0);
}

static void place_close(void)
{
        unit_assert_int(chdir("/"), 0);
        top = fd_close(top);
        unit_assert_int(tree_remove(AT_FDCWD, place), 0);
        unit_assert(access(place, F_OK) < 0 && errno == ENOENT);
}

static void make_file(const char *name, const char *text, mode_t mode)
{
        int fd = openat(top, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        unit_assert(fd >= 0);
        unit_assert_int(write(fd, text, strlen(text)), (ssize_t)strlen(text));
        unit_assert_int(fchmod(fd, mode), 0);
        close(fd);
}

static void make_directory(const char *name)
{
        unit_assert_int(mkdirat(top, name, 0755), 0);
}

static void assert_file(const char *name, const char *text)
{
        char got[256];
        int fd = openat(top, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        ssize_t n;

        unit_assert(fd >= 0);
        n = read(fd, got, sizeof(got) - 1);
        unit_assert(n >= 0);
        got[n] = 0;
        unit_assert(strcmp(got, text) == 0);
        close(fd);
}

static struct stat stat_of(const char *name)
{
        struct stat st;

        unit_assert_int(fstatat(top, name, &st, AT_SYMLINK_NOFOLLOW), 0);
        return st;
}

static bool is_there(const char *name)
{
        struct stat st;

        return fstatat(top, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ------------------------------------------------------------------ trees */

static void moves_and_merges(void)
{
        place_open();
        make_directory("a");
        make_directory("a/sub");
        make_file("a/sub/new", "new", 0644);
        make_file("a/both", "from a", 0644);
        make_directory("b");
        make_directory("b/sub");
        make_file("b/sub/old", "old", 0644);
        make_file("b/both", "from b", 0644);
        unit_assert_int(tree_move(top, "a", top, "b"), 0);
        assert_file("b/both", "from a");
        assert_file("b/sub/old", "old");
        assert_file("b/sub/new", "new");

        make_file("file", "file", 0644);
        unit_assert_int(tree_move(top, "b", top, "file"), -ENOTDIR);
        unit_assert_int(tree_move(top, "file", top, "b"), -EISDIR);
        unit_assert_int(tree_move(top, "file", top, "b/file"), 0);
        assert_file("b/file", "file");
        place_close();
}

static void follows_no_link(void)
{
        place_open();
        make_directory("outside");
        make_file("outside/kept", "kept", 04755);
        make_directory("tree");
        unit_assert_int(symlinkat("../outside", top, "tree/link"), 0);
        unit_assert_int(tree_give(top, "tree", getuid(), getgid()), 0);
        unit_assert_int(stat_of("outside/kept").st_mode & 07777, 04755);
        unit_assert_int(tree_remove(top, "tree"), 0);
        assert_file("outside/kept", "kept");
        place_close();
}

static void takes_rights_away(void)
{
        place_open();
        make_directory("tree");
        make_file("tree/program", "x", 06755);
        if (geteuid() == 0)
                unit_assert_int(fchownat(top, "tree/program", 1000, 1001, 0), 0);
        make_file("tree/program", "x", 06755);
        unit_assert_int(tree_give(top, "tree", getuid(), getgid()), 0);
        unit_assert_int(stat_of("tree/program").st_mode & 07777, 0755);
        unit_assert_int(stat_of("tree/program").st_uid, getuid());
        unit_assert_int(stat_of("tree/program").st_gid, getgid());
        place_close();
}

static void removes_what_is_deep_and_locked(void)
{
        int at, next;

        place_open();
        make_directory("tree");
        at = openat(top, "tree", O_RDONLY | O_DIRECTORY);
        for (int i = 0; i < 3000; i++) {
                unit_assert_int(mkdirat(at, "d", 0700), 0);
                next = openat(at, "d", O_RDONLY | O_DIRECTORY);
                unit_assert(next >= 0);
                if (i % 500 == 0)
                        unit_assert_int(fchmod(at, 0500), 0);
                close(at);
                at = next;
        }
        close(at);
        unit_assert_int(tree_give(top, "tree", getuid(), getgid()), -ELOOP);
        unit_assert_int(tree_remove(top, "tree"), 0);
        unit_assert(!is_there("tree"));
        unit_assert_int(tree_remove(top, "tree"), 0);
        place_close();
}

/* ------------------------------------------------------------------ tar */

#define LONG_NAME                                                                                  \
        "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567" \
        "8901234567890123456789"

static void make_everything(void)
{
        int fd;

        make_directory("from");
        make_directory("from/directory");
        unit_assert_int(fchmodat(top, "from/directory", 01777, 0), 0);
        make_file("from/file", "text", 0640);
        make_file("from/\xff\xfe name", "bytes", 0600);
        make_file("from/" LONG_NAME, "long", 0604);
        unit_assert_int(linkat(top, "from/file", top, "from/second", 0), 0);
        unit_assert_int(symlinkat("nowhere/at/all", top, "from/link"), 0);
        unit_assert_int(mkfifoat(top, "from/fifo", 0600), 0);
        unit_assert_int(fchmodat(top, "from/fifo", 0620, 0), 0);
        make_file("from/sparse", "", 0644);
        fd = openat(top, "from/sparse", O_WRONLY);
        unit_assert_int(pwrite(fd, "end", 3, 64 << 20), 3);
        unit_assert_int(fsetxattr(fd, "user.test", "value", 5, 0), 0);
        close(fd);
        if (geteuid() == 0) {
                unit_assert_int(fchownat(top, "from/fifo", 1234, 5678, 0), 0);
                make_file("from/setuid", "x", 04755);
        }
        unit_assert_int(utimensat(top, "from/file",
                                  (struct timespec[2]){{1000000000, 5}, {1000000001, 123456789}},
                                  0),
                        0);
}

static void assert_everything(const char *where, bool owners)
{
        char name[256], value[8];
        struct stat st, other;

#define AT(what) (snprintf(name, sizeof(name), "%s/%s", where, what), name)
        st = stat_of(AT("file"));
        unit_assert_int(st.st_mode, S_IFREG | 0640);
        unit_assert_int(st.st_nlink, 2);
        unit_assert_int(st.st_mtim.tv_sec, 1000000001);
        unit_assert_int(st.st_mtim.tv_nsec, 123456789);
        other = stat_of(AT("second"));
        unit_assert(st.st_ino == other.st_ino);
        assert_file(AT("second"), "text");
        unit_assert_int(stat_of(AT("directory")).st_mode, S_IFDIR | 01777);
        assert_file(AT("\xff\xfe name"), "bytes");
        assert_file(AT(LONG_NAME), "long");
        unit_assert(S_ISLNK(stat_of(AT("link")).st_mode));
        st = stat_of(AT("fifo"));
        unit_assert_int(st.st_mode, S_IFIFO | 0620);
        unit_assert_int(st.st_uid, owners ? 1234 : geteuid());
        unit_assert_int(st.st_gid, owners ? 5678 : getegid());
        st = stat_of(AT("sparse"));
        unit_assert_int(st.st_size, (64 << 20) + 3);
        unit_assert(st.st_blocks * 512 < 1 << 20);
        snprintf(name, sizeof(name), "%s/%s/sparse", place, where);
        unit_assert_int(getxattr(name, "user.test", value, sizeof(value)), 5);
#undef AT
}

static void goes_through_a_tar_stream(void)
{
        bool root = geteuid() == 0;

        for (int owners = 0; owners <= root; owners++) {
                int tar, to;

                place_open();
                make_everything();
                make_directory("to");
                tar = openat(top, "tar", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
                to = openat(top, "from", O_RDONLY | O_DIRECTORY);
                unit_assert_int(tarball_write(to, NULL, owners, tar), 0);
                close(to);
                unit_assert(stat_of("tar").st_size < 1 << 20);
                unit_assert_int(lseek(tar, 0, SEEK_SET), 0);
                to = openat(top, "to", O_RDONLY | O_DIRECTORY);
                unit_assert_int(tarball_read(tar, to, owners), 0);
                assert_everything("to", owners);
                close(tar);
                close(to);
                place_close();
        }
}

static void copies_trees(void)
{
        char from[128], to[128];

        place_open();
        make_everything();
        make_directory("to");
        make_directory("flat");
        snprintf(from, sizeof(from), "%s/from", place);
        snprintf(to, sizeof(to), "%s/to", place);
        unit_assert_int(tarball_copy(from, to, "copy", false), 0);
        assert_everything("to/copy", false);
        snprintf(to, sizeof(to), "%s/flat", place);
        unit_assert_int(tarball_copy(from, to, NULL, geteuid() == 0), 0);
        assert_everything("flat", geteuid() == 0);
        place_close();
}

/* An archive that climbs must not leave the directory that it is unpacked into. */
static void keeps_archives_inside(void)
{
        static const char *const commands[] = {
                "tar -C %s --transform 's,^,../,' -Pcf %s/tar file 2>/dev/null",
                "tar -C %s --transform 's,^,/,' -Pcf %s/tar file 2>/dev/null",
        };

        for (size_t i = 0; i < ELEMENTSOF(commands); i++) {
                char command[512];
                int tar, to;

                place_open();
                make_directory("to");
                make_file("file", "outside", 0644);
                snprintf(command, sizeof(command), commands[i], place, place);
                unit_assert_int(system(command), 0);
                unit_assert_int(unlinkat(top, "file", 0), 0);
                tar = openat(top, "tar", O_RDONLY);
                to = openat(top, "to", O_RDONLY | O_DIRECTORY);
                /* ".." is refused; a slash in front is taken off. */
                unit_assert_int(tarball_read(tar, to, false) != 0, i == 0);
                unit_assert(!is_there("file"));
                unit_assert(is_there("to/file") == (i == 1));
                unit_assert(access("/file", F_OK) < 0);
                close(tar);
                close(to);
                place_close();
        }
}

/* ------------------------------------------------------------------ staging */

static void removes_its_staging(void)
{
        Staging staging = STAGING_INIT;
        char path[256];

        place_open();
        unit_assert_int(staging_open(&staging, place), 0);
        snprintf(path, sizeof(path), "%s", staging.path);
        unit_assert_int(mkdirat(staging.fd, "full", 0700), 0);
        unit_assert(staging_is_beside(&staging, top));
        staging_done(&staging);
        unit_assert(access(path, F_OK) < 0);
        staging_done(&staging);
        place_close();
}

/* The one who made it is killed: the directory goes all the same. */
static void removes_the_staging_of_the_dead(void)
{
        char path[256] = "", byte;
        int pair[2], done[2];
        pid_t pid;

        place_open();
        unit_assert_int(pipe2(pair, O_CLOEXEC), 0);
        unit_assert_int(pipe2(done, O_CLOEXEC), 0);
        pid = fork();
        if (pid == 0) {
                Staging staging = STAGING_INIT;

                if (staging_open(&staging, place) != 0 || mkdirat(staging.fd, "full", 0700) < 0 ||
                    write(pair[1], staging.path, strlen(staging.path) + 1) < 0)
                        _exit(1);
                raise(SIGKILL);
        }
        unit_assert(pid > 0);
        unit_assert(read(pair[0], path, sizeof(path)) > 0);
        unit_assert_int(waitpid(pid, NULL, 0), pid);
        /* The keeper holds this end too, and is the last to. */
        close(done[1]);
        unit_assert_int(read(done[0], &byte, 1), 0);
        unit_assert(access(path, F_OK) < 0 && errno == ENOENT);
        close(done[0]);
        close(pair[0]);
        close(pair[1]);
        place_close();
}

UNIT_MAIN(UNIT_TEST(tells_the_sides_apart), UNIT_TEST(refuses_paths_that_are_none),
          UNIT_TEST(moves_and_merges), UNIT_TEST(follows_no_link), UNIT_TEST(takes_rights_away),
          UNIT_TEST(removes_what_is_deep_and_locked), UNIT_TEST(goes_through_a_tar_stream),
          UNIT_TEST(copies_trees), UNIT_TEST(keeps_archives_inside), UNIT_TEST(removes_its_staging),
          UNIT_TEST(removes_the_staging_of_the_dead))
