/* Who may do what: owners, other users, sticky and set-group-id directories. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "posix.h"

static void user_creates(void)
{
        umask(022);
        TRY(open("file", O_CREAT | O_WRONLY, 0666));
        TRY(mkdir("dir", 0777));
        TRY(symlink("x", "link"));
        TRY(mkfifo("fifo", 0666));
        TRY(link("file", "hard"));
}

static void new_files_owner(void)
{
        static const char *const names[] = {"file", "dir", "link", "fifo"};

        TRY(chmod(".", 0777));
        posix_as_user(user_creates);
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                CHECK(posix_stat(names[i]).st_uid == POSIX_USER);
                CHECK(posix_stat(names[i]).st_gid == POSIX_GROUP);
        }
}

static void set_gid_directory(void)
{
        TRY(chmod(".", 02777));
        TRY(chown(".", 0, 777));
        TRY(chmod(".", 02777));
        posix_as_user(user_creates);
        CHECK(posix_stat("file").st_gid == 777);
        CHECK(posix_stat("file").st_uid == POSIX_USER);
        CHECK(posix_stat("dir").st_gid == 777);
        CHECK(posix_stat("dir").st_mode & S_ISGID);
        CHECK(!(posix_stat("file").st_mode & S_ISGID));
        CHECK(posix_stat("link").st_gid == 777);
}

static void user_sets_gid(void)
{
        TRY(chmod("file", 02755));
}

/* By one who is not of the file's group. */
static void set_gid_refused(void)
{
        posix_file("file", "");
        TRY(chown("file", POSIX_USER, 777));
        posix_as_user(user_sets_gid);
        CHECK((posix_stat("file").st_mode & 07777) == 0755);
        TRY(chown("file", POSIX_USER, POSIX_GROUP));
        posix_as_user(user_sets_gid);
        CHECK((posix_stat("file").st_mode & 07777) == 02755);
}

static void user_in_sticky(void)
{
        FAILS(EPERM, unlink("theirs"));
        FAILS(EPERM, rename("theirs", "x"));
        FAILS(EPERM, rename("mine", "theirs"));
        FAILS(EPERM, rmdir("dir"));
        TRY(rename("mine", "still-mine"));
        TRY(unlink("still-mine"));
}

static void sticky_directory(void)
{
        TRY(chmod(".", 01777));
        posix_file("theirs", "");
        TRY(mkdir("dir", 0777));
        posix_file("mine", "");
        TRY(chown("mine", POSIX_USER, POSIX_GROUP));
        posix_as_user(user_in_sticky);
}

static void user_is_refused(void)
{
        FAILS(EACCES, open("secret", O_RDONLY));
        FAILS(EACCES, open("readable", O_WRONLY));
        FAILS(EACCES, open("closed/file", O_RDONLY));
        FAILS(EACCES, open("new", O_CREAT | O_WRONLY, 0644));
        FAILS(EACCES, mkdir("new", 0755));
        FAILS(EACCES, unlink("readable"));
        FAILS(EACCES, rename("readable", "new"));
        FAILS(EPERM, chmod("readable", 0666));
        FAILS(EPERM, chown("readable", POSIX_USER, POSIX_GROUP));
        FAILS(EACCES, truncate("readable", 0));
        TRY(open("readable", O_RDONLY));
        TRY(open("group", O_RDWR));
        FAILS(EACCES, open("listed/file", O_RDONLY));
        CHECK(posix_count("listed") == 1);
        TRY(open("passed/file", O_RDONLY));
        FAILS(EACCES, open("passed", O_RDONLY | O_DIRECTORY));
}

static void other_user(void)
{
        TRY(mkdir("closed", 0700));
        TRY(mkdir("listed", 0744));
        TRY(mkdir("passed", 0711));
        posix_file("closed/file", "");
        posix_file("listed/file", "");
        posix_file("passed/file", "");
        posix_file("secret", "");
        TRY(chmod("secret", 0600));
        posix_file("readable", "");
        posix_file("group", "");
        TRY(chmod("group", 0660));
        TRY(chown("group", 0, POSIX_GROUP));
        posix_as_user(user_is_refused);
}

static void user_asks(void)
{
        TRY(access("file", R_OK));
        FAILS(EACCES, access("file", W_OK));
        FAILS(EACCES, access("file", X_OK));
        TRY(access("program", X_OK));
        FAILS(EACCES, access("program", R_OK));
        FAILS(ENOENT, access("nothing", F_OK));
}

static void access_call(void)
{
        posix_file("file", "");
        posix_file("program", "");
        TRY(chmod("program", 0711));
        posix_as_user(user_asks);
        TRY(access("program", R_OK | W_OK | X_OK));
        FAILS(EACCES, access("file", X_OK)); /* also root's, where nobody may */
}

static void user_owns(void)
{
        TRY(chmod("file", 0600));
        TRY(utimensat(AT_FDCWD, "file", (struct timespec[]){{5, 0}, {5, 0}}, 0));
        FAILS(EPERM, chown("file", 0, (gid_t)-1));
        FAILS(EPERM, chown("file", (uid_t)-1, 777));
        TRY(chown("file", (uid_t)-1, POSIX_GROUP));
        TRY(chmod("unreadable", 0600));
        TRY(open("unreadable", O_RDWR));
        FAILS(EPERM, utimensat(AT_FDCWD, "writable", (struct timespec[]){{5, 0}, {5, 0}}, 0));
        TRY(utimensat(AT_FDCWD, "writable", NULL, 0));
        FAILS(EACCES, utimensat(AT_FDCWD, "readable", NULL, 0));
}

static void owner_may(void)
{
        posix_file("file", "");
        posix_file("unreadable", "");
        posix_file("writable", "");
        posix_file("readable", "");
        TRY(chmod("writable", 0666));
        TRY(chmod("unreadable", 0));
        TRY(chown("file", POSIX_USER, POSIX_GROUP));
        TRY(chown("unreadable", POSIX_USER, POSIX_GROUP));
        posix_as_user(user_owns);
}

/* An owner may create what he may not open, and write to it by that fd. */
static void user_creates_unreadable(void)
{
        int fd = TRY(open("file", O_CREAT | O_EXCL | O_RDWR, 0));

        CHECK(TRY(write(fd, "text", 4)) == 4);
        CHECK(posix_fd_is(fd, "text"));
        FAILS(EACCES, open("file", O_RDONLY));
        TRY(fsync(fd));
        TRY(close(fd));
        fd = TRY(open("partial", O_CREAT | O_EXCL | O_WRONLY, 0200));
        CHECK(TRY(pwrite(fd, "x", 1, 5000)) == 1);
        CHECK(TRY(pwrite(fd, "y", 1, 100)) == 1);
        TRY(fsync(fd));
}

static void create_unreadable(void)
{
        TRY(chmod(".", 0777));
        posix_as_user(user_creates_unreadable);
        CHECK(posix_file_is("file", "text"));
        CHECK(posix_stat("partial").st_size == 5001);
}

const PosixCase posix_cases_owner[] = {
        {"owner-new-files", new_files_owner, 0},
        {"owner-set-gid-directory", set_gid_directory, 0},
        {"owner-set-gid-refused", set_gid_refused, 0},
        {"owner-sticky-directory", sticky_directory, 0},
        {"owner-other-user", other_user, 0},
        {"owner-access", access_call, 0},
        {"owner-may", owner_may, 0},
        {"owner-create-unreadable", create_unreadable, 0},
        {},
};
