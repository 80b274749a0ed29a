/*
 * A virtio device without its transport: a const table of operations, the common state, and what a
 * device calls to reach its driver. A device embeds VirtioDevice and is about one file.
 *
 * Life: xxx_new() → virtio_mmio_plug() takes it over → [activate … reset] any number of times →
 * unplug → ops->free().
 *
 * Thread: every operation but config_read runs on the I/O thread, so a device may use the loop and
 * needs no lock. config_read may run on a vCPU thread while the I/O thread is kept out: it only
 * reads. A device with worker threads of its own brings their results home by an eventfd in the
 * loop.
 *
 * Trust: everything a driver writes is hostile. What it may do wrong ends in
 * DEVICE_NEEDS_RESET: return a positive value from an operation, or call virtio_device_fail().
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "base/wire.h"
#include "vmm/mem/memory.h"
#include "vmm/virtio/queue.h"

#define VIRTIO_QUEUES_MAX 4

/* Device ids, virtio 1.2 §5. */
enum {
        VIRTIO_ID_NONE = 0, /* an empty slot: the driver's probe ends with -ENODEV */
        VIRTIO_ID_RNG = 4,
        VIRTIO_ID_9P = 9,
        VIRTIO_ID_VSOCK = 19,
};

/* Features of every device, virtio 1.2 §6; the transport offers these three by itself. */
#define VIRTIO_F_INDIRECT_DESC (1ULL << 28)
#define VIRTIO_F_EVENT_IDX     (1ULL << 29)
#define VIRTIO_F_VERSION_1     (1ULL << 32)

/* Device status, virtio 1.2 §2.1. */
#define VIRTIO_STATUS_ACKNOWLEDGE 1
#define VIRTIO_STATUS_DRIVER      2
#define VIRTIO_STATUS_DRIVER_OK   4
#define VIRTIO_STATUS_FEATURES_OK 8
#define VIRTIO_STATUS_NEEDS_RESET 64
#define VIRTIO_STATUS_FAILED      128

/* Interrupt status, virtio 1.2 §4.2.2. */
#define VIRTIO_INTERRUPT_QUEUE  1U
#define VIRTIO_INTERRUPT_CONFIG 2U

typedef struct VirtioDevice VirtioDevice;

typedef struct VirtioDeviceOps {
        const char *name; /* "rng", for logs and statistics */
        uint32_t id;      /* VIRTIO_ID_* */
        uint64_t features;
        unsigned n_queues;
        uint16_t queue_sizes[VIRTIO_QUEUES_MAX]; /* the most entries of each: powers of two */
        uint32_t config_size;                    /* bytes; accesses outside never arrive */

        /* @size is 1, 2, 4 or 8, within config_size, naturally aligned or not. NULL: no config. */
        void (*config_read)(VirtioDevice *device, uint32_t offset, void *data, unsigned size);
        /* NULL: writes are ignored, as for a device whose config is all read-only. */
        void (*config_write)(VirtioDevice *device, uint32_t offset, const void *data,
                             unsigned size);

        /*
         * The driver is ready (DRIVER_OK), features are in state.driver_features, the queues it
         * uses are started. 0, a positive value (the guest did wrong: it needs a reset) or -errno
         * (ends the VM with a reason). May be NULL.
         */
        int (*activate)(VirtioDevice *device);

        /*
         * Forget all that the driver did, and every chain in flight: the rings may be gone when
         * this returns. Also called before free, and by a driver that never activated. May be NULL.
         */
        void (*reset)(VirtioDevice *device);

        /* The driver kicked @queue. Returns as activate does. Spurious calls are normal. */
        int (*notify)(VirtioDevice *device, unsigned queue);

        /*
         * The device's own state, one plain struct, to and from a template; queues and status are
         * kept by the caller. save is called between two notifications with nothing in flight
         * (-EBUSY if that can't be had). load is called on a fresh device, then activate if the
         * driver was ready; -EBADMSG for what makes no sense. NULL: no state of its own.
         */
        int (*save)(const VirtioDevice *device, WireWriter *writer);
        int (*load)(VirtioDevice *device, WireReader *reader);

        /* After reset and unplugging: closes and frees all. Never NULL. Returns NULL. */
        VirtioDevice *(*free)(VirtioDevice *device);
} VirtioDeviceOps;

