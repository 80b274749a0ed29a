/*
 * vmmrun: boots a firmware image in uvm-vmm without a shim, for developers, tests and benches. Speaks
 * the control protocol; the guest's console goes to standard output, all else to standard error.
 *
 *   vmmrun --firmware F [--memory MIB] [--vcpus N] [--max-vcpus N] [--slots N] [--cmdline TEXT]
 *          [--p9 DIR:TAG [--throttle BYTES:OPS]]… [--disk FILE[:ro] [--throttle BYTES:OPS]]…
 *          [--net TAP[,mac=MAC][,queues=N][,mtu=N][,vhost] [--throttle BYTES:OPS]]…
 *          [--vsock-listen PORT]… [--no-rng] [--no-jail] [--vmm PROGRAM]
 *          [--time-limit SECONDS] [--stop-at TEXT] [--toggle-at TEXT] [--phases] [--stats]
 *          [--stats-at TEXT] [--balloon] [--mem MIB] [--merge-pages]
 *          [--at TEXT=vcpus:N | TEXT=balloon:MIB | TEXT=mem:MIB | TEXT=link:0|1]…
 *
 * Disks have the serials disk0, disk1, …; a tap is opened by its name and made if there is none; a
 * throttle, in bytes and operations a second (0: unlimited), is that of the device before it, of what
 * the guest sends if that is a net. --stop-at ends the machine when the console shows TEXT; --toggle-at
 * plugs an rng into the last slot, or pulls it, each time the console shows TEXT, and says "vmmrun:
 * plugged" or "… pulled"; --stats-at tells the counters; --at has the machine changed, and tells what became of it. What a guest sends to a --vsock-listen port
 * goes to standard output too, and standard input goes to the newest such connection. Exit status: 0
 * if the guest reset the machine or --stop-at was met, 1 for every other end, 2 for wrong usage.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/log.h"
#include "proto/control.h"
#include "test/tools/vmmrun.h"

static int run_send(Run *run, ControlMessage *message, const int *fds, unsigned n_fds)
{
        uint8_t buffer[CONTROL_MESSAGE_SIZE_MAX];
        size_t size;
        int r;

        message->serial = ++run->serial;
        r = control_encode(message, buffer, sizeof(buffer), &size);
        return r < 0 ? r : io_send(run->control, buffer, size, fds, n_fds);
}

static int run_send_plain(Run *run, ControlType type)
{
        ControlMessage message = {.type = type};

        return run_send(run, &message, NULL, 0);
}

static int run_configure(Run *run)
{
        ControlMessage message = {.type = CONTROL_CONFIGURE, .configure = run->configure};
        _cleanup_(fd_closep) int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
        _cleanup_(fd_closep) int firmware = open(run->firmware, O_RDONLY | O_CLOEXEC);
        int console[2], r;

        if (kvm < 0)
                return log_error_errno(errno_neg(), "/dev/kvm");
        if (firmware < 0)
                return log_error_errno(errno_neg(), "%s", run->firmware);
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, console) < 0)
                return errno_neg();
        run->console = console[0];
        r = run_send(run, &message, (int[]){kvm, firmware, console[1]}, 3);
        fd_close(console[1]);
        return r;
}

static int run_add_p9(Run *run, unsigned i)
{
        ControlMessage message = {
                .type = CONTROL_ADD_DEVICE,
                .add_device = {.slot = CONTROL_SLOT_ANY,
                               .kind = CONTROL_DEVICE_P9,
                               .throttle = run->p9[i].throttle},
        };
        _cleanup_(fd_closep) int fd = open(run->p9[i].directory, O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return log_error_errno(errno_neg(), "%s", run->p9[i].directory);
        snprintf(message.add_device.p9.tag, sizeof(message.add_device.p9.tag), "%s",
                 run->p9[i].tag);
        return run_send(run, &message, &fd, 1);
}

static int run_add_disk(Run *run, unsigned i)
{
        bool read_only = run->disks[i].read_only;
        ControlMessage message = {
                .type = CONTROL_ADD_DEVICE,
                .add_device = {.slot = CONTROL_SLOT_ANY,
                               .kind = CONTROL_DEVICE_BLOCK,
                               .throttle = run->disks[i].throttle,
                               .block.flags = read_only ? CONTROL_BLOCK_READ_ONLY : 0},
        };
        _cleanup_(fd_closep) int fd = open(run->disks[i].file,
                                           (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);

        if (fd < 0)
                return log_error_errno(errno_neg(), "%s", run->disks[i].file);
        snprintf(message.add_device.block.serial, sizeof(message.add_device.block.serial), "disk%u",
                 i);
        return run_send(run, &message, &fd, 1);
}

static int run_add_plain(Run *run, ControlDevice kind)
{
        ControlMessage message = {
                .type = CONTROL_ADD_DEVICE,
                .add_device = {.slot = CONTROL_SLOT_ANY, .kind = kind},
        };
        int r = run_send(run, &message, NULL, 0);

        run->device_serials[kind] = run->serial;
        return r;
}

static int run_add_net(Run *run, unsigned i)
{
        int fds[2 * CONTROL_NET_QUEUES_MAX], r;
        ControlMessage message;
        unsigned n = 0;

        r = vmmrun_open_net(run, i, &message, fds, &n);
        if (r == 0)
                r = run_send(run, &message, fds, n);
        run->device_serials[CONTROL_DEVICE_NET] = run->serial;
        fd_close_many(fds, n);
        return r;
}

static int run_add_devices(Run *run)
{
        ControlMessage vsock = {
                .type = CONTROL_ADD_DEVICE,
                .add_device = {.slot = CONTROL_SLOT_ANY,
                               .kind = CONTROL_DEVICE_VSOCK,
                               .vsock.guest_cid = 3},
        };
        int r = run->no_rng ? 0 : run_add_plain(run, CONTROL_DEVICE_RNG);

        if (r == 0 && run->balloon)
                r = run_add_plain(run, CONTROL_DEVICE_BALLOON);
        if (r == 0 && run->mem)
                r = run_add_plain(run, CONTROL_DEVICE_MEM);
        if (r == 0 && run->n_ports > 0)
                r = run_send(run, &vsock, NULL, 0);
        for (unsigned i = 0; i < run->n_ports && r == 0; i++) {
                ControlMessage listen = {.type = CONTROL_VSOCK_LISTEN,
                                         .vsock_listen.port = run->ports[i]};

                r = run_send(run, &listen, NULL, 0);
        }
        for (unsigned i = 0; i < run->n_p9 && r == 0; i++)
                r = run_add_p9(run, i);
        for (unsigned i = 0; i < run->n_disks && r == 0; i++)
                r = run_add_disk(run, i);
        for (unsigned i = 0; i < run->n_nets && r == 0; i++)
                r = run_add_net(run, i);
        return r;
}

static bool tail_ends_with(const Run *run, const char *text)
{
        size_t length = strlen(text);

        return memcmp(run->tail + RUN_TAIL_SIZE - length, text, length) == 0;
}

static int run_stop(Run *run)
{
        fprintf(stderr, "vmmrun: \"%s\" after %.1f ms\n", run->stop_at,
                (double)(clock_now_usec() - run->start_usec) / 1000);
        run->stop_at = NULL;
        run->status = EXIT_SUCCESS;
        if (run->want_stats)
                (void)run_send_plain(run, CONTROL_GET_STATS);
        return run_send_plain(run, CONTROL_STOP);
}

static int run_toggle(Run *run)
{
        uint32_t slot = run->configure.slots - 1;
        ControlMessage plug = {
                .type = CONTROL_ADD_DEVICE,
                .add_device = {.slot = slot, .kind = CONTROL_DEVICE_RNG},
        };
        ControlMessage pull = {.type = CONTROL_REMOVE_DEVICE, .remove_device.slot = slot};

        run->plugged = !run->plugged;
        fprintf(stderr, "vmmrun: %s\n", run->plugged ? "plugged" : "pulled");
        return run_send(run, run->plugged ? &plug : &pull, NULL, 0);
}

static int run_change(Run *run, const RunAt *at)
{
        ControlMessage vcpus = {
                .type = CONTROL_SET_VCPUS,
                .set_vcpus.vcpus = (uint32_t)at->number,
        };
        ControlMessage resize = {
                .type = CONTROL_RESIZE,
                .resize = {.slot = run->device_slots[at->device], .bytes = at->number},
        };

        ControlMessage link = {
                .type = CONTROL_SET_LINK,
                .set_link = {.slot = run->device_slots[at->device], .up = at->number != 0},
        };

        if (at->type == CONTROL_SET_LINK)
                return run_send(run, &link, NULL, 0);
        return run_send(run, at->type == CONTROL_RESIZE ? &resize : &vcpus, NULL, 0);
}

/* One byte at a time, so that a text is found wherever it was cut. */
static int run_watch(Run *run, const char *bytes, size_t size)
{
        int r = 0;

        for (size_t i = 0; i < size && r == 0; i++) {
                memmove(run->tail, run->tail + 1, RUN_TAIL_SIZE - 1);
                run->tail[RUN_TAIL_SIZE - 1] = bytes[i];
                if (run->stop_at && tail_ends_with(run, run->stop_at))
                        r = run_stop(run);
                if (r == 0 && run->stats_at && tail_ends_with(run, run->stats_at))
                        r = run_send_plain(run, CONTROL_GET_STATS);
                for (unsigned k = 0; k < run->n_at && r == 0; k++)
                        if (tail_ends_with(run, run->at[k].text))
                                r = run_change(run, &run->at[k]);
                if (r == 0 && run->toggle_at && tail_ends_with(run, run->toggle_at))
                        r = run_toggle(run);
        }
        return r;
}

