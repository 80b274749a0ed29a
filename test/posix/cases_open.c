/* Open files that have lost their name, and the flags of open(2). */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "posix.h"

static int unlinked_file(const char *text)
{
        int fd = posix_file("file", text);

        TRY(unlink("file"));
        return fd;
}

static void unlinked_read(void)
{
        CHECK(posix_fd_is(unlinked_file("text"), "text"));
}

static void unlinked_write(void)
{
        int fd = unlinked_file("text");

        CHECK(TRY(pwrite(fd, "NEW", 3, 2)) == 3);
        CHECK(posix_fd_is(fd, "teNEW"));
}

static void unlinked_fstat(void)
{
        int fd = posix_file("file", "text");
        ino_t inode = posix_fstat(fd).st_ino;
        struct stat st;

        TRY(unlink("file"));
        st = posix_fstat(fd);
        CHECK(st.st_ino == inode);
        CHECK(st.st_nlink == 0);
        CHECK(st.st_size == 4);
}

static void unlinked_ftruncate(void)
{
        int fd = unlinked_file("text");

        TRY(ftruncate(fd, 2));
        CHECK(posix_fd_is(fd, "te"));
        TRY(ftruncate(fd, 1000));
        CHECK(posix_fstat(fd).st_size == 1000);
}

static void unlinked_fsetxattr(void)
{
        int fd = unlinked_file("text");
        char value[8];

        TRY(fsetxattr(fd, "user.test", "value", 5, 0));
        CHECK(TRY(fgetxattr(fd, "user.test", value, sizeof(value))) == 5);
        CHECK(memcmp(value, "value", 5) == 0);
}

static void unlinked_fchmod(void)
{
        int fd = unlinked_file("text");

        TRY(fchmod(fd, 0421));
        CHECK((posix_fstat(fd).st_mode & 07777) == 0421);
}

static void unlinked_fchown(void)
{
        int fd = unlinked_file("text");

        TRY(fchown(fd, POSIX_USER, POSIX_GROUP));
        CHECK(posix_fstat(fd).st_uid == POSIX_USER);
        CHECK(posix_fstat(fd).st_gid == POSIX_GROUP);
}

static void unlinked_futimens(void)
{
        const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 2000}};
        int fd = unlinked_file("text");

        TRY(futimens(fd, times));
        CHECK(posix_fstat(fd).st_mtime == 2000);
}

static void unlinked_mmap(void)
{
        int fd = unlinked_file("text");
        char *map = posix_map(fd, 4, PROT_READ | PROT_WRITE, MAP_SHARED);

        CHECK(memcmp(map, "text", 4) == 0);
        memcpy(map, "NEWS", 4);
        TRY(msync(map, 4, MS_SYNC));
        CHECK(posix_fd_is(fd, "NEWS"));
}

static void unlinked_reopen(void)
{
        int fd = unlinked_file("text");
        char path[32];

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        CHECK(posix_file_is(path, "text"));
}

static void unlinked_fsync(void)
{
        int fd = unlinked_file("text");

        TRY(fsync(fd));
        TRY(fdatasync(fd));
}

static void unlinked_name_is_free(void)
{
        int fd = unlinked_file("old");
        int other = posix_file("file", "new");

        CHECK(posix_fstat(fd).st_ino != posix_fstat(other).st_ino);
        CHECK(posix_fd_is(fd, "old"));
        CHECK(posix_file_is("file", "new"));
}

static void renamed_over_stays(void)
{
        int fd = posix_file("old", "old");

        posix_file("new", "new");
        TRY(rename("new", "old"));
        CHECK(posix_fd_is(fd, "old"));
        CHECK(posix_fstat(fd).st_nlink == 0);
        CHECK(posix_file_is("old", "new"));
        CHECK(!posix_exists("new"));
        CHECK(TRY(pwrite(fd, "X", 1, 0)) == 1);
        CHECK(posix_file_is("old", "new"));
}

static void unlinked_directory(void)
{
        int fd;

        TRY(mkdir("dir", 0755));
        fd = TRY(open("dir", O_RDONLY | O_DIRECTORY));
        TRY(rmdir("dir"));
        CHECK(posix_fstat(fd).st_nlink == 0);
        FAILS(ENOENT, openat(fd, "file", O_CREAT | O_WRONLY, 0644));
}

