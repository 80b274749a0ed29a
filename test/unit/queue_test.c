/* The virtqueue against a driver that keeps to the rules, and one for each rule that doesn't. */
#include <errno.h>

#include "test/unit.h"
#include "vmm/virtio/queue.h"

#define SIZE        8
#define MEMORY_SIZE (16ULL << 20)
#define DESCRIPTORS 0x1000
#define AVAILABLE   0x2000
#define USED        0x3000
#define TABLE       0x4000
#define DATA        0x100000

enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };

static GuestMemory memory;
static VirtioQueue queue;
static VirtioChain chain;

static void put16(uint64_t address, uint16_t value)
{
        memcpy(guest_memory_span(&memory, address, 2), &value, 2);
}

static uint16_t get16(uint64_t address)
{
        uint16_t value;

        memcpy(&value, guest_memory_span(&memory, address, 2), 2);
        return value;
}

static uint32_t get32(uint64_t address)
{
        return get16(address) | (uint32_t)get16(address + 2) << 16;
}

static void describe_at(uint64_t table, unsigned index, uint64_t address, uint32_t length,
                        uint16_t flags, uint16_t next)
{
        uint8_t *at = guest_memory_span(&memory, table + 16 * index, 16);

        memcpy(at, &address, 8);
        memcpy(at + 8, &length, 4);
        memcpy(at + 12, &flags, 2);
        memcpy(at + 14, &next, 2);
}

static void describe(unsigned index, uint64_t address, uint32_t length, uint16_t flags,
                     uint16_t next)
{
        describe_at(DESCRIPTORS, index, address, length, flags, next);
}

static void offer(uint16_t head)
{
        uint16_t index = get16(AVAILABLE + 2);

        put16(AVAILABLE + 4 + 2 * (index % SIZE), head);
        put16(AVAILABLE + 2, index + 1);
}

static void begin(bool event_index)
{
        for (uint64_t at = 0; at < 0x8000; at += 2)
                put16(at, 0);
        virtio_queue_reset(&queue, SIZE);
        queue.state.descriptors = DESCRIPTORS;
        queue.state.available = AVAILABLE;
        queue.state.used = USED;
        queue.state.ready = true;
        unit_assert_int(virtio_queue_start(&queue, &memory, event_index), 0);
}

static void check_broken(const char *problem)
{
        unit_assert_int(virtio_queue_pop(&queue, &chain), VIRTIO_QUEUE_E_BROKEN);
        unit_assert_string(queue.problem, problem);
        unit_assert_int(virtio_queue_pop(&queue, &chain), VIRTIO_QUEUE_E_BROKEN);
        unit_assert(!virtio_queue_is_live(&queue));
        begin(false);
}

static void test_pop_push(void)
{
        begin(false);
        unit_assert(virtio_queue_is_empty(&queue));
        unit_assert_int(virtio_queue_pop(&queue, &chain), VIRTIO_QUEUE_E_EMPTY);
        describe(2, DATA, 100, NEXT, 5);
        describe(5, DATA + 4096, 30, NEXT | WRITE, 1);
        describe(1, DATA + 8192, 70, WRITE, 0);
        offer(2);
        unit_assert(!virtio_queue_is_empty(&queue));
        unit_assert_int(virtio_queue_pop(&queue, &chain), 0);
        unit_assert_int(chain.head, 2);
        unit_assert_int(chain.n_readable, 1);
        unit_assert_int(chain.n_writable, 2);
        unit_assert_int(chain.readable_size, 100);
        unit_assert_int(chain.writable_size, 100);
        unit_assert(chain.readable[0].iov_base == guest_memory_span(&memory, DATA, 1));
        unit_assert(chain.writable[1].iov_base == guest_memory_span(&memory, DATA + 8192, 1));
        /* Busy devices want no kicks. */
        unit_assert_int(get16(USED), 1);
        virtio_queue_push(&queue, chain.head, 42);
        unit_assert_int(get16(USED + 2), 1);
        unit_assert_int(get32(USED + 4), 2);
        unit_assert_int(get32(USED + 8), 42);
        unit_assert_int(virtio_queue_pop(&queue, &chain), VIRTIO_QUEUE_E_EMPTY);
        unit_assert_int(get16(USED), 0);
}

