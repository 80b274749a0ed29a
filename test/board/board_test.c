/*
 * The board on the local /dev/kvm. Arguments: the payload's file, then the cases to run (default:
 * all). TAP on standard output; skips with a reason where there is no usable /dev/kvm.
 */
#include <fcntl.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "test/board/board.h"
#include "test/scratch.h"
#include "vmm/virtio/p9.h"
#include "vmm/virtio/vsock.h"

static const char *payload;

static void test_triple_fault(void)
{
        Board *board = board_new(&(BoardConfig){.payload = payload, .name = "triple-fault"});

        board_start(board);
        board_wait(board, &board->ended);
        unit_assert_int(board->reason, CONTROL_END_TRIPLE_FAULT);
        if (!strstr(board->why, "triple fault") || !strstr(board->why, "rip 0x1"))
                unit_fail("the reason is no good: %s", board->why);
        board_free(board);
}

static void test_hello(void)
{
        Board *board = board_new(&(BoardConfig){.payload = payload, .name = "hello"});

        board_start(board);
        board_wait(board, &board->ended);
        unit_assert_int(board->reason, CONTROL_END_GUEST_RESET);
        unit_assert_string(board->text, "hello from the guest\ndone\n");
        printf("# configured to first KVM_RUN: VM and memory %.2f ms, firmware %.2f ms\n",
               (double)(board->phase_usec[CONTROL_PHASE_FIRMWARE_LOADED] -
                        board->phase_usec[CONTROL_PHASE_KVM_READY]) /
                       1000,
               (double)(board->phase_usec[CONTROL_PHASE_FIRST_RUN] -
                        board->phase_usec[CONTROL_PHASE_FIRMWARE_LOADED]) /
                       1000);
        board_free(board);
}

static bool guest_is_there;

static void on_phase_there(Board *board, uint8_t phase)
{
        if (phase == 200)
                guest_is_there = true;
}

/* A guest that does nothing, or does it with interrupts off, can be paused, resumed and stopped. */
static void pause_and_stop(const char *name)
{
        Board *board = board_new(&(BoardConfig){.payload = payload, .name = name});
        ControlStats stats;

        guest_is_there = false;
        board->on_phase = on_phase_there;
        board_start(board);
        board_wait(board, &guest_is_there);
        unit_assert_int(machine_resume(&board->machine), -EINVAL);
        for (unsigned i = 0; i < 3; i++) {
                board->paused = false;
                unit_assert_int(machine_pause(&board->machine), 0);
                board_wait(board, &board->paused);
                unit_assert_int(machine_resume(&board->machine), 0);
        }
        machine_get_stats(&board->machine, &stats);
        unit_assert(stats.exits[CONTROL_EXIT_IO] > 0);
        unit_assert_int(stats.n_devices, 1);
        machine_end(&board->machine, CONTROL_END_STOPPED, "enough");
        machine_end(&board->machine, CONTROL_END_KVM_ERROR, "too late to tell");
        board_wait(board, &board->ended);
        unit_assert_int(board->reason, CONTROL_END_STOPPED);
        unit_assert_string(board->why, "enough");
        board_free(board);
}

static void test_pause_spin(void)
{
        pause_and_stop("spin");
}

static void test_pause_halt(void)
{
        pause_and_stop("halt");
}

/* A machine may be freed while its guest runs. */
static void test_free_running(void)
{
        Board *board = board_new(&(BoardConfig){.payload = payload, .name = "spin"});

        guest_is_there = false;
        board->on_phase = on_phase_there;
        board_start(board);
        board_wait(board, &guest_is_there);
        board_free(board);
}

static void test_flood_read(void)
{
        Board *board = board_new(&(BoardConfig){.payload = payload, .name = "flood"});
        ControlStats stats;

        board_start(board);
        board_wait(board, &board->ended);
        machine_get_stats(&board->machine, &stats);
        unit_assert_int(stats.console_dropped, 0);
        unit_assert_int(board->length, 300 * 58 + strlen("done\n"));
        board_free(board);
}

/* With nobody reading, bytes are dropped and counted, and the guest is not held. */
static void test_flood_unread(void)
{
        Board *board = board_new(
                &(BoardConfig){.payload = payload, .name = "flood", .keep_console = true});
        ControlStats stats;
        int small = 1;

        unit_assert(setsockopt(board->machine.console.fd, SOL_SOCKET, SO_SNDBUF, &small,
                               sizeof(small)) == 0);
        board_start(board);
        board_wait(board, &board->ended);
        machine_get_stats(&board->machine, &stats);
        unit_assert_int(stats.console_bytes, 300 * 58 + strlen("done\n"));
        unit_assert(stats.console_dropped > 0);
        board_free(board);
}

