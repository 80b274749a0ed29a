/*
 * The guest's side of dev/bench files: init of an initial RAM disk of its own. Mounts the 9p export
 * "bench", runs the phases that the kernel's command line names, and says on the console what each
 * took. The parameters come as init's environment:
 *
 *   bench=PHASE,…  benchmib=MIB  benchops=N  benchfiles=N  benchopts=MOUNT-OPTIONS
 *
 *   bench PHASE usec=… bytes=… ops=…       one line a phase
 *   bench done                             all are done, the export is unmounted
 *
 * Before each phase all caches are empty; a phase that writes ends when the server has all of it.
 * The file "data" in the export has benchmib MiB or more; so has the disk, if there is one.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define EXPORT     "/export"
#define DATA       EXPORT "/data"
#define TREE       EXPORT "/tree"
#define DISK       "/dev/vda"
#define MIB        ((size_t)1 << 20)
#define SMALL      ((size_t)4096)
#define FILE_SIZE  ((size_t)2048)
#define FILES_EACH 100U /* in a directory */

typedef struct Result {
        uint64_t bytes, ops;
} Result;

typedef struct Phase {
        const char *name;
        void (*run)(const struct Phase *phase, Result *result);
        const char *path;
        size_t block;
        int flags;
} Phase;

static size_t total, ops, files;
static char *buffer; /* 1 MiB, aligned as O_DIRECT wants it */

static _Noreturn void fail(const char *what)
{
        printf("bench failed: %s: %s\n", what, strerror(errno));
        sync();
        reboot(RB_AUTOBOOT);
        _exit(1);
}

static void check(int ok, const char *what)
{
        if (!ok)
                fail(what);
}

static uint64_t now_usec(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static size_t parameter(const char *name, size_t otherwise)
{
        const char *value = getenv(name);

        return value ? (size_t)strtoul(value, NULL, 10) : otherwise;
}

static void drop_caches(void)
{
        int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);

        sync();
        check(fd >= 0 && write(fd, "3", 1) == 1, "drop_caches");
        close(fd);
}

/* The same sequence for every monitor. */
static uint32_t next_random(void)
{
        static uint64_t state = 88172645463325252ULL;

        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return (uint32_t)(state >> 16);
}

static void run_none(const Phase *phase, Result *result)
{
}

static void run_sequential(const Phase *phase, Result *result)
{
        int writes = (phase->flags & O_ACCMODE) != O_RDONLY;
        int fd = open(phase->path, phase->flags, 0600);

        check(fd >= 0, phase->path);
        for (; result->bytes < total; result->bytes += phase->block, result->ops++) {
                ssize_t n = writes ? write(fd, buffer, phase->block)
                                   : read(fd, buffer, phase->block);

                check(n == (ssize_t)phase->block, phase->name);
        }
        if (writes)
                check(fsync(fd) == 0, "fsync");
        close(fd);
}

static void run_random(const Phase *phase, Result *result)
{
        int writes = (phase->flags & O_ACCMODE) != O_RDONLY;
        int fd = open(phase->path, phase->flags);

        check(fd >= 0, phase->path);
        for (; result->ops < ops; result->bytes += phase->block, result->ops++) {
                off_t at = (off_t)(next_random() % (total / phase->block) * phase->block);
                ssize_t n = writes ? pwrite(fd, buffer, phase->block, at)
                                   : pread(fd, buffer, phase->block, at);

                check(n == (ssize_t)phase->block, phase->name);
        }
        if (writes)
                check(fsync(fd) == 0, "fsync");
        close(fd);
}

static void tree_path(char *path, size_t size, size_t i)
{
        snprintf(path, size, TREE "/d%zu/f%zu", i / FILES_EACH, i);
}

/* What tar -x does for each file. Before it changes attributes the kernel sends the data, so the
 * server has all of it in the end. */
