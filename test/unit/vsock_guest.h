/*
 * The guest's half of a virtio socket device, for tests: a driver with rings in guest memory. One
 * thread: guest_step() runs the loop, then the driver.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/loop.h"

#include "test/unit.h"
#include "vmm/mem/memory.h"
#include "vmm/virtio/device.h"
#include "vmm/virtio/vsock.h"
#include "vmm/vsock/packet.h"

#define GUEST_CID     3
#define GUEST_RING    128U
#define GUEST_CHAINS  (GUEST_RING / 2) /* of two descriptors: header, payload */
#define GUEST_BUFFER  0x4000U          /* header at 0, payload at 64 */
#define GUEST_PAYLOAD (GUEST_BUFFER - 64)
#define GUEST_RINGS   0x100000U
#define GUEST_BUFFERS 0x200000U

enum { GUEST_RX, GUEST_TX, GUEST_EVENT, GUEST_QUEUES };

typedef struct Guest Guest;

typedef struct GuestRing {
        Guest *guest;
        unsigned index;
        LoopFd kick;
        uint8_t *descriptors, *available, *used, *buffers;
        uint64_t address; /* of the buffers */
        uint16_t next_available, next_used;
        bool busy[GUEST_CHAINS]; /* the device has it */
} GuestRing;

struct Guest {
        GuestMemory memory;
        Loop *loop;
        VirtioDevice *device;
        GuestRing rings[GUEST_QUEUES];
        atomic_uint interrupt_status;
        uint32_t rx_payload; /* bytes that each rx buffer offers */
        bool rx_held;        /* gives no rx buffer back */
        unsigned events;     /* TRANSPORT_RESET seen */
        unsigned n_received; /* packets */
        VsockHeader last;    /* the last of them */
        void (*receive)(Guest *guest, const VsockHeader *header, const uint8_t *payload);
        void *userdata;
};

static inline void guest_put(uint8_t *at, uint64_t value, unsigned size)
{
        memcpy(at, &value, size);
}

static inline uint32_t guest_get(const uint8_t *at, unsigned size)
{
        uint32_t value = 0;

        memcpy(&value, at, size);
        return value;
}

static inline int guest_on_kick(LoopFd *source, uint32_t events)
{
        GuestRing *ring = CONTAINER_OF(source, GuestRing, kick);
        uint64_t n;

        unit_assert_int(read(source->fd, &n, sizeof(n)), sizeof(n));
        return virtio_device_notify(ring->guest->device, ring->index);
}

/* Makes chain @slot available: the header's descriptor and, behind it, @n bytes. */
static inline void guest_offer(GuestRing *ring, unsigned slot, uint32_t header, uint32_t n)
{
        uint64_t address = ring->address + (uint64_t)slot * GUEST_BUFFER;
        unsigned write = ring->index == GUEST_TX ? 0 : 2;
        uint8_t *first = ring->descriptors + (size_t)slot * 32, *second = first + 16;

        guest_put(first, address, 8);
        guest_put(first + 8, header, 4);
        guest_put(first + 12, write | (n > 0), 2);
        guest_put(first + 14, slot * 2 + 1, 2);
        guest_put(second, address + 64, 8);
        guest_put(second + 8, n, 4);
        guest_put(second + 12, write, 2);
        guest_put(ring->available + 4 + 2 * (ring->next_available % GUEST_RING), slot * 2, 2);
        ring->busy[slot] = true;
        ring->next_available++;
        __atomic_store_n((uint16_t *)(ring->available + 2), ring->next_available, __ATOMIC_RELEASE);
}

static inline void guest_kick(Guest *guest, unsigned queue)
{
        uint64_t one = 1;

        unit_assert_int(write(guest->rings[queue].kick.fd, &one, sizeof(one)), sizeof(one));
}

/* The next chain that came back, or -1. */
static inline int guest_reap(GuestRing *ring, uint32_t *ret_written)
{
        const uint8_t *entry = ring->used + 4 + 8 * (size_t)(ring->next_used % GUEST_RING);
        unsigned slot;

        if (guest_get(ring->used + 2, 2) == ring->next_used)
                return -1;
        slot = guest_get(entry, 4) / 2;
        unit_assert(slot < GUEST_CHAINS && ring->busy[slot]);
        ring->busy[slot] = false;
        ring->next_used++;
        *ret_written = guest_get(entry + 4, 4);
        return (int)slot;
}

static inline bool guest_can_send(Guest *guest)
{
        uint32_t written;

        while (guest_reap(&guest->rings[GUEST_TX], &written) >= 0)
                unit_assert_int(written, 0);
        for (unsigned i = 0; i < GUEST_CHAINS; i++)
                if (!guest->rings[GUEST_TX].busy[i])
                        return true;
        return false;
}

/* Sends @header as it is, with @n bytes behind it. */
static inline void guest_send_raw(Guest *guest, const VsockHeader *header, const void *data,
                                  uint32_t n)
{
        GuestRing *ring = &guest->rings[GUEST_TX];
        unsigned slot = 0;
        uint8_t *buffer;

        unit_assert(guest_can_send(guest) && n <= GUEST_PAYLOAD);
        while (ring->busy[slot])
                slot++;
        buffer = ring->buffers + (size_t)slot * GUEST_BUFFER;
        vsock_header_encode(header, buffer);
        if (n > 0)
                memcpy(buffer + 64, data, n);
        guest_offer(ring, slot, VSOCK_HEADER_SIZE, n);
        guest_kick(guest, GUEST_TX);
}