static void on_phase_plug(Board *board, uint8_t phase)
{
        if (phase == 201 || phase == 203)
                board_plug_rng(board, 2);
        else if (phase == 202 || phase == 204)
                unit_assert_int(virtio_slots_unplug(&board->machine.slots, 2), 0);
}

static void run_with(const char *name, void (*on_phase)(Board *, uint8_t), unsigned vcpus)
{
        Board *board = board_new(&(BoardConfig){.payload = payload, .name = name, .vcpus = vcpus});

        board->on_phase = on_phase;
        board_start(board);
        board_wait(board, &board->ended);
        if (board->reason != CONTROL_END_GUEST_RESET || !strstr(board->text, "done\n"))
                unit_fail("%s: %s; the console shows: %s", name, board->why, board->text);
        board_free(board);
}

static void test_plug(void)
{
        run_with("plug", on_phase_plug, 1);
}

static void on_phase_reload(Board *board, uint8_t phase)
{
        VirtioSlots *slots = &board->machine.slots;
        uint8_t state[1024];
        WireWriter writer = wire_writer(state, sizeof(state));
        WireReader reader;
        size_t size;

        if (phase != 205)
                return;
        unit_assert_int(virtio_mmio_save(&slots->slots[0].mmio, &writer), 0);
        unit_assert_int(wire_writer_end(&writer, &size), 0);
        unit_assert_int(virtio_slots_unplug(slots, 0), 0);
        board_plug_rng(board, 0);
        reader = wire_reader(state, size);
        unit_assert_int(virtio_mmio_load(&slots->slots[0].mmio, &reader), 0);
        unit_assert_int(wire_reader_end(&reader), 0);
        board_plug_rng(board, 3);
}

static void test_save_load(void)
{
        run_with("save-load", on_phase_reload, 1);
}

/* A device of each kind goes out of its slot and comes back as it was. */
static void reload(Board *board, VirtioDevice *(*make)(Board *))
{
        VirtioSlots *slots = &board->machine.slots;
        uint8_t state[4096], again[4096];
        WireWriter writer = wire_writer(state, sizeof(state));
        WireReader reader;
        size_t size, size_again;
        uint32_t slot;

        unit_assert_int(virtio_slots_plug(slots, UINT32_MAX, make(board), &slot), 0);
        unit_assert_int(slot, 1);
        unit_assert_int(virtio_mmio_save(&slots->slots[slot].mmio, &writer), 0);
        unit_assert_int(wire_writer_end(&writer, &size), 0);
        unit_assert_int(virtio_slots_unplug(slots, slot), 0);
        unit_assert_int(virtio_slots_unplug(slots, slot), -ENODEV);
        unit_assert_int(virtio_slots_plug(slots, slot, make(board), &slot), 0);
        reader = wire_reader(state, size);
        unit_assert_int(virtio_mmio_load(&slots->slots[slot].mmio, &reader), 0);
        unit_assert_int(wire_reader_end(&reader), 0);
        writer = wire_writer(again, sizeof(again));
        unit_assert_int(virtio_mmio_save(&slots->slots[slot].mmio, &writer), 0);
        unit_assert_int(wire_writer_end(&writer, &size_again), 0);
        unit_assert_int(size_again, size);
        unit_assert_bytes(state, again, size);
        unit_assert_int(virtio_slots_unplug(slots, slot), 0);
}

static VirtioDevice *make_vsock(Board *board)
{
        static const VirtioVsockEvents events = {};
        VirtioDevice *device;

        unit_assert_int(virtio_vsock_new(board->loop, &board->machine.memory, 3, &events, &device),
                        0);
        return device;
}

static int fds_fd = FD_NONE;

static VirtioDevice *make_p9(Board *board)
{
        const VirtioP9Config config = {
                .tag = "root",
                .root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC),
                .proc_fd = fds_fd,
        };
        VirtioDevice *device;

        unit_assert_int(virtio_p9_new(board->loop, &board->machine.memory, &config, &device), 0);
        return device;
}

