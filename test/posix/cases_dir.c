/* Directories: reading them, large ones, link counts, times. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "posix.h"

static void make_files(unsigned n)
{
        char name[16];

        for (unsigned i = 0; i < n; i++) {
                snprintf(name, sizeof(name), "%u", i);
                close(TRY(open(name, O_CREAT | O_EXCL | O_WRONLY, 0644)));
        }
}

/* Sees each of @n files once: all that readdir() must do. */
static void see_all(DIR *dir, unsigned n)
{
        unsigned char *seen = calloc(n, 1);
        unsigned count = 0;

        for (struct dirent *entry; (entry = readdir(dir));) {
                unsigned i;

                if (entry->d_name[0] == '.')
                        continue;
                i = (unsigned)atoi(entry->d_name);
                CHECK(i < n && !seen[i]);
                seen[i] = 1;
                count++;
        }
        CHECK(count == n);
        free(seen);
}

static void large_directory(void)
{
        enum { N = 100 };
        DIR *dir;

        make_files(N);
        dir = opendir(".");
        CHECK(dir);
        see_all(dir, N);
        rewinddir(dir);
        see_all(dir, N);
}

static void very_large_directory(void)
{
        unsigned n = posix_options.many;
        DIR *dir = opendir("../many");
        char name[32];

        CHECK(dir);
        see_all(dir, n);
        for (unsigned i = 0; i < 20; i++) {
                snprintf(name, sizeof(name), "../many/%u", n / 20 * i);
                CHECK(S_ISREG(posix_stat(name).st_mode));
        }
        snprintf(name, sizeof(name), "../many/%u", n);
        CHECK(!posix_exists(name));
}

static void read_types(void)
{
        DIR *dir;
        unsigned n = 0;

        posix_file("file", "");
        TRY(mkdir("dir", 0755));
        TRY(symlink("x", "link"));
        TRY(mkfifo("fifo", 0644));
        dir = opendir(".");
        CHECK(dir);
        for (struct dirent *entry; (entry = readdir(dir)); n++) {
                struct stat st = posix_stat(entry->d_name);

                CHECK(entry->d_type == DT_UNKNOWN ||
                      (mode_t)DTTOIF(entry->d_type) == (st.st_mode & S_IFMT));
                CHECK(entry->d_ino == st.st_ino || strcmp(entry->d_name, "..") == 0);
        }
        CHECK(n == 6);
}

static void read_while_deleting(void)
{
        unsigned n = 60, deleted = 0;
        DIR *dir;

        make_files(n);
        dir = opendir(".");
        CHECK(dir);
        for (struct dirent *entry; (entry = readdir(dir));)
                if (entry->d_name[0] != '.') {
                        TRY(unlink(entry->d_name));
                        deleted++;
                }
        CHECK(deleted == n);
        CHECK(posix_count(".") == 0);
}

static void read_while_creating(void)
{
        unsigned n = 20, seen = 0;
        char name[16];
        DIR *dir;

        make_files(n);
        dir = opendir(".");
        CHECK(dir);
        for (struct dirent *entry; (entry = readdir(dir));) {
                if (entry->d_name[0] == '.' || entry->d_name[0] == 'n')
                        continue;
                snprintf(name, sizeof(name), "n%u", seen++);
                close(TRY(open(name, O_CREAT | O_EXCL | O_WRONLY, 0644)));
        }
        CHECK(seen == n);
        CHECK(posix_count(".") == 2 * n);
}

static void seek_directory(void)
{
        enum { N = 40 };
        char names[N + 2][16];
        long places[N + 2];
        unsigned n = 0;
        DIR *dir;

        make_files(N);
        dir = opendir(".");
        CHECK(dir);
        for (;;) {
                long place = telldir(dir);
                struct dirent *entry = readdir(dir);

                if (!entry)
                        break;
                CHECK(n < N + 2);
                places[n] = place;
                snprintf(names[n++], sizeof(names[0]), "%.15s", entry->d_name);
        }
        CHECK(n == N + 2);
        for (unsigned i = 0; i < 30; i++) {
                unsigned at = i * 37 % n;
                struct dirent *entry;

                seekdir(dir, places[at]);
                entry = readdir(dir);
                CHECK(entry && strcmp(entry->d_name, names[at]) == 0);
        }
}

