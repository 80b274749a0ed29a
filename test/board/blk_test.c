/*
 * A disk in a machine on the local /dev/kvm: what payload/blk.c does to it. Argument: the payload's
 * file. UVM_SOAK: how many times as often disks come and go. TAP; skips with a reason where there is
 * no usable /dev/kvm.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "test/board/board.h"
#include "vmm/virtio/blk.h"

#define DISK_SIZE (4 << 20)
#define DISK_SLOT 1

static const char *payload;
static int disk = FD_NONE;

static void plug_disk(Board *board, bool read_only)
{
        const VirtioBlkConfig config = {
                .serial = "disk0",
                .fd = fcntl(disk, F_DUPFD_CLOEXEC, 3),
                .read_only = read_only,
        };
        IoThread *thread;
        VirtioDevice *device;
        const char *problem;
        uint32_t slot;

        unit_assert_int(machine_new_iothread(&board->machine, "blk", &thread), 0);
        iothread_enter(thread);
        unit_assert_int(virtio_blk_new(iothread_loop(thread), &board->machine.memory, &config,
                                       &device, &problem),
                        0);
        iothread_leave(thread);
        virtio_device_take_thread(device, thread);
        unit_assert_int(virtio_slots_plug(&board->machine.slots, DISK_SLOT, device, &slot), 0);
}

static void run(const char *name, bool is_plugged, void (*on_phase)(Board *, uint8_t))
{
        Board *board;

        disk = memfd_create("disk", MFD_CLOEXEC);
        unit_assert(disk >= 0 && ftruncate(disk, DISK_SIZE) == 0);
        board = board_new(&(BoardConfig){.payload = payload, .name = name});
        board->on_phase = on_phase;
        if (is_plugged)
                plug_disk(board, strcmp(name, "blk-read-only") == 0);
        board_start(board);
        board_wait(board, &board->ended);
        if (board->reason != CONTROL_END_GUEST_RESET || strstr(board->text, "FAIL") ||
            !strstr(board->text, "done\n"))
                unit_fail("%s: %s; the console shows: %s", name, board->why, board->text);
        board_free(board);
        disk = fd_close(disk);
}

static void run_plugged(const char *name)
{
        run(name, true, NULL);
}

static void test_plain(void)
{
        run_plugged("blk");
}

static void test_read_only(void)
{
        run_plugged("blk-read-only");
}

static void test_bad_requests(void)
{
        run_plugged("blk-bad-requests");
}

static void test_huge(void)
{
        run_plugged("blk-huge");
}

static void test_overlapping(void)
{
        run_plugged("blk-overlapping");
}

static void test_unanswerable(void)
{
        run_plugged("blk-unanswerable");
}

static void test_reset_in_flight(void)
{
        run_plugged("blk-reset-in-flight");
}

static unsigned fds_unplugged, tasks_unplugged;

/* Each time it is out, there are as many fds and threads as the first time. */
static void on_phase_plug(Board *board, uint8_t phase)
{
        unsigned fds, tasks;

        if (phase < 40 || phase >= 80)
                return;
        if (phase % 2 == 0) {
                fds = board_count("/proc/self/fd");
                tasks = board_count("/proc/self/task");
                if (phase == 40) {
                        fds_unplugged = fds;
                        tasks_unplugged = tasks;
                }
                unit_assert_int(fds, fds_unplugged);
                unit_assert_int(tasks, tasks_unplugged);
                plug_disk(board, false);
        } else {
                unit_assert_int(virtio_slots_unplug(&board->machine.slots, DISK_SLOT), 0);
        }
}

static void test_plug(void)
{
        for (uint32_t times = board_soak(); times > 0; times--)
                run("blk-plug", false, on_phase_plug);
}

static const UnitTest tests[] = {
        UNIT_TEST(test_plain),           UNIT_TEST(test_read_only),
        UNIT_TEST(test_bad_requests),    UNIT_TEST(test_huge),
        UNIT_TEST(test_overlapping),     UNIT_TEST(test_unanswerable),
        UNIT_TEST(test_reset_in_flight), UNIT_TEST(test_plug),
};

int main(int argc, char **argv)
{
        if (!board_begin(argc, argv, "blk", LOG_ERR, &payload))
                return 0;
        return unit_run(tests, ELEMENTSOF(tests));
}
