/* A slot's registers with a device that only notes what it is asked; the serial port's state. */
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "test/unit.h"
#include "vmm/dev/serial.h"
#include "vmm/virtio/mmio.h"

static struct {
        VirtioDevice device;
        unsigned activated, reset, notified, cancelled;
        int answer; /* of activate and notify */
        uint8_t config[8];
} toy;

static void toy_config_read(VirtioDevice *device, uint32_t offset, void *data, unsigned size)
{
        virtio_config_copy(toy.config, offset, data, size);
}

static void toy_config_write(VirtioDevice *device, uint32_t offset, const void *data, unsigned size)
{
        memcpy(toy.config + offset, data, size);
}

static int toy_activate(VirtioDevice *device)
{
        toy.activated++;
        return toy.answer;
}

static void toy_reset(VirtioDevice *device)
{
        toy.reset++;
}

static void toy_cancel(VirtioDevice *device)
{
        toy.cancelled++;
}

static int toy_notify(VirtioDevice *device, unsigned queue)
{
        toy.notified |= 1U << queue;
        return toy.answer;
}

static VirtioDevice *toy_free(VirtioDevice *device)
{
        return NULL;
}

static const VirtioDeviceOps toy_ops = {
        .name = "toy",
        .id = 42,
        .features = 1ULL << 40 | 2,
        .n_queues = 2,
        .queue_sizes = {8, 16},
        .config_size = sizeof(toy.config),
        .config_read = toy_config_read,
        .config_write = toy_config_write,
        .activate = toy_activate,
        .reset = toy_reset,
        .cancel = toy_cancel,
        .notify = toy_notify,
        .free = toy_free,
};

static GuestMemory memory;
static VirtioMmio mmio;
static uint32_t changes;

static uint32_t get(uint32_t offset)
{
        uint32_t value;

        virtio_mmio_read(&mmio, offset, &value, 4);
        return value;
}

static void put(uint32_t offset, uint32_t value)
{
        unit_assert_int(virtio_mmio_write(&mmio, offset, &value, 4), 0);
}

static uint64_t interrupts(void)
{
        uint64_t n = 0;

        return read(toy.device.interrupt_fd, &n, sizeof(n)) < 0 ? 0 : n;
}

static void begin(void)
{
        static int event_fd = FD_NONE;

        if (event_fd < 0)
                event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        memset(&toy, 0, sizeof(toy));
        virtio_device_init(&toy.device, &toy_ops, NULL, &memory);
        changes = 0;
        mmio = (VirtioMmio){
                .device = &toy.device, .changes = &changes, .changes_address = 0x123450};
        toy.device.interrupt_status = &mmio.interrupt_status;
        toy.device.changes = &changes;
        toy.device.interrupt_fd = event_fd;
        (void)interrupts();
}

static void negotiate(void)
{
        put(0x70, 3);
        put(0x24, 1);
        put(0x20, 1);
        put(0x70, 11);
}

static void set_queue(uint32_t index, uint32_t address)
{
        put(0x30, index);
        put(0x38, 8);
        put(0x80, address);
        put(0x90, address + 0x1000);
        put(0xa0, address + 0x2000);
        put(0x44, 1);
}

/* The driver's first: one byte to be written. For set_queue(…, 0x10000). */
static void offer_buffer(void)
{
        static const uint8_t descriptor[16] = {[2] = 3, [8] = 1, [12] = 2};

        memcpy(guest_memory_span(&memory, 0x10000, 16), descriptor, 16);
        memcpy(guest_memory_span(&memory, 0x11002, 2), "\1", 2);
}

static void test_empty(void)
{
        uint64_t wide;

        mmio = (VirtioMmio){};
        unit_assert_int(get(0), 0x74726976);
        unit_assert_int(get(4), 2);
        unit_assert_int(get(8), 0);
        for (uint32_t offset = 0; offset < 0x1000; offset++)
                for (unsigned size = 1; size <= 8; size *= 2) {
                        wide = UINT64_MAX;
                        unit_assert_int(virtio_mmio_write(&mmio, offset, &wide, size), 0);
                        virtio_mmio_read(&mmio, offset, &wide, size);
                }
        unit_assert_int(get(8), 0);
}

static void test_features(void)
{
        begin();
        unit_assert_int(get(8), 42);
        put(0x14, 1);
        unit_assert_int(get(0x10), 1 | 1 << 8);
        put(0x14, 0);
        unit_assert_int(get(0x10), 2 | 1 << 28 | 1 << 29);
        put(0x14, 2);
        unit_assert_int(get(0x10), 0);
        put(0x70, 3);
        put(0x24, 0);
        put(0x20, 4); /* not on offer */
        put(0x24, 1);
        put(0x20, 1);
        put(0x70, 11);
        unit_assert_int(get(0x70), 3);
        put(0x24, 0);
        put(0x20, 2);
        put(0x70, 11);
        unit_assert_int(get(0x70), 11);
        /* Settled: no change any more. */
        put(0x20, 0);
        unit_assert(virtio_device_has(&toy.device, 2 | VIRTIO_F_VERSION_1));
}