static void test_reload_each(void)
{
        Board *board = board_new(&(BoardConfig){.payload = payload, .name = "hello"});

        fds_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
        reload(board, make_vsock);
        reload(board, make_p9);
        fds_fd = fd_close(fds_fd);
        /* And the serial port. */
        uint8_t state[64];
        WireWriter writer = wire_writer(state, sizeof(state));
        WireReader reader = wire_reader(state, sizeof(state));

        unit_assert_int(serial_save(&board->machine.serial, &writer), 0);
        unit_assert_int(serial_load(&board->machine.serial, &reader), 0);
        board_start(board);
        board_wait(board, &board->ended);
        unit_assert_string(board->text, "hello from the guest\ndone\n");
        board_free(board);
}

static void test_smp(void)
{
        run_with("smp", NULL, 2);
}

/* A guest with a 9p device in slot 1, on a thread of its own, over a directory with a file. */
static void run_p9(const char *name)
{
        Board *board = board_new(&(BoardConfig){.payload = payload, .name = name});
        char path[] = "/tmp/uvm-board-p9.XXXXXX";
        VirtioP9Config config = {.tag = "root"};
        VirtioDevice *device;
        IoThread *thread;
        uint32_t slot;
        int dir, file;

        unit_assert(mkdtemp(path));
        dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        file = openat(dir, "hello", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
        unit_assert_int(write(file, "hello", 5), 5);
        fd_close(file);
        config.root_fd = openat(dir, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        config.proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
        unit_assert_int(machine_new_iothread(&board->machine, "9p", &thread), 0);
        iothread_enter(thread);
        unit_assert_int(
                virtio_p9_new(iothread_loop(thread), &board->machine.memory, &config, &device), 0);
        iothread_leave(thread);
        virtio_device_take_thread(device, thread);
        unit_assert_int(virtio_slots_plug(&board->machine.slots, 1, device, &slot), 0);
        board_start(board);
        board_wait(board, &board->ended);
        if (board->reason != CONTROL_END_GUEST_RESET || strstr(board->text, "FAIL") ||
            !strstr(board->text, "done\n"))
                unit_fail("%s: %s; the console shows: %s", name, board->why, board->text);
        board_free(board);
        fd_close(config.proc_fd);
        fd_close(dir);
        scratch_remove(AT_FDCWD, path);
}

#define PASS(name)         \
        {                  \
                name, NULL \
        }

static const struct {
        const char *name;
        void (*run)(void); /* NULL: board_pass(), or run_p9() for what is called so */
} cases[] = {
        {"hello", test_hello},
        PASS("handoff"),
        PASS("serial"),
        PASS("empty-bus"),
        {"triple-fault", test_triple_fault},
        {"pause-spin", test_pause_spin},
        {"pause-halt", test_pause_halt},
        {"free-running", test_free_running},
        {"flood-read", test_flood_read},
        {"flood-unread", test_flood_unread},
        {"smp", test_smp},
        PASS("empty-slot"),
        PASS("probe"),
        PASS("rng"),
        PASS("rng-indirect"),
        PASS("interrupts"),
        PASS("changes"),
        {"plug", test_plug},
        {"save-load", test_save_load},
        {"reload-each", test_reload_each},
        PASS("head"),
        PASS("next"),
        PASS("loop"),
        PASS("outside"),
        PASS("leap"),
        PASS("empty-buffer"),
        PASS("order"),
        PASS("indirect"),
        PASS("bad-rings"),
        PASS("moving-queue"),
        PASS("storm"),
        PASS("p9-fids"),
        PASS("p9-many-fids"),
        PASS("p9-tags"),
        PASS("p9-counts"),
        PASS("p9-frames"),
        PASS("p9-overlaps"),
};

static void run_case(const char *wanted, unsigned *n)
{
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint64_t start = clock_now_usec();

                if (wanted && strcmp(wanted, cases[i].name) != 0)
                        continue;
                if (cases[i].run)
                        cases[i].run();
                else if (strncmp(cases[i].name, "p9-", 3) == 0)
                        run_p9(cases[i].name);
                else
                        board_pass(payload, cases[i].name);
                printf("ok %u %s # %.0f ms\n", ++*n, cases[i].name,
                       (double)(clock_now_usec() - start) / 1000);
                fflush(stdout);
        }
}

int main(int argc, char **argv)
{
        const char *missing = board_missing();
        unsigned n = 0;

        log_open("board");
        log_set_level(LOG_ERR);
        if (argc < 2)
                unit_fail("usage: %s PAYLOAD [CASE...]", argv[0]);
        if (missing)
                return board_skip(missing);
        payload = argv[1];
        if (argc == 2)
                run_case(NULL, &n);
        for (int i = 2; i < argc; i++)
                run_case(argv[i], &n);
        printf("1..%u\n", n);
        return 0;
}
