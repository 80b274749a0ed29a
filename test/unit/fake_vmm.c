/*
 * A stand-in for uvm-vmm: speaks the control protocol and has no machine. Guest connections come from
 * unix sockets, DIR/PORT for each port that the shim listens on; a connection to DIR/reset resets
 * the "guest". Its instructions are the guest's command line: "DIR", or "DIR WHAT" with what happens
 * after START: panic, triple, crash, exit3, silent (ends without a word), refuse (CONFIGURE fails).
 * Devices are a list of slots and kinds, which STATS tells; one that is resized takes half at once.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"

#include "proto/control.h"
#include "proto/handoff.h"

#define CONTROL 3

enum { LISTENERS_MAX = 8 };

static char dir[64], what[16];
static int console = -1;
static bool started;
static ControlDevice devices[CONTROL_SLOTS_MAX]; /* 0: the slot is empty */
static uint32_t vcpus, max_vcpus;
static struct pollfd polled[1 + LISTENERS_MAX] = {{.fd = CONTROL, .events = POLLIN}};
static unsigned ports[1 + LISTENERS_MAX], n_polled = 1;

static void die(const char *why)
{
        fprintf(stderr, "fake_vmm: %s\n", why);
        _exit(99);
}

static void send_message(ControlMessage *message, const int *fds, unsigned n_fds)
{
        uint8_t buffer[CONTROL_MESSAGE_SIZE_MAX];
        size_t size;

        if (control_encode(message, buffer, sizeof(buffer), &size) < 0 ||
            io_send(CONTROL, buffer, size, fds, n_fds) < 0)
                die("send");
}

static void send_phase(uint32_t id)
{
        ControlMessage message = {
                .type = CONTROL_PHASE,
                .phase = {.id = id, .usec = clock_now_usec()},
        };

        send_message(&message, NULL, 0);
}

static void reply(uint32_t serial, uint32_t code, uint32_t value, const char *text)
{
        ControlMessage message = {
                .type = CONTROL_REPLY,
                .serial = serial,
                .reply = {.code = code, .value = value},
        };

        snprintf(message.reply.text, sizeof(message.reply.text), "%s", text);
        send_message(&message, NULL, 0);
}

static _Noreturn void end(ControlEnd reason, const char *text)
{
        ControlMessage message = {.type = CONTROL_ENDED, .ended.reason = reason};

        snprintf(message.ended.text, sizeof(message.ended.text), "%s", text);
        send_message(&message, NULL, 0);
        _exit(0);
}

/* @port 0 is DIR/reset. */
static void listen_at(unsigned port)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (port == 0)
                snprintf(address.sun_path, sizeof(address.sun_path), "%s/reset", dir);
        else
                snprintf(address.sun_path, sizeof(address.sun_path), "%s/%u", dir, port);
        umask(0);
        if (n_polled > LISTENERS_MAX ||
            bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 64) < 0)
                die(address.sun_path);
        ports[n_polled] = port;
        polled[n_polled++] = (struct pollfd){.fd = fd, .events = POLLIN};
}

static void say(const char *text)
{
        if (write(console, text, strlen(text)) < 0)
                die("console");
}

static void start(void)
{
        send_phase(CONTROL_PHASE_FIRST_RUN);
        send_phase(CONTROL_PHASE_GUEST + HANDOFF_PHASE_STUB);
        send_phase(CONTROL_PHASE_GUEST + HANDOFF_PHASE_KERNEL);
        say("Linux version 6.1\r\n");
        if (strcmp(what, "panic") == 0) {
                say("Kernel panic - not syncing: Attempted to kill init!\r\n---[ end ]---\r\n");
                end(CONTROL_END_GUEST_RESET, "");
        }
        if (strcmp(what, "triple") == 0)
                end(CONTROL_END_TRIPLE_FAULT, "RIP 0x1234");
        if (strcmp(what, "crash") == 0) {
                /* A fault, since pid 1 of a namespace can't raise a signal that ends it. */
                signal(SIGILL, SIG_DFL);
                __builtin_trap();
        }
        if (strcmp(what, "exit3") == 0)
                _exit(3);
}

static void configure(uint32_t serial, const ControlConfigure *configuration, const int *fds)
{
        if (sscanf(configuration->cmdline, "%63s %15s", dir, what) < 1)
                die("no directory");
        if (strcmp(what, "refuse") == 0) {
                reply(serial, EINVAL, 0, "the file is not a firmware image");
                return;
        }
        vcpus = configuration->vcpus;
        max_vcpus = configuration->max_vcpus;
        console = dup(fds[2]);
        listen_at(0);
        reply(serial, 0, 0, "");
}

