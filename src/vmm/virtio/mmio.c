/* The registers of a virtio-mmio slot; see mmio.h. */
#include <endian.h>
#include <string.h>

#include "base/error.h"
#include "vmm/virtio/mmio.h"

/* virtio 1.2 §4.2.2, table 4.1 */
enum {
        REGISTER_MAGIC = 0x000,
        REGISTER_VERSION = 0x004,
        REGISTER_DEVICE_ID = 0x008,
        REGISTER_VENDOR_ID = 0x00c,
        REGISTER_DEVICE_FEATURES = 0x010,
        REGISTER_DEVICE_FEATURES_SELECT = 0x014,
        REGISTER_DRIVER_FEATURES = 0x020,
        REGISTER_DRIVER_FEATURES_SELECT = 0x024,
        REGISTER_QUEUE_SELECT = 0x030,
        REGISTER_QUEUE_SIZE_MAX = 0x034,
        REGISTER_QUEUE_SIZE = 0x038,
        REGISTER_QUEUE_READY = 0x044,
        REGISTER_QUEUE_NOTIFY = VIRTIO_MMIO_QUEUE_NOTIFY,
        REGISTER_INTERRUPT_STATUS = 0x060,
        REGISTER_INTERRUPT_ACK = VIRTIO_MMIO_INTERRUPT_ACK,
        REGISTER_STATUS = 0x070,
        REGISTER_QUEUE_DESCRIPTORS_LOW = 0x080,
        REGISTER_QUEUE_DESCRIPTORS_HIGH = 0x084,
        REGISTER_QUEUE_AVAILABLE_LOW = 0x090,
        REGISTER_QUEUE_AVAILABLE_HIGH = 0x094,
        REGISTER_QUEUE_USED_LOW = 0x0a0,
        REGISTER_QUEUE_USED_HIGH = 0x0a4,
        REGISTER_SHM_LENGTH_LOW = 0x0b0,
        REGISTER_SHM_BASE_HIGH = 0x0bc,
        REGISTER_CHANGES = VIRTIO_MMIO_CHANGES,
        REGISTER_CONFIG_GENERATION = 0x0fc,
        REGISTER_CONFIG = 0x100,
};

#define MMIO_MAGIC   0x74726976 /* "virt" */
#define MMIO_VERSION 2

bool virtio_mmio_is_lockless(uint32_t offset, bool is_write)
{
        return offset == (is_write ? REGISTER_INTERRUPT_ACK : REGISTER_INTERRUPT_STATUS);
}

bool virtio_mmio_is_deferred(const VirtioMmio *mmio, uint32_t offset)
{
        if (offset == REGISTER_STATUS || offset == REGISTER_QUEUE_NOTIFY ||
            offset >= REGISTER_CONFIG)
                return true;
        return offset == REGISTER_QUEUE_READY && mmio->device &&
               (virtio_device_status(mmio->device) & VIRTIO_STATUS_DRIVER_OK);
}

static VirtioQueue *mmio_queue(VirtioMmio *mmio)
{
        if (mmio->queue_select >= mmio->device->n_queues)
                return NULL;
        return &mmio->device->queues[mmio->queue_select];
}

static uint32_t features_half(uint64_t features, uint32_t select)
{
        return select < 2 ? (uint32_t)(features >> (32 * select)) : 0;
}

static uint32_t mmio_read_device(VirtioMmio *mmio, uint32_t offset)
{
        VirtioDevice *device = mmio->device;
        const VirtioQueue *queue = mmio_queue(mmio);

        switch (offset) {
        case REGISTER_DEVICE_ID:
                return device->ops->id;
        case REGISTER_DEVICE_FEATURES:
                return features_half(device->features, mmio->device_features_select);
        case REGISTER_QUEUE_SIZE_MAX:
                return queue ? queue->size_max : 0;
        case REGISTER_QUEUE_READY:
                return queue && queue->state.ready;
        case REGISTER_STATUS:
                return virtio_device_status(device);
        case REGISTER_CONFIG_GENERATION:
                return __atomic_load_n(&device->state.config_generation, __ATOMIC_ACQUIRE);
        }
        return 0;
}