static void test_life(void)
{
        begin();
        negotiate();
        set_queue(1, 0x10000);
        put(0x50, 1);
        unit_assert_int(toy.notified, 0);
        put(0x70, 15);
        unit_assert_int(toy.activated, 1);
        put(0x70, 15);
        unit_assert_int(toy.activated, 1);
        unit_assert(virtio_queue_is_live(&toy.device.queues[1]));
        unit_assert(!virtio_queue_is_live(&toy.device.queues[0]));
        put(0x50, 1);
        unit_assert_int(toy.notified, 2);
        put(0x50, 2);
        put(0x50, UINT32_MAX);
        unit_assert_int(toy.notified, 2);
        put(0x70, 0);
        unit_assert_int(toy.reset, 1);
        unit_assert_int(get(0x70), 0);
        put(0x30, 1);
        unit_assert_int(get(0x44), 0);
}

static void test_ready_queue_is_fixed(void)
{
        begin();
        negotiate();
        set_queue(0, 0x10000);
        put(0x80, 0);
        put(0x84, 1);
        put(0x38, 4);
        unit_assert_int(toy.device.queues[0].state.descriptors, 0x10000);
        unit_assert_int(toy.device.queues[0].state.size, 8);
        put(0x44, 0);
        put(0x38, 0x10008);
        unit_assert_int(toy.device.queues[0].state.size, 0);
        put(0x84, 1);
        unit_assert_int(toy.device.queues[0].state.descriptors, 0x100010000);
}

static void test_failure(void)
{
        begin();
        negotiate();
        set_queue(0, 0x10000);
        put(0x70, 15);
        toy.answer = VIRTIO_QUEUE_E_BROKEN;
        put(0x50, 0);
        unit_assert_int(get(0x70), 15 | 64);
        unit_assert_int(get(0x60), 2);
        unit_assert_int(interrupts(), 1);
        put(0x64, 2);
        unit_assert_int(get(0x60), 0);
        toy.notified = 0;
        put(0x50, 0);
        unit_assert_int(toy.notified, 0);
        put(0x70, 0);
        unit_assert_int(get(0x70), 0);
        /* The host's failures go up. */
        negotiate();
        toy.answer = -EIO;
        unit_assert_int(virtio_mmio_write(&mmio, 0x70, &(uint32_t){15}, 4), -EIO);
}

/* Whoever it is lent to says nothing, so it says that queues are the reason whatever a guest does. */
static void test_lent_interrupt(void)
{
        static KvmVm vm = {.vm_fd = FD_NONE};

        begin();
        negotiate();
        toy.device.vm = &vm;
        set_queue(0, 0x10000);
        put(0x70, 15);
        unit_assert_int(get(0x60), 0);
        virtio_device_lend(&toy.device, 0);
        virtio_device_lend(&toy.device, 0);
        unit_assert_int(get(0x60), 1);
        /* Both go the same way, or the one's edge would be the other's. */
        unit_assert_int((int)interrupts(), 0);
        virtio_device_config_changed(&toy.device);
        unit_assert_int((int)interrupts(), 1);
        unit_assert_int(get(0x60), 3);
        put(0x64, UINT32_MAX);
        unit_assert_int(get(0x60), 1);
        virtio_device_take_back(&toy.device, 0);
        unit_assert_int(get(0x60), 1);
        virtio_device_take_back(&toy.device, 0);
        unit_assert_int(get(0x60), 0);
}

/* The word goes up with each configuration interrupt, and with nothing else. */
static void test_changes(void)
{
        VirtioChain chain;

        begin();
        unit_assert_int(get(0xf8), 0x123450);
        put(0xf8, 0);
        unit_assert_int(get(0xf8), 0x123450);
        virtio_device_config_changed(&toy.device); /* nobody is there to be told */
        unit_assert_int(changes, 0);
        negotiate();
        set_queue(0, 0x10000);
        put(0x70, 15);
        offer_buffer();
        unit_assert_int(virtio_queue_pop(&toy.device.queues[0], &chain), 0);
        virtio_queue_push(&toy.device.queues[0], chain.head, 1);
        unit_assert(virtio_device_signal(&toy.device, 0));
        unit_assert_int(get(0x60), 1);
        unit_assert_int(changes, 0);
        virtio_device_config_changed(&toy.device);
        unit_assert_int(changes, 1);
        unit_assert_int(get(0x60), 3);
        changes = UINT32_MAX; /* a guest's doing */
        virtio_device_fail(&toy.device, "a test");
        unit_assert_int(changes, 0);
        virtio_device_fail(&toy.device, "a test");
        unit_assert_int(changes, 0);
        virtio_device_config_changed(&toy.device);
        changes = 7;
        put(0x70, 0);
        unit_assert_int(changes, 7);
        mmio.device = NULL;
        unit_assert_int(get(0xf8), 0x123450);
}

