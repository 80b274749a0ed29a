/* Attributes: modes, set-id bits, times. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "posix.h"

static mode_t mode_of(const char *name)
{
        return posix_stat(name).st_mode & 07777;
}

static void chmod_bits(void)
{
        static const mode_t modes[] = {0, 0777, 0421, 01777, 02755, 04755, 07777};

        posix_file("file", "");
        TRY(mkdir("dir", 0755));
        for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
                TRY(chmod("file", modes[i]));
                CHECK(mode_of("file") == modes[i]);
                TRY(chmod("dir", modes[i]));
                CHECK(mode_of("dir") == modes[i]);
        }
        TRY(chmod("dir", 0755));
}

static void umask_counts(void)
{
        umask(027);
        TRY(open("file", O_CREAT | O_WRONLY, 0777));
        TRY(mkdir("dir", 0777));
        TRY(mkfifo("fifo", 0666));
        CHECK(mode_of("file") == 0750);
        CHECK(mode_of("dir") == 0750);
        CHECK(mode_of("fifo") == 0640);
        umask(0);
        TRY(open("open", O_CREAT | O_WRONLY, 0777));
        CHECK(mode_of("open") == 0777);
        TRY(open("special", O_CREAT | O_WRONLY, 06755));
        CHECK(mode_of("special") == 06755);
        TRY(mkdir("sticky", 01777));
        CHECK(mode_of("sticky") == 01777);
}

static void chown_clears_set_id(void)
{
        posix_file("file", "");
        TRY(chmod("file", 06755));
        TRY(chown("file", POSIX_USER, POSIX_GROUP));
        CHECK(mode_of("file") == 0755);
        CHECK(posix_stat("file").st_uid == POSIX_USER);
        TRY(chmod("file", 02644)); /* mandatory locking's sign, which stays */
        TRY(chown("file", 0, 0));
        CHECK(mode_of("file") == 02644);
        TRY(mkdir("dir", 0755));
        TRY(chmod("dir", 06755));
        TRY(chown("dir", POSIX_USER, POSIX_GROUP));
        CHECK(mode_of("dir") == 06755);
}

static void user_writes(void)
{
        int fd = TRY(open("file", O_WRONLY));

        CHECK(TRY(write(fd, "x", 1)) == 1);
}

static void user_truncates(void)
{
        TRY(truncate("file", 1));
}

static void write_clears_set_id(void)
{
        TRY(chmod(".", 0777));
        posix_file("file", "text");
        TRY(chmod("file", 06777));
        posix_as_user(user_writes);
        CHECK(mode_of("file") == 0777);
}

/* Root may do all of it, in any order, and what was written reaches the disk only later. */
static void root_keeps_set_id(void)
{
        int fd = posix_file("file", "text");

        TRY(fchmod(fd, 06777));
        TRY(fsync(fd));
        CHECK(mode_of("file") == 06777);
        user_writes();
        CHECK(mode_of("file") == 06777);
        TRY(fsync(fd));
        CHECK(mode_of("file") == 06777);
        TRY(truncate("file", 1));
        CHECK(mode_of("file") == 06777);
        TRY(close(TRY(open("file", O_WRONLY | O_TRUNC))));
        CHECK(mode_of("file") == 06777);
}

static void truncate_clears_set_id(void)
{
        TRY(chmod(".", 0777));
        posix_file("file", "text");
        TRY(chmod("file", 06777));
        posix_as_user(user_truncates);
        CHECK(mode_of("file") == 0777);
        CHECK(posix_stat("file").st_size == 1);
}

static void lchown_link(void)
{
        posix_file("file", "");
        TRY(symlink("file", "link"));
        TRY(lchown("link", POSIX_USER, POSIX_GROUP));
        CHECK(posix_stat("link").st_uid == POSIX_USER);
        CHECK(posix_stat("file").st_uid == 0);
        TRY(chown("link", 1, 2));
        CHECK(posix_stat("file").st_uid == 1 && posix_stat("file").st_gid == 2);
        CHECK(posix_stat("link").st_uid == POSIX_USER);
        TRY(chown("file", (uid_t)-1, 7));
        CHECK(posix_stat("file").st_uid == 1 && posix_stat("file").st_gid == 7);
}

static void utimes_exact(void)
{
        const struct timespec times[2] = {{1234567890, 123456789}, {987654321, 999999999}};
        struct stat st;
        int fd = posix_file("file", "");

        TRY(utimensat(AT_FDCWD, "file", times, 0));
        st = posix_stat("file");
        CHECK(st.st_atim.tv_sec == 1234567890 && st.st_atim.tv_nsec == 123456789);
        CHECK(st.st_mtim.tv_sec == 987654321 && st.st_mtim.tv_nsec == 999999999);
        TRY(futimens(fd, (struct timespec[]){{.tv_nsec = UTIME_OMIT}, {.tv_sec = 5}}));
        st = posix_fstat(fd);
        CHECK(st.st_atim.tv_sec == 1234567890 && st.st_atim.tv_nsec == 123456789);
        CHECK(st.st_mtim.tv_sec == 5 && st.st_mtim.tv_nsec == 0);
}

