/* The harness; see board.h. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/parse.h"
#include "proto/firmware.h"
#include "test/board/board.h"
#include "vmm/virtio/rng.h"

/* Where things lie in guest memory; payload.ld and the payload's second vCPU know some of it. */
#define PAGE_TABLES  0x10000
#define HANDOFF      0x20000
#define STACK_BOTTOM 0x30000
#define STACK_SIZE   0x10000
#define PAYLOAD      0x100000
#define PAYLOAD_ROOM 0x100000
#define MEMORY_SIZE  (32ULL << 20)

#define TABLE_PAGES   6 /* one level-4, one level-3, four level-2 tables: 4 GiB in 2 MiB pages */
#define ENTRY_PRESENT 0x3
#define ENTRY_BIG     0x80

#define TIME_LIMIT (10 * USEC_PER_SEC)

const char *board_missing(void)
{
        int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

        if (fd < 0)
                return errno == ENOENT ? "there is no /dev/kvm" : "/dev/kvm can't be opened";
        fd_close(fd);
        return NULL;
}

int board_skip(const char *why)
{
        printf("1..0 # SKIP %s\n", why);
        return 0;
}

bool board_begin(int argc, char **argv, const char *log, int level, const char **ret_payload)
{
        const char *missing = board_missing();

        log_open(log);
        log_set_level(level);
        if (argc != 2)
                unit_fail("usage: %s PAYLOAD", argv[0]);
        *ret_payload = argv[1];
        if (missing)
                board_skip(missing);
        return !missing;
}

static void make_page_tables(uint64_t *tables)
{
        memset(tables, 0, TABLE_PAGES * 4096);
        tables[0] = (PAGE_TABLES + 4096) | ENTRY_PRESENT;
        for (uint64_t i = 0; i < 4; i++)
                tables[512 + i] = (PAGE_TABLES + (2 + i) * 4096) | ENTRY_PRESENT;
        for (uint64_t i = 0; i < 4 * 512; i++)
                tables[1024 + i] = i << 21 | ENTRY_PRESENT | ENTRY_BIG;
}

static void append(int fd, const void *bytes, size_t size)
{
        unit_assert_int(io_write_full(fd, bytes, size), 0);
}

/* Header, page tables, payload. */
int board_make_firmware(const char *payload)
{
        static uint64_t tables[TABLE_PAGES * 512];
        static uint8_t program[PAYLOAD_ROOM], header[FIRMWARE_HEADER_SIZE];
        int file = open(payload, O_RDONLY | O_CLOEXEC);
        int fd = memfd_create("firmware", MFD_CLOEXEC);
        ssize_t size = read(file, program, sizeof(program));
        Firmware firmware = {
                .image_size = sizeof(header) + sizeof(tables) + sizeof(program),
                .entry = PAYLOAD,
                .cr3 = PAGE_TABLES,
                .stack = STACK_BOTTOM + STACK_SIZE,
                .handoff = HANDOFF,
                .min_memory = 16 << 20,
                .n_segments = 3,
                .segments =
                        {
                                {
                                        .gpa = PAGE_TABLES,
                                        .offset = sizeof(header),
                                        .file_size = sizeof(tables),
                                        .memory_size = sizeof(tables),
                                },
                                {
                                        .gpa = STACK_BOTTOM,
                                        .offset = sizeof(header),
                                        .memory_size = STACK_SIZE,
                                },
                                {
                                        .gpa = PAYLOAD,
                                        .offset = sizeof(header) + sizeof(tables),
                                        .file_size = sizeof(program),
                                        .memory_size = sizeof(program),
                                },
                        },
        };

        unit_assert(file >= 0 && fd >= 0 && size > 0 && size < PAYLOAD_ROOM);
        fd_close(file);
        make_page_tables(tables);
        unit_assert_int(firmware_encode(&firmware, header), 0);
        append(fd, header, sizeof(header));
        append(fd, tables, sizeof(tables));
        append(fd, program, sizeof(program));
        return fd;
}

static int board_on_console(LoopFd *source, uint32_t events)
{
        Board *board = CONTAINER_OF(source, Board, console_source);
        ssize_t n = recv(board->console, board->text + board->length,
                         BOARD_CONSOLE_SIZE - 1 - board->length, MSG_DONTWAIT);

        if (n > 0)
                board->length += (size_t)n;
        return n >= 0 || errno == EAGAIN ? 0 : errno_neg();
}