static void test_bad_queue_fails_activation(void)
{
        begin();
        negotiate();
        set_queue(0, 0xfffff000);
        put(0x70, 15);
        unit_assert_int(get(0x70), 15 | 64);
        unit_assert_int(toy.activated, 0);
}

static void test_config(void)
{
        uint64_t value = 0x1122334455667788;
        uint16_t half;

        begin();
        unit_assert_int(virtio_mmio_write(&mmio, 0x100, &value, 8), 0);
        unit_assert_int(get(0x104), 0x11223344);
        virtio_mmio_read(&mmio, 0x103, &half, 2);
        unit_assert_int(half, 0x4455);
        /* Partly outside: not there at all. */
        unit_assert_int(get(0x106), 0);
        unit_assert_int(virtio_mmio_write(&mmio, 0x105, &value, 4), 0);
        unit_assert_int(get(0x104), 0x11223344);
        unit_assert_int(get(0xfc), 0);
        virtio_device_config_changed(&toy.device);
        unit_assert_int(get(0xfc), 1);
        unit_assert_int(interrupts(), 0);
        negotiate();
        put(0x70, 15);
        virtio_device_config_changed(&toy.device);
        unit_assert_int(interrupts(), 1);
        unit_assert_int(get(0x60), 2);
}

static void test_save_load(void)
{
        uint8_t bytes[512];
        WireWriter writer = wire_writer(bytes, sizeof(bytes));
        WireReader reader;
        size_t size;

        begin();
        negotiate();
        set_queue(1, 0x10000);
        put(0x70, 15);
        put(0x30, 1);
        mmio.interrupt_status = 1;
        changes = 0x1234;
        unit_assert_int(virtio_mmio_save(&mmio, &writer), 0);
        unit_assert_int(wire_writer_end(&writer, &size), 0);

        begin();
        for (size_t cut = 0; cut < size; cut++) {
                reader = wire_reader(bytes, cut);
                unit_assert_int(virtio_mmio_load(&mmio, &reader), -EBADMSG);
                unit_assert_int(toy.device.state.status, 0);
        }
        reader = wire_reader(bytes, size);
        unit_assert_int(virtio_mmio_load(&mmio, &reader), 0);
        unit_assert_int(wire_reader_end(&reader), 0);
        unit_assert_int(get(0x70), 15);
        unit_assert_int(get(0x60), 1);
        unit_assert_int(get(0x44), 1);
        unit_assert_int(changes, 0x1234);
        unit_assert_int(toy.activated, 1);
        unit_assert(virtio_queue_is_live(&toy.device.queues[1]));
}

/* Any one byte changed: refused, or loaded to something that can be driven without harm. */
static void test_load_damaged(void)
{
        uint8_t bytes[512], damaged[512];
        WireWriter writer = wire_writer(bytes, sizeof(bytes));
        VirtioChain chain;
        size_t size;

        begin();
        negotiate();
        set_queue(1, 0x10000);
        put(0x70, 15);
        unit_assert_int(virtio_mmio_save(&mmio, &writer), 0);
        unit_assert_int(wire_writer_end(&writer, &size), 0);
        for (size_t at = 0; at < size; at++) {
                WireReader reader = wire_reader(damaged, size);

                memcpy(damaged, bytes, size);
                damaged[at] ^= 0xff;
                begin();
                (void)virtio_mmio_load(&mmio, &reader);
                put(0x50, 1);
                if (virtio_queue_pop(&toy.device.queues[1], &chain) == 0)
                        virtio_queue_push(&toy.device.queues[1], chain.head, 0);
                put(0x70, 0);
        }
}