/* What a driver can see or set, common to all devices: plain data. */
typedef struct VirtioDeviceState {
        uint8_t status;
        uint64_t driver_features; /* a subset of what was offered once FEATURES_OK stands */
        uint32_t config_generation;
} VirtioDeviceState;

/* Read by GET_STATS; written by the I/O thread. A device counts requests and bytes itself. */
typedef struct VirtioCounters {
        uint64_t notifies;
        uint64_t interrupts;
        uint64_t requests;
        uint64_t bytes_from_guest;
        uint64_t bytes_to_guest;
} VirtioCounters;

struct VirtioDevice {
        const VirtioDeviceOps *ops;
        Loop *loop;
        const GuestMemory *memory;
        uint64_t features; /* offered: ops->features and the common ones; a device may add to it
                              before it is plugged */
        VirtioDeviceState state;
        VirtioQueue queues[VIRTIO_QUEUES_MAX];
        VirtioCounters counters;
        unsigned failures; /* virtio_device_fail(), over all resets */

        /* Set by the transport while plugged; NULL and FD_NONE otherwise. */
        atomic_uint *interrupt_status;   /* VIRTIO_INTERRUPT_* */
        int interrupt_fd;                /* an irqfd: writing raises the slot's line once */
        int kick_fds[VIRTIO_QUEUES_MAX]; /* ioeventfds: writing has notify called from the loop */
};

/* Fills the common part; borrows @loop and @memory, which outlive every device. */
void virtio_device_init(VirtioDevice *device, const VirtioDeviceOps *ops, Loop *loop,
                        const GuestMemory *memory);

/* Back to power-on: the device's reset, then the common state. The counters stay. */
void virtio_device_reset(VirtioDevice *device);

/* Resets and frees an unplugged device. Accepts NULL; returns NULL. */
VirtioDevice *virtio_device_free(VirtioDevice *device);
DEFINE_CLEANUP(VirtioDevice *, virtio_device_free)

/* The driver wrote DRIVER_OK: starts the ready queues and activates. 0 or -errno: what the guest did
 * wrong is dealt with by virtio_device_fail(). */
int virtio_device_activate(VirtioDevice *device);

/* A kick of @queue, ignored unless the driver is ready. Returns as virtio_device_activate(). */
int virtio_device_notify(VirtioDevice *device, unsigned queue);

static inline bool virtio_device_is_active(const VirtioDevice *device)
{
        return (device->state.status & VIRTIO_STATUS_DRIVER_OK) &&
               !(device->state.status & VIRTIO_STATUS_NEEDS_RESET);
}

static inline bool virtio_device_has(const VirtioDevice *device, uint64_t feature)
{
        return (device->state.driver_features & feature) == feature;
}

/* After a batch of pushes to @queue: an interrupt, if the driver asked for one. */
void virtio_device_signal(VirtioDevice *device, unsigned queue);

/* The config space changed: a new generation and a configuration interrupt. */
void virtio_device_config_changed(VirtioDevice *device);

/*
 * The driver broke the rules: DEVICE_NEEDS_RESET, and one log line with @why (not for ever: a guest may
 * do it as often as it likes). Nothing more of it is looked at until it resets the device.
 */
void virtio_device_fail(VirtioDevice *device, const char *why);

/* Common state, queues, then the device's own. 0 or -errno: save -ENOBUFS, -EBUSY; load -EBADMSG.
 */
int virtio_device_save(const VirtioDevice *device, WireWriter *writer);
int virtio_device_load(VirtioDevice *device, WireReader *reader);

/* config_read for a device that keeps its config space as bytes. */
static inline void virtio_config_copy(const void *config, uint32_t offset, void *data,
                                      unsigned size)
{
        __builtin_memcpy(data, (const uint8_t *)config + offset, size);
}
