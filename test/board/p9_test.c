/*
 * A 9p device on a thread of its own below a true guest, with requests that wait for the host: what
 * else goes on, how it is reset, pulled and ended meanwhile. payload/p9.c is the guest's half.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "test/board/board.h"
#include "test/scratch.h"
#include "test/unit/fuse.h"
#include "vmm/virtio/p9.h"

#define SLOT 1
#define ACK  3 /* the slot that is turned over to answer the guest */

static const char *payload;

static struct {
        Fuse fuse;
        Board *board;
        char path[64];
        int proc_fd;
        LoopTimer timer;
} test;

static void make_local(void)
{
        static uint8_t data[8192];
        char path[80];
        int fd;

        snprintf(path, sizeof(path), "%s/local", test.path);
        fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
        memset(data, 'l', sizeof(data));
        unit_assert_int(write(fd, data, sizeof(data)), sizeof(data));
        fd_close(fd);
}

static void plug_p9(Board *board)
{
        const VirtioP9Config config = {
                .tag = "export",
                .root_fd = open(test.path, O_PATH | O_DIRECTORY | O_CLOEXEC),
                .proc_fd = test.proc_fd,
        };
        VirtioDevice *device;
        IoThread *thread;
        uint32_t slot;

        unit_assert_int(machine_new_iothread(&board->machine, "9p", &thread), 0);
        iothread_enter(thread);
        unit_assert_int(
                virtio_p9_new(iothread_loop(thread), &board->machine.memory, &config, &device), 0);
        iothread_leave(thread);
        virtio_device_take_thread(device, thread);
        unit_assert_int(virtio_slots_plug(&board->machine.slots, SLOT, device, &slot), 0);
}

/* The machine of case @name, with the export in its slot. False: not here. */
static bool begin(const char *name, void (*on_phase)(Board *, uint8_t))
{
        char path[80];

        memset(&test, 0, sizeof(test));
        snprintf(test.path, sizeof(test.path), "/tmp/uvm-board-test.XXXXXX");
        unit_assert(mkdtemp(test.path));
        snprintf(path, sizeof(path), "%s/fuse", test.path);
        unit_assert_int(mkdir(path, 0755), 0);
        make_local();
        if (!fuse_start(&test.fuse, path)) {
                scratch_remove(AT_FDCWD, test.path);
                return false;
        }
        fuse_hold(&test.fuse, false);
        test.proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
        test.board = board_new(&(BoardConfig){.payload = payload, .name = name});
        plug_p9(test.board);
        test.board->on_phase = on_phase;
        board_start(test.board);
        board_wait(test.board, &test.board->ended);
        return true;
}

static void end(void)
{
        loop_timer_cancel(&test.timer);
        board_free(test.board);
        fd_close(test.proc_fd);
        fuse_stop(&test.fuse);
        scratch_remove(AT_FDCWD, test.path);
}

static void check_done(void)
{
        Board *board = test.board;

        if (board->reason != CONTROL_END_GUEST_RESET || !strstr(board->text, "done\n"))
                unit_fail("%s; the console shows: %s", board->why, board->text);
}

static void acknowledge(Board *board)
{
        VirtioSlots *slots = &board->machine.slots;

        if (virtio_slots_device(slots, ACK))
                unit_assert_int(virtio_slots_unplug(slots, ACK), 0);
        else
                board_plug_rng(board, ACK);
}

static int on_release(LoopTimer *timer)
{
        fuse_release(&test.fuse);
        return 0;
}

/* After the guest has waited for a while. */
static void release_soon(Board *board)
{
        loop_timer_arm(board->loop, &test.timer, clock_now_usec() + 50 * USEC_PER_MSEC, on_release);
}

static void on_phase_reset(Board *board, uint8_t phase)
{
        uint8_t state[4096];
        WireWriter writer = wire_writer(state, sizeof(state));
        VirtioSlots *slots = &board->machine.slots;
        VirtioDevice *device = virtio_slots_device(slots, SLOT);

        if (phase != 211)
                return;
        fuse_wait_held(&test.fuse);
        unit_assert_int(virtio_slots_unplug(slots, SLOT), -EBUSY);
        unit_assert_int(virtio_device_enter(device), 0);
        unit_assert_int(virtio_mmio_save(&slots->slots[SLOT].mmio, &writer), -EBUSY);
        virtio_device_leave(device);
        acknowledge(board);
        release_soon(board);
}

static void test_reset(void)
{
        ControlStats stats;

        if (!begin("p9-reset", on_phase_reset))
                return;
        check_done();
        machine_get_stats(&test.board->machine, &stats);
        unit_assert_int(stats.devices[1].kind, CONTROL_DEVICE_P9);
        unit_assert(stats.devices[1].requests > 20);
        end();
}

static void on_phase_metadata(Board *board, uint8_t phase)
{
        if (phase == 212) {
                fuse_hold_attributes(&test.fuse);
                acknowledge(board);
        }
        if (phase == 213) {
                fuse_wait_held(&test.fuse);
                unit_assert_int(virtio_slots_unplug(&board->machine.slots, SLOT), -EBUSY);
                acknowledge(board);
                release_soon(board);
        }
}

static void test_metadata(void)
{
        if (!begin("p9-metadata", on_phase_metadata))
                return;
        check_done();
        end();
}

static void on_phase_stuck(Board *board, uint8_t phase)
{
        if (phase != 211)
                return;
        fuse_wait_held(&test.fuse);
        board->machine.retry_limit_usec = 100 * USEC_PER_MSEC;
        acknowledge(board);
}

/* A request that doesn't end, not even by the end, holds nothing up but its own thread. */
static void check_stuck_end(void)
{
        unit_assert_int(machine_done(&test.board->machine), -EBUSY);
        fuse_release(&test.fuse);
        end();
}

static void test_stuck(void)
{
        if (!begin("p9-stuck", on_phase_stuck))
                return;
        unit_assert_int(test.board->reason, CONTROL_END_DEVICE_ERROR);
        unit_assert(strstr(test.board->why, "do not end"));
        check_stuck_end();
}

static void test_end(void)
{
        if (!begin("p9-end", on_phase_stuck))
                return;
        check_done();
        check_stuck_end();
}

static void on_phase_heed(Board *board, uint8_t phase)
{
        if (phase != 214)
                return;
        fuse_wait_held(&test.fuse);
        fuse_hold(&test.fuse, true);
        acknowledge(board);
}

static void test_reuse(void)
{
        if (!begin("p9-reuse", on_phase_heed))
                return;
        check_done();
        end();
}

static void test_break(void)
{
        if (!begin("p9-break", on_phase_heed))
                return;
        check_done();
        end();
}

int main(int argc, char **argv)
{
        static const UnitTest tests[] = {
                UNIT_TEST(test_reset), UNIT_TEST(test_metadata), UNIT_TEST(test_stuck),
                UNIT_TEST(test_end),   UNIT_TEST(test_reuse),    UNIT_TEST(test_break),
        };
        if (!board_begin(argc, argv, "board", LOG_CRIT, &payload))
                return 0;
        return unit_run(tests, ELEMENTSOF(tests));
}