static int run_on_console(LoopFd *source, uint32_t events)
{
        Run *run = CONTAINER_OF(source, Run, console_source);
        char buffer[4096];
        ssize_t n = read(run->console, buffer, sizeof(buffer));
        int r;

        if (n <= 0) {
                loop_fd_remove(source);
                return 0;
        }
        r = run_watch(run, buffer, (size_t)n);
        return r < 0 ? r : io_write_full(STDOUT_FILENO, buffer, (size_t)n);
}

static int run_on_stream(LoopFd *source, uint32_t events)
{
        char buffer[4096];
        ssize_t n = read(source->fd, buffer, sizeof(buffer));

        if (n > 0)
                return io_write_full(STDOUT_FILENO, buffer, (size_t)n);
        int fd = source->fd;

        loop_fd_remove(source);
        fd_close(fd);
        return 0;
}

static int run_on_stdin(LoopFd *source, uint32_t events)
{
        Run *run = CONTAINER_OF(source, Run, stdin_source);
        char buffer[4096];
        ssize_t n;
        LoopFd *stream = run->n_streams > 0 ? &run->streams[run->n_streams - 1] : NULL;

        n = read(STDIN_FILENO, buffer, sizeof(buffer));
        if (n > 0 && stream && stream->loop)
                return io_write_full(stream->fd, buffer, (size_t)n);
        if (n <= 0) {
                loop_fd_remove(source);
                if (stream && stream->loop)
                        shutdown(stream->fd, SHUT_WR);
        }
        return 0;
}

