/*
 * The control socket's end in the VMM: right and wrong requests at each moment of a machine's life.
 * Argument: the payload's file. What needs a machine is left out where there is no usable /dev/kvm.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/log.h"
#include "test/board/link_shim.h"

static void test_hello(void)
{
        begin();
        unit_assert_int(link_hello(vmm, 1, 2), 0);
        unit_assert_int(next().type, CONTROL_READY);
        check_stops();
        end();
}

static void test_before_configure(void)
{
        ControlMessage stats = {.type = CONTROL_GET_STATS}, answer;

        begin();
        unit_assert_int(ask(CONTROL_START), EINVAL);
        unit_assert_int(ask(CONTROL_PAUSE), EINVAL);
        unit_assert_int(ask(CONTROL_RESUME), EINVAL);
        unit_assert_int(ask_device(CONTROL_DEVICE_RNG, 0), EINVAL);
        unit_assert_int(ask_removal(0), EINVAL);
        unit_assert_int(ask_vcpus(1), EINVAL);
        unit_assert_int(ask_port(CONTROL_VSOCK_LISTEN, 1), ENODEV);
        send_with(&stats, NULL, 0);
        answer = next();
        unit_assert_int(answer.type, CONTROL_STATS);
        unit_assert_int(answer.stats.n_devices, 0);
        check_stops();
        end();
}

static void check_malformed(const void *bytes, size_t size, const int *fds, unsigned n_fds)
{
        begin();
        unit_assert_int(io_send(shim, bytes, size, fds, n_fds), 0);
        check_ended(CONTROL_END_PROTOCOL_ERROR);
        unit_assert_int(vmm->end, CONTROL_END_PROTOCOL_ERROR);
        end();
}

static void test_malformed(void)
{
        static const uint8_t start[] = {CONTROL_START, 0, 0, 0, 1, 0, 0, 0};
        static const uint8_t no_serial[] = {CONTROL_START, 0, 0, 0, 0, 0, 0, 0};
        static const uint8_t not_ours[] = {CONTROL_READY, 0, 0, 0, 1, 0, 0, 0};
        static const uint8_t huge[CONTROL_MESSAGE_SIZE_MAX + 1];
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        check_malformed("x", 1, NULL, 0);
        check_malformed(start, sizeof(start) - 1, NULL, 0);
        check_malformed(start, sizeof(start), &null, 1);
        check_malformed(no_serial, sizeof(no_serial), NULL, 0);
        check_malformed(not_ours, sizeof(not_ours), NULL, 0);
        check_malformed(huge, sizeof(huge), NULL, 0);
        fd_close(null);
}

/* The supervisor is gone: so is the machine, without anybody to tell. */
static void test_hang_up(void)
{
        begin();
        shim = fd_close(shim);
        unit_assert_int(loop_run(loop), 0);
        unit_assert_int(vmm->end, CONTROL_END_STOPPED);
        end();
}

