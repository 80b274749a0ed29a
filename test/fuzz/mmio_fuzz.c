/*
 * A slot's registers in any order, with a device that takes and returns what its queues hold. Input:
 * accesses of 8 bytes each,
 *
 *   0  u8   what: DO_*, and in the upper bits the access's size
 *   1  u8   not used
 *   2  u16  register, or address in memory
 *   4  u32  value
 */
#include <assert.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/log.h"
#include "test/fuzz/fuzz.h"
#include "vmm/virtio/mmio.h"

#define ACCESSES_MAX 512
#define WORD_ADDRESS 0xd0020000U

enum {
        DO_WRITE,
        DO_READ,
        DO_POKE, /* bytes of memory, where rings may be */
        DO_RELOAD,
        DO_CHANGE,
        DO_LEND,
        DO_TAKE_BACK,
        DO_MAX,
};

static struct {
        VirtioDevice device;
        VirtioMmio mmio;
        uint32_t changes;
        uint8_t config[12];
} toy;

static void toy_config_read(VirtioDevice *device, uint32_t offset, void *data, unsigned size)
{
        virtio_config_copy(toy.config, offset, data, size);
}

static void toy_config_write(VirtioDevice *device, uint32_t offset, const void *data, unsigned size)
{
        memcpy(toy.config + offset, data, size);
}

static int toy_notify(VirtioDevice *device, unsigned queue)
{
        static VirtioChain chain;
        int r;

        while ((r = virtio_queue_pop(&device->queues[queue], &chain)) == 0)
                virtio_queue_push(&device->queues[queue], chain.head, 0);
        (void)virtio_device_signal(device, queue);
        return r == VIRTIO_QUEUE_E_EMPTY ? 0 : r;
}

static VirtioDevice *toy_free(VirtioDevice *device)
{
        return NULL;
}

static const VirtioDeviceOps toy_ops = {
        .name = "toy",
        .id = 42,
        .n_queues = 2,
        .queue_sizes = {8, 16},
        .config_size = sizeof(toy.config),
        .config_read = toy_config_read,
        .config_write = toy_config_write,
        .notify = toy_notify,
        .free = toy_free,
};

static void plug(const GuestMemory *memory, int event_fd)
{
        memset(&toy, 0, sizeof(toy));
        virtio_device_init(&toy.device, &toy_ops, NULL, memory);
        toy.mmio = (VirtioMmio){
                .device = &toy.device,
                .changes = &toy.changes,
                .changes_address = WORD_ADDRESS,
        };
        toy.device.interrupt_status = &toy.mmio.interrupt_status;
        toy.device.interrupt_fd = event_fd;
        toy.device.changes = &toy.changes;
}

/* To another process and back: all stays as it was. */
static void reload(const GuestMemory *memory, int event_fd)
{
        uint8_t bytes[512];
        WireWriter writer = wire_writer(bytes, sizeof(bytes));
        uint32_t changes = toy.changes;
        uint8_t status = virtio_device_status(&toy.device);
        WireReader reader;
        size_t size;

        assert(virtio_mmio_save(&toy.mmio, &writer) == 0);
        assert(wire_writer_end(&writer, &size) == 0);
        plug(memory, event_fd);
        reader = wire_reader(bytes, size);
        /* Rings that moved out of memory meanwhile can't be: they were looked at before. */
        if (virtio_mmio_load(&toy.mmio, &reader) < 0) {
                assert(virtio_device_status(&toy.device) == 0);
                return;
        }
        assert(wire_reader_end(&reader) == 0);
        assert(virtio_device_status(&toy.device) == status && toy.changes == changes);
}

static void check(void)
{
        uint8_t status = virtio_device_status(&toy.device);
        unsigned interrupts = atomic_load(&toy.mmio.interrupt_status);
        uint32_t value;

        assert((interrupts &
                ~(VIRTIO_INTERRUPT_QUEUE | VIRTIO_INTERRUPT_CONFIG | VIRTIO_INTERRUPT_LENT)) == 0);
        assert(!(status & VIRTIO_STATUS_DRIVER_OK) || (status & VIRTIO_STATUS_FEATURES_OK));
        virtio_mmio_read(&toy.mmio, VIRTIO_MMIO_CHANGES, &value, sizeof(value));
        assert(value == WORD_ADDRESS);
}

static void access_once(const GuestMemory *memory, const uint8_t *data, int event_fd)
{
        unsigned size = 1U << (data[0] >> 6);
        uint16_t offset = (uint16_t)(data[2] | data[3] << 8);
        uint8_t bytes[8] = {};

        memcpy(bytes, data + 4, 4);
        switch ((data[0] & 63) % DO_MAX) {
        case DO_WRITE:
                (void)virtio_mmio_is_deferred(&toy.mmio, offset);
                (void)virtio_mmio_write(&toy.mmio, offset, bytes, size);
                break;
        case DO_READ:
                virtio_mmio_read(&toy.mmio, offset, bytes, size);
                break;
        case DO_POKE:
                memcpy(guest_memory_span(memory, offset, sizeof(bytes)), bytes, 4);
                break;
        case DO_RELOAD:
                if (toy.device.n_lent == 0)
                        reload(memory, event_fd);
                break;
        case DO_CHANGE:
                virtio_device_config_changed(&toy.device);
                break;
        case DO_LEND:
                virtio_device_lend(&toy.device, 0);
                break;
        case DO_TAKE_BACK:
                if (toy.device.n_lent > 0)
                        virtio_device_take_back(&toy.device, 0);
                break;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static GuestMemory memory;
        static int event_fd;

        if (memory.n_regions == 0) {
                assert(guest_memory_init(&memory, 16 << 20) == 0);
                event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
                log_set_level(LOG_ERR);
        }
        if (size > 8 * ACCESSES_MAX)
                return 0;
        memset(guest_memory_span(&memory, 0, 0x20000), 0, 0x20000);
        plug(&memory, event_fd);
        for (; size >= 8; data += 8, size -= 8) {
                uint32_t before = toy.changes;
                uint64_t interrupts = toy.device.counters.interrupts;

                access_once(&memory, data, event_fd);
                check();
                /* One interrupt counts one change at most. */
                if ((data[0] & 63) % DO_MAX != DO_RELOAD)
                        assert(toy.changes - before <= toy.device.counters.interrupts - interrupts);
        }
        return 0;
}
