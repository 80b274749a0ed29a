/*
 * Requests and news about memory that comes and goes. Argument: the payload's file. TAP; skips with a
 * reason where there is no usable /dev/kvm.
 */
#include "test/board/link_shim.h"

static uint32_t ask_resize(uint32_t slot, uint64_t bytes)
{
        ControlMessage message = {
                .type = CONTROL_RESIZE,
                .resize = {.slot = slot, .bytes = bytes},
        };

        return ask_with(&message, NULL, 0);
}

static void check_memory(uint32_t slot, uint64_t requested, uint64_t actual)
{
        ControlMessage message = next();

        unit_assert_int(message.type, CONTROL_MEMORY);
        unit_assert_int(message.memory.slot, slot);
        unit_assert_int(message.memory.requested_bytes, requested);
        unit_assert_int(message.memory.actual_bytes, actual);
}

/* The guest's word is told at once, then together with what it says a little later. */
static void test_balloon(void)
{
        uint32_t pages[] = {10, 20, 30};
        VirtioDevice *device;

        begin();
        unit_assert_int(ask_device(CONTROL_DEVICE_BALLOON, 0), EINVAL);
        unit_assert_int(ask_configure(board_make_firmware(payload), 32 << 20, "spin"), 0);
        unit_assert_int(ask_device(CONTROL_DEVICE_RNG, 0), 0);
        unit_assert_int(ask_device(CONTROL_DEVICE_BALLOON, 1), 0);
        unit_assert_int(ask_device(CONTROL_DEVICE_BALLOON, 2), EEXIST);
        unit_assert_int(ask_resize(1, 16 << 20), 0);
        unit_assert_int(ask_resize(1, 33 << 20), EINVAL);
        unit_assert_int(ask_resize(0, 0), EINVAL);
        unit_assert_int(ask_resize(2, 0), ENODEV);
        unit_assert_int(ask_resize(UINT32_MAX, 0), ENODEV);
        device = virtio_slots_device(&vmm->machine.slots, 1);
        for (unsigned i = 0; i < 3; i++)
                device->ops->config_write(device, 4, &pages[i], sizeof(pages[i]));
        check_memory(1, 16 << 20, 10 * 4096);
        check_memory(1, 16 << 20, 30 * 4096);
        unit_assert_int(ask_removal(1), 0);
        unit_assert_int(ask_resize(1, 0), ENODEV);
        unit_assert_int(ask_device(CONTROL_DEVICE_BALLOON, 2), 0);
        check_stops();
        end();
}

static void test_mem(void)
{
        HotMemory *hot;

        begin();
        unit_assert_int(ask_configure(board_make_firmware(payload), 32 << 20, "spin"), 0);
        unit_assert_int(ask_device(CONTROL_DEVICE_MEM, 0), EINVAL); /* no room */
        check_stops();
        end();
        begin();
        room = 64 << 20;
        unit_assert_int(ask_configure(board_make_firmware(payload), 32 << 20, "spin"), 0);
        room = 0;
        hot = &vmm->machine.memory.hot;
        unit_assert_int(ask_device(CONTROL_DEVICE_MEM, 0), 0);
        unit_assert_int(ask_device(CONTROL_DEVICE_MEM, 1), EEXIST);
        unit_assert_int(ask_resize(0, 0), 0);
        unit_assert(!vmm->machine.vm.has_hot);
        unit_assert_int(ask_resize(0, 64 << 20), 0);
        unit_assert(vmm->machine.vm.has_hot);
        unit_assert_int(ask_resize(0, 66 << 20), EINVAL);
        unit_assert_int(ask_resize(0, 1 << 20), EINVAL);
        unit_assert_int(hot_memory_plug(hot, hot->start, 2 << 20), 0);
        unit_assert_int(ask_removal(0), EBUSY);
        unit_assert_int(hot_memory_unplug(hot, hot->start, 2 << 20), 0);
        unit_assert_int(ask_removal(0), 0);
        unit_assert_int(ask_device(CONTROL_DEVICE_MEM, 3), 0);
        unit_assert_int(ask_resize(3, 2 << 20), 0);
        check_stops();
        end();
}

static const UnitTest tests[] = {
        UNIT_TEST(test_balloon),
        UNIT_TEST(test_mem),
};

int main(int argc, char **argv)
{
        if (!board_begin(argc, argv, "link-memory", LOG_ERR, &payload))
                return 0;
        return unit_run(tests, ELEMENTSOF(tests));
}
