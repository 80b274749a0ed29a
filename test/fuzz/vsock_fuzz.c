/*
 * The whole virtio socket device between a driver that keeps to no rule and a host that does
 * anything with its sockets. The input is a program of steps of a few bytes each.
 */
#include <assert.h>
#include <sys/socket.h>

#include "base/log.h"
#include "test/fuzz/fuzz.h"

#include "test/unit/vsock_guest.h"
#include "vmm/vsock/mux.h"

#define FUZZ_PORT    1024U
#define FUZZ_SOCKETS 8

static Guest guest;
static int sockets[FUZZ_SOCKETS];
static WireReader input;

static int on_accepted(void *userdata, uint32_t guest_port, uint32_t host_port, int fd)
{
        for (unsigned i = 0; i < FUZZ_SOCKETS; i++)
                if (sockets[i] < 0) {
                        sockets[i] = fd;
                        return 0;
                }
        return -EMFILE;
}

static void on_connected(void *userdata, uint32_t cookie, int error)
{
        assert(cookie == 7 && error <= 0);
}

static const VirtioVsockEvents events = {.accepted = on_accepted, .connected = on_connected};

static void send_header(const VsockHeader *header, uint32_t n)
{
        GuestRing *ring = &guest.rings[GUEST_TX];
        unsigned slot = ring->next_available % GUEST_CHAINS;

        vsock_header_encode(header, ring->buffers + (size_t)slot * GUEST_BUFFER);
        guest_offer(ring, slot, VSOCK_HEADER_SIZE, n);
        guest_kick(&guest, GUEST_TX);
}

/* Near to a packet that makes sense. */
static void step_send(void)
{
        uint8_t ports = wire_get_u8(&input), how = wire_get_u8(&input);
        uint32_t n = wire_get_u16(&input);
        VsockHeader header = {
                .src_cid = how & 0x80 ? how : GUEST_CID,
                .dst_cid = how & 0x40 ? how : VSOCK_CID_HOST,
                .src_port = 5000 + (ports & 7),
                .dst_port = ports & 0x80 ? VSOCK_HOST_PORT_FIRST + (ports >> 4 & 7)
                                         : FUZZ_PORT + (ports >> 6),
                .length = n,
                .type = how & 0x20 ? how : VSOCK_TYPE_STREAM,
                .op = how & 15,
                .flags = wire_get_u8(&input),
                .buffer_size = (uint32_t)wire_get_u8(&input) << 10,
                .forwarded = wire_get_u16(&input),
        };

        send_header(&header, how & 0x10 ? n / 2 : n);
}

static void step_send_raw(void)
{
        const uint8_t *bytes = wire_get_bytes(&input, VSOCK_HEADER_SIZE);
        VsockHeader header;

        if (!bytes)
                return;
        vsock_header_decode(bytes, &header);
        send_header(&header, wire_get_u8(&input));
}

static void step_give_rx(void)
{
        GuestRing *ring = &guest.rings[GUEST_RX];
        uint8_t count = wire_get_u8(&input) & 63;
        uint16_t size = wire_get_u16(&input);

        for (unsigned i = 0; i <= count; i++)
                guest_offer(ring, ring->next_available % GUEST_CHAINS,
                            size & 1 ? VSOCK_HEADER_SIZE : (size & 63) + 1, size >> 4);
        guest_kick(&guest, GUEST_RX);
}

static void step_host(void)
{
        static uint8_t bytes[65536];
        uint8_t what = wire_get_u8(&input);
        size_t n = wire_get_u16(&input);
        int *fd = &sockets[what % FUZZ_SOCKETS];

        switch (what >> 3 & 7) {
        case 0:
        case 1:
                (void)send(*fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
                break;
        case 2:
        case 3:
                (void)recv(*fd, bytes, n, MSG_DONTWAIT);
                break;
        case 4:
                shutdown(*fd, SHUT_WR);
                break;
        case 5:
                shutdown(*fd, SHUT_RD);
                break;
        default:
                *fd = fd_close(*fd);
                break;
        }
}

static void step_connect(void)
{
        uint8_t what = wire_get_u8(&input);
        int ends[2], *fd = &sockets[what % FUZZ_SOCKETS];

        fd_close(*fd);
        assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
        *fd = ends[0];
        if (virtio_vsock_connect(guest.device, 5000 + (what >> 5), ends[1], 7) < 0)
                fd_close(ends[1]);
}

/* Into the descriptors or the available ring of a queue. */
static void step_poke(void)
{
        GuestRing *ring = &guest.rings[wire_get_u8(&input) % GUEST_QUEUES];
        uint16_t at = wire_get_u16(&input);

        guest_put(ring->descriptors + at % 0x8000, wire_get_u64(&input), 8);
        guest_kick(&guest, ring->index);
}

static void step_restart(void)
{
        virtio_device_reset(guest.device);
        guest_start_driver(&guest);
}

static void step_template(void)
{
        uint8_t state[512];
        WireWriter writer = wire_writer(state, sizeof(state));
        WireReader reader;
        size_t size;

        assert(virtio_device_save(guest.device, &writer) == 0);
        assert(wire_writer_end(&writer, &size) == 0);
        guest_unplug(&guest);
        guest_plug(&guest, &events);
        virtio_vsock_listen(guest.device, FUZZ_PORT);
        reader = wire_reader(state, size);
        (void)virtio_device_load(guest.device, &reader);
}

static void step_event(void)
{
        GuestRing *ring = &guest.rings[GUEST_EVENT];

        guest_offer(ring, ring->next_available % 8, (wire_get_u8(&input) & 7) + 1, 0);
        guest_kick(&guest, GUEST_EVENT);
}

static void step_listen(void)
{
        if (virtio_vsock_unlisten(guest.device, FUZZ_PORT) < 0)
                virtio_vsock_listen(guest.device, FUZZ_PORT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static void (*const steps[])(void) = {
                step_send, step_send_raw, step_give_rx,  step_host,  step_connect,
                step_poke, step_restart,  step_template, step_event, step_listen,
        };

        log_set_level(LOG_CRIT);
        for (unsigned i = 0; i < FUZZ_SOCKETS; i++)
                sockets[i] = FD_NONE;
        guest_init(&guest, &events);
        virtio_vsock_listen(guest.device, FUZZ_PORT);
        input = wire_reader(data, size);
        while (wire_left(&input) > 0 && !input.bad) {
                steps[wire_get_u8(&input) % ELEMENTSOF(steps)]();
                assert(loop_step(guest.loop, 0) == 0);
        }
        for (unsigned i = 0; i < 4; i++)
                assert(loop_step(guest.loop, 0) == 0);
        fd_close_many(sockets, FUZZ_SOCKETS);
        assert(loop_step(guest.loop, 0) == 0);
        guest_done(&guest);
        return 0;
}
