/* The 9p server's book of locks against the kernel's own, and its bound. */
#include <sys/sysmacros.h>

#include "test/unit/p9_guest.h"
#include "vmm/p9/locks.h"

#define RANGES_MAX 64

static void set(P9Locks *locks, int64_t start, int64_t end, short type)
{
        P9LockChange change = p9_locks_plan(
                locks, (P9LockRange){.start = start, .end = end, .type = type});

        unit_assert_int(p9_locks_prepare(locks, &change), 0);
        p9_locks_apply(locks, &change);
}

static void expect(const P9Locks *locks, const P9LockRange *ranges, unsigned n)
{
        unit_assert_int(locks->n, n);
        for (unsigned i = 0; i < n; i++) {
                unit_assert_int(locks->ranges[i].start, ranges[i].start);
                unit_assert_int(locks->ranges[i].end, ranges[i].end);
                unit_assert_int(locks->ranges[i].type, ranges[i].type);
        }
}

#define EXPECT(locks, ...)                            \
        expect((locks), (P9LockRange[]){__VA_ARGS__}, \
               sizeof((P9LockRange[]){__VA_ARGS__}) / sizeof(P9LockRange))

static void test_ranges(void)
{
        P9Locks locks = {};

        set(&locks, 10, 19, F_RDLCK);
        set(&locks, 20, 29, F_RDLCK); /* neighbours of one type are one */
        EXPECT(&locks, {10, 29, F_RDLCK});
        set(&locks, 15, 15, F_WRLCK);
        EXPECT(&locks, {10, 14, F_RDLCK}, {15, 15, F_WRLCK}, {16, 29, F_RDLCK});
        set(&locks, 15, 15, F_WRLCK);
        EXPECT(&locks, {10, 14, F_RDLCK}, {15, 15, F_WRLCK}, {16, 29, F_RDLCK});
        set(&locks, 12, 17, F_UNLCK);
        EXPECT(&locks, {10, 11, F_RDLCK}, {18, 29, F_RDLCK});
        set(&locks, 0, INT64_MAX, F_WRLCK);
        EXPECT(&locks, {0, INT64_MAX, F_WRLCK});
        set(&locks, INT64_MAX, INT64_MAX, F_RDLCK);
        EXPECT(&locks, {0, INT64_MAX - 1, F_WRLCK}, {INT64_MAX, INT64_MAX, F_RDLCK});
        set(&locks, 0, 0, F_UNLCK);
        set(&locks, 1, INT64_MAX, F_UNLCK);
        unit_assert_int(locks.n, 0);
        unit_assert(!locks.ranges);
}

/* The kernel's records of open file description locks on @fd's file, in order. False if it won't tell. */
static bool kernel_ranges(int fd, P9LockRange *ret, unsigned *ret_n)
{
        FILE *file = fopen("/proc/locks", "re");
        char line[256], wanted[64], end[32], type[16], inode[64];
        struct stat st;

        if (!file)
                return false;
        unit_assert_int(fstat(fd, &st), 0);
        snprintf(wanted, sizeof(wanted), "%02x:%02x:%lu", major(st.st_dev), minor(st.st_dev),
                 (unsigned long)st.st_ino);
        *ret_n = 0;
        while (fgets(line, sizeof(line), file)) {
                long start;

                if (sscanf(line, "%*s OFDLCK %*s %15s -1 %63s %ld %31s", type, inode, &start,
                           end) != 4 ||
                    strcmp(inode, wanted) != 0)
                        continue;
                unit_assert(*ret_n < RANGES_MAX);
                ret[(*ret_n)++] = (P9LockRange){
                        .start = start,
                        .end = strcmp(end, "EOF") == 0 ? INT64_MAX : strtol(end, NULL, 10),
                        .type = strcmp(type, "READ") == 0 ? F_RDLCK : F_WRLCK,
                };
        }
        fclose(file);
        return true;
}

static int compare_ranges(const void *a, const void *b)
{
        const P9LockRange *left = a, *right = b;

        return left->start < right->start ? -1 : left->start > right->start;
}

