/*
 * virtio-vsock: queues and configuration; see vsock.h.
 *
 * A chain is popped, used and pushed in one go, so nothing is in flight between two calls. tx waits
 * while the answers that it would cause have no room, and goes on when rx does: a guest that sends
 * without ever giving buffers back is stopped, not served from memory of ours.
 */
#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"

#include "vmm/virtio/vsock.h"
#include "vmm/vsock/mux.h"

enum {
        VSOCK_QUEUE_RX,
        VSOCK_QUEUE_TX,
        VSOCK_QUEUE_EVENT,
};

#define VSOCK_CID_GUEST_MIN 3
#define VSOCK_CID_GUEST_MAX 0xfffffffeU

/* struct virtio_vsock_event, §5.10.6.7: le32 id; TRANSPORT_RESET is 0. */
#define VSOCK_EVENT_SIZE            4
#define VSOCK_EVENT_TRANSPORT_RESET 0U

/* Packets of one turn; the rest comes after other sources of the loop had theirs. */
#define VSOCK_TURN_MAX VIRTIO_QUEUE_SIZE_MAX

typedef struct VirtioVsock {
        VirtioDevice device;
        VirtioVsockEvents events;
        VsockMux mux;
        uint64_t config;  /* guest_cid, as the driver reads it */
        bool reset_event; /* VSOCK_EVENT_TRANSPORT_RESET is owed */
} VirtioVsock;

static VirtioVsock *vsock_of(VirtioDevice *device)
{
        return CONTAINER_OF(device, VirtioVsock, device);
}

/* --- queues --- */

/* Has the loop come back to @queue. */
static void vsock_come_back(VirtioVsock *vsock, unsigned queue)
{
        uint64_t one = 1;

        if (vsock->device.kick_fds[queue] >= 0 &&
            write(vsock->device.kick_fds[queue], &one, sizeof(one)) < 0)
                log_warning_errno(errno_neg(), "vsock: can't go on");
}

/* Puts the next packet into @chain. The bytes written, 0 if there is no packet. */
static uint32_t vsock_fill(VirtioVsock *vsock, VirtioChain *chain)
{
        struct iovec payload[VIRTIO_QUEUE_SIZE_MAX];
        uint32_t size = chain->writable_size - VSOCK_HEADER_SIZE;
        uint8_t bytes[VSOCK_HEADER_SIZE];
        VsockHeader header;
        unsigned n;

        n = virtio_spans_slice(chain->writable, chain->n_writable, VSOCK_HEADER_SIZE, size,
                               payload);
        if (!vsock_mux_send(&vsock->mux, payload, n, size, &header))
                return 0;
        vsock_header_encode(&header, bytes);
        virtio_spans_write(chain->writable, chain->n_writable, 0, bytes, sizeof(bytes));
        virtio_count(&vsock->device.counters.bytes_to_guest, header.length);
        return VSOCK_HEADER_SIZE + header.length;
}

static int vsock_pump_rx(VirtioVsock *vsock)
{
        VirtioQueue *queue = &vsock->device.queues[VSOCK_QUEUE_RX];
        unsigned left = VSOCK_TURN_MAX;
        VirtioChain chain;
        int r = VIRTIO_QUEUE_E_EMPTY;

        while (vsock_mux_has_packet(&vsock->mux)) {
                uint32_t written;

                if (left-- == 0) {
                        vsock_come_back(vsock, VSOCK_QUEUE_RX);
                        break;
                }
                r = virtio_queue_pop(queue, &chain);
                if (r != 0)
                        break;
                /* A buffer without room for payload is of no use to anybody. */
                if (chain.writable_size <= VSOCK_HEADER_SIZE) {
                        virtio_queue_push(queue, chain.head, 0);
                        continue;
                }
                written = vsock_fill(vsock, &chain);
                if (written == 0)
                        virtio_queue_unpop(queue);
                else
                        virtio_queue_push(queue, chain.head, written);
        }
        virtio_device_signal(&vsock->device, VSOCK_QUEUE_RX);
        return r == VIRTIO_QUEUE_E_BROKEN ? r : 0;
}

