/* Walks of one tree and of two side by side, and what copies keep in mind. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/copydata.h"
#include "agent/copylinks.h"
#include "agent/walk.h"
#include "base/fd.h"
#include "test/scratch.h"
#include "test/unit.h"

#define DEPTH (3 * WALK_OPEN)

#define SCRATCH "/tmp/walk-test-XXXXXX"

static char scratch_name[sizeof(SCRATCH)];

static int scratch(void)
{
        int fd;

        strcpy(scratch_name, SCRATCH);
        unit_assert(mkdtemp(scratch_name));
        fd = open(scratch_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        unit_assert(fd >= 0);
        return fd;
}

static void end(int fd)
{
        int parent = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        unit_assert(parent >= 0);
        scratch_remove(parent, strrchr(scratch_name, '/') + 1);
        fd_close(parent);
        fd_close(fd);
}

static void touch(int directory, const char *name)
{
        fd_close(openat(directory, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

static int directory(int parent, const char *name)
{
        int fd;

        unit_assert(mkdirat(parent, name, 0700) == 0 || errno == EEXIST);
        fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        unit_assert(fd >= 0);
        return fd;
}

static int open_in(int parent, const char *name)
{
        return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int dup_of(int fd)
{
        return openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void test_orders(void)
{
        static const char *const sorted[] = {"/a", "/c"}, *const merged[] = {"/a", "/b", "/c"};
        int top = scratch(), one = directory(top, "one"), two = directory(top, "two");
        const char *name;
        Walk walk = {};

        touch(one, "c");
        touch(one, "a");
        touch(two, "b");
        touch(two, "a");
        unit_assert_int(walk_enter(&walk, dup_of(one), dup_of(two), WALK_SORTED, 7), 0);
        for (unsigned i = 0; i < 2; i++) {
                unit_assert_int(walk_next(&walk, &name), 0);
                unit_assert_string(walk.path, sorted[i]);
                unit_assert_string(name, sorted[i] + 1);
        }
        unit_assert_int(walk_next(&walk, &name), 0);
        unit_assert(!name && walk_top(&walk)->flags == 7);
        unit_assert_string(walk.path, "");
        unit_assert_int(walk_leave(&walk), 0);
        unit_assert(!walk_top(&walk));
        unit_assert_int(walk_enter(&walk, dup_of(one), dup_of(two), WALK_MERGED, 0), 0);
        for (unsigned i = 0; i < 3; i++) {
                unit_assert_int(walk_next(&walk, &name), 0);
                unit_assert_string(walk.path, merged[i]);
        }
        walk_done(&walk);
        fd_close(one);
        fd_close(two);
        end(top);
}

/* Directories that aren't held open are found again on the way up; beside them another tree ends. */
static void test_deep(void)
{
        int top = scratch(), at = directory(top, "first"), beside = directory(top, "second");
        const char *name;
        Walk walk = {};

        unit_assert_int(walk_enter(&walk, dup_of(at), dup_of(beside), WALK_SORTED, 0), 0);
        for (unsigned i = 0; i < DEPTH; i++) {
                at = directory(walk_top(&walk)->places[0].fd, "d");
                beside = i < 5 ? directory(walk_top(&walk)->places[1].fd, "d") : FD_NONE;
                touch(at, "file");
                free(walk.path);
                walk.path = strdup("");
                walk.path_capacity = 1;
                unit_assert_int(walk_enter(&walk, at, beside, WALK_SORTED, i), 0);
        }
        for (unsigned i = DEPTH; i > 0; i--) {
                const WalkLevel *level = walk_top(&walk);

                unit_assert_int(level->flags, i - 1);
                unit_assert(level->places[0].fd >= 0 && level->places[1].there == (i <= 5));
                unit_assert(!level->places[1].there || level->places[1].fd >= 0);
                unit_assert_int(walk_leave(&walk), 0);
        }
        unit_assert(walk_top(&walk)->places[1].fd >= 0);
        unit_assert_int(walk_next(&walk, &name), 0);
        unit_assert_int(walk_leave(&walk), 0);
        unit_assert(!walk_top(&walk));
        walk_done(&walk);
        end(top);
}