static void test_unpop(void)
{
        begin(false);
        describe(0, DATA, 1, 0, 0);
        offer(0);
        unit_assert_int(virtio_queue_pop(&queue, &chain), 0);
        virtio_queue_unpop(&queue);
        unit_assert(!virtio_queue_is_empty(&queue));
        unit_assert_int(virtio_queue_pop(&queue, &chain), 0);
        unit_assert_int(queue.in_flight, 1);
}

/* Seen, taken and pushed in parts; the guest sees a part when all of it is there. */
static void test_peek(void)
{
        begin(true);
        for (uint16_t i = 0; i < 4; i++)
                describe(i, DATA + 4096 * i, 100 + i, WRITE, 0);
        offer(3);
        offer(1);
        unit_assert_int(virtio_queue_peek(&queue, 1, &chain), 0);
        unit_assert_int(chain.head, 1);
        unit_assert_int(chain.writable_size, 101);
        unit_assert_int(virtio_queue_peek(&queue, 0, &chain), 0);
        unit_assert_int(chain.head, 3);
        unit_assert_int(virtio_queue_peek(&queue, 2, &chain), VIRTIO_QUEUE_E_EMPTY);
        unit_assert_int(queue.state.next_available, 0);
        unit_assert_int(queue.in_flight, 0);
        /* Nobody was asked for a kick yet. */
        unit_assert_int(get16(USED + 4 + 8 * SIZE), 0);
        unit_assert(!virtio_queue_await(&queue, 1));
        unit_assert(virtio_queue_await(&queue, 2));
        unit_assert_int(get16(USED + 4 + 8 * SIZE), 2);
        virtio_queue_take(&queue, 2);
        unit_assert_int(queue.in_flight, 2);
        virtio_queue_stage(&queue, 3, 7);
        virtio_queue_stage(&queue, 1, 8);
        unit_assert_int(get16(USED + 2), 0);
        virtio_queue_publish(&queue);
        unit_assert_int(get16(USED + 2), 2);
        unit_assert_int(get32(USED + 4), 3);
        unit_assert_int(get32(USED + 16), 8);
        unit_assert_int(queue.in_flight, 0);
        /* A bad one is found where it lies. */
        describe(2, 1ULL << 40, 8, WRITE, 0);
        offer(0);
        offer(2);
        unit_assert_int(virtio_queue_peek(&queue, 0, &chain), 0);
        unit_assert_int(virtio_queue_peek(&queue, 1, &chain), VIRTIO_QUEUE_E_BROKEN);
        unit_assert_int(virtio_queue_peek(&queue, 0, &chain), VIRTIO_QUEUE_E_BROKEN);
        unit_assert(virtio_queue_await(&queue, 0));
        virtio_queue_publish(&queue);
        /* Without event indices it is a flag. */
        begin(false);
        unit_assert(virtio_queue_await(&queue, 0));
        unit_assert_int(get16(USED), 0);
        describe(0, DATA, 8, WRITE, 0);
        offer(0);
        unit_assert_int(virtio_queue_peek(&queue, 0, &chain), 0);
        virtio_queue_take(&queue, 1);
        unit_assert_int(get16(USED), 1);
        virtio_queue_push(&queue, 0, 8);
}

static void test_wrap(void)
{
        begin(true);
        queue.state.next_available = queue.state.next_used = 0xfffe;
        queue.signalled = 0xfffe;
        put16(AVAILABLE + 2, 0xfffe);
        describe(3, DATA, 1, WRITE, 0);
        put16(AVAILABLE + 4 + 2 * SIZE, 0xffff);
        for (unsigned i = 0; i < 4; i++) {
                offer(3);
                unit_assert_int(virtio_queue_pop(&queue, &chain), 0);
                virtio_queue_push(&queue, 3, 1);
                /* used_event is 0xffff: only the push that makes the index 0 interrupts. */
                unit_assert_int(virtio_queue_wants_interrupt(&queue), i == 1);
        }
        unit_assert_int(get16(USED + 2), 2);
}

static void test_event_index_kick(void)
{
        begin(true);
        describe(0, DATA, 1, WRITE, 0);
        for (unsigned i = 0; i < 3; i++) {
                offer(0);
                unit_assert_int(virtio_queue_pop(&queue, &chain), 0);
                virtio_queue_push(&queue, 0, 0);
        }
        unit_assert_int(get16(USED + 4 + 8 * SIZE), 0);
        unit_assert_int(virtio_queue_pop(&queue, &chain), VIRTIO_QUEUE_E_EMPTY);
        unit_assert_int(get16(USED + 4 + 8 * SIZE), 3);
}