/* Some thousand random changes, each also made on a file. */
static void test_like_kernel(void)
{
        static const short types[] = {F_RDLCK, F_WRLCK, F_UNLCK};
        char path[] = "/tmp/uvm-p9-lock.XXXXXX";
        int fd = mkostemp(path, O_CLOEXEC);
        P9LockRange ranges[RANGES_MAX];
        P9Locks locks = {};
        uint32_t random = 1;
        unsigned n;

        unit_assert(fd >= 0);
        unlink(path);
        for (unsigned i = 0; i < 3000; i++) {
                struct flock lock = {.l_whence = SEEK_SET};

                random = random * 1664525 + 1013904223;
                lock.l_start = random >> 8 & 31;
                lock.l_len = random >> 16 & 7; /* 0: up to the end */
                lock.l_type = types[random >> 24 & 1 ? 2 : random >> 25 & 1];
                unit_assert_int(fcntl(fd, F_OFD_SETLK, &lock), 0);
                set(&locks, lock.l_start, lock.l_len ? lock.l_start + lock.l_len - 1 : INT64_MAX,
                    lock.l_type);
                if (i % 4)
                        continue;
                if (!kernel_ranges(fd, ranges, &n)) {
                        printf("# skipped: no /proc/locks\n");
                        break;
                }
                qsort(ranges, n, sizeof(ranges[0]), compare_ranges);
                expect(&locks, ranges, n);
        }
        p9_locks_done(&locks);
        close(fd);
}

static unsigned locks_of(Guest *guest)
{
        return p9_server_usage(guest->server).locks;
}

/* However a guest asks for more, it gets so many and no more; the others' go on. */
static void test_flood(void)
{
        P9Limits limits = p9_limits_for(512);
        Guest *guest;

        limits.locks = 10;
        guest = guest_open_with(limits, false);
        guest_create(guest, 1, "a");
        guest_create(guest, 2, "b");
        for (uint64_t i = 0; i < 9; i++)
                unit_assert_int(guest_lock(guest, 1, P9_LOCK_WRITE, i * 10, 5), P9_LOCK_SUCCESS);
        unit_assert_int(guest_lock(guest, 2, P9_LOCK_WRITE, 0, 0), P9_LOCK_SUCCESS);
        unit_assert_int(locks_of(guest), 10);
        unit_assert_int(guest_lock(guest, 1, P9_LOCK_WRITE, 1000, 1), -ENOLCK);
        unit_assert_int(guest_lock(guest, 2, P9_LOCK_NONE, 5, 1), -ENOLCK); /* splits */
        unit_assert_int(guest_lock(guest, 2, P9_LOCK_READ, 5, 1), -ENOLCK);
        unit_assert_int(guest_lock(guest, 1, P9_LOCK_WRITE, 4, 2), P9_LOCK_SUCCESS);  /* no more */
        unit_assert_int(guest_lock(guest, 1, P9_LOCK_WRITE, 0, 25), P9_LOCK_SUCCESS); /* fewer */
        unit_assert_int(locks_of(guest), 8);
        unit_assert_int(guest_lock(guest, 2, P9_LOCK_NONE, 5, 1), P9_LOCK_SUCCESS);
        unit_assert_int(locks_of(guest), 9);
        unit_assert_int(guest_clunk(guest, 2), 0);
        unit_assert_int(locks_of(guest), 7);
        unit_assert_int(guest_lock(guest, 1, P9_LOCK_NONE, 0, 0), P9_LOCK_SUCCESS);
        unit_assert_int(locks_of(guest), 0);
        guest_close(guest);
}

/* What is refused, or blocked by another, isn't counted. */
static void test_blocked(void)
{
        Guest *guest = guest_open();

        guest_create(guest, 1, "file");
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 2, "file"), 0);
        unit_assert_int(guest_lopen(guest, 2, O_RDWR), 0);
        unit_assert_int(guest_lock(guest, 1, P9_LOCK_WRITE, 0, 10), P9_LOCK_SUCCESS);
        unit_assert_int(guest_lock(guest, 2, P9_LOCK_WRITE, 5, 10), P9_LOCK_BLOCKED);
        unit_assert_int(guest_lock(guest, 2, P9_LOCK_WRITE, INT64_MAX, 2), -EOVERFLOW);
        unit_assert_int(guest_lock(guest, 2, P9_LOCK_NONE, 0, 0), P9_LOCK_SUCCESS);
        unit_assert_int(locks_of(guest), 1);
        guest_close(guest);
}

/*
 * A fid that is open for reading only locks by its own file where a second can't be had, and goes on
 * with it: a second one would be locked out by the first.
 */
static void test_one_owner(void)
{
        P9Limits limits = p9_limits_for(512);
        Guest *guest;

        limits.files = 2;
        guest = guest_open_with(limits, false);
        guest_create(guest, 1, "file");
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 2, "file"), 0);
        unit_assert_int(guest_lopen(guest, 2, O_RDONLY), 0);
        unit_assert_int(guest_lock(guest, 2, P9_LOCK_READ, 0, 0), P9_LOCK_SUCCESS);
        unit_assert_int(guest_clunk(guest, 1), 0);
        unit_assert_int(guest_lock(guest, 2, P9_LOCK_WRITE, 0, 0), -EBADF); /* of the host */
        unit_assert_int(guest_lock(guest, 2, P9_LOCK_NONE, 0, 0), P9_LOCK_SUCCESS);
        unit_assert_int(guest_lock(guest, 2, P9_LOCK_WRITE, 0, 0), P9_LOCK_SUCCESS);
        unit_assert_int(p9_server_usage(guest->server).files, 2);
        guest_close(guest);
}