static void read_after_change(void)
{
        DIR *dir = opendir(".");

        CHECK(dir);
        make_files(10);
        rewinddir(dir);
        see_all(dir, 10);
        TRY(unlink("9"));
        rewinddir(dir);
        see_all(dir, 9);
        CHECK(posix_count(".") == 9);
}

static void link_counts(void)
{
        TRY(mkdir("dir", 0755));
        CHECK(posix_stat("dir").st_nlink == 2);
        TRY(mkdir("dir/a", 0755));
        TRY(mkdir("dir/b", 0755));
        CHECK(posix_stat("dir").st_nlink == 4);
        TRY(rmdir("dir/a"));
        CHECK(posix_stat("dir").st_nlink == 3);
        posix_file("dir/file", "");
        CHECK(posix_stat("dir").st_nlink == 3);
}

/* A time that was set back must come forward again by what changes the directory. */
static void set_back(const char *name)
{
        const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};

        TRY(utimensat(AT_FDCWD, name, times, 0));
        CHECK(posix_stat(name).st_mtime == 1000);
}

static void change_times(void)
{
        TRY(mkdir("dir", 0755));
        set_back("dir");
        posix_file("dir/file", "");
        CHECK(posix_stat("dir").st_mtime > 1000);
        set_back("dir");
        TRY(rename("dir/file", "dir/other"));
        CHECK(posix_stat("dir").st_mtime > 1000);
        set_back("dir");
        TRY(link("dir/other", "dir/hard"));
        CHECK(posix_stat("dir").st_mtime > 1000);
        set_back("dir");
        TRY(unlink("dir/other"));
        CHECK(posix_stat("dir").st_mtime > 1000);
        set_back("dir");
        TRY(mkdir("dir/sub", 0755));
        CHECK(posix_stat("dir").st_mtime > 1000);
}

static void open_directory_is_current(void)
{
        int fd;

        TRY(mkdir("dir", 0755));
        fd = TRY(open("dir", O_RDONLY | O_DIRECTORY));
        TRY(rename("dir", "moved"));
        TRY(openat(fd, "file", O_CREAT | O_WRONLY, 0644));
        CHECK(posix_exists("moved/file"));
        TRY(mkdirat(fd, "sub", 0755));
        TRY(unlinkat(fd, "sub", AT_REMOVEDIR));
        TRY(fsync(fd));
        CHECK(posix_count("moved") == 1);
}

static void recreated_directory(void)
{
        ino_t first;
        int fd;

        TRY(mkdir("dir", 0755));
        posix_file("dir/old", "");
        first = posix_stat("dir/old").st_ino;
        fd = TRY(open("dir/old", O_RDONLY)); /* its inode number stays taken */
        TRY(unlink("dir/old"));
        TRY(rmdir("dir"));
        TRY(mkdir("dir", 0700));
        CHECK((posix_stat("dir").st_mode & 07777) == 0700);
        CHECK(posix_count("dir") == 0);
        posix_file("dir/new", "");
        CHECK(posix_stat("dir/new").st_ino != first);
        close(fd);
}

const PosixCase posix_cases_dir[] = {
        {"dir-large", large_directory, 0},
        {"dir-very-large", very_large_directory, POSIX_MANY},
        {"dir-types", read_types, 0},
        {"dir-delete-while-reading", read_while_deleting, 0},
        {"dir-create-while-reading", read_while_creating, 0},
        {"dir-seek", seek_directory, 0},
        {"dir-read-after-change", read_after_change, 0},
        {"dir-link-counts", link_counts, 0},
        {"dir-change-times", change_times, 0},
        {"dir-open-is-current", open_directory_is_current, 0},
        {"dir-recreated", recreated_directory, 0},
        {},
};