static void test_interrupt_flag(void)
{
        begin(false);
        describe(0, DATA, 1, WRITE, 0);
        unit_assert(!virtio_queue_wants_interrupt(&queue));
        offer(0);
        unit_assert_int(virtio_queue_pop(&queue, &chain), 0);
        virtio_queue_push(&queue, 0, 0);
        unit_assert(virtio_queue_wants_interrupt(&queue));
        unit_assert(!virtio_queue_wants_interrupt(&queue));
        put16(AVAILABLE, 1);
        offer(0);
        unit_assert_int(virtio_queue_pop(&queue, &chain), 0);
        virtio_queue_push(&queue, 0, 0);
        unit_assert(!virtio_queue_wants_interrupt(&queue));
}

static void test_indirect(void)
{
        begin(false);
        for (unsigned i = 0; i < 20; i++)
                describe_at(TABLE, i, DATA + 64 * i, 64, (i < 19 ? NEXT : 0) | (i > 4 ? WRITE : 0),
                            (uint16_t)(i + 1));
        describe(0, DATA, 8, NEXT, 1);
        describe(1, TABLE, 16 * 20, INDIRECT, 0);
        offer(0);
        unit_assert_int(virtio_queue_pop(&queue, &chain), 0);
        unit_assert_int(chain.n_readable, 6);
        unit_assert_int(chain.n_writable, 15);
}

static void test_longest_indirect(void)
{
        begin(false);
        for (unsigned i = 0; i <= VIRTIO_QUEUE_SIZE_MAX; i++)
                describe_at(TABLE, i, DATA, 1, WRITE | (i < VIRTIO_QUEUE_SIZE_MAX - 1 ? NEXT : 0),
                            (uint16_t)(i + 1));
        describe(0, TABLE, 16 * VIRTIO_QUEUE_SIZE_MAX, INDIRECT, 0);
        offer(0);
        unit_assert_int(virtio_queue_pop(&queue, &chain), 0);
        unit_assert_int(chain.n_writable, VIRTIO_QUEUE_SIZE_MAX);
        describe_at(TABLE, VIRTIO_QUEUE_SIZE_MAX - 1, DATA, 1, WRITE | NEXT, VIRTIO_QUEUE_SIZE_MAX);
        describe(0, TABLE, 16 * (VIRTIO_QUEUE_SIZE_MAX + 1), INDIRECT, 0);
        offer(0);
        check_broken("a chain is too long");
}

static void test_broken_chains(void)
{
        begin(false);
        offer(SIZE);
        check_broken("a descriptor's index is out of range");

        describe(0, DATA, 1, NEXT, SIZE);
        offer(0);
        check_broken("a descriptor's index is out of range");

        describe(0, DATA, 1, NEXT, 0);
        offer(0);
        check_broken("a chain is a loop");

        describe(0, DATA, 1, NEXT | WRITE, 1);
        describe(1, DATA, 1, 0, 0);
        offer(0);
        check_broken("a readable buffer follows a writable one");

        describe(0, DATA, 0, 0, 0);
        offer(0);
        check_broken("a buffer is empty");

        describe(0, MEMORY_SIZE - 1, 2, 0, 0);
        offer(0);
        check_broken("a buffer lies outside memory");

        describe(0, UINT64_MAX, UINT32_MAX, 0, 0);
        offer(0);
        check_broken("a buffer lies outside memory");

        put16(AVAILABLE + 2, SIZE + 1);
        check_broken("its available index leaps");
}

static void test_broken_indirect(void)
{
        begin(false);
        describe(0, TABLE, 16, INDIRECT | NEXT, 1);
        offer(0);
        check_broken("an indirect descriptor has a next one");

        describe(0, TABLE, 24, INDIRECT, 0);
        offer(0);
        check_broken("an indirect table has no whole number of entries");

        describe(0, TABLE, 0, INDIRECT, 0);
        offer(0);
        check_broken("an indirect table lies outside memory");

        describe(0, MEMORY_SIZE - 16, 32, INDIRECT, 0);
        offer(0);
        check_broken("an indirect table lies outside memory");

        describe(0, TABLE, 16, INDIRECT, 0);
        describe_at(TABLE, 0, TABLE, 16, INDIRECT, 0);
        offer(0);
        check_broken("an indirect table has another in it");

        describe(0, TABLE, 32, INDIRECT, 0);
        describe_at(TABLE, 0, DATA, 1, NEXT, 1);
        describe_at(TABLE, 1, DATA, 1, NEXT, 0);
        offer(0);
        check_broken("a chain is a loop");
}

