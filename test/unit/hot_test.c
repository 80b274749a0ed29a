/* Memory that may be added: blocks, spans, what is given back, and who touches what is gone. */
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "test/unit.h"
#include "vmm/mem/guard.h"
#include "vmm/mem/memory.h"

#define MIB  (1ULL << 20)
#define GIB  (1ULL << 30)
#define BOOT (32 * MIB)

static GuestMemory memory;
static HotMemory *const hot = &memory.hot;

static void begin(uint64_t room)
{
        unit_assert_int(guest_memory_init(&memory, BOOT), 0);
        unit_assert_int(guest_memory_reserve(&memory, BOOT + room), 0);
}

static void end(void)
{
        guest_memory_done(&memory);
}

static void test_room(void)
{
        begin(0);
        unit_assert_int(hot->size, 0);
        unit_assert(!guest_memory_span(&memory, 4 * GIB, 1));
        unit_assert(!hot_memory_has_blocks(hot, 0, 0));
        end();
        begin(2 * MIB);
        unit_assert_int(hot->start, 4 * GIB);
        unit_assert_int(hot->size, 128 * MIB);
        unit_assert_int(hot->limit, 2 * MIB);
        unit_assert_int(hot->block_size, 2 * MIB);
        end();
        begin(2 * MIB + 4096);
        unit_assert_int(hot->limit, 2 * MIB);
        end();
        /* More blocks than may be: larger ones. */
        begin(300 * GIB);
        unit_assert_int(hot->block_size, 32 * MIB);
        unit_assert_int(hot->size, 300 * GIB);
        unit_assert_int((uintptr_t)hot->host % (2 * MIB), 0);
        end();
        unit_assert_int(guest_memory_init(&memory, 4 * GIB), 0);
        unit_assert_int(guest_memory_reserve(&memory, 5 * GIB), 0);
        unit_assert_int(hot->start, 6 * GIB); /* the boot's ends at 5 GiB */
        end();
        unit_assert_int(guest_memory_init(&memory, BOOT), 0);
        unit_assert_int(guest_memory_reserve(&memory, 2ULL << 40), -EINVAL);
        end();
}

static void test_blocks(void)
{
        begin(128 * MIB);
        unit_assert(hot_memory_has_blocks(hot, hot->start, 2 * MIB));
        unit_assert(hot_memory_has_blocks(hot, hot->start, 128 * MIB));
        unit_assert(hot_memory_has_blocks(hot, hot->start + 126 * MIB, 2 * MIB));
        unit_assert(!hot_memory_has_blocks(hot, hot->start, 0));
        unit_assert(!hot_memory_has_blocks(hot, hot->start, MIB));
        unit_assert(!hot_memory_has_blocks(hot, hot->start + MIB, 2 * MIB));
        unit_assert(!hot_memory_has_blocks(hot, hot->start - 2 * MIB, 4 * MIB));
        unit_assert(!hot_memory_has_blocks(hot, hot->start + 126 * MIB, 4 * MIB));
        unit_assert(!hot_memory_has_blocks(hot, hot->start + 128 * MIB, 2 * MIB));
        unit_assert(!hot_memory_has_blocks(hot, UINT64_MAX - 2 * MIB + 1, 2 * MIB));
        unit_assert(!hot_memory_has_blocks(hot, 0, UINT64_MAX - 2 * MIB + 1));
        end();
}

static void *span(uint64_t offset, uint64_t length)
{
        return guest_memory_span(&memory, hot->start + offset, length);
}