static int run_on_accepted(Run *run, const ControlMessage *message, int *fd)
{
        fprintf(stderr, "vmmrun: guest port %u connected to port %u\n",
                message->vsock_accepted.guest_port, message->vsock_accepted.host_port);
        if (run->n_streams == RUN_STREAMS_MAX)
                return -ENOSPC;
        if (!run->stdin_source.loop)
                (void)loop_fd_add(run->loop, &run->stdin_source, STDIN_FILENO, EPOLLIN,
                                  run_on_stdin);
        return loop_fd_add(run->loop, &run->streams[run->n_streams++], TAKE_FD(*fd), EPOLLIN,
                           run_on_stream);
}

static void run_print_memory(const ControlMemoryStats *memory)
{
        const struct {
                const char *name;
                uint64_t bytes;
        } items[] = {
                {"boot", memory->boot_bytes},
                {"requested", memory->requested_bytes},
                {"plugged", memory->plugged_bytes},
                {"target", memory->target_bytes},
                {"balloon", memory->balloon_bytes},
                {"reported", memory->reported_bytes},
                {"free", memory->free},
                {"total", memory->total},
                {"available", memory->available},
        };

        fputs("vmmrun: memory in KiB:", stderr);
        for (size_t i = 0; i < ELEMENTSOF(items); i++)
                if (items[i].bytes != UINT64_MAX)
                        fprintf(stderr, " %s %llu", items[i].name,
                                (unsigned long long)items[i].bytes >> 10);
        fputc('\n', stderr);
}

