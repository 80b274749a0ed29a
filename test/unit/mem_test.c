/* The memory device with a driver in this process. */
#include "base/log.h"
#include "base/wire.h"
#include "test/unit/driver.h"
#include "vmm/virtio/mem.h"
#include "vmm/virtio/mem_request.h"

#define MIB     (1ULL << 20)
#define RINGS   0x10000
#define REQUEST 0x80000
#define ANSWER  0x90000
#define START   (4ULL << 30)
#define BLOCK   (2 * MIB)

static Loop *loop;
static GuestMemory memory;
static VirtioDevice *device;
static Driver driver;
static unsigned changes;

static void on_changed(void *userdata)
{
        changes++;
}

static void begin(uint64_t room)
{
        changes = 0;
        unit_assert_int(loop_new(&loop), 0);
        unit_assert_int(guest_memory_init(&memory, DRIVER_MEMORY), 0);
        unit_assert_int(guest_memory_reserve(&memory, DRIVER_MEMORY + room), 0);
        unit_assert_int(virtio_mem_new(loop, &memory, on_changed, NULL, &device), 0);
        driver_plug(&driver, &memory, RINGS, device);
        driver_start(&driver, device->features);
}

static void end(void)
{
        driver_unplug(&driver);
        guest_memory_done(&memory);
        loop_free(loop);
}

/* The result, and for an acknowledged STATE 256 more than the state. */
static unsigned ask(unsigned type, uint64_t address, uint16_t n_blocks)
{
        uint32_t written;
        unsigned result;

        memset(driver_at(&driver, REQUEST, MEM_REQUEST_SIZE), 0, MEM_REQUEST_SIZE);
        driver_put(&driver, REQUEST, type, 2);
        driver_put(&driver, REQUEST + 8, address, 8);
        driver_put(&driver, REQUEST + 16, n_blocks, 2);
        driver_describe(&driver, 0, REQUEST, MEM_REQUEST_SIZE, DRIVER_NEXT, 1);
        driver_describe(&driver, 1, ANSWER, MEM_ANSWER_SIZE, DRIVER_WRITE, 0);
        driver_offer(&driver, 0);
        driver_kick(&driver);
        unit_assert_int(loop_step(loop, 0), 0);
        unit_assert_int(driver_reap(&driver, &written), 0);
        unit_assert_int(written, MEM_ANSWER_SIZE);
        result = (unsigned)driver_get(&driver, ANSWER, 2);
        if (type == MEM_STATE && result == MEM_ACK)
                result = 256 + (unsigned)driver_get(&driver, ANSWER + 8, 2);
        return result;
}

static uint64_t config_at(uint32_t offset)
{
        uint64_t value;

        device->ops->config_read(device, offset, &value, sizeof(value));
        return value;
}

static void test_config(void)
{
        GuestMemory none;
        VirtioDevice *other;

        begin(64 * MIB);
        unit_assert_int(config_at(0), BLOCK);
        unit_assert_int(config_at(8), 0);
        unit_assert_int(config_at(16), START);
        unit_assert_int(config_at(24), 128 * MIB);
        unit_assert_int(config_at(32), 128 * MIB);
        unit_assert_int(config_at(40), 0);
        unit_assert_int(config_at(48), 0);
        unit_assert_int(virtio_mem_resize(device, 64 * MIB), 0);
        unit_assert_int(atomic_load(&driver.interrupt_status), VIRTIO_INTERRUPT_CONFIG);
        unit_assert_int(config_at(48), 64 * MIB);
        unit_assert_int(virtio_mem_resize(device, 66 * MIB), -EINVAL);
        unit_assert_int(virtio_mem_resize(device, 3 * MIB), -EINVAL);
        unit_assert_int(config_at(48), 64 * MIB);
        end();
        unit_assert_int(guest_memory_init(&none, DRIVER_MEMORY), 0);
        unit_assert_int(virtio_mem_new(NULL, &none, on_changed, NULL, &other), -EINVAL);
        guest_memory_done(&none);
}

static void test_plug(void)
{
        uint64_t requested, plugged;

        begin(64 * MIB);
        /* Nothing was asked for. */
        unit_assert_int(ask(MEM_PLUG, START, 1), MEM_NACK);
        unit_assert_int(virtio_mem_resize(device, 8 * MIB), 0);
        unit_assert_int(ask(MEM_STATE, START, 64), 256 + MEM_UNPLUGGED);
        unit_assert_int(ask(MEM_PLUG, START + BLOCK, 2), MEM_ACK);
        unit_assert_int(changes, 1);
        unit_assert_int(ask(MEM_STATE, START, 64), 256 + MEM_MIXED);
        unit_assert_int(ask(MEM_STATE, START + BLOCK, 2), 256 + MEM_PLUGGED);
        unit_assert_int(ask(MEM_PLUG, START + 2 * BLOCK, 1), MEM_ERROR);
        unit_assert_int(ask(MEM_PLUG, START, 2), MEM_ERROR);
        unit_assert_int(ask(MEM_PLUG, START + 3 * BLOCK, 3), MEM_NACK);
        unit_assert_int(ask(MEM_PLUG, START + 62 * BLOCK, 2), MEM_ACK);
        unit_assert_int(ask(MEM_PLUG, START, 1), MEM_NACK);
        virtio_mem_get_sizes(device, &requested, &plugged);
        unit_assert_int(requested, 8 * MIB);
        unit_assert_int(plugged, 8 * MIB);
        unit_assert_int(config_at(40), 8 * MIB);
        memset(driver_at(&driver, START + BLOCK, 2 * BLOCK), 1, 2 * BLOCK);
        /* Less is asked for: nothing happens until the guest gives back. */
        unit_assert_int(virtio_mem_resize(device, 0), 0);
        unit_assert_int(ask(MEM_UNPLUG, START, 2), MEM_ERROR);
        unit_assert_int(ask(MEM_UNPLUG, START + 2 * BLOCK, 1), MEM_ACK);
        unit_assert(!guest_memory_span(&memory, START + 2 * BLOCK, 1));
        unit_assert_int(ask(MEM_UNPLUG, START + 2 * BLOCK, 1), MEM_ERROR);
        unit_assert_int(ask(MEM_PLUG, START + 2 * BLOCK, 1), MEM_NACK);
        unit_assert_int(ask(MEM_UNPLUG_ALL, 0, 0), MEM_ACK);
        unit_assert_int(config_at(40), 0);
        unit_assert_int(changes, 4);
        end();
}