static uint32_t mmio_interrupt_status(VirtioMmio *mmio)
{
        unsigned status = atomic_load(&mmio->interrupt_status);

        if (status & VIRTIO_INTERRUPT_LENT)
                status |= VIRTIO_INTERRUPT_QUEUE;
        return status & (VIRTIO_INTERRUPT_QUEUE | VIRTIO_INTERRUPT_CONFIG);
}

static uint32_t mmio_read_register(VirtioMmio *mmio, uint32_t offset)
{
        switch (offset) {
        case REGISTER_MAGIC:
                return MMIO_MAGIC;
        case REGISTER_VERSION:
                return MMIO_VERSION;
        case REGISTER_VENDOR_ID:
                return VIRTIO_MMIO_VENDOR_ID;
        case REGISTER_INTERRUPT_STATUS:
                return mmio_interrupt_status(mmio);
        case REGISTER_CHANGES:
                return mmio->changes_address;
        }
        /* No device has shared memory regions: §4.2.2 wants all ones for length and base. */
        if (offset >= REGISTER_SHM_LENGTH_LOW && offset <= REGISTER_SHM_BASE_HIGH)
                return UINT32_MAX;
        return mmio->device ? mmio_read_device(mmio, offset) : VIRTIO_ID_NONE;
}

static bool config_covers(const VirtioDevice *device, uint32_t offset, unsigned size)
{
        return device && offset >= REGISTER_CONFIG &&
               (uint64_t)offset - REGISTER_CONFIG + size <= device->ops->config_size;
}

void virtio_mmio_read(VirtioMmio *mmio, uint32_t offset, void *data, unsigned size)
{
        VirtioDevice *device = mmio->device;
        uint32_t value;

        memset(data, 0, size);
        if (config_covers(device, offset, size)) {
                if (device->ops->config_read)
                        device->ops->config_read(device, offset - REGISTER_CONFIG, data, size);
        } else if (offset < REGISTER_CONFIG && offset % 4 == 0 && size == 4) {
                value = htole32(mmio_read_register(mmio, offset));
                memcpy(data, &value, sizeof(value));
        }
}

/* The driver can't change features any more once they are settled. */
static void mmio_write_features(VirtioMmio *mmio, uint32_t value)
{
        VirtioDeviceState *state = &mmio->device->state;
        unsigned shift = 32 * mmio->driver_features_select;

        if (mmio->driver_features_select >= 2 ||
            (virtio_device_status(mmio->device) & VIRTIO_STATUS_FEATURES_OK))
                return;
        state->driver_features &= ~((uint64_t)UINT32_MAX << shift);
        state->driver_features |= (uint64_t)value << shift;
}

static int mmio_write_status(VirtioMmio *mmio, uint32_t value)
{
        VirtioDevice *device = mmio->device;
        uint8_t known = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FAILED;
        uint8_t before = virtio_device_status(device);
        int r;

        if (value == 0) {
                r = virtio_device_drain(device);
                if (r == 0)
                        virtio_device_reset(device);
                return r;
        }
        /* §2.1.1: a driver never clears a bit. */
        virtio_device_add_status(device, value & known);
        if ((value & VIRTIO_STATUS_FEATURES_OK) &&
            (device->state.driver_features & ~device->features) == 0 &&
            (device->state.driver_features & VIRTIO_F_VERSION_1))
                virtio_device_add_status(device, VIRTIO_STATUS_FEATURES_OK);
        if ((value & VIRTIO_STATUS_DRIVER_OK) && !(before & VIRTIO_STATUS_DRIVER_OK) &&
            (virtio_device_status(device) & VIRTIO_STATUS_FEATURES_OK))
                return virtio_device_activate(device);
        return 0;
}

static void set_low(uint64_t *address, uint32_t value)
{
        *address = (*address & ~(uint64_t)UINT32_MAX) | value;
}

static void set_high(uint64_t *address, uint32_t value)
{
        *address = (*address & UINT32_MAX) | (uint64_t)value << 32;
}

