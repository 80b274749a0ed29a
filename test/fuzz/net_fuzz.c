/*
 * The network device on rings of any bytes, with sockets in the taps' place. Input: features (1 byte,
 * HOW_*), STEPS steps (2 bytes each), then the guest's memory from address 0 on:
 *
 *   0x400 × queue: descriptors   + 0x100 available ring   + 0x180 used ring   0x1400 data and tables
 *
 * A step is what happens (STEP_*, modulo) and to which queue or how long: after each, no request is in
 * flight, and what the host gets is a packet.
 */
#include <assert.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "test/fuzz/fuzz.h"
#include "vmm/net/tap.h"
#include "vmm/virtio/net.h"

#define PAIRS      2
#define QUEUES     (2 * PAIRS + 1)
#define RINGS      0x400
#define RING_SIZE  16
#define IMAGE_SIZE 0x4000
#define STEPS      12

enum {
        HOW_MERGEABLE = 1,
        HOW_EVENT_INDEX = 2,
        HOW_MQ = 4,
        HOW_OFFLOADS = 8,
        HOW_THROTTLED = 16,
        HOW_STOPPED = 32, /* the driver takes a queue away in between */
};

enum { STEP_KICK, STEP_SEND, STEP_LOOP, STEP_LINK, STEP_RESTART, STEP_MAX };

static GuestMemory memory;
static Loop *loop;
static VirtioDevice *device;
static int peers[PAIRS];

static void make_device(void)
{
        static const uint8_t mac[] = {2, 0, 0, 0, 0, 1};
        int taps[PAIRS];
        const VirtioNetConfig config = {
                .mac = mac,
                .mtu = 1500,
                .n_pairs = PAIRS,
                .taps = taps,
                .offloads = TAP_CSUM | TAP_TSO4 | TAP_TSO6 | TAP_ECN | TAP_UFO | TAP_USO,
        };

        for (unsigned i = 0; i < PAIRS; i++) {
                int pair[2];

                assert(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                                  pair) == 0);
                taps[i] = pair[0];
                peers[i] = pair[1];
        }
        assert(virtio_net_new(loop, &memory, &config, &device) == 0);
}

static void start(uint8_t how)
{
        uint64_t features = VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | 1ULL << 17;

        features |= how & HOW_MERGEABLE ? 1ULL << 15 : 0;
        features |= how & HOW_EVENT_INDEX ? VIRTIO_F_EVENT_IDX : 0;
        features |= how & HOW_MQ ? 1ULL << 22 : 0;
        features |= how & HOW_OFFLOADS ? 1ULL << 1 | 1ULL << 2 | 1ULL << 7 : 0;
        device->state.status = VIRTIO_STATUS_FEATURES_OK;
        device->state.driver_features = features;
        for (unsigned i = 0; i < QUEUES; i++)
                device->queues[i].state = (VirtioQueueState){
                        .size = RING_SIZE,
                        .ready = true,
                        .descriptors = RINGS * i,
                        .available = RINGS * i + 0x100,
                        .used = RINGS * i + 0x180,
                };
        assert(virtio_device_activate(device) == 0);
}

/* What the host can read, it reads. */
static void check(void)
{
        static uint8_t packet[TAP_PACKET_MAX + 1];

        assert(!virtio_device_is_busy(device));
        for (unsigned i = 0; i < PAIRS; i++) {
                ssize_t n;

                while ((n = recv(peers[i], packet, sizeof(packet), 0)) >= 0)
                        assert(n > TAP_HEADER_SIZE && n <= (ssize_t)TAP_PACKET_MAX);
        }
}

static void step(uint8_t how, uint8_t what, uint8_t argument)
{
        static const uint8_t packet[TAP_PACKET_MAX];

        switch (what % STEP_MAX) {
        case STEP_KICK:
                if ((how & HOW_STOPPED) && argument >= 0x80)
                        virtio_queue_stop(&device->queues[argument % QUEUES]);
                assert(virtio_device_notify(device, argument % (QUEUES + 1)) == 0);
                break;
        case STEP_SEND:
                (void)send(peers[argument % PAIRS], packet, (size_t)argument * 257 + 1, 0);
                break;
        case STEP_LOOP:
                assert(loop_step(loop, 0) == 0);
                break;
        case STEP_LINK:
                virtio_net_set_link(device, argument % 2);
                break;
        case STEP_RESTART:
                virtio_device_reset(device);
                start(how);
                break;
        }
        check();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const size_t head = 1 + 2 * STEPS;
        uint8_t *image;

        if (!loop) {
                log_set_level(LOG_CRIT);
                assert(guest_memory_init(&memory, 16 << 20) == 0 && loop_new(&loop) == 0);
        }
        if (size < head || size > head + IMAGE_SIZE)
                return 0;
        image = guest_memory_span(&memory, 0, IMAGE_SIZE);
        memset(image, 0, IMAGE_SIZE);
        memcpy(image, data + head, size - head);
        make_device();
        if (data[0] & HOW_THROTTLED)
                assert(virtio_device_set_throttle(
                               device, data[0] & 1 ? THROTTLE_RECEIVE : THROTTLE_TRANSMIT,
                               &(ThrottleLimits){.ops = 1, .ops_burst = 2}) == 0);
        start(data[0]);
        for (unsigned i = 0; i < STEPS; i++)
                step(data[0], data[1 + 2 * i], data[2 + 2 * i]);
        virtio_device_free(device);
        fd_close_many(peers, PAIRS);
        return 0;
}