static void utimes_now(void)
{
        const struct timespec times[2] = {{1000, 0}, {1000, 0}};
        struct stat st;

        posix_file("file", "");
        TRY(utimensat(AT_FDCWD, "file", times, 0));
        TRY(utimensat(AT_FDCWD, "file",
                      (struct timespec[]){{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_OMIT}}, 0));
        st = posix_stat("file");
        CHECK(st.st_atime > 1000 && st.st_mtime == 1000);
        TRY(utimensat(AT_FDCWD, "file", NULL, 0));
        CHECK(posix_stat("file").st_mtime > 1000);
}

static void utimes_range(void)
{
        struct timespec times[2] = {{-1000, 0}, {-5, 7}};
        struct stat st;

        posix_file("file", "");
        TRY(symlink("file", "link"));
        TRY(utimensat(AT_FDCWD, "file", times, 0));
        st = posix_stat("file");
        CHECK(st.st_atime == -1000 && st.st_mtime == -5 && st.st_mtim.tv_nsec == 7);
        times[0].tv_sec = times[1].tv_sec = (1LL << 33) + 1; /* the year 2242 */
        TRY(utimensat(AT_FDCWD, "file", times, 0));
        CHECK(posix_stat("file").st_mtime == (1LL << 33) + 1);
        times[0].tv_sec = times[1].tv_sec = 77;
        TRY(utimensat(AT_FDCWD, "link", times, AT_SYMLINK_NOFOLLOW));
        CHECK(posix_stat("link").st_mtime == 77);
        CHECK(posix_stat("file").st_mtime != 77);
}

static int set_back(void)
{
        const struct timespec times[2] = {{1000, 0}, {1000, 0}};
        int fd = posix_file("file", "text");

        TRY(futimens(fd, times));
        CHECK(posix_fstat(fd).st_mtime == 1000);
        return fd;
}

static void mtime_write(void)
{
        int fd = set_back();

        CHECK(TRY(pwrite(fd, "x", 1, 0)) == 1);
        CHECK(posix_stat("file").st_mtime > 1000);
        CHECK(posix_fstat(fd).st_mtime > 1000);
        fd = set_back();
        TRY(ftruncate(fd, 1));
        CHECK(posix_fstat(fd).st_mtime > 1000);
}

/* What was set stays, also when what was written before reaches the disk only now. */
static void mtime_stays(void)
{
        int fd = set_back();

        TRY(fsync(fd));
        TRY(close(fd));
        CHECK(posix_stat("file").st_mtime == 1000);
        TRY(chmod("file", 0600));
        TRY(rename("file", "moved"));
        CHECK(posix_stat("moved").st_mtime == 1000);
}

static void atime_read(void)
{
        int fd = set_back();
        char byte;

        fd = TRY(open("file", O_RDONLY));
        CHECK(TRY(read(fd, &byte, 1)) == 1);
        CHECK(posix_fstat(fd).st_atime > 1000); /* relatime: not after mtime before */
}

static void ctime_changes(void)
{
        struct timespec before, after;
        int fd = posix_file("file", "text");

        before = posix_fstat(fd).st_ctim;
        TRY(fchmod(fd, 0600));
        after = posix_fstat(fd).st_ctim;
        CHECK(posix_not_after(before, after));
        /* Until the clock that file systems use has moved on, which it does by ticks. */
        do {
                TRY(fchmod(fd, 0601));
                TRY(fchmod(fd, 0600));
        } while (posix_not_after(posix_fstat(fd).st_ctim, after));
        before = posix_fstat(fd).st_ctim;
        do {
                TRY(link("file", "hard"));
                TRY(unlink("hard"));
        } while (posix_not_after(posix_fstat(fd).st_ctim, before));
        before = posix_fstat(fd).st_ctim;
        do
                CHECK(TRY(pwrite(fd, "x", 1, 0)) == 1);
        while (posix_not_after(posix_fstat(fd).st_ctim, before));
        CHECK(posix_fstat(fd).st_ctime > 1000000000);
}

static void birth_time(void)
{
        struct statx st;
        int64_t birth;

        posix_file("file", "");
        TRY(statx(AT_FDCWD, "file", 0, STATX_ALL, &st));
        CHECK(st.stx_ino == posix_stat("file").st_ino && st.stx_nlink == 1);
        if (!(st.stx_mask & STATX_BTIME))
                posix_skip("no birth time");
        birth = st.stx_btime.tv_sec;
        CHECK(birth > 1000000000);
        TRY(utimensat(AT_FDCWD, "file", (struct timespec[]){{5, 0}, {5, 0}}, 0));
        TRY(statx(AT_FDCWD, "file", 0, STATX_ALL, &st));
        CHECK(st.stx_btime.tv_sec == birth);
}

const PosixCase posix_cases_attr[] = {
        {"mode-chmod", chmod_bits, 0},
        {"mode-umask", umask_counts, 0},
        {"mode-chown-clears-set-id", chown_clears_set_id, 0},
        {"mode-write-clears-set-id", write_clears_set_id, 0},
        {"mode-root-keeps-set-id", root_keeps_set_id, 0},
        {"mode-truncate-clears-set-id", truncate_clears_set_id, 0},
        {"owner-lchown", lchown_link, 0},
        {"times-exact", utimes_exact, 0},
        {"times-now", utimes_now, 0},
        {"times-range", utimes_range, 0},
        {"times-mtime-write", mtime_write, 0},
        {"times-mtime-stays", mtime_stays, 0},
        {"times-atime-read", atime_read, 0},
        {"times-ctime", ctime_changes, 0},
        {"times-birth", birth_time, 0},
        {},
};