static void board_on_phase(void *userdata, uint32_t id, uint64_t usec)
{
        Board *board = userdata;

        if (id < CONTROL_PHASE_GUEST)
                board->phase_usec[id] = usec;
        else if (board->on_phase)
                board->on_phase(board, (uint8_t)(id - CONTROL_PHASE_GUEST));
}

static void board_on_paused(void *userdata)
{
        ((Board *)userdata)->paused = true;
}

static void board_on_ended(void *userdata, ControlEnd reason, const char *text)
{
        Board *board = userdata;

        board->ended = true;
        board->reason = reason;
        snprintf(board->why, sizeof(board->why), "%s", text);
}

Board *board_new(const BoardConfig *config)
{
        Board *board = calloc(1, sizeof(*board));
        MachineEvents events = {
                .phase = board_on_phase,
                .paused = board_on_paused,
                .ended = board_on_ended,
                .userdata = board,
        };
        char text[CONTROL_TEXT_SIZE_MAX + 1];
        int console[2];
        int r;

        unit_assert(board);
        unit_assert_int(loop_new(&board->loop), 0);
        unit_assert_int(machine_init(&board->machine, board->loop, &events), 0);
        unit_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, console) == 0);
        board->console = console[0];
        if (!config->keep_console)
                unit_assert_int(loop_fd_add(board->loop, &board->console_source, console[0],
                                            EPOLLIN, board_on_console),
                                0);
        r = machine_configure(&board->machine,
                              &(MachineConfig){
                                      .memory_bytes = MEMORY_SIZE,
                                      .memory_max_bytes = MEMORY_SIZE + config->room,
                                      .vcpus = config->vcpus ?: 1,
                                      .max_vcpus = config->max_vcpus ?: config->vcpus ?: 1,
                                      .slots = BOARD_SLOTS,
                                      .cmdline = config->name,
                                      .kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC),
                                      .firmware_fd = board_make_firmware(config->payload),
                                      .console_fd = console[1],
                              },
                              text);
        if (r < 0)
                unit_fail("machine_configure: %s", text);
        board_plug_rng(board, 0);
        return board;
}

Board *board_free(Board *board)
{
        unit_assert_int(machine_done(&board->machine), 0);
        loop_fd_remove(&board->console_source);
        loop_free(board->loop);
        fd_close(board->console);
        free(board);
        return NULL;
}

void board_plug_rng(Board *board, uint32_t slot)
{
        VirtioDevice *device;
        uint32_t index;

        unit_assert_int(virtio_rng_new(board->loop, &board->machine.memory, &device), 0);
        unit_assert_int(virtio_slots_plug(&board->machine.slots, slot, device, &index), 0);
        unit_assert_int(index, slot);
}

void board_start(Board *board)
{
        unit_assert_int(machine_start(&board->machine), 0);
}

void board_wait(Board *board, const bool *flag)
{
        uint64_t end = clock_now_usec() + clock_limit_usec(TIME_LIMIT);

        while (!*flag) {
                uint64_t now = clock_now_usec();

                if (now >= end)
                        unit_fail("time is over; the console shows: %s", board->text);
                unit_assert_int(loop_step(board->loop, end - now), 0);
        }
        /* What is still in the socket. */
        while (board->console_source.loop && board->length < BOARD_CONSOLE_SIZE - 1) {
                size_t before = board->length;

                unit_assert_int(board_on_console(&board->console_source, EPOLLIN), 0);
                if (board->length == before)
                        break;
        }
}

void board_pass(const char *payload, const char *name)
{
        Board *board = board_new(&(BoardConfig){.payload = payload, .name = name});

        board_start(board);
        board_wait(board, &board->ended);
        if (board->reason != CONTROL_END_GUEST_RESET || strstr(board->text, "FAIL") ||
            !strstr(board->text, "done\n"))
                unit_fail("%s: %s; the console shows: %s", name, board->why, board->text);
        board_free(board);
}

unsigned board_count(const char *directory)
{
        DIR *dir = opendir(directory);
        unsigned n = 0;

        unit_assert(dir);
        while (readdir(dir))
                n++;
        closedir(dir);
        return n;
}

uint32_t board_soak(void)
{
        const char *soak = getenv("UVM_SOAK");
        uint32_t times = 1;

        if (soak)
                unit_assert_int(parse_u32(soak, 1, 100000, &times), 0);
        return times;
}