static void add_device(uint32_t serial, const ControlAddDevice *device)
{
        uint32_t slot = 0;

        while (slot < CONTROL_SLOTS_MAX && devices[slot])
                slot++;
        if (slot == CONTROL_SLOTS_MAX)
                die("no slot");
        devices[slot] = device->kind;
        reply(serial, 0, slot, "");
}

static void send_stats(uint32_t serial)
{
        ControlMessage stats = {
                .type = CONTROL_STATS,
                .serial = serial,
                .stats = {.vcpu_usec = 12345, .vcpus = vcpus},
        };

        for (uint32_t slot = 0; slot < CONTROL_SLOTS_MAX; slot++)
                if (devices[slot])
                        stats.stats.devices[stats.stats.n_devices++] = (ControlDeviceStats){
                                .slot = slot,
                                .kind = devices[slot],
                        };
        send_message(&stats, NULL, 0);
}

static void resize(uint32_t slot, uint64_t bytes)
{
        ControlMessage memory = {
                .type = CONTROL_MEMORY,
                .memory = {.slot = slot, .requested_bytes = bytes, .actual_bytes = bytes / 2},
        };

        send_message(&memory, NULL, 0);
}

/* 0, or the errno of a request about one device or the vCPUs. */
static uint32_t change(const ControlMessage *message)
{
        bool is_remove = message->type == CONTROL_REMOVE_DEVICE;
        uint32_t slot = is_remove                               ? message->remove_device.slot
                        : message->type == CONTROL_SET_THROTTLE ? message->set_throttle.slot
                        : message->type == CONTROL_RESIZE       ? message->resize.slot
                                                                : message->set_link.slot;

        if (slot >= CONTROL_SLOTS_MAX || !devices[slot])
                return ENODEV;
        if (is_remove)
                devices[slot] = 0;
        else if (message->type == CONTROL_RESIZE)
                resize(slot, message->resize.bytes);
        return 0;
}

static void serve(const ControlMessage *message, const int *fds)
{
        switch (message->type) {
        case CONTROL_CONFIGURE:
                configure(message->serial, &message->configure, fds);
                return;
        case CONTROL_ADD_DEVICE:
                add_device(message->serial, &message->add_device);
                return;
        case CONTROL_REMOVE_DEVICE:
        case CONTROL_SET_THROTTLE:
        case CONTROL_RESIZE:
        case CONTROL_SET_LINK:
                reply(message->serial, change(message), 0, "");
                return;
        case CONTROL_SET_VCPUS:
                vcpus = message->set_vcpus.vcpus;
                reply(message->serial, vcpus <= max_vcpus ? 0 : EINVAL, vcpus, "");
                return;
        case CONTROL_VSOCK_LISTEN:
                listen_at(message->vsock_listen.port);
                break;
        case CONTROL_START:
                reply(message->serial, 0, 0, "");
                started = true;
                start();
                return;
        case CONTROL_STOP:
                reply(message->serial, 0, 0, "");
                end(CONTROL_END_STOPPED, "");
        case CONTROL_GET_STATS:
                send_stats(message->serial);
                return;
        default:
                break;
        }
        reply(message->serial, 0, 0, "");
}

static void receive(void)
{
        uint8_t buffer[CONTROL_MESSAGE_SIZE_MAX];
        ControlMessage message;
        IoMessage io;

        if (io_recv(CONTROL, buffer, sizeof(buffer), &io) < 0 || io.size == 0)
                _exit(0);
        if (control_decode(buffer, io.size, &message) < 0)
                die("a message that is none");
        if (control_fd_count(&message) != io.n_fds)
                die("other fds than the message says");
        serve(&message, io.fds);
        io_message_done(&io);
}

static void accept_one(unsigned i)
{
        int fd = accept(polled[i].fd, NULL, NULL);
        ControlMessage message = {
                .type = CONTROL_VSOCK_ACCEPTED,
                .vsock_accepted = {.guest_port = 1, .host_port = ports[i]},
        };

        if (fd < 0)
                die("accept");
        if (ports[i] == 0)
                end(CONTROL_END_GUEST_RESET, "");
        send_message(&message, &fd, 1);
        close(fd);
}

int main(void)
{
        ControlMessage ready = {.type = CONTROL_READY};

        signal(SIGPIPE, SIG_IGN);
        send_message(&ready, NULL, 0);
        for (;;) {
                /* No guest, no connections of a guest. */
                unsigned n = started ? n_polled : 1;

                if (poll(polled, n, -1) < 0)
                        die("poll");
                for (unsigned i = 1; i < n; i++)
                        if (polled[i].revents)
                                accept_one(i);
                if (polled[0].revents)
                        receive();
        }
}