/* §4.2.2.2: a queue that is ready isn't written to; it can only be stopped. */
static void mmio_write_queue(VirtioMmio *mmio, uint32_t offset, uint32_t value)
{
        VirtioQueue *queue = mmio_queue(mmio);
        VirtioQueueState *state = queue ? &queue->state : NULL;

        if (!state)
                return;
        if (offset == REGISTER_QUEUE_READY) {
                if (value != 1 && state->ready && mmio->device->ops->stop_queue)
                        mmio->device->ops->stop_queue(mmio->device, mmio->queue_select);
                if (value == 1)
                        state->ready = true;
                else
                        virtio_queue_stop(queue);
                return;
        }
        if (state->ready)
                return;
        switch (offset) {
        case REGISTER_QUEUE_SIZE:
                /* What doesn't fit becomes 0, which virtio_queue_start() refuses. */
                state->size = value <= UINT16_MAX ? (uint16_t)value : 0;
                break;
        case REGISTER_QUEUE_DESCRIPTORS_LOW:
                set_low(&state->descriptors, value);
                break;
        case REGISTER_QUEUE_DESCRIPTORS_HIGH:
                set_high(&state->descriptors, value);
                break;
        case REGISTER_QUEUE_AVAILABLE_LOW:
                set_low(&state->available, value);
                break;
        case REGISTER_QUEUE_AVAILABLE_HIGH:
                set_high(&state->available, value);
                break;
        case REGISTER_QUEUE_USED_LOW:
                set_low(&state->used, value);
                break;
        case REGISTER_QUEUE_USED_HIGH:
                set_high(&state->used, value);
                break;
        }
}

static int mmio_write_register(VirtioMmio *mmio, uint32_t offset, uint32_t value)
{
        switch (offset) {
        case REGISTER_DEVICE_FEATURES_SELECT:
                mmio->device_features_select = value;
                return 0;
        case REGISTER_DRIVER_FEATURES:
                mmio_write_features(mmio, value);
                return 0;
        case REGISTER_DRIVER_FEATURES_SELECT:
                mmio->driver_features_select = value;
                return 0;
        case REGISTER_QUEUE_SELECT:
                mmio->queue_select = value;
                return 0;
        case REGISTER_QUEUE_NOTIFY:
                return virtio_device_notify(mmio->device, value);
        case REGISTER_STATUS:
                return mmio_write_status(mmio, value);
        }
        mmio_write_queue(mmio, offset, value);
        return 0;
}

int virtio_mmio_write(VirtioMmio *mmio, uint32_t offset, const void *data, unsigned size)
{
        VirtioDevice *device = mmio->device;
        uint32_t value;

        if (config_covers(device, offset, size)) {
                if (device->ops->config_write)
                        device->ops->config_write(device, offset - REGISTER_CONFIG, data, size);
                return 0;
        }
        if (offset >= REGISTER_CONFIG || offset % 4 != 0 || size != 4)
                return 0;
        memcpy(&value, data, sizeof(value));
        value = le32toh(value);
        if (offset == REGISTER_INTERRUPT_ACK) {
                atomic_fetch_and(&mmio->interrupt_status, ~(value & ~VIRTIO_INTERRUPT_LENT));
                return 0;
        }
        return device ? mmio_write_register(mmio, offset, value) : 0;
}

int virtio_mmio_save(const VirtioMmio *mmio, WireWriter *writer)
{
        wire_put_u32(writer, mmio->device_features_select);
        wire_put_u32(writer, mmio->driver_features_select);
        wire_put_u32(writer, mmio->queue_select);
        wire_put_u32(writer, mmio_interrupt_status((VirtioMmio *)mmio));
        wire_put_u32(writer, mmio->changes ? __atomic_load_n(mmio->changes, __ATOMIC_RELAXED) : 0);
        return virtio_device_save(mmio->device, writer);
}

int virtio_mmio_load(VirtioMmio *mmio, WireReader *reader)
{
        uint32_t interrupts, changes;
        int r;

        mmio->device_features_select = wire_get_u32(reader);
        mmio->driver_features_select = wire_get_u32(reader);
        mmio->queue_select = wire_get_u32(reader);
        interrupts = wire_get_u32(reader);
        changes = wire_get_u32(reader);
        r = virtio_device_load(mmio->device, reader);
        /* Behind the load: activation may have raised some already. */
        if (r < 0)
                return r;
        atomic_fetch_or(&mmio->interrupt_status, interrupts);
        if (mmio->changes)
                __atomic_fetch_add(mmio->changes, changes, __ATOMIC_RELEASE);
        return 0;
}
