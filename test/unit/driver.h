/*
 * A driver of one queue of a device, for tests: rings and buffers in guest memory, no transport. One
 * thread: driver_step() runs the device's loop. A device with more queues has a Driver for each; that of
 * queue 0 is plugged first, started last and unplugged last.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/loop.h"
#include "test/unit.h"
#include "vmm/virtio/device.h"

#define DRIVER_MEMORY  (16ULL << 20)
#define DRIVER_ENTRIES 128U /* of the ring */

enum { DRIVER_NEXT = 1, DRIVER_WRITE = 2 };

typedef struct Driver {
        GuestMemory *memory;
        uint64_t base; /* of the rings: descriptors, available, used, a page each */
        VirtioDevice *device;
        unsigned queue;
        LoopFd kick;
        atomic_uint interrupt_status;
        uint16_t available, used; /* indices */
} Driver;

static inline uint8_t *driver_at(Driver *driver, uint64_t address, uint64_t size)
{
        uint8_t *at = guest_memory_span(driver->memory, address, size);

        unit_assert(at);
        return at;
}

static inline void driver_put(Driver *driver, uint64_t address, uint64_t value, unsigned size)
{
        memcpy(driver_at(driver, address, size), &value, size);
}

static inline uint64_t driver_get(Driver *driver, uint64_t address, unsigned size)
{
        uint64_t value = 0;

        memcpy(&value, driver_at(driver, address, size), size);
        return value;
}

static inline int driver_on_kick(LoopFd *source, uint32_t events)
{
        Driver *driver = CONTAINER_OF(source, Driver, kick);

        return virtio_device_notify(driver->device, driver->queue);
}

/* Clears the rings and has the queue ready. */
static inline void driver_prepare(Driver *driver)
{
        VirtioQueue *queue = &driver->device->queues[driver->queue];

        memset(driver_at(driver, driver->base, 3 * 4096), 0, 3 * 4096);
        driver->available = driver->used = 0;
        queue->state.size = (uint16_t)(queue->size_max < DRIVER_ENTRIES ? queue->size_max
                                                                        : DRIVER_ENTRIES);
        queue->state.descriptors = driver->base;
        queue->state.available = driver->base + 4096;
        queue->state.used = driver->base + 8192;
        queue->state.ready = true;
}

/* Brings @device to DRIVER_OK. Its loop must outlive the driver. */
static inline void driver_start(Driver *driver, uint64_t features)
{
        VirtioDevice *device = driver->device;

        driver_prepare(driver);
        device->state.status = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;
        unit_assert((features & ~device->features) == 0);
        device->state.driver_features = features;
        device->state.status |= VIRTIO_STATUS_FEATURES_OK;
        unit_assert_int(virtio_device_activate(device), 0);
}

static inline void driver_wire_kick(Driver *driver)
{
        int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

        unit_assert(fd >= 0);
        driver->device->kick_fds[driver->queue] = fd;
        driver->device->kick_sources[driver->queue] = &driver->kick;
        unit_assert_int(loop_fd_add(driver->device->loop, &driver->kick, fd, VIRTIO_KICK_EVENTS,
                                    driver_on_kick),
                        0);
}

/* One more queue of a device that is plugged. */
static inline void driver_plug_queue(Driver *driver, const Driver *first, uint64_t base,
                                     unsigned queue)
{
        *driver = (Driver){
                .memory = first->memory, .base = base, .device = first->device, .queue = queue};
        driver_wire_kick(driver);
}

static inline void driver_unplug_queue(Driver *driver)
{
        int *fd = &driver->device->kick_fds[driver->queue];

        loop_fd_remove(&driver->kick);
        driver->device->kick_sources[driver->queue] = NULL;
        *fd = fd_close(*fd);
}

/* Wires @device as a slot would. */
static inline void driver_plug(Driver *driver, GuestMemory *memory, uint64_t base,
                               VirtioDevice *device)
{
        *driver = (Driver){.memory = memory, .base = base, .device = device};
        device->interrupt_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        device->interrupt_status = &driver->interrupt_status;
        unit_assert(device->interrupt_fd >= 0);
        driver_wire_kick(driver);
}

/* Undoes driver_plug() and frees the device. */
static inline void driver_unplug(Driver *driver)
{
        VirtioDevice *device = driver->device;

        driver_unplug_queue(driver);
        device->interrupt_fd = fd_close(device->interrupt_fd);
        device->interrupt_status = NULL;
        virtio_device_free(device);
}

static inline void driver_describe(Driver *driver, unsigned index, uint64_t address,
                                   uint32_t length, uint16_t flags, uint16_t next)
{
        uint64_t at = driver->base + 16ULL * index;

        driver_put(driver, at, address, 8);
        driver_put(driver, at + 8, length, 4);
        driver_put(driver, at + 12, flags, 2);
        driver_put(driver, at + 14, next, 2);
}

/* Makes the chain at @head available, without a kick. */
static inline void driver_offer(Driver *driver, uint16_t head)
{
        uint64_t ring = driver->base + 4096;
        uint16_t size = driver->device->queues[driver->queue].state.size;

        driver_put(driver, ring + 4 + 2ULL * (driver->available % size), head, 2);
        driver_put(driver, ring + 2, ++driver->available, 2);
}

static inline void driver_kick(Driver *driver)
{
        uint64_t one = 1;

        unit_assert_int(write(driver->kick.fd, &one, sizeof(one)), sizeof(one));
}

/* How many chains came back and were not yet reaped. */
static inline unsigned driver_used(Driver *driver)
{
        return (uint16_t)(driver_get(driver, driver->base + 8192 + 2, 2) - driver->used);
}

/* Takes the next chain back: its head, and how much was written. */
static inline uint16_t driver_reap(Driver *driver, uint32_t *ret_written)
{
        uint16_t size = driver->device->queues[driver->queue].state.size;
        uint64_t entry = driver->base + 8192 + 4 + 8ULL * (driver->used % size);

        unit_assert(driver_used(driver) > 0);
        driver->used++;
        *ret_written = (uint32_t)driver_get(driver, entry + 4, 4);
        return (uint16_t)driver_get(driver, entry, 4);
}