static int make_bytes(size_t size)
{
        int fd = memfd_create("bytes", MFD_CLOEXEC);

        unit_assert(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
        return fd;
}

/* A configuration that fails leaves nothing to start, and can still be ended. */
static void check_configure_fails(int firmware, uint64_t memory_bytes, uint32_t code)
{
        begin();
        unit_assert_int(ask_configure(firmware, memory_bytes, "hello"), code);
        unit_assert_int(ask_configure(make_bytes(0), 32 << 20, "hello"), EALREADY);
        unit_assert_int(ask(CONTROL_START), EINVAL);
        unit_assert_int(ask_device(CONTROL_DEVICE_RNG, 0), EINVAL);
        check_stops();
        end();
}

static void test_bad_configuration(void)
{
        check_configure_fails(make_bytes(0), 32 << 20, ENOEXEC);
        check_configure_fails(make_bytes(100000), 32 << 20, ENOEXEC);
        check_configure_fails(board_make_firmware(payload), 0, EINVAL);
        check_configure_fails(board_make_firmware(payload), (32 << 20) + 1, EINVAL);
}

static void test_devices(void)
{
        begin();
        unit_assert_int(ask_configure(board_make_firmware(payload), 32 << 20, "spin"), 0);
        unit_assert_int(ask_device(CONTROL_DEVICE_RNG, 2), 0);
        unit_assert_int(ask_device(CONTROL_DEVICE_RNG, 2), EBUSY);
        unit_assert_int(ask_device(CONTROL_DEVICE_RNG, BOARD_SLOTS), EINVAL);
        unit_assert_int(ask_removal(1), ENODEV);
        unit_assert_int(ask_removal(BOARD_SLOTS), ENODEV);
        for (unsigned i = 1; i < BOARD_SLOTS; i++)
                unit_assert_int(ask_device(CONTROL_DEVICE_RNG, CONTROL_SLOT_ANY), 0);
        unit_assert_int(ask_device(CONTROL_DEVICE_RNG, CONTROL_SLOT_ANY), ENOSPC);
        unit_assert_int(ask_removal(0), 0);
        unit_assert_int(ask_device(CONTROL_DEVICE_VSOCK, CONTROL_SLOT_ANY), 0);
        check_stops();
        end();
}

static uint32_t ask_p9(uint32_t slot, uint32_t flags, uint64_t ops)
{
        ControlMessage message = {
                .type = CONTROL_ADD_DEVICE,
                .add_device = {.slot = slot,
                               .kind = CONTROL_DEVICE_P9,
                               .throttle.ops = ops,
                               .p9 = {.tag = "binds", .flags = flags}},
        };
        int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        uint32_t code = ask_with(&message, &root, flags & CONTROL_P9_BINDS ? 0 : 1);

        fd_close(root);
        return code;
}

static uint32_t ask_bind(uint32_t slot, const char *name, const char *path, uint32_t flags)
{
        ControlMessage message = {
                .type = CONTROL_ADD_BIND,
                .add_bind = {.slot = slot, .flags = flags},
        };
        int fd = open(path, O_PATH | O_CLOEXEC);
        uint32_t code;

        snprintf(message.add_bind.name, sizeof(message.add_bind.name), "%s", name);
        code = ask_with(&message, &fd, 1);
        fd_close(fd);
        return code;
}

static uint32_t ask_unbind(uint32_t slot, const char *name)
{
        ControlMessage message = {.type = CONTROL_REMOVE_BIND, .remove_bind = {.slot = slot}};

        snprintf(message.remove_bind.name, sizeof(message.remove_bind.name), "%s", name);
        return ask_with(&message, NULL, 0);
}

static void test_binds(void)
{
        begin();
        unit_assert_int(ask_bind(0, "b1", "/", 0), ENODEV); /* nothing is configured */
        unit_assert_int(ask_configure(board_make_firmware(payload), 32 << 20, "spin"), 0);
        unit_assert_int(ask_p9(0, CONTROL_P9_BINDS, 0), 0);
        unit_assert_int(ask_p9(1, 0, 0), 0);
        unit_assert_int(ask_device(CONTROL_DEVICE_RNG, 2), 0);
        unit_assert_int(ask_bind(0, "b1", "/", 0), 0);
        unit_assert_int(ask_bind(0, "b1", "/", 0), EEXIST);
        unit_assert_int(ask_bind(0, "b2", "/etc/passwd", CONTROL_BIND_READ_ONLY), 0);
        for (uint32_t slot = 1; slot < 3; slot++) {
                unit_assert_int(ask_bind(slot, "b1", "/", 0), EINVAL);
                unit_assert_int(ask_unbind(slot, "b1"), EINVAL);
        }
        unit_assert_int(ask_bind(3, "b1", "/", 0), ENODEV);
        unit_assert_int(ask_bind(BOARD_SLOTS, "b1", "/", 0), ENODEV);
        unit_assert_int(ask_unbind(3, "b1"), ENODEV);
        unit_assert_int(ask(CONTROL_START), 0);
        unit_assert_int(ask_vcpus(1), 0);
        unit_assert_int(ask_vcpus(2), EINVAL);
        unit_assert_int(ask_unbind(0, "b1"), 0);
        unit_assert_int(ask_unbind(0, "b1"), ENOENT);
        unit_assert_int(ask_bind(0, "b1", "/", 0), 0);
        unit_assert_int(ask_removal(0), 0);
        unit_assert_int(ask_bind(0, "b1", "/", 0), ENODEV);
        check_stops();
        end();
}

static int make_bytes(size_t size);

/* The text of the answer is left in @ret_text. */
static uint32_t ask_disk(uint32_t slot, int fd, uint32_t flags, char *ret_text)
{
        ControlMessage answer, message = {
                                       .type = CONTROL_ADD_DEVICE,
                                       .add_device = {.slot = slot,
                                                      .kind = CONTROL_DEVICE_BLOCK,
                                                      .throttle.bytes = 1 << 20,
                                                      .block = {.serial = "disk0", .flags = flags}},
                               };

        send_with(&message, &fd, 1);
        fd_close(fd);
        answer = next();
        unit_assert_int(answer.type, CONTROL_REPLY);
        snprintf(ret_text, CONTROL_TEXT_SIZE_MAX + 1, "%s", answer.reply.text);
        return answer.reply.code;
}

static void test_disks(void)
{
        ControlMessage stats = {.type = CONTROL_GET_STATS}, answer;
        char text[CONTROL_TEXT_SIZE_MAX + 1];

        begin();
        unit_assert_int(ask_disk(0, make_bytes(4096), 0, text), EINVAL); /* nothing is configured */
        unit_assert_int(ask_configure(board_make_firmware(payload), 32 << 20, "spin"), 0);
        unit_assert_int(ask_disk(0, make_bytes(4096), 0, text), 0);
        unit_assert_int(ask_disk(0, make_bytes(4096), 0, text), EBUSY);
        unit_assert_int(ask_disk(1, make_bytes(100), 0, text), EINVAL);
        unit_assert(strstr(text, "multiple of 512"));
        unit_assert_int(ask_disk(1, open("/dev/null", O_RDWR | O_CLOEXEC), 0, text), EINVAL);
        unit_assert(strstr(text, "block device"));
        unit_assert_int(ask_disk(1, open("/proc/self/exe", O_RDONLY | O_CLOEXEC), 0, text), EBADF);
        unit_assert(strstr(text, "not open for reading and writing"));
        unit_assert_int(ask_disk(1, make_bytes(512), CONTROL_BLOCK_READ_ONLY, text), 0);
        unit_assert_int(ask_throttle(1, 1), 0);
        send_with(&stats, NULL, 0);
        answer = next();
        unit_assert_int(answer.stats.n_devices, 2);
        unit_assert_int(answer.stats.devices[1].kind, CONTROL_DEVICE_BLOCK);
        unit_assert_int(ask_removal(0), 0);
        unit_assert_int(ask_disk(0, make_bytes(4096), 0, text), 0);
        check_stops();
        end();
}

static void test_throttle(void)
{
        ControlMessage rng = {
                .type = CONTROL_ADD_DEVICE,
                .add_device = {.slot = 3, .kind = CONTROL_DEVICE_RNG, .throttle.bytes = 1},
        };

        begin();
        unit_assert_int(ask_configure(board_make_firmware(payload), 32 << 20, "spin"), 0);
        unit_assert_int(ask_device(CONTROL_DEVICE_RNG, 0), 0);
        unit_assert_int(ask_p9(1, 0, 100), 0);
        unit_assert_int(vmm->machine.slots.slots[1].mmio.device->paces[0].limits.ops, 100);
        unit_assert_int(ask_throttle(0, 1), EINVAL);
        unit_assert_int(ask_throttle(1, 7), 0);
        unit_assert_int(vmm->machine.slots.slots[1].mmio.device->paces[0].limits.ops, 7);
        unit_assert_int(ask_throttle(1, 0), 0);
        unit_assert_int(ask_throttle(2, 1), ENODEV);
        unit_assert_int(ask_throttle(UINT32_MAX, 1), ENODEV);
        /* One that can't have a throttle isn't plugged without it. */
        unit_assert_int(ask_with(&rng, NULL, 0), EINVAL);
        unit_assert_int(ask_removal(3), ENODEV);
        check_stops();
        end();
}

static void test_vsock(void)
{
        ControlMessage connect = {.type = CONTROL_VSOCK_CONNECT, .vsock_connect.guest_port = 5};
        ControlMessage removal = {.type = CONTROL_REMOVE_DEVICE}, answer;
        uint32_t connect_serial;
        int pair[2];

        begin();
        unit_assert_int(ask_configure(board_make_firmware(payload), 32 << 20, "spin"), 0);
        unit_assert_int(ask_device(CONTROL_DEVICE_VSOCK, 0), 0);
        unit_assert_int(ask_device(CONTROL_DEVICE_VSOCK, 1), EEXIST);
        unit_assert_int(ask_port(CONTROL_VSOCK_LISTEN, 1024), 0);
        unit_assert_int(ask_port(CONTROL_VSOCK_LISTEN, 1024), EEXIST);
        unit_assert_int(ask_port(CONTROL_VSOCK_UNLISTEN, 1024), 0);
        unit_assert_int(ask_port(CONTROL_VSOCK_UNLISTEN, 1024), ENOENT);
        /* A connection waits for the driver, and fails when the device goes. */
        unit_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
        send_with(&connect, &pair[1], 1);
        connect_serial = serial;
        send_with(&removal, NULL, 0);
        answer = next();
        unit_assert_int(answer.serial, connect_serial);
        unit_assert_int(answer.reply.code, ECONNRESET);
        answer = next();
        unit_assert_int(answer.serial, serial);
        unit_assert_int(answer.reply.code, 0);
        unit_assert_int(ask_port(CONTROL_VSOCK_LISTEN, 1024), ENODEV);
        fd_close_many(pair, 2);
        check_stops();
        end();
}

static void test_life(void)
{
        begin();
        unit_assert_int(ask_configure(board_make_firmware(payload), 32 << 20, "spin"), 0);
        unit_assert_int(ask_configure(make_bytes(0), 32 << 20, "spin"), EALREADY);
        unit_assert_int(ask(CONTROL_PAUSE), EINVAL);
        unit_assert_int(ask(CONTROL_START), 0);
        unit_assert_int(ask(CONTROL_START), EINVAL);
        unit_assert_int(ask(CONTROL_RESUME), EINVAL);
        unit_assert_int(ask(CONTROL_PAUSE), 0);
        unit_assert_int(ask(CONTROL_PAUSE), EINVAL);
        unit_assert_int(ask_device(CONTROL_DEVICE_RNG, 1), 0);
        unit_assert_int(ask(CONTROL_RESUME), 0);
        unit_assert_int(ask_removal(1), 0);
        check_stops();
        end();
}

/* A machine that is paused, or about to be, ends like any other. */
static void test_stop_paused(void)
{
        ControlMessage pause = {.type = CONTROL_PAUSE}, stop = {.type = CONTROL_STOP}, message;

        begin();
        unit_assert_int(ask_configure(board_make_firmware(payload), 32 << 20, "spin"), 0);
        unit_assert_int(ask(CONTROL_START), 0);
        unit_assert_int(ask(CONTROL_PAUSE), 0);
        check_stops();
        end();

        begin();
        unit_assert_int(ask_configure(board_make_firmware(payload), 32 << 20, "spin"), 0);
        unit_assert_int(ask(CONTROL_START), 0);
        send_with(&pause, NULL, 0);
        send_with(&stop, NULL, 0);
        do
                message = next();
        while (message.type == CONTROL_REPLY);
        unit_assert_int(message.type, CONTROL_ENDED);
        end();
}

static const UnitTest tests[] = {
        UNIT_TEST(test_hello),
        UNIT_TEST(test_before_configure),
        UNIT_TEST(test_malformed),
        UNIT_TEST(test_hang_up),
        UNIT_TEST(test_bad_configuration),
        UNIT_TEST(test_devices),

        UNIT_TEST(test_binds),
        UNIT_TEST(test_throttle),
        UNIT_TEST(test_disks),
        UNIT_TEST(test_vsock),
        UNIT_TEST(test_life),
        UNIT_TEST(test_stop_paused),
};

int main(int argc, char **argv)
{
        const char *missing = board_missing();

        log_open("link");
        log_set_level(LOG_CRIT);
        if (argc != 2)
                unit_fail("usage: %s PAYLOAD", argv[0]);
        payload = argv[1];
        if (missing)
                printf("# %s: only what needs no machine\n", missing);
        return unit_run(tests, missing ? 4 : ELEMENTSOF(tests));
}