/* What was moved away while we were deep in it is no way up. */
static void test_moved(void)
{
        int top = scratch(), r = 0;
        Walk walk = {};

        fd_close(directory(top, "elsewhere"));
        unit_assert_int(walk_enter(&walk, directory(top, "start"), FD_NONE, WALK_SORTED, 0), 0);
        for (unsigned i = 0; i < DEPTH; i++) {
                const char *name;

                fd_close(directory(walk_top(&walk)->places[0].fd, "d"));
                /* The level has been read before: it is entered by hand. */
                unit_assert_int(walk_next(&walk, &name), 0);
                unit_assert_int(walk_enter(&walk, open_in(walk_top(&walk)->places[0].fd, "d"),
                                           FD_NONE, WALK_SORTED, 0),
                                0);
        }
        unit_assert(renameat(top, "start/d/d", top, "elsewhere/d") == 0);
        while (r == 0 && walk_top(&walk))
                r = walk_leave(&walk);
        unit_assert_int(r, -ESTALE);
        walk_done(&walk);
        end(top);
}

static void test_links(void)
{
        CopyLinks links = {};
        char path[16];

        unit_assert(!copy_links_find(&links, (CopyIdentity){1, 1}));
        for (unsigned i = 0; i < 10000; i++) {
                snprintf(path, sizeof(path), "/%u", i);
                unit_assert_int(copy_links_add(&links, (CopyIdentity){i % 3, i * 64},
                                               (CopyIdentity){9, i}, path),
                                0);
        }
        for (unsigned i = 0; i < 10000; i++) {
                const CopyLink *link = copy_links_find(&links, (CopyIdentity){i % 3, i * 64});

                snprintf(path, sizeof(path), "/%u", i);
                unit_assert(link && link->to.ino == i);
                unit_assert_string(link->path, path);
                unit_assert(!copy_links_find(&links, (CopyIdentity){i % 3 + 3, i * 64}));
        }
        copy_links_done(&links);
        unit_assert_int(links.n, 0);
}

static void check_data(int top, off_t size, off_t at, const char *data, blkcnt_t most)
{
        uint8_t *buffer = malloc(COPY_BUFFER_SIZE), *one = malloc((size_t)size + 1),
                *two = malloc((size_t)size + 1);
        int from = openat(top, "from", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        int to = openat(top, "to", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        struct stat status;
        uint64_t copied;

        unit_assert(buffer && one && two && from >= 0 && to >= 0);
        unit_assert(ftruncate(from, size) == 0);
        unit_assert(pwrite(from, data, strlen(data), at) == (ssize_t)strlen(data));
        unit_assert(fstat(from, &status) == 0);
        unit_assert_int(copy_data(from, &status, to, buffer, &copied), 0);
        unit_assert_int(copied, status.st_size);
        unit_assert_int(pread(from, one, (size_t)size + 1, 0), status.st_size);
        unit_assert_int(pread(to, two, (size_t)size + 1, 0), status.st_size);
        unit_assert_bytes(one, two, (size_t)status.st_size);
        unit_assert(fstat(to, &status) == 0);
        unit_assert(status.st_blocks <= most);
        fd_close(from);
        fd_close(to);
        free(buffer);
        free(one);
        free(two);
}

static void test_data(void)
{
        int top = scratch();

        check_data(top, 0, 0, "", 0);
        check_data(top, 5, 0, "hello", 8);
        check_data(top, 10 << 20, 5 << 20, "in the middle", 64);
        check_data(top, 10 << 20, (10 << 20) - 3, "end", 64);
        check_data(top, 3 * COPY_BUFFER_SIZE + 1, COPY_BUFFER_SIZE - 2, "over", 64);
        check_data(top, 4097, 4096, "x", 64);
        end(top);
}

UNIT_MAIN(UNIT_TEST(test_orders), UNIT_TEST(test_deep), UNIT_TEST(test_moved),
          UNIT_TEST(test_links), UNIT_TEST(test_data))
