/*
 * Memory that comes and goes on the local /dev/kvm: what payload/balloon.c and payload/mem.c do to a
 * balloon or a memory device in slot 1. Argument: the payload's file. TAP; skips with a reason where there is no usable /dev/kvm.
 */
#include "test/board/board.h"
#include "vmm/virtio/balloon.h"
#include "vmm/virtio/mem.h"

#define SLOT 1

static const char *payload;
static unsigned changes;

static void on_changed(void *userdata)
{
        changes++;
}

static void on_phase(Board *board, uint8_t phase)
{
        if (phase == 40)
                unit_assert_int(virtio_balloon_resize(
                                        virtio_slots_device(&board->machine.slots, SLOT), 1 << 20),
                                0);
}

static void run(const char *name)
{
        Board *board = board_new(&(BoardConfig){.payload = payload, .name = name});
        VirtioDevice *device;
        ControlStats stats;
        uint32_t slot;

        unit_assert_int(
                virtio_balloon_new(board->loop, &board->machine.memory, on_changed, NULL, &device),
                0);
        unit_assert_int(virtio_slots_plug(&board->machine.slots, SLOT, device, &slot), 0);
        board->on_phase = on_phase;
        changes = 0;
        board_start(board);
        board_wait(board, &board->ended);
        if (board->reason != CONTROL_END_GUEST_RESET || strstr(board->text, "FAIL") ||
            !strstr(board->text, "done\n"))
                unit_fail("%s: %s; the console shows: %s", name, board->why, board->text);
        machine_get_stats(&board->machine, &stats);
        unit_assert_int(stats.memory.target_bytes, 1 << 20);
        unit_assert_int(stats.memory.balloon_bytes, 4 * 4096);
        unit_assert(stats.memory.reported_bytes >= 2 << 20);
        unit_assert_int(stats.memory.stats_usec, 0);
        unit_assert(changes > 0);
        board_free(board);
}

static void test_balloon(void)
{
        run("balloon");
}

static void test_balloon_outside(void)
{
        run("balloon-outside");
}

static void test_balloon_own_rings(void)
{
        run("balloon-own-rings");
}

static void test_balloon_flood(void)
{
        run("balloon-flood");
}

#define ROOM    (16U << 20)
#define PLUGGED (8U << 20)

static Board *start_mem(const char *name)
{
        Board *board = board_new(&(BoardConfig){.payload = payload, .name = name, .room = ROOM});
        VirtioDevice *device;
        uint32_t slot;

        unit_assert_int(kvm_vm_map_hot(&board->machine.vm, &board->machine.memory.hot), 0);
        unit_assert_int(
                virtio_mem_new(board->loop, &board->machine.memory, on_changed, NULL, &device), 0);
        unit_assert_int(virtio_mem_resize(device, PLUGGED), 0);
        unit_assert_int(virtio_slots_plug(&board->machine.slots, SLOT, device, &slot), 0);
        board_start(board);
        return board;
}

static void run_mem(const char *name)
{
        Board *board = start_mem(name);

        board_wait(board, &board->ended);
        if (board->reason != CONTROL_END_GUEST_RESET || strstr(board->text, "FAIL") ||
            !strstr(board->text, "done\n"))
                unit_fail("%s: %s; the console shows: %s", name, board->why, board->text);
        board_free(board);
}

static void test_mem(void)
{
        run_mem("mem");
}

static void test_mem_refused(void)
{
        run_mem("mem-refused");
}

/* Ends with a reason that names what the guest did. */
static void run_misuse(const char *name, ControlEnd reason, const char *why)
{
        Board *board = start_mem(name);

        board_wait(board, &board->ended);
        if (board->reason != reason || !strstr(board->why, why))
                unit_fail("%s: %s; the console shows: %s", name, board->why, board->text);
        board_free(board);
}

static void test_mem_misused(void)
{
        run_misuse("mem-touch", CONTROL_END_KVM_ERROR, "memory that the guest has not plugged");
        run_misuse("mem-touch-again", CONTROL_END_KVM_ERROR,
                   "memory that the guest has not plugged");
        run_misuse("mem-pull-rings", CONTROL_END_DEVICE_ERROR,
                   "unplugged memory that its devices were using");
}

static const UnitTest tests[] = {
        UNIT_TEST(test_balloon),
        UNIT_TEST(test_balloon_outside),
        UNIT_TEST(test_balloon_own_rings),
        UNIT_TEST(test_balloon_flood),
        UNIT_TEST(test_mem),
        UNIT_TEST(test_mem_refused),
        UNIT_TEST(test_mem_misused),
};

int main(int argc, char **argv)
{
        if (!board_begin(argc, argv, "memory", LOG_ERR, &payload))
                return 0;
        return unit_run(tests, ELEMENTSOF(tests));
}