static inline void guest_reap_rx(Guest *guest)
{
        GuestRing *ring = &guest->rings[GUEST_RX];
        uint32_t written;
        int slot;

        while (!guest->rx_held && (slot = guest_reap(ring, &written)) >= 0) {
                const uint8_t *buffer = ring->buffers + (size_t)slot * GUEST_BUFFER;
                VsockHeader header;

                unit_assert(written >= VSOCK_HEADER_SIZE);
                vsock_header_decode(buffer, &header);
                unit_assert_int(header.length, written - VSOCK_HEADER_SIZE);
                unit_assert_int(header.dst_cid, GUEST_CID);
                guest->n_received++;
                guest->last = header;
                if (guest->receive)
                        guest->receive(guest, &header, buffer + 64);
                guest_offer(ring, (unsigned)slot, VSOCK_HEADER_SIZE, guest->rx_payload);
                guest_kick(guest, GUEST_RX);
        }
}

static inline void guest_reap_events(Guest *guest)
{
        GuestRing *ring = &guest->rings[GUEST_EVENT];
        uint32_t written;
        int slot;

        while ((slot = guest_reap(ring, &written)) >= 0) {
                unit_assert_int(written, 4);
                unit_assert_int(guest_get(ring->buffers + (size_t)slot * GUEST_BUFFER, 4), 0);
                guest->events++;
        }
}

static inline void guest_step(Guest *guest)
{
        unit_assert_int(loop_step(guest->loop, 0), 0);
        guest_reap_rx(guest);
        guest_reap_events(guest);
}

/* Until the device has nothing more to do or say. */
static inline void guest_settle(Guest *guest)
{
        for (unsigned i = 0; i < 20; i++)
                guest_step(guest);
}

/* Describes fresh rings to the device and says DRIVER_OK. */
static inline void guest_start_driver(Guest *guest)
{
        for (unsigned i = 0; i < GUEST_QUEUES; i++) {
                GuestRing *ring = &guest->rings[i];
                VirtioQueueState *state = &guest->device->queues[i].state;
                uint64_t base = GUEST_RINGS + 0x10000 * (uint64_t)i;

                ring->guest = guest;
                ring->index = i;
                ring->address = GUEST_BUFFERS + (uint64_t)i * GUEST_CHAINS * GUEST_BUFFER;
                ring->descriptors = guest_memory_span(&guest->memory, base, 0x10000);
                ring->available = ring->descriptors + 0x4000;
                ring->used = ring->descriptors + 0x8000;
                ring->buffers = guest_memory_span(&guest->memory, ring->address,
                                                  (uint64_t)GUEST_CHAINS * GUEST_BUFFER);
                memset(ring->descriptors, 0, 0x10000);
                memset(ring->busy, 0, sizeof(ring->busy));
                ring->next_available = ring->next_used = 0;
                *state = (VirtioQueueState){
                        .size = i == GUEST_EVENT ? 16 : GUEST_RING,
                        .ready = true,
                        .descriptors = base,
                        .available = base + 0x4000,
                        .used = base + 0x8000,
                };
        }
        for (unsigned i = 0; i < GUEST_CHAINS; i++)
                guest_offer(&guest->rings[GUEST_RX], i, VSOCK_HEADER_SIZE, guest->rx_payload);
        guest->device->state.driver_features = VIRTIO_F_VERSION_1;
        unit_assert_int(virtio_device_activate(guest->device), 0);
        unit_assert(virtio_device_is_active(guest->device));
}

/* What the transport does when the device is plugged. */
static inline void guest_plug(Guest *guest, const VirtioVsockEvents *events)
{
        unit_assert_int(
                virtio_vsock_new(guest->loop, &guest->memory, GUEST_CID, events, &guest->device),
                0);
        guest->device->interrupt_status = &guest->interrupt_status;
        guest->device->interrupt_fd = eventfd(0, EFD_CLOEXEC);
        for (unsigned i = 0; i < GUEST_QUEUES; i++) {
                int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

                guest->rings[i].guest = guest;
                guest->rings[i].index = i;
                guest->device->kick_fds[i] = fd;
                unit_assert_int(
                        loop_fd_add(guest->loop, &guest->rings[i].kick, fd, EPOLLIN, guest_on_kick),
                        0);
        }
}

static inline void guest_unplug(Guest *guest)
{
        int interrupt_fd = guest->device->interrupt_fd;

        for (unsigned i = 0; i < GUEST_QUEUES; i++) {
                loop_fd_remove(&guest->rings[i].kick);
                fd_close(guest->device->kick_fds[i]);
        }
        virtio_device_free(guest->device);
        fd_close(interrupt_fd);
}

static inline void guest_init(Guest *guest, const VirtioVsockEvents *events)
{
        *guest = (Guest){.rx_payload = 4096};
        unit_assert_int(guest_memory_init(&guest->memory, 16ULL << 20), 0);
        unit_assert_int(loop_new(&guest->loop), 0);
        guest_plug(guest, events);
        guest_start_driver(guest);
}

static inline void guest_done(Guest *guest)
{
        guest_unplug(guest);
        loop_free(guest->loop);
        guest_memory_done(&guest->memory);
}