static void test_hostile(void)
{
        static const struct {
                uint64_t address;
                uint16_t n;
        } bad[] = {
                {0, 1},
                {START, 0},
                {START, 65},
                {START, 65535},
                {START - BLOCK, 1},
                {START + MIB, 1},
                {START + 64 * BLOCK, 1},
                {UINT64_MAX, 1},
                {UINT64_MAX - BLOCK + 1, 1},
                {START - BLOCK, 2},
                {START + 63 * BLOCK, 2},
        };

        begin(128 * MIB);
        unit_assert_int(virtio_mem_resize(device, 128 * MIB), 0);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                for (unsigned type = MEM_PLUG; type <= MEM_STATE; type++)
                        if (type != MEM_UNPLUG_ALL)
                                unit_assert_int(ask(type, bad[i].address, bad[i].n), MEM_ERROR);
        unit_assert_int(ask(MEM_TYPE_MAX, START, 1), MEM_ERROR);
        unit_assert_int(ask(65535, START, 1), MEM_ERROR);
        unit_assert_int(config_at(40), 0);
        unit_assert(virtio_device_is_active(device));
        end();
}

/* No request, or nowhere to answer: the device needs a reset, and what is plugged stays. */
static void check_malformed(uint32_t readable, uint32_t writable)
{
        begin(128 * MIB);
        unit_assert_int(virtio_mem_resize(device, 128 * MIB), 0);
        unit_assert_int(ask(MEM_PLUG, START, 1), MEM_ACK);
        driver_describe(&driver, 0, REQUEST, readable, DRIVER_NEXT, 1);
        driver_describe(&driver, 1, ANSWER, writable, DRIVER_WRITE, 0);
        driver_offer(&driver, 0);
        driver_kick(&driver);
        unit_assert_int(loop_step(loop, 0), 0);
        unit_assert(!virtio_device_is_active(device));
        virtio_device_reset(device);
        driver_start(&driver, device->features);
        unit_assert_int(ask(MEM_STATE, START, 1), 256 + MEM_PLUGGED);
        end();
}

static void test_malformed(void)
{
        check_malformed(MEM_REQUEST_SIZE - 1, MEM_ANSWER_SIZE);
        check_malformed(MEM_REQUEST_SIZE, MEM_ANSWER_SIZE - 1);
}

static void test_save(void)
{
        static uint8_t bytes[4096], again[4096];
        WireWriter writer = wire_writer(bytes, sizeof(bytes));
        WireReader reader;
        size_t size, size_again;

        begin(64 * MIB);
        unit_assert_int(virtio_mem_resize(device, 64 * MIB), 0);
        unit_assert_int(ask(MEM_PLUG, START + BLOCK, 3), MEM_ACK);
        unit_assert_int(ask(MEM_PLUG, START + 63 * BLOCK, 1), MEM_ACK);
        unit_assert_int(virtio_device_save(device, &writer), 0);
        unit_assert_int(wire_writer_end(&writer, &size), 0);
        end();
        begin(64 * MIB);
        reader = wire_reader(bytes, size);
        unit_assert_int(virtio_device_load(device, &reader), 0);
        writer = wire_writer(again, sizeof(again));
        unit_assert_int(virtio_device_save(device, &writer), 0);
        unit_assert_int(wire_writer_end(&writer, &size_again), 0);
        unit_assert_int(size_again, size);
        unit_assert_bytes(bytes, again, size);
        unit_assert(guest_memory_span(&memory, START + BLOCK, 3 * BLOCK));
        /* Not to a region that has some. */
        reader = wire_reader(bytes, size);
        unit_assert_int(virtio_device_load(device, &reader), -EBADMSG);
        end();
        /* Not to one of another size, nor with more than there may be. */
        begin(256 * MIB);
        reader = wire_reader(bytes, size);
        unit_assert_int(virtio_device_load(device, &reader), -EBADMSG);
        end();
        begin(6 * MIB);
        reader = wire_reader(bytes, size);
        unit_assert_int(virtio_device_load(device, &reader), -EBADMSG);
        end();
}

static const UnitTest tests[] = {
        UNIT_TEST(test_config),    UNIT_TEST(test_plug), UNIT_TEST(test_hostile),
        UNIT_TEST(test_malformed), UNIT_TEST(test_save),
};

int main(void)
{
        log_open("mem");
        log_set_level(LOG_ERR);
        return unit_run(tests, ELEMENTSOF(tests));
}