static void unlinked_cwd(void)
{
        char path[4096];

        TRY(mkdir("dir", 0755));
        TRY(chdir("dir"));
        TRY(rmdir("../dir"));
        CHECK(!getcwd(path, sizeof(path)) && errno == ENOENT);
        FAILS(ENOENT, mkdir("sub", 0755));
        FAILS(ENOENT, open("file", O_CREAT | O_WRONLY, 0644));
        CHECK(S_ISDIR(posix_stat(".").st_mode));
}

static void tmpfile_flag(void)
{
        int fd = TRY(open(".", O_TMPFILE | O_RDWR, 0600));
        char path[32];

        CHECK(posix_fstat(fd).st_nlink == 0);
        CHECK(TRY(write(fd, "text", 4)) == 4);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        TRY(linkat(AT_FDCWD, path, AT_FDCWD, "file", AT_SYMLINK_FOLLOW));
        CHECK(posix_file_is("file", "text"));
}

static void tmpfile_libc(void)
{
        char name[] = "fileXXXXXX";
        int fd = TRY(mkstemp(name));

        CHECK((posix_fstat(fd).st_mode & 07777) == 0600);
        TRY(unlink(name));
        CHECK(TRY(write(fd, "text", 4)) == 4);
        CHECK(posix_fd_is(fd, "text"));
}

static void exclusive(void)
{
        TRY(open("file", O_CREAT | O_EXCL | O_WRONLY, 0644));
        FAILS(EEXIST, open("file", O_CREAT | O_EXCL | O_WRONLY, 0644));
        TRY(symlink("nowhere", "link"));
        FAILS(EEXIST, open("link", O_CREAT | O_EXCL | O_WRONLY, 0644));
        CHECK(!posix_exists("nowhere"));
}

static void exclusive_race(void)
{
        int winners[2];
        pid_t pids[8];

        TRY(pipe(winners));
        for (int i = 0; i < 8; i++)
                if ((pids[i] = posix_fork()) == 0) {
                        if (open("file", O_CREAT | O_EXCL | O_WRONLY, 0644) >= 0)
                                TRY(write(winners[1], "", 1));
                        else
                                CHECK(errno == EEXIST);
                        _exit(0);
                }
        for (int i = 0; i < 8; i++)
                posix_join(pids[i]);
        CHECK(TRY(read(winners[0], (char[8]){}, 8)) == 1);
}

static void create_through_link(void)
{
        TRY(symlink("target", "link"));
        TRY(open("link", O_CREAT | O_WRONLY, 0600));
        CHECK(S_ISREG(posix_stat("target").st_mode));
}

static void create_read_only_mode(void)
{
        int fd = TRY(open("file", O_CREAT | O_RDWR, 0));

        CHECK(TRY(write(fd, "text", 4)) == 4);
        CHECK(posix_fd_is(fd, "text"));
        CHECK((posix_fstat(fd).st_mode & 07777) == 0);
}

static void truncate_flag(void)
{
        int fd = posix_file("file", "text");

        TRY(open("file", O_TRUNC | O_WRONLY));
        CHECK(posix_fstat(fd).st_size == 0);
        CHECK(posix_stat("file").st_size == 0);
}

static void directory_flag(void)
{
        posix_file("file", "");
        TRY(mkdir("dir", 0755));
        FAILS(ENOTDIR, open("file", O_DIRECTORY | O_RDONLY));
        FAILS(EISDIR, open("dir", O_WRONLY));
        FAILS(EISDIR, open("dir", O_RDWR));
        FAILS(EISDIR, open("dir", O_CREAT | O_WRONLY, 0644));
        FAILS(EISDIR, read(TRY(open("dir", O_RDONLY)), (char[4]){}, 4));
}

static void nofollow_flag(void)
{
        posix_file("file", "");
        TRY(symlink("file", "link"));
        FAILS(ELOOP, open("link", O_NOFOLLOW | O_RDONLY));
        TRY(open("file", O_NOFOLLOW | O_RDONLY));
}

static void path_flag(void)
{
        int fd, dir_fd;

        posix_file("file", "text");
        TRY(mkdir("dir", 0755));
        TRY(symlink("file", "link"));
        fd = TRY(open("file", O_PATH));
        FAILS(EBADF, read(fd, (char[4]){}, 4));
        FAILS(EBADF, fchmod(fd, 0600));
        CHECK(posix_fstat(fd).st_size == 4);
        CHECK(S_ISLNK(posix_fstat(TRY(open("link", O_PATH | O_NOFOLLOW))).st_mode));
        dir_fd = TRY(open("dir", O_PATH));
        TRY(openat(dir_fd, "file", O_CREAT | O_WRONLY, 0644));
        TRY(fchdir(dir_fd));
        CHECK(posix_exists("file"));
}