/* A guest that never looks at what was used can't have more in flight than descriptors. */
static void test_in_flight_limit(void)
{
        begin(false);
        describe(0, DATA, 1, WRITE, 0);
        for (unsigned i = 0; i < SIZE; i++) {
                offer(0);
                unit_assert_int(virtio_queue_pop(&queue, &chain), 0);
        }
        offer(0);
        check_broken("it has more requests than descriptors");
}

static void test_budget(void)
{
        begin(false);
        describe(0, DATA, 1, WRITE, 0);
        queue.limited = true;
        queue.budget = 2;
        for (unsigned i = 0; i < 3; i++) {
                offer(0);
                unit_assert_int(virtio_queue_pop(&queue, &chain), i < 2 ? 0 : VIRTIO_QUEUE_E_EMPTY);
        }
        unit_assert(queue.cut);
}

static void check_start(uint16_t size, uint64_t descriptors, uint64_t available, uint64_t used,
                        int expected)
{
        virtio_queue_reset(&queue, SIZE);
        queue.state = (VirtioQueueState){
                .size = size,
                .ready = true,
                .descriptors = descriptors,
                .available = available,
                .used = used,
        };
        unit_assert_int(virtio_queue_start(&queue, &memory, false), expected);
        unit_assert_int(virtio_queue_is_live(&queue), expected == 0);
}

static void test_start(void)
{
        const int broken = VIRTIO_QUEUE_E_BROKEN;

        check_start(SIZE, DESCRIPTORS, AVAILABLE, USED, 0);
        check_start(1, DESCRIPTORS, AVAILABLE, USED, 0);
        check_start(0, DESCRIPTORS, AVAILABLE, USED, broken);
        check_start(3, DESCRIPTORS, AVAILABLE, USED, broken);
        check_start(2 * SIZE, DESCRIPTORS, AVAILABLE, USED, broken);
        check_start(SIZE, DESCRIPTORS + 8, AVAILABLE, USED, broken);
        check_start(SIZE, DESCRIPTORS, AVAILABLE + 1, USED, broken);
        check_start(SIZE, DESCRIPTORS, AVAILABLE, USED + 2, broken);
        check_start(SIZE, MEMORY_SIZE, AVAILABLE, USED, broken);
        check_start(SIZE, DESCRIPTORS, MEMORY_SIZE - 20, USED, broken);
        check_start(SIZE, DESCRIPTORS, AVAILABLE, MEMORY_SIZE - 68, broken);
        check_start(SIZE, DESCRIPTORS, AVAILABLE, UINT64_MAX - 3, broken);
}

/* A queue that was stopped is not touched, however the driver changes it. */
static void test_stop(void)
{
        begin(false);
        describe(0, DATA, 1, WRITE, 0);
        offer(0);
        unit_assert_int(virtio_queue_pop(&queue, &chain), 0);
        virtio_queue_stop(&queue);
        queue.state.ready = true;
        queue.state.size = 64;
        unit_assert_int(virtio_queue_pop(&queue, &chain), VIRTIO_QUEUE_E_EMPTY);
        virtio_queue_push(&queue, 0, 1);
        unit_assert_int(get16(USED + 2), 0);
        unit_assert(!virtio_queue_wants_interrupt(&queue));
}

static void test_save_load(void)
{
        uint8_t bytes[64];
        WireWriter writer = wire_writer(bytes, sizeof(bytes));
        VirtioQueueState before;
        WireReader reader;
        size_t size;

        begin(false);
        queue.state.next_available = 17;
        queue.state.next_used = 16;
        before = queue.state;
        virtio_queue_save(&queue, &writer);
        unit_assert_int(wire_writer_end(&writer, &size), 0);
        virtio_queue_reset(&queue, SIZE);
        reader = wire_reader(bytes, size);
        virtio_queue_load(&queue, &reader);
        unit_assert_int(wire_reader_end(&reader), 0);
        unit_assert_int(queue.state.next_available, before.next_available);
        unit_assert_int(queue.state.next_used, before.next_used);
        unit_assert_int(queue.state.used, before.used);
        unit_assert_int(virtio_queue_start(&queue, &memory, false), 0);
        unit_assert_int(queue.signalled, 16);
}

