/*
 * A network device in a machine on the local /dev/kvm, on taps in a network namespace of the test's
 * own: what payload/net.c does to it. The host's side sends back what it is sent. Argument: the
 * payload's file. UVM_SOAK: how many times as often devices come and go. TAP; skips with a reason where
 * there is no usable /dev/kvm, or no tap can be made.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "test/board/board.h"
#include "vmm/net/tap.h"
#include "vmm/virtio/net.h"

#define NET_SLOT   1
#define NET_PAIRS  2
#define NET_MTU    65000
#define FRAME_TYPE 0x88b5 /* IEEE 802: for local experiments */
#define FRAME_MAX  66000

static const uint8_t mac[] = {2, 0, 0, 0, 0, 1};
static const char *payload;
static int echo_fd = FD_NONE;
static LoopFd echo;

static int open_queue(unsigned n_pairs, int *ret)
{
        struct ifreq request = {
                .ifr_name = "uvmtest",
                .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR |
                                     (n_pairs > 1 ? IFF_MULTI_QUEUE : 0)),
        };
        int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

        if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0) {
                fd_close(fd);
                return -1;
        }
        *ret = fd;
        return 0;
}

static void set_up(void)
{
        struct ifreq request = {.ifr_name = "uvmtest", .ifr_mtu = NET_MTU};
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        unit_assert(fd >= 0 && ioctl(fd, SIOCSIFMTU, &request) == 0);
        request.ifr_flags = IFF_UP;
        unit_assert(ioctl(fd, SIOCSIFFLAGS, &request) == 0);
        fd_close(fd);
}

static void plug_net(Board *board, unsigned n_pairs)
{
        int taps[NET_PAIRS];
        VirtioNetConfig config = {
                .mac = mac,
                .mtu = 1500,
                .n_pairs = n_pairs,
                .taps = taps,
        };
        const char *problem;
        VirtioDevice *device;
        IoThread *thread;
        uint32_t slot;

        for (unsigned i = 0; i < n_pairs; i++)
                unit_assert_int(open_queue(n_pairs, &taps[i]), 0);
        set_up();
        unit_assert_int(tap_prepare(taps, n_pairs, &config.offloads, &problem), 0);
        unit_assert(config.offloads & TAP_CSUM && config.offloads & TAP_TSO4);
        unit_assert_int(machine_new_iothread(&board->machine, "net", &thread), 0);
        iothread_enter(thread);
        unit_assert_int(
                virtio_net_new(iothread_loop(thread), &board->machine.memory, &config, &device), 0);
        iothread_leave(thread);
        virtio_device_take_thread(device, thread);
        unit_assert_int(virtio_slots_plug(&board->machine.slots, NET_SLOT, device, &slot), 0);
}

/* What is of the guest's kind goes back as it is. */
static int on_frame(LoopFd *source, uint32_t events)
{
        static uint8_t frame[FRAME_MAX];
        struct sockaddr_ll from;
        socklen_t size = sizeof(from);
        ssize_t n = recvfrom(echo_fd, frame, sizeof(frame), MSG_DONTWAIT, (struct sockaddr *)&from,
                             &size);

        if (n > 0 && from.sll_pkttype != PACKET_OUTGOING)
                unit_assert_int(send(echo_fd, frame, (size_t)n, 0), n);
        return 0;
}

static void start_echo(Board *board)
{
        struct sockaddr_ll address = {
                .sll_family = AF_PACKET,
                .sll_protocol = htons(FRAME_TYPE),
                .sll_ifindex = (int)if_nametoindex("uvmtest"),
        };
        int size = 4 << 20;

        echo_fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
        unit_assert(echo_fd >= 0 && address.sll_ifindex > 0);
        (void)setsockopt(echo_fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
        unit_assert(bind(echo_fd, (struct sockaddr *)&address, sizeof(address)) == 0);
        unit_assert_int(loop_fd_add(board->loop, &echo, echo_fd, EPOLLIN, on_frame), 0);
}

static void run(const char *name, unsigned n_pairs, void (*on_phase)(Board *, uint8_t))
{
        Board *board = board_new(&(BoardConfig){.payload = payload, .name = name});

        board->on_phase = on_phase;
        if (n_pairs > 0) {
                plug_net(board, n_pairs);
                start_echo(board);
        }
        board_start(board);
        board_wait(board, &board->ended);
        if (board->reason != CONTROL_END_GUEST_RESET || strstr(board->text, "FAIL") ||
            !strstr(board->text, "done\n"))
                unit_fail("%s: %s; the console shows: %s", name, board->why, board->text);
        loop_fd_remove(&echo);
        echo_fd = fd_close(echo_fd);
        board_free(board);
        unit_assert_int(if_nametoindex("uvmtest"), 0);
}

static void test_plain(void)
{
        run("net", 1, NULL);
}

static void test_large(void)
{
        run("net-large", 1, NULL);
}

static void test_control(void)
{
        run("net-control", NET_PAIRS, NULL);
}

static void test_nonsense(void)
{
        run("net-nonsense", 1, NULL);
}

static void test_hostile(void)
{
        run("net-hostile", 1, NULL);
}

static void test_reset(void)
{
        run("net-reset", NET_PAIRS, NULL);
}

static void on_phase_link(Board *board, uint8_t phase)
{
        VirtioDevice *device = virtio_slots_device(&board->machine.slots, NET_SLOT);

        if (phase != 90 && phase != 91)
                return;
        unit_assert_int(virtio_device_enter(device), 0);
        virtio_net_set_link(device, phase == 91);
        virtio_device_leave(device);
}

static void test_link(void)
{
        run("net-link", 1, on_phase_link);
}

/* Each time it is out, there are as many fds, threads and interfaces as the first time. */
static void on_phase_plug(Board *board, uint8_t phase)
{
        static unsigned fds, tasks;

        if (phase < 40 || phase >= 80)
                return;
        if (phase % 2 != 0) {
                unit_assert_int(virtio_slots_unplug(&board->machine.slots, NET_SLOT), 0);
                return;
        }
        unit_assert_int(if_nametoindex("uvmtest"), 0);
        if (phase == 40) {
                fds = board_count("/proc/self/fd");
                tasks = board_count("/proc/self/task");
        }
        unit_assert_int(board_count("/proc/self/fd"), fds);
        unit_assert_int(board_count("/proc/self/task"), tasks);
        plug_net(board, phase % 4 == 0 ? 1 : NET_PAIRS);
}

static void test_plug(void)
{
        for (uint32_t times = board_soak(); times > 0; times--)
                run("net-plug", 0, on_phase_plug);
}

static const UnitTest tests[] = {
        UNIT_TEST(test_plain),    UNIT_TEST(test_large),   UNIT_TEST(test_control),
        UNIT_TEST(test_nonsense), UNIT_TEST(test_hostile), UNIT_TEST(test_reset),
        UNIT_TEST(test_link),     UNIT_TEST(test_plug),
};

static const char *net_missing(void)
{
        int fd;

        if (unshare(CLONE_NEWNET) < 0)
                return "no network namespace can be made";
        if (open_queue(1, &fd) < 0)
                return "no tap can be made";
        fd_close(fd);
        return NULL;
}

int main(int argc, char **argv)
{
        const char *missing;

        if (!board_begin(argc, argv, "net", LOG_ERR, &payload))
                return 0;
        missing = net_missing();
        if (missing)
                return board_skip(missing);
        return unit_run(tests, ELEMENTSOF(tests));
}