static void run_create(const Phase *phase, Result *result)
{
        const struct timespec times[2] = {{1000000000, 0}, {1000000000, 0}};
        char path[128];

        check(mkdir(TREE, 0755) == 0, TREE);
        for (size_t i = 0; i < files; i++, result->ops++, result->bytes += FILE_SIZE) {
                int fd;

                if (i % FILES_EACH == 0) {
                        snprintf(path, sizeof(path), TREE "/d%zu", i / FILES_EACH);
                        check(mkdir(path, 0755) == 0, path);
                }
                tree_path(path, sizeof(path), i);
                fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
                check(fd >= 0, path);
                check(write(fd, buffer, FILE_SIZE) == (ssize_t)FILE_SIZE, "write");
                check(futimens(fd, times) == 0 && fchown(fd, 1000, 1000) == 0 &&
                              fchmod(fd, 0644) == 0,
                      "attributes");
                close(fd);
        }
}

static int visit(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return type == FTW_NS ? -1 : 0;
}

/* find: a stat of each. */
static void run_find(const Phase *phase, Result *result)
{
        check(nftw(TREE, visit, 16, FTW_PHYS) == 0, "find");
        result->ops = files;
}

static int visit_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

/* rm -r */
static void run_remove(const Phase *phase, Result *result)
{
        check(nftw(TREE, visit_remove, 16, FTW_PHYS | FTW_DEPTH) == 0, "remove");
        result->ops = files;
}

static const Phase phases[] = {
        {"none", run_none, NULL, 0, 0},
        {"seq_write_4k", run_sequential, EXPORT "/new", SMALL, O_WRONLY | O_CREAT | O_TRUNC},
        {"seq_write_1m", run_sequential, EXPORT "/new", MIB, O_WRONLY | O_CREAT | O_TRUNC},
        {"seq_read_4k", run_sequential, DATA, SMALL, O_RDONLY},
        {"seq_read_1m", run_sequential, DATA, MIB, O_RDONLY},
        {"rand_read_4k", run_random, DATA, SMALL, O_RDONLY},
        {"rand_write_4k", run_random, DATA, SMALL, O_WRONLY},
        {"meta_create", run_create, NULL, 0, 0},
        {"meta_find", run_find, NULL, 0, 0},
        {"meta_remove", run_remove, NULL, 0, 0},
        {"blk_seq_read", run_sequential, DISK, MIB, O_RDONLY | O_DIRECT},
        {"blk_rand_read", run_random, DISK, SMALL, O_RDONLY | O_DIRECT},
};

static void run_phase(const char *name)
{
        Result result = {};
        uint64_t start;
        size_t i = 0;

        while (i < sizeof(phases) / sizeof(phases[0]) && strcmp(phases[i].name, name) != 0)
                i++;
        errno = EINVAL;
        check(i < sizeof(phases) / sizeof(phases[0]), name);
        drop_caches();
        start = now_usec();
        phases[i].run(&phases[i], &result);
        printf("bench %s usec=%llu bytes=%llu ops=%llu\n", name,
               (unsigned long long)(now_usec() - start), (unsigned long long)result.bytes,
               (unsigned long long)result.ops);
}

static void mount_export(void)
{
        const char *options = getenv("benchopts");
        char text[256];

        snprintf(text, sizeof(text), "trans=virtio,version=9p2000.L,msize=512000,%s",
                 options ? options : "cache=loose");
        check(mount("bench", EXPORT, "9p", 0, text) == 0, "mount");
}

int main(void)
{
        char *names = getenv("bench");

        setvbuf(stdout, NULL, _IOLBF, 0);
        mkdir("/proc", 0755);
        mkdir("/dev", 0755);
        mkdir(EXPORT, 0755);
        check(mount("proc", "/proc", "proc", 0, NULL) == 0, "/proc");
        check(mount("dev", "/dev", "devtmpfs", 0, NULL) == 0 || errno == EBUSY, "/dev");
        total = parameter("benchmib", 16) * MIB;
        ops = parameter("benchops", 500);
        files = parameter("benchfiles", 300);
        buffer = aligned_alloc(MIB, MIB);
        check(buffer && names, "parameters");
        memset(buffer, 'b', MIB);
        mount_export();
        for (char *name = strtok(names, ","); name; name = strtok(NULL, ","))
                run_phase(name);
        check(umount(EXPORT) == 0, "umount");
        printf("bench done\n");
        for (;;)
                pause();
}