static void run_print_stats(const ControlStats *stats)
{
        fprintf(stderr, "vmmrun: vCPU %.1f ms, I/O %.1f ms, %llu exits in all",
                (double)stats->vcpu_usec / 1000, (double)stats->io_usec / 1000,
                (unsigned long long)stats->all_exits);
        for (unsigned i = 0; i < CONTROL_EXIT_MAX; i++)
                fprintf(stderr, ", %s %llu", control_exit_to_string(i),
                        (unsigned long long)stats->exits[i]);
        fprintf(stderr, "; console %llu bytes, %llu dropped\n",
                (unsigned long long)stats->console_bytes,
                (unsigned long long)stats->console_dropped);
        run_print_memory(&stats->memory);
        for (unsigned i = 0; i < stats->n_devices; i++) {
                const ControlDeviceStats *device = &stats->devices[i];

                fprintf(stderr,
                        "vmmrun: slot %u %s: %llu kicks, %llu interrupts, %llu requests, %llu "
                        "bytes "
                        "from the guest, %llu to it, %.1f ms throttled, %llu delivered, %llu "
                        "dropped\n",
                        device->slot, control_device_to_string(device->kind),
                        (unsigned long long)device->notifies,
                        (unsigned long long)device->interrupts,
                        (unsigned long long)device->requests,
                        (unsigned long long)device->bytes_from_guest,
                        (unsigned long long)device->bytes_to_guest,
                        (double)device->delayed_usec / 1000, (unsigned long long)device->deliveries,
                        (unsigned long long)device->drops);
        }
}

static int run_on_reply(Run *run, const ControlMessage *message)
{
        for (unsigned i = 0; i < CONTROL_DEVICE_MAX; i++)
                if (run->device_serials[i] == message->serial)
                        run->device_slots[i] = message->reply.value;
        if (message->reply.code == 0)
                return 0;
        log_error("request %u failed: %s", message->serial, message->reply.text);
        return message->serial <= run->expected ? -(int)message->reply.code : 0;
}

static int run_on_ready(Run *run)
{
        int r = run_configure(run);

        if (r == 0)
                r = run_add_devices(run);
        if (r == 0)
                r = run_send_plain(run, CONTROL_START);
        run->expected = run->serial;
        if (r == 0)
                r = loop_fd_add(run->loop, &run->console_source, run->console, EPOLLIN,
                                run_on_console);
        return r;
}

static int run_on_ended(Run *run, const ControlMessage *message)
{
        ControlEnd reason = message->ended.reason;
        int r = 0;

        while (run->console_source.loop && r == 0)
                r = run_on_console(&run->console_source, EPOLLIN);
        fprintf(stderr, "vmmrun: ended (%s): %s\n", control_end_to_string(reason),
                message->ended.text);
        if (reason == CONTROL_END_GUEST_RESET)
                run->status = EXIT_SUCCESS;
        loop_stop(run->loop, 0);
        return 0;
}