/* A reset waits for what is in flight, which no kick adds to meanwhile. */
static void test_drain(void)
{
        uint32_t reset = 0;
        VirtioChain chain;

        begin();
        negotiate();
        set_queue(0, 0x10000);
        put(0x70, 15);
        offer_buffer();
        unit_assert_int(virtio_queue_pop(&toy.device.queues[0], &chain), 0);
        unit_assert_int(virtio_mmio_write(&mmio, 0x70, &reset, 4), -EAGAIN);
        unit_assert_int(toy.cancelled, 1);
        unit_assert_int(toy.reset, 0);
        unit_assert_int(get(0x70), 15);
        put(0x50, 0);
        unit_assert_int(toy.notified, 0);
        virtio_queue_push(&toy.device.queues[0], chain.head, 1);
        unit_assert_int(virtio_mmio_write(&mmio, 0x70, &reset, 4), 0);
        unit_assert_int(toy.cancelled, 1);
        unit_assert_int(toy.reset, 1);
        negotiate();
        put(0x70, 15);
        put(0x50, 0);
        unit_assert_int(toy.notified, 1);
}

/* Also a queue that was stopped, or broke, has nothing in flight any more in the end. */
static void test_drain_stopped(void)
{
        VirtioChain chain;

        begin();
        negotiate();
        set_queue(0, 0x10000);
        put(0x70, 15);
        unit_assert_int(virtio_queue_pop(&toy.device.queues[0], &chain), 0);
        put(0x44, 0);
        unit_assert(virtio_device_is_busy(&toy.device));
        virtio_queue_push(&toy.device.queues[0], chain.head, 1);
        unit_assert(!virtio_device_is_busy(&toy.device));
        put(0x70, 0);
}

static void test_deferral(void)
{
        unit_assert(virtio_mmio_is_lockless(0x60, false));
        unit_assert(virtio_mmio_is_lockless(0x64, true));
        unit_assert(!virtio_mmio_is_lockless(0x60, true));
        begin();
        unit_assert(virtio_mmio_is_deferred(&mmio, 0x70));
        unit_assert(virtio_mmio_is_deferred(&mmio, 0x50));
        unit_assert(virtio_mmio_is_deferred(&mmio, 0x100));
        unit_assert(!virtio_mmio_is_deferred(&mmio, 0x44));
        negotiate();
        set_queue(1, 0x10000);
        put(0x70, 15);
        unit_assert(virtio_mmio_is_deferred(&mmio, 0x44));
        unit_assert(!virtio_mmio_is_deferred(&mmio, 0x30));
        mmio.device = NULL;
        unit_assert(!virtio_mmio_is_deferred(&mmio, 0x44));
}

static void test_serial_state(void)
{
        Console console = {.fd = FD_NONE, .timer_fd = FD_NONE};
        Serial serial, copy;
        uint8_t bytes[64];
        WireWriter writer = wire_writer(bytes, sizeof(bytes));
        WireReader reader;
        size_t size;

        serial_init(&serial, &console, toy.device.interrupt_fd);
        serial_write(&serial, 3, 0x83);
        serial_write(&serial, 0, 12);
        serial_write(&serial, 3, 0x03);
        serial_write(&serial, 7, 0x5a);
        serial_write(&serial, 2, 0xc1);
        serial_write(&serial, 1, 0x02);
        unit_assert_int(interrupts() > 0, 1);
        unit_assert_int(serial_save(&serial, &writer), 0);
        unit_assert_int(wire_writer_end(&writer, &size), 0);
        serial_init(&copy, &console, FD_NONE);
        reader = wire_reader(bytes, size - 1);
        unit_assert_int(serial_load(&copy, &reader), -EBADMSG);
        reader = wire_reader(bytes, size);
        unit_assert_int(serial_load(&copy, &reader), 0);
        unit_assert_int(serial_read(&copy, 7), 0x5a);
        unit_assert_int(serial_read(&copy, 2), 0xc2); /* the interrupt is still there to be read */
        unit_assert_int(serial_read(&copy, 2), 0xc1);
        bytes[0]++;
        reader = wire_reader(bytes, size);
        unit_assert_int(serial_load(&copy, &reader), -EBADMSG);
}

static void test_setup(void)
{
        log_set_level(LOG_ERR);
        unit_assert_int(guest_memory_init(&memory, 16 << 20), 0);
}

UNIT_MAIN(UNIT_TEST(test_setup), UNIT_TEST(test_empty), UNIT_TEST(test_features),
          UNIT_TEST(test_life), UNIT_TEST(test_ready_queue_is_fixed), UNIT_TEST(test_failure),
          UNIT_TEST(test_lent_interrupt), UNIT_TEST(test_changes),
          UNIT_TEST(test_bad_queue_fails_activation), UNIT_TEST(test_config),
          UNIT_TEST(test_save_load), UNIT_TEST(test_load_damaged), UNIT_TEST(test_drain),
          UNIT_TEST(test_drain_stopped), UNIT_TEST(test_deferral), UNIT_TEST(test_serial_state))
