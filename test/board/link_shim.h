/*
 * The supervisor's end of a control socket whose other end is served in this process, for tests: sends
 * requests, runs the loop until the answers come. One at a time, hence the state of the file.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/io.h"
#include "test/board/board.h"
#include "vmm/link.h"

#define TIME_LIMIT (10 * USEC_PER_SEC)

static const char *payload;
static Loop *loop;
static Link *vmm;
static int shim = FD_NONE; /* our end */
static uint32_t serial;

static inline void begin(void)
{
        int pair[2];

        vmm = calloc(1, sizeof(*vmm));
        unit_assert(vmm);
        unit_assert_int(loop_new(&loop), 0);
        unit_assert(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) ==
                    0);
        shim = pair[0];
        unit_assert_int(link_init(vmm, loop, pair[1],
                                  open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC)),
                        0);
}

static inline void end(void)
{
        unit_assert_int(link_done(vmm), 0);
        loop_free(loop);
        shim = fd_close(shim);
        free(vmm);
}

/* The next message that is no PHASE; runs the VMM until it comes. Closes what fds it carries. */
static inline ControlMessage next(void)
{
        uint64_t limit = clock_now_usec() + clock_limit_usec(TIME_LIMIT);
        uint8_t buffer[CONTROL_MESSAGE_SIZE_MAX];
        ControlMessage message;
        IoMessage received;

        for (;;) {
                int r = io_recv(shim, buffer, sizeof(buffer), &received);

                if (r == -EAGAIN) {
                        unit_assert(clock_now_usec() < limit);
                        unit_assert_int(loop_step(loop, 100 * USEC_PER_MSEC), 0);
                        continue;
                }
                unit_assert_int(r, 0);
                unit_assert_int(control_decode(buffer, received.size, &message), 0);
                unit_assert_int(received.n_fds, control_fd_count(&message));
                io_message_done(&received);
                if (message.type != CONTROL_PHASE)
                        return message;
        }
}

static inline void send_with(ControlMessage *message, const int *fds, unsigned n_fds)
{
        uint8_t buffer[CONTROL_MESSAGE_SIZE_MAX];
        size_t size;

        message->serial = ++serial;
        unit_assert_int(control_encode(message, buffer, sizeof(buffer), &size), 0);
        unit_assert_int(io_send(shim, buffer, size, fds, n_fds), 0);
}

/* A request and the code of its answer, which has a text if and only if it isn't 0. */
static inline uint32_t ask_with(ControlMessage *message, const int *fds, unsigned n_fds)
{
        ControlMessage answer;

        send_with(message, fds, n_fds);
        answer = next();
        unit_assert_int(answer.type, CONTROL_REPLY);
        unit_assert_int(answer.serial, serial);
        unit_assert_int(answer.reply.text[0] != 0, answer.reply.code != 0);
        return answer.reply.code;
}

static inline uint32_t ask(ControlType type)
{
        ControlMessage message = {.type = type};

        return ask_with(&message, NULL, 0);
}

static inline uint32_t ask_port(ControlType type, uint32_t port)
{
        ControlMessage message = {.type = type, .vsock_listen.port = port};

        return ask_with(&message, NULL, 0);
}

static inline uint32_t ask_device(ControlDevice kind, uint32_t slot)
{
        ControlMessage message = {
                .type = CONTROL_ADD_DEVICE,
                .add_device = {.slot = slot, .kind = kind},
        };

        if (kind == CONTROL_DEVICE_VSOCK)
                message.add_device.vsock.guest_cid = 3;
        return ask_with(&message, NULL, 0);
}

static inline uint32_t ask_removal(uint32_t slot)
{
        ControlMessage message = {.type = CONTROL_REMOVE_DEVICE, .remove_device.slot = slot};

        return ask_with(&message, NULL, 0);
}

static inline uint32_t ask_throttle(uint32_t slot, uint64_t ops)
{
        ControlMessage message = {
                .type = CONTROL_SET_THROTTLE,
                .set_throttle = {.slot = slot, .limits.ops = ops},
        };

        return ask_with(&message, NULL, 0);
}

static uint64_t room; /* for memory to grow, in what is configured next */

static inline uint32_t ask_configure(int firmware, uint64_t memory_bytes, const char *name)
{
        ControlMessage message = {
                .type = CONTROL_CONFIGURE,
                .configure =
                        {
                                .memory_bytes = memory_bytes,
                                .memory_max_bytes = memory_bytes + room,
                                .vcpus = 1,
                                .max_vcpus = 1,
                                .slots = BOARD_SLOTS,
                        },
        };
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
        int console[2];
        uint32_t code;

        unit_assert(pipe2(console, O_CLOEXEC) == 0);
        snprintf(message.configure.cmdline, sizeof(message.configure.cmdline), "%s", name);
        code = ask_with(&message, (int[]){kvm >= 0 ? kvm : null, firmware, console[1]}, 3);
        fd_close_many((int[]){null, kvm, firmware, console[0], console[1]}, 5);
        return code;
}

static inline void check_ended(ControlEnd reason)
{
        ControlMessage message = next();

        unit_assert_int(message.type, CONTROL_ENDED);
        unit_assert_string(control_end_to_string(message.ended.reason),
                           control_end_to_string(reason));
        unit_assert(message.ended.text[0] != 0);
}

static inline void check_stops(void)
{
        ControlMessage message = {.type = CONTROL_STOP};

        send_with(&message, NULL, 0);
        check_ended(CONTROL_END_STOPPED);
}

static inline uint32_t ask_vcpus(uint32_t vcpus)
{
        ControlMessage message = {.type = CONTROL_SET_VCPUS, .set_vcpus.vcpus = vcpus};

        return ask_with(&message, NULL, 0);
}