static void vsock_take(VirtioVsock *vsock, const VirtioChain *chain)
{
        uint8_t bytes[VSOCK_HEADER_SIZE];
        VsockHeader header;

        /* Too short to say whom it is from: dropped. */
        if (virtio_spans_read(chain->readable, chain->n_readable, 0, bytes, sizeof(bytes)) <
            sizeof(bytes))
                return;
        vsock_header_decode(bytes, &header);
        /* A packet that claims more than there is counts as one of an unknown kind. */
        if (header.length > chain->readable_size - VSOCK_HEADER_SIZE) {
                header.op = VSOCK_OP_NONE;
                header.length = 0;
        }
        virtio_count(&vsock->device.counters.bytes_from_guest, header.length);
        vsock_mux_receive(&vsock->mux, &header, chain->readable, chain->n_readable,
                          VSOCK_HEADER_SIZE);
}

static int vsock_pump_tx(VirtioVsock *vsock)
{
        VirtioQueue *queue = &vsock->device.queues[VSOCK_QUEUE_TX];
        VirtioChain chain;
        int r = VIRTIO_QUEUE_E_EMPTY;

        while (vsock_mux_can_receive(&vsock->mux)) {
                r = virtio_queue_pop(queue, &chain);
                if (r != 0)
                        break;
                virtio_count(&vsock->device.counters.requests, 1);
                vsock_take(vsock, &chain);
                virtio_queue_push(queue, chain.head, 0);
        }
        virtio_device_signal(&vsock->device, VSOCK_QUEUE_TX);
        return r == VIRTIO_QUEUE_E_BROKEN ? r : 0;
}

/* At most one buffer is used for the one event; those too small for it are given back. */
static int vsock_pump_event(VirtioVsock *vsock)
{
        const uint32_t event = htole32(VSOCK_EVENT_TRANSPORT_RESET);
        VirtioQueue *queue = &vsock->device.queues[VSOCK_QUEUE_EVENT];
        VirtioChain chain;
        int r = 0;

        for (unsigned left = VSOCK_TURN_MAX; vsock->reset_event && left > 0; left--) {
                size_t written = 0;

                r = virtio_queue_pop(queue, &chain);
                if (r != 0)
                        break;
                if (chain.writable_size >= VSOCK_EVENT_SIZE) {
                        written = virtio_spans_write(chain.writable, chain.n_writable, 0, &event,
                                                     sizeof(event));
                        vsock->reset_event = false;
                }
                virtio_queue_push(queue, chain.head, (uint32_t)written);
        }
        virtio_device_signal(&vsock->device, VSOCK_QUEUE_EVENT);
        return r == VIRTIO_QUEUE_E_BROKEN ? r : 0;
}

/* 0 or VIRTIO_QUEUE_E_BROKEN. */
static int vsock_pump(VirtioVsock *vsock)
{
        bool held;
        int r;

        do {
                r = vsock_pump_tx(vsock);
                if (r != 0)
                        return r;
                held = !vsock_mux_can_receive(&vsock->mux);
                r = vsock_pump_rx(vsock);
                if (r != 0)
                        return r;
                /* Answers went out that tx waited for. */
        } while (held && vsock_mux_can_receive(&vsock->mux));
        return vsock_pump_event(vsock);
}

/* --- what the mux asks for --- */

static int vsock_accepted(void *data, uint32_t guest_port, uint32_t host_port, int fd)
{
        VirtioVsock *vsock = data;

        return vsock->events.accepted(vsock->events.userdata, guest_port, host_port, fd);
}

static void vsock_connected(void *data, uint32_t cookie, int error)
{
        VirtioVsock *vsock = data;

        vsock->events.connected(vsock->events.userdata, cookie, error);
}

static void vsock_wake(void *data)
{
        VirtioVsock *vsock = data;
        int r;

        if (!virtio_device_is_active(&vsock->device))
                return;
        r = vsock_pump_rx(vsock);
        if (r != 0)
                virtio_device_fail(&vsock->device, vsock->device.queues[VSOCK_QUEUE_RX].problem);
        else if (vsock_mux_can_receive(&vsock->mux) &&
                 !virtio_queue_is_empty(&vsock->device.queues[VSOCK_QUEUE_TX]))
                vsock_come_back(vsock, VSOCK_QUEUE_TX);
}

