/*
 * vCPUs that come and leave on the local /dev/kvm: payload/smp.c asks for its second one twenty times.
 * Argument: the payload's file. UVM_SOAK: how many times as often. TAP; skips with a reason where there is no usable /dev/kvm.
 */
#include "base/clock.h"
#include "test/board/board.h"

#define SIGNAL_SLOT 3

static const char *payload;

static bool is_asked;
static unsigned asked; /* the phase by which the guest asks */

static void on_phase(Board *board, uint8_t phase)
{
        asked = phase;
        is_asked = true;
}

static Board *start(const char *name)
{
        Board *board = board_new(
                &(BoardConfig){.payload = payload, .name = name, .vcpus = 1, .max_vcpus = 2});

        unit_assert_int(machine_set_vcpus(&board->machine, 1), -EINVAL);
        board->on_phase = on_phase;
        is_asked = false;
        board_start(board);
        return board;
}

static void set(Board *board, unsigned vcpus)
{
        ControlStats stats;

        unit_assert_int(machine_set_vcpus(&board->machine, vcpus), 0);
        unit_assert_int(machine_set_vcpus(&board->machine, vcpus), 0);
        machine_get_stats(&board->machine, &stats);
        unit_assert_int(stats.vcpus, vcpus);
}

/* At a time when nothing waits, on the way into a pause, in a pause. */
static void set_running(Board *board, unsigned vcpus)
{
        set(board, vcpus);
}

static void set_pausing(Board *board, unsigned vcpus)
{
        board->paused = false;
        unit_assert_int(machine_pause(&board->machine), 0);
        set(board, vcpus);
        board_wait(board, &board->paused);
        unit_assert_int(machine_resume(&board->machine), 0);
}

static void set_paused(Board *board, unsigned vcpus)
{
        board->paused = false;
        unit_assert_int(machine_pause(&board->machine), 0);
        board_wait(board, &board->paused);
        set(board, vcpus);
        unit_assert_int(machine_resume(&board->machine), 0);
}

/* After each cycle there are as many fds and threads, and the CPU time that was used stays known. */
static void run(const char *name, void (*change)(Board *, unsigned))
{
        Board *board = start(name);
        unsigned fds = 0, tasks = 0;
        uint64_t usec = 0, up_usec = 0;
        ControlStats stats;

        for (unsigned phase = 40; phase < 80; phase++) {
                uint64_t begin;

                board_wait(board, &is_asked);
                is_asked = false;
                unit_assert_int(asked, phase);
                begin = clock_now_usec();
                change(board, phase % 2 == 0 ? 2 : 1);
                if (phase % 2 == 0) {
                        up_usec += clock_now_usec() - begin;
                        board_plug_rng(board, SIGNAL_SLOT);
                        continue;
                }
                unit_assert_int(virtio_slots_unplug(&board->machine.slots, SIGNAL_SLOT), 0);
                if (fds == 0) {
                        fds = board_count("/proc/self/fd");
                        tasks = board_count("/proc/self/task");
                }
                unit_assert_int(board_count("/proc/self/fd"), fds);
                unit_assert_int(board_count("/proc/self/task"), tasks);
                machine_get_stats(&board->machine, &stats);
                unit_assert(stats.vcpu_usec >= usec);
                usec = stats.vcpu_usec;
        }
        board_wait(board, &board->ended);
        if (board->reason != CONTROL_END_GUEST_RESET || !strstr(board->text, "done\n"))
                unit_fail("%s: %s; the console shows: %s", name, board->why, board->text);
        printf("# %s: up %.2f ms\n", name, (double)up_usec / 20 / 1000);
        board_free(board);
}

static void test_running(void)
{
        for (uint32_t times = board_soak(); times > 0; times--)
                run("vcpus-late", set_running);
}

static void test_pausing(void)
{
        run("vcpus-late", set_pausing);
}

static void test_paused(void)
{
        run("vcpus-late", set_paused);
}

static void test_busy(void)
{
        run("vcpus-busy", set_running);
        run("vcpus-busy", set_paused);
}

static void test_limits(void)
{
        Board *board = start("spin");

        board_wait(board, &is_asked);
        unit_assert_int(machine_set_vcpus(&board->machine, 0), -EINVAL);
        unit_assert_int(machine_set_vcpus(&board->machine, 3), -EINVAL);
        unit_assert_int(machine_set_vcpus(&board->machine, 2), 0);
        machine_end(&board->machine, CONTROL_END_STOPPED, "enough");
        board_wait(board, &board->ended);
        unit_assert_int(machine_set_vcpus(&board->machine, 1), -EINVAL);
        board_free(board);
}

static const UnitTest tests[] = {
        UNIT_TEST(test_running), UNIT_TEST(test_pausing), UNIT_TEST(test_paused),
        UNIT_TEST(test_busy),    UNIT_TEST(test_limits),
};

int main(int argc, char **argv)
{
        if (!board_begin(argc, argv, "vcpus", LOG_ERR, &payload))
                return 0;
        return unit_run(tests, ELEMENTSOF(tests));
}