static void test_spans(void)
{
        uint8_t *at;

        begin(128 * MIB);
        unit_assert(!span(0, 1));
        unit_assert_int(hot_memory_plug(hot, hot->start + 2 * MIB, 4 * MIB), 0);
        unit_assert_int(guest_memory_size(&memory), BOOT);
        unit_assert_int(guest_memory_size_now(&memory), BOOT + 4 * MIB);
        unit_assert_int(hot_memory_count(hot, hot->start, 128 * MIB), 4 * MIB);
        unit_assert_int(hot_memory_count(hot, hot->start + 4 * MIB, 4 * MIB), 2 * MIB);
        at = span(2 * MIB, 4 * MIB);
        unit_assert(at == hot->host + 2 * MIB);
        memset(at, 0xaa, 4 * MIB);
        unit_assert(span(6 * MIB - 1, 1));
        unit_assert(!span(6 * MIB - 1, 2));
        unit_assert(!span(2 * MIB - 1, 2));
        unit_assert(!span(2 * MIB, 4 * MIB + 1));
        unit_assert(!span(2 * MIB, UINT64_MAX));
        unit_assert(!span(2 * MIB, 0));
        unit_assert_int(hot_memory_unplug(hot, hot->start + 2 * MIB, 2 * MIB), 0);
        unit_assert(!span(4 * MIB - 1, 1));
        unit_assert_int(*(uint8_t *)span(4 * MIB, 1), 0xaa);
        unit_assert_int(hot_memory_plug(hot, hot->start + 2 * MIB, 2 * MIB), 0);
        unit_assert_int(*(uint8_t *)span(2 * MIB, 1), 0);
        unit_assert_int(hot_memory_unplug_all(hot), 0);
        unit_assert_int(hot->plugged, 0);
        unit_assert(!span(4 * MIB, 1));
        end();
}

/* Bytes of the region that memory stands behind. */
static uint64_t resident(void)
{
        uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), n = 0;
        uint8_t *states = malloc(hot->size / page);

        unit_assert(states && mincore(hot->host, hot->size, states) == 0);
        for (uint64_t i = 0; i < hot->size / page; i++)
                n += states[i] & 1;
        free(states);
        return n * page;
}

/* What is unplugged is the host's again; twenty times, and nothing is left. */
static void test_given_back(void)
{
        uint64_t size = 64 * MIB;

        begin(size);
        unit_assert_int(resident(), 0);
        for (unsigned i = 0; i < 20; i++) {
                unit_assert_int(hot_memory_plug(hot, hot->start, size), 0);
                memset(span(0, size), 1, size);
                unit_assert_int(resident(), size);
                unit_assert_int(hot_memory_unplug(hot, hot->start, size), 0);
                unit_assert_int(resident(), 0);
        }
        end();
}

static int guard_fd = FD_NONE;

static void *touch(void *at)
{
        *(volatile uint8_t *)at = 1;
        return NULL;
}

/* A thread that writes to a block that was unplugged meanwhile goes on, and it is told. */
static void test_guard(void)
{
        pthread_t thread;
        uint64_t n;

        begin(128 * MIB);
        guard_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        unit_assert_int(guard_init(hot->host, hot->size, guard_fd), 0);
        unit_assert_int(hot_memory_plug(hot, hot->start, 2 * MIB), 0);
        touch(hot->host);
        unit_assert(!guard_was_hit());
        unit_assert_int(hot_memory_unplug(hot, hot->start, 2 * MIB), 0);
        unit_assert_int(pthread_create(&thread, NULL, touch, hot->host + 4096), 0);
        pthread_join(thread, NULL);
        unit_assert(guard_was_hit());
        unit_assert_int(read(guard_fd, &n, sizeof(n)), sizeof(n));
        /* System calls are told by the kernel. */
        unit_assert_int(write(guard_fd, hot->host + MIB, 8), -1);
        unit_assert_int(errno, EFAULT);
        guard_done();
        guard_fd = fd_close(guard_fd);
        end();
}

static const UnitTest tests[] = {
        UNIT_TEST(test_room),       UNIT_TEST(test_blocks), UNIT_TEST(test_spans),
        UNIT_TEST(test_given_back), UNIT_TEST(test_guard),
};

int main(void)
{
        return unit_run(tests, ELEMENTSOF(tests));
}