static void direct_flag(void)
{
        static _Alignas(4096) char buffer[4096], back[4096];
        int fd = TRY(open("file", O_CREAT | O_RDWR | O_DIRECT, 0644));

        memset(buffer, 'x', sizeof(buffer));
        CHECK(TRY(pwrite(fd, buffer, sizeof(buffer), 4096)) == sizeof(buffer));
        CHECK(TRY(pread(fd, back, sizeof(back), 4096)) == sizeof(back));
        CHECK(memcmp(buffer, back, sizeof(back)) == 0);
        CHECK(posix_fstat(fd).st_size == 8192);
}

static void access_modes(void)
{
        int fd;

        posix_file("file", "text");
        fd = TRY(open("file", O_RDONLY));
        FAILS(EBADF, write(fd, "x", 1));
        FAILS(EINVAL, ftruncate(fd, 0));
        fd = TRY(open("file", O_WRONLY));
        FAILS(EBADF, read(fd, (char[1]){}, 1));
        CHECK(TRY(write(fd, "T", 1)) == 1);
        CHECK(posix_file_is("file", "Text"));
}

static void missing_names(void)
{
        posix_file("file", "");
        FAILS(ENOENT, open("nothing", O_RDONLY));
        FAILS(ENOENT, open("nothing/file", O_CREAT | O_WRONLY, 0644));
        FAILS(ENOTDIR, open("file/below", O_CREAT | O_WRONLY, 0644));
        FAILS(ENOTDIR, open("file/", O_RDONLY));
        FAILS(ENOENT, open("", O_RDONLY));
}

/* As many as the process may have and not one less, each of them good for use. */
static void open_limit(void)
{
        const struct rlimit limit = {.rlim_cur = 64, .rlim_max = 64};
        int fds[64], n = 0;
        char name[16];

        TRY(setrlimit(RLIMIT_NOFILE, &limit));
        for (;; n++) {
                snprintf(name, sizeof(name), "%d", n);
                fds[n] = open(name, O_CREAT | O_RDWR, 0644);
                if (fds[n] < 0)
                        break;
        }
        CHECK(errno == EMFILE);
        CHECK(n > 40);
        for (int i = 0; i < n; i++)
                CHECK(TRY(write(fds[i], &i, sizeof(i))) == sizeof(i));
        for (int i = 0, value; i < n; i++) {
                CHECK(TRY(pread(fds[i], &value, sizeof(value), 0)) == sizeof(value));
                CHECK(value == i);
        }
}

const PosixCase posix_cases_open[] = {
        {"unlinked-read", unlinked_read, 0},
        {"unlinked-write", unlinked_write, 0},
        {"unlinked-fstat", unlinked_fstat, 0},
        {"unlinked-ftruncate", unlinked_ftruncate, 0},
        {"unlinked-fsetxattr", unlinked_fsetxattr, 0},
        {"unlinked-fchmod", unlinked_fchmod, 0},
        {"unlinked-fchown", unlinked_fchown, 0},
        {"unlinked-futimens", unlinked_futimens, 0},
        {"unlinked-mmap", unlinked_mmap, 0},
        {"unlinked-reopen", unlinked_reopen, 0},
        {"unlinked-fsync", unlinked_fsync, 0},
        {"unlinked-name-is-free", unlinked_name_is_free, 0},
        {"unlinked-directory", unlinked_directory, 0},
        {"unlinked-cwd", unlinked_cwd, 0},
        {"renamed-over-stays", renamed_over_stays, 0},
        {"open-tmpfile", tmpfile_flag, 0},
        {"open-mkstemp", tmpfile_libc, 0},
        {"open-exclusive", exclusive, 0},
        {"open-exclusive-race", exclusive_race, 0},
        {"open-create-through-link", create_through_link, 0},
        {"open-create-mode-0", create_read_only_mode, 0},
        {"open-truncate", truncate_flag, 0},
        {"open-directory", directory_flag, 0},
        {"open-nofollow", nofollow_flag, 0},
        {"open-path", path_flag, 0},
        {"open-direct", direct_flag, 0},
        {"open-access-modes", access_modes, 0},
        {"open-missing", missing_names, 0},
        {"open-limit", open_limit, 0},
        {},
};