/* Two fids of one file, open for both. */
static Guest *guest_with_two_fids(P9Limits limits)
{
        Guest *guest = guest_open_with(limits, false);

        guest_create(guest, 1, "file");
        unit_assert_int(guest_walk(guest, GUEST_ROOT, 2, "file"), 0);
        unit_assert_int(guest_lopen(guest, 2, O_RDWR), 0);
        return guest;
}

/* A process has its locks by whichever fid, and no other process has them by the same. */
static void test_process(void)
{
        Guest *guest = guest_with_two_fids(p9_limits_for(512));

        unit_assert_int(guest_lock_as(guest, 7, 1, P9_LOCK_WRITE, 0, 10), P9_LOCK_SUCCESS);
        unit_assert_int(guest_lock_as(guest, 7, 2, P9_LOCK_WRITE, 5, 10), P9_LOCK_SUCCESS);
        unit_assert_int(locks_of(guest), 1);
        unit_assert_int(guest_lock_as(guest, 8, 1, P9_LOCK_READ, 14, 1), P9_LOCK_BLOCKED);
        unit_assert_int(guest_lock(guest, 1, P9_LOCK_READ, 14, 1), P9_LOCK_BLOCKED);
        unit_assert_int(guest_getlock_as(guest, 7, 1), P9_LOCK_NONE);
        unit_assert_int(guest_getlock_as(guest, 8, 1), P9_LOCK_WRITE);
        /* A child that closes what it has inherited. */
        unit_assert_int(guest_lock_as(guest, 8, 1, P9_LOCK_NONE, 0, 0), P9_LOCK_SUCCESS);
        unit_assert_int(locks_of(guest), 1);
        unit_assert_int(guest_lock_as(guest, 7, 2, P9_LOCK_NONE, 0, 0), P9_LOCK_SUCCESS);
        unit_assert_int(locks_of(guest), 0);
        unit_assert_int(guest_lock_as(guest, 8, 1, P9_LOCK_WRITE, 0, 0), P9_LOCK_SUCCESS);
        guest_close(guest);
}

/* Processes come and go: what one has left serves the next, and all ends with the last fid. */
static void test_process_ends(void)
{
        Guest *guest = guest_with_two_fids(p9_limits_for(512));
        unsigned files;

        unit_assert_int(guest_lock_as(guest, 1, 1, P9_LOCK_READ, 0, 1), P9_LOCK_SUCCESS);
        files = p9_server_usage(guest->server).files;
        for (uint32_t process = 2; process < 100; process++) {
                unit_assert_int(guest_lock_as(guest, process, 1, P9_LOCK_READ, 0, 1),
                                P9_LOCK_SUCCESS);
                unit_assert_int(guest_lock_as(guest, process - 1, 2, P9_LOCK_NONE, 0, 0),
                                P9_LOCK_SUCCESS);
        }
        unit_assert_int(p9_server_usage(guest->server).files, files + 1);
        unit_assert_int(guest_clunk(guest, 1), 0);
        unit_assert_int(locks_of(guest), 1);
        unit_assert_int(guest_clunk(guest, 2), 0);
        unit_assert_int(locks_of(guest), 0);
        unit_assert_int(p9_server_usage(guest->server).files, 0);
        guest_close(guest);
}

/* No file for one more process: it has no lock, and the others go on. */
static void test_process_limit(void)
{
        P9Limits limits = p9_limits_for(512);
        Guest *guest;

        limits.files = 3;
        guest = guest_with_two_fids(limits);
        unit_assert_int(guest_lock_as(guest, 1, 1, P9_LOCK_READ, 0, 1), P9_LOCK_SUCCESS);
        unit_assert_int(guest_lock_as(guest, 2, 1, P9_LOCK_READ, 0, 1), -ENOLCK);
        unit_assert_int(guest_lock_as(guest, 2, 1, P9_LOCK_NONE, 0, 0), P9_LOCK_SUCCESS);
        unit_assert_int(guest_lock_as(guest, 1, 2, P9_LOCK_NONE, 0, 1), P9_LOCK_SUCCESS);
        unit_assert_int(guest_lock_as(guest, 2, 1, P9_LOCK_READ, 0, 1), P9_LOCK_SUCCESS);
        guest_close(guest);
}

UNIT_MAIN(UNIT_TEST(test_ranges), UNIT_TEST(test_like_kernel), UNIT_TEST(test_flood),
          UNIT_TEST(test_blocked), UNIT_TEST(test_one_owner), UNIT_TEST(test_process),
          UNIT_TEST(test_process_ends), UNIT_TEST(test_process_limit))
