/* The driver's side of a 9p device in memory; see ring.h. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "test/bench/ring.h"
#include "vmm/virtio/p9.h"

#define MEMORY_SIZE (32ULL << 20)
#define QUEUE_SIZE  128
#define PAGE        4096U

/* Guest addresses. */
enum {
        DESCRIPTORS = 0x10000,
        AVAILABLE = 0x20000,
        USED = 0x30000,
        TABLE = 0x40000,
        REQUEST = 0x50000,
        REPLY = 0x60000,
        DATA = 0x100000,
};

#define DESCRIPTOR_NEXT     1
#define DESCRIPTOR_WRITE    2
#define DESCRIPTOR_INDIRECT 4

void ring_fail(const char *what)
{
        fprintf(stderr, "p9_bench: %s\n", what);
        exit(EXIT_FAILURE);
}

static void *at(Ring *ring, uint64_t address)
{
        return guest_memory_span(&ring->memory, address, 1);
}

void ring_open(Ring *ring, const char *path)
{
        int proc = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
        VirtioP9Config config = {
                .tag = "bench",
                .root_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC),
                .proc_fd = proc,
        };

        *ring = (Ring){};
        if (loop_new(&ring->loop) < 0 || guest_memory_init(&ring->memory, MEMORY_SIZE) < 0 ||
            config.root_fd < 0 || proc < 0 ||
            virtio_p9_new(ring->loop, &ring->memory, &config, &ring->device) < 0)
                ring_fail("can't make the device");
        ring->request = at(ring, REQUEST);
        ring->reply = at(ring, REPLY);
        ring->data = at(ring, DATA);
        memset(ring->data, 1, RING_DATA_MAX);
        ring->device->state.driver_features = VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX |
                                              VIRTIO_F_VERSION_1;
        ring->device->queues[0].state = (VirtioQueueState){
                .size = QUEUE_SIZE,
                .ready = true,
                .descriptors = DESCRIPTORS,
                .available = AVAILABLE,
                .used = USED,
        };
        if (virtio_device_activate(ring->device) != 0)
                ring_fail("can't start the queue");
}

void ring_close(Ring *ring)
{
        ring->device = virtio_device_free(ring->device);
        ring->loop = loop_free(ring->loop);
        guest_memory_done(&ring->memory);
}

void ring_begin(Ring *ring, uint8_t type)
{
        ring->writer = wire_writer(ring->request, PAGE);
        p9_reply_begin(&ring->writer, type, 1);
}

static void describe(WireWriter *table, uint64_t address, uint32_t length, uint16_t flags)
{
        wire_put_u64(table, address);
        wire_put_u32(table, length);
        wire_put_u16(table, flags | DESCRIPTOR_NEXT);
        wire_put_u16(table, (uint16_t)((table->at + 2) / 16));
}

static void describe_data(WireWriter *table, uint32_t size, uint16_t flags)
{
        for (uint32_t done = 0; done < size; done += PAGE)
                describe(table, DATA + done, MIN(size - done, PAGE), flags);
}

/* The table's last entry has no next one. */
static void end_table(WireWriter *table)
{
        WireWriter flags = wire_writer(table->data + table->at - 4, 2);

        wire_put_u16(&flags, table->data[table->at - 4] & ~DESCRIPTOR_NEXT);
}

/* Where the driver puts its request and looks for the answer. */
static void publish(Ring *ring, uint32_t table_size)
{
        WireWriter descriptor = wire_writer(at(ring, DESCRIPTORS), 16);
        WireWriter entry = wire_writer(
                (uint8_t *)at(ring, AVAILABLE) + 4 + 2 * (ring->next % QUEUE_SIZE), 2);
        uint16_t *index = (uint16_t *)((uint8_t *)at(ring, AVAILABLE) + 2);

        wire_put_u64(&descriptor, TABLE);
        wire_put_u32(&descriptor, table_size);
        wire_put_u16(&descriptor, DESCRIPTOR_INDIRECT);
        wire_put_u16(&descriptor, 0);
        wire_put_u16(&entry, 0);
        __atomic_store_n(index, ++ring->next, __ATOMIC_RELEASE);
}

static bool is_answered(Ring *ring)
{
        uint16_t *index = (uint16_t *)((uint8_t *)at(ring, USED) + 2);

        return __atomic_load_n(index, __ATOMIC_ACQUIRE) == ring->next;
}

uint32_t ring_send(Ring *ring, uint32_t out, uint32_t in)
{
        WireWriter table = wire_writer(at(ring, TABLE), 2 * PAGE);

        assert(out <= RING_DATA_MAX && in <= RING_DATA_MAX);
        p9_reply_end(&ring->writer, out);
        describe(&table, REQUEST, (uint32_t)ring->writer.at, 0);
        describe_data(&table, out, 0);
        describe(&table, REPLY, in ? P9_READ_HEADER_SIZE : PAGE, DESCRIPTOR_WRITE);
        describe_data(&table, in, DESCRIPTOR_WRITE);
        end_table(&table);
        publish(ring, (uint32_t)table.at);
        if (virtio_device_notify(ring->device, 0) != 0)
                ring_fail("the device failed");
        while (!is_answered(ring))
                if (loop_step(ring->loop, USEC_PER_SEC) < 0 ||
                    ring->device->state.status & VIRTIO_STATUS_NEEDS_RESET)
                        ring_fail("the device gives no answer");
        return (uint32_t)ring->reply[0] | (uint32_t)ring->reply[1] << 8 |
               (uint32_t)ring->reply[2] << 16;
}

void ring_call(Ring *ring, uint32_t out, uint32_t in)
{
        char text[64];

        ring_send(ring, out, in);
        if (ring->reply[4] == ring->request[4] + 1)
                return;
        snprintf(text, sizeof(text), "message %u is answered by error %u", ring->request[4],
                 ring->reply[7]);
        ring_fail(text);
}