static int run_dispatch(Run *run, const ControlMessage *message, int *fds)
{
        switch (message->type) {
        case CONTROL_READY:
                return run_on_ready(run);
        case CONTROL_REPLY:
                return run_on_reply(run, message);
        case CONTROL_STATS:
                run_print_stats(&message->stats);
                return 0;
        case CONTROL_MEMORY:
                fprintf(stderr, "vmmrun: slot %u: asked for %llu MiB, there are %llu KiB\n",
                        message->memory.slot,
                        (unsigned long long)message->memory.requested_bytes >> 20,
                        (unsigned long long)message->memory.actual_bytes >> 10);
                return 0;
        case CONTROL_PHASE:
                if (run->want_phases)
                        fprintf(stderr, "vmmrun: phase %u at %.3f ms\n", message->phase.id,
                                (double)(message->phase.usec - run->start_usec) / 1000);
                return 0;
        case CONTROL_VSOCK_ACCEPTED:
                return run_on_accepted(run, message, &fds[0]);
        case CONTROL_ENDED:
                return run_on_ended(run, message);
        default:
                return -EBADMSG;
        }
}

static int run_on_control(LoopFd *source, uint32_t events)
{
        Run *run = CONTAINER_OF(source, Run, control_source);
        uint8_t buffer[CONTROL_MESSAGE_SIZE_MAX];
        ControlMessage message;
        IoMessage received;
        int r = io_recv(run->control, buffer, sizeof(buffer), &received);

        if (r < 0)
                return r;
        if (received.size == 0)
                return log_error_errno(-ECONNRESET, "uvm-vmm is gone");
        r = control_decode(buffer, received.size, &message);
        if (r == 0 && received.n_fds != control_fd_count(&message))
                r = -EBADMSG;
        if (r == 0)
                r = run_dispatch(run, &message, received.fds);
        io_message_done(&received);
        return r;
}

static int run_on_time_limit(LoopTimer *timer)
{
        Run *run = CONTAINER_OF(timer, Run, timer);

        fprintf(stderr, "vmmrun: the time limit of %u s is over\n", run->time_limit);
        return run_send_plain(run, CONTROL_STOP);
}

static int run_spawn(Run *run)
{
        char number[16];
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return errno_neg();
        run->control = pair[0];
        run->start_usec = clock_now_usec();
        run->pid = fork();
        if (run->pid < 0)
                return errno_neg();
        if (run->pid == 0) {
                (void)fd_set_cloexec(pair[1], false);
                snprintf(number, sizeof(number), "%d", pair[1]);
                execl(run->vmm, "uvm-vmm", "--control-fd", number,
                      run->no_jail ? "--no-jail" : NULL, NULL);
                log_error_errno(errno_neg(), "%s", run->vmm);
                _exit(127);
        }
        fd_close(pair[1]);
        return 0;
}

static int run_all(Run *run)
{
        int r = loop_new(&run->loop);

        if (r == 0)
                r = run_spawn(run);
        if (r == 0)
                r = loop_fd_add(run->loop, &run->control_source, run->control, EPOLLIN,
                                run_on_control);
        if (r < 0)
                return r;
        if (run->time_limit > 0)
                loop_timer_arm(run->loop, &run->timer,
                               run->start_usec + clock_limit_usec(run->time_limit * USEC_PER_SEC),
                               run_on_time_limit);
        r = loop_run(run->loop);
        fd_close(run->control);
        fd_close(run->console);
        waitpid(run->pid, NULL, 0);
        loop_free(run->loop);
        return r;
}

int main(int argc, char **argv)
{
        static Run run = {
                .vmm = UVM_VMM_PROGRAM,
                .configure = {.memory_bytes = 128ULL << 20, .vcpus = 1, .slots = 8},
                .control = FD_NONE,
                .console = FD_NONE,
                .status = EXIT_FAILURE,
        };

        log_open("vmmrun");
        signal(SIGPIPE, SIG_IGN);
        if (vmmrun_parse(&run, argc, argv) < 0)
                return 2;
        if (run_all(&run) < 0)
                return EXIT_FAILURE;
        return run.status;
}