static const VsockMuxOps vsock_mux_ops = {
        .accepted = vsock_accepted,
        .connected = vsock_connected,
        .wake = vsock_wake,
};

/* --- the device --- */

static void vsock_config_read(VirtioDevice *device, uint32_t offset, void *data, unsigned size)
{
        virtio_config_copy(&vsock_of(device)->config, offset, data, size);
}

/* What waited for a driver; and after a load, what the driver sent before it. */
static int vsock_activate(VirtioDevice *device)
{
        VirtioVsock *vsock = vsock_of(device);
        int r;

        vsock_come_back(vsock, VSOCK_QUEUE_TX);
        r = vsock_pump_event(vsock);
        return r != 0 ? r : vsock_pump_rx(vsock);
}

static void vsock_reset(VirtioDevice *device)
{
        VirtioVsock *vsock = vsock_of(device);

        vsock_mux_reset(&vsock->mux);
        vsock->reset_event = false;
}

static int vsock_notify(VirtioDevice *device, unsigned queue)
{
        return vsock_pump(vsock_of(device));
}

/* The ports of connections that the guest still believes in are not used again at once. */
static int vsock_save(const VirtioDevice *device, WireWriter *writer)
{
        const VirtioVsock *vsock = CONTAINER_OF(device, const VirtioVsock, device);

        wire_put_u32(writer, vsock->mux.host_port_next);
        return 0;
}

static int vsock_load(VirtioDevice *device, WireReader *reader)
{
        VirtioVsock *vsock = vsock_of(device);
        uint32_t port = wire_get_u32(reader);

        if (reader->bad || port < VSOCK_HOST_PORT_FIRST)
                return -EBADMSG;
        vsock->mux.host_port_next = port;
        vsock->reset_event = true;
        return 0;
}

static VirtioDevice *vsock_free(VirtioDevice *device)
{
        VirtioVsock *vsock = vsock_of(device);

        vsock_mux_done(&vsock->mux);
        free(vsock);
        return NULL;
}

static const VirtioDeviceOps vsock_ops = {
        .name = "vsock",
        .id = VIRTIO_ID_VSOCK,
        .n_queues = 3,
        .queue_sizes = {256, 256, 16},
        .config_size = sizeof(uint64_t),
        .config_read = vsock_config_read,
        .activate = vsock_activate,
        .reset = vsock_reset,
        .notify = vsock_notify,
        .save = vsock_save,
        .load = vsock_load,
        .free = vsock_free,
};

int virtio_vsock_new(Loop *loop, const GuestMemory *memory, uint64_t guest_cid,
                     const VirtioVsockEvents *events, VirtioDevice **ret)
{
        VirtioVsock *vsock;

        if (guest_cid < VSOCK_CID_GUEST_MIN || guest_cid > VSOCK_CID_GUEST_MAX)
                return -EINVAL;
        vsock = calloc(1, sizeof(*vsock));
        if (!vsock)
                return -ENOMEM;
        vsock->events = *events;
        vsock->config = htole64(guest_cid);
        virtio_device_init(&vsock->device, &vsock_ops, loop, memory);
        vsock_mux_init(&vsock->mux, loop, guest_cid, &vsock_mux_ops, vsock);
        *ret = &vsock->device;
        return 0;
}

int virtio_vsock_listen(VirtioDevice *device, uint32_t host_port)
{
        assert(device->ops == &vsock_ops);
        return vsock_mux_listen(&vsock_of(device)->mux, host_port);
}

int virtio_vsock_unlisten(VirtioDevice *device, uint32_t host_port)
{
        assert(device->ops == &vsock_ops);
        return vsock_mux_unlisten(&vsock_of(device)->mux, host_port);
}

int virtio_vsock_connect(VirtioDevice *device, uint32_t guest_port, int fd, uint32_t cookie)
{
        assert(device->ops == &vsock_ops);
        return vsock_mux_connect(&vsock_of(device)->mux, guest_port, fd, cookie);
}