static void test_spans(void)
{
        char a[4] = "abc", b[5] = "defg", text[8] = {};
        const struct iovec spans[] = {{a, 3}, {b, 4}};
        struct iovec part[2];

        unit_assert_int(virtio_spans_read(spans, 2, 1, text, 4), 4);
        unit_assert_string(text, "bcde");
        unit_assert_int(virtio_spans_read(spans, 2, 6, text, 4), 1);
        unit_assert_int(virtio_spans_read(spans, 2, 7, text, 4), 0);
        unit_assert_int(virtio_spans_write(spans, 2, 2, "XYZ", 3), 3);
        unit_assert_string(a, "abX");
        unit_assert_string(b, "YZfg");
        unit_assert_int(virtio_spans_slice(spans, 2, 2, 3, part), 2);
        unit_assert(part[0].iov_base == a + 2 && part[0].iov_len == 1);
        unit_assert(part[1].iov_base == b && part[1].iov_len == 2);
        unit_assert_int(virtio_spans_slice(spans, 2, 7, 3, part), 0);
        unit_assert_int(virtio_spans_slice(spans, 2, 3, 0, part), 0);
}

static void test_memory(void)
{
        unit_assert(!guest_memory_span(&memory, 0, 0));
        unit_assert(guest_memory_span(&memory, 0, MEMORY_SIZE));
        unit_assert(!guest_memory_span(&memory, 0, MEMORY_SIZE + 1));
        unit_assert(!guest_memory_span(&memory, 1, UINT64_MAX));
        unit_assert(!guest_memory_span(&memory, MEMORY_SIZE, 1));
        unit_assert(!guest_memory_span(&memory, UINT64_MAX, 1));
}

/* More than 3 GiB lies in two parts, and nothing lies across the gap. */
static void test_memory_in_two(void)
{
        GuestMemory big;

        unit_assert_int(guest_memory_init(&big, 0), -EINVAL);
        unit_assert_int(guest_memory_init(&big, (16 << 20) + 4096), -EINVAL);
        unit_assert_int(guest_memory_init(&big, GUEST_MEMORY_SIZE_MAX + (2 << 20)), -EINVAL);
        unit_assert_int(guest_memory_init(&big, 4ULL << 30), 0);
        unit_assert_int(guest_memory_size(&big), 4ULL << 30);
        unit_assert(guest_memory_span(&big, GUEST_MEMORY_LOW_END - 1, 1));
        unit_assert(!guest_memory_span(&big, GUEST_MEMORY_LOW_END - 1, 2));
        unit_assert(!guest_memory_span(&big, GUEST_MEMORY_LOW_END, 1));
        unit_assert(!guest_memory_span(&big, GUEST_MEMORY_HIGH_START - 1, 2));
        unit_assert(guest_memory_span(&big, GUEST_MEMORY_HIGH_START, 1ULL << 30));
        unit_assert(!guest_memory_span(&big, GUEST_MEMORY_HIGH_START + 1, 1ULL << 30));
        guest_memory_done(&big);
}

static void test_setup(void)
{
        unit_assert_int(guest_memory_init(&memory, MEMORY_SIZE), 0);
}

UNIT_MAIN(UNIT_TEST(test_setup), UNIT_TEST(test_pop_push), UNIT_TEST(test_unpop),
          UNIT_TEST(test_peek), UNIT_TEST(test_wrap), UNIT_TEST(test_event_index_kick),
          UNIT_TEST(test_interrupt_flag), UNIT_TEST(test_indirect),
          UNIT_TEST(test_longest_indirect), UNIT_TEST(test_broken_chains),
          UNIT_TEST(test_broken_indirect), UNIT_TEST(test_in_flight_limit), UNIT_TEST(test_budget),
          UNIT_TEST(test_start), UNIT_TEST(test_stop), UNIT_TEST(test_save_load),
          UNIT_TEST(test_spans), UNIT_TEST(test_memory), UNIT_TEST(test_memory_in_two))
