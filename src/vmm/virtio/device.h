/*
 * A virtio device without its transport: a const table of operations, the common state, and what a
 * device calls to reach its driver. A device embeds VirtioDevice and is about one file.
 *
 * Life: xxx_new() → virtio_mmio_plug() takes it over → [activate … reset] any number of times →
 * unplug → ops->free().
 *
 * Threads. A device's loop is the machine's, or that of a thread of its own if its work may block
 * (thread/iothread.h). Every operation but config_read runs on the loop's thread, or on the
 * machine's I/O thread as its visitor, so that a device may use its loop and needs no lock. All work
 * on a queue is done by handlers of that loop: kicks, timers, what comes back. config_read runs on
 * any thread, with the board's lock: it reads only what is fixed while the device is plugged. What
 * blocks runs in a pool (thread/pool.h), whose jobs come home to the loop.
 *
 * A request is in flight from pop to push. Rings are gone when reset returns, so a driver's reset
 * waits until nothing is in flight: virtio_device_drain().
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
#include "vmm/kvm/vm.h"
#include "vmm/mem/memory.h"
#include "vmm/thread/iothread.h"
#include "vmm/virtio/pace.h"
#include "vmm/virtio/queue.h"

#define VIRTIO_QUEUES_MAX 9 /* a network device with four pairs and its control queue */
#define VIRTIO_QUEUES_FEW 4 /* that VirtioDevice has room for by itself */

/* A device's throttles: the only one, or that of what the guest sends; and that of what it is sent. */
enum {
        VIRTIO_PACE_ALL,
        VIRTIO_PACE_TRANSMIT = VIRTIO_PACE_ALL,
        VIRTIO_PACE_RECEIVE,
        VIRTIO_PACES_MAX,
};

/* Device ids, virtio 1.2 §5. */
enum {
        VIRTIO_ID_NONE = 0, /* an empty slot: the driver's probe ends with -ENODEV */
        VIRTIO_ID_NET = 1,
        VIRTIO_ID_BLOCK = 2,
        VIRTIO_ID_RNG = 4,
        VIRTIO_ID_BALLOON = 5,
        VIRTIO_ID_9P = 9,
        VIRTIO_ID_VSOCK = 19,
        VIRTIO_ID_MEM = 24,
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

/* A kick comes as an edge, so that nobody has to read its eventfd, whose counter would be full after 2^64
 * of them. */
#define VIRTIO_KICK_EVENTS (EPOLLIN | EPOLLET)

/* Of ours: the interrupt is lent, see virtio_device_lend(). */
#define VIRTIO_INTERRUPT_LENT (1U << 31)

typedef struct VirtioDevice VirtioDevice;

typedef struct VirtioDeviceOps {
        const char *name; /* "rng", for logs and statistics */
        uint32_t id;      /* VIRTIO_ID_* */
        uint64_t features;
        unsigned n_queues;
        uint16_t queue_sizes[VIRTIO_QUEUES_MAX]; /* the most entries of each: powers of two */
        uint32_t config_size;                    /* bytes; accesses outside never arrive */
        /* Throttles that it may be given: none, one of all requests, or (2) one a direction. Requests
         * are taken by virtio_device_pop(), what is sent to the guest by virtio_device_may_begin(). */
        unsigned n_paces;

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
         * Forget all that the driver did: the rings may be gone when this returns. Nothing is in
         * flight. Also called before free, and by a driver that never activated. May be NULL.
         */
        void (*reset)(VirtioDevice *device);

        /*
         * Have the requests in flight end soon: give up what has not begun, interrupt what waits,
         * and push each as ever, now or later. Called again while some remain. NULL: nothing is
         * ever in flight when an operation returns.
         */
        void (*cancel)(VirtioDevice *device);

        /* The driver kicked @queue. Returns as activate does. Spurious calls are normal. */
        int (*notify)(VirtioDevice *device, unsigned queue);

        /* The driver takes @queue away, which is not used any more when this returns. NULL: nobody but
         * the device's handlers uses one. */
        void (*stop_queue)(VirtioDevice *device, unsigned queue);

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

/* Read by GET_STATS on any thread; written by the device's, with virtio_count(). A device counts
 * requests and bytes itself. */
typedef struct VirtioCounters {
        uint64_t notifies;
        uint64_t interrupts;
        uint64_t requests;
        uint64_t bytes_from_guest;
        uint64_t bytes_to_guest;
        uint64_t delayed_usec; /* at most so long did requests wait for the throttle */
        uint64_t deliveries;   /* net: packets to the guest */
        uint64_t drops;        /* net: packets to the guest that it never got */
        uint64_t waiting;      /* disks: requests that wait for room on the host now */
} VirtioCounters;

struct VirtioDevice {
        const VirtioDeviceOps *ops;
        Loop *loop;
        IoThread *thread; /* that runs @loop, owned; NULL: the machine's I/O thread */
        const GuestMemory *memory;
        uint64_t features; /* offered: ops->features and the common ones; a device may add to it
                              before it is plugged */
        VirtioDeviceState state;
        unsigned n_queues;   /* ops->n_queues, unless the device said otherwise */
        VirtioQueue *queues; /* n_queues of them */
        VirtioQueue few_queues[VIRTIO_QUEUES_FEW];
        VirtioCounters counters;
        unsigned failures;                  /* virtio_device_fail(), over all resets */
        unsigned n_lent;                    /* of pairs of queues */
        bool draining;                      /* no request is taken any more until the reset */
        VirtioPace paces[VIRTIO_PACES_MAX]; /* VIRTIO_PACE_*; they stay over resets */

        /* Set by the transport while plugged; NULL and FD_NONE otherwise. */
        atomic_uint *interrupt_status; /* VIRTIO_INTERRUPT_* */
        uint32_t *changes;             /* see VIRTIO_MMIO_CHANGES; NULL: there is none */
        KvmVm *vm;                     /* whose line @gsi is; NULL: there is only the fd */
        uint32_t gsi;
        int interrupt_fd;                /* an irqfd, for the kernel: raises the line once, too */
        int kick_fds[VIRTIO_QUEUES_MAX]; /* ioeventfds: writing has notify called from the loop */
        LoopFd *kick_sources[VIRTIO_QUEUES_MAX]; /* of these in the loop */
};

/* Fills the common part; borrows @loop and @memory, which outlive every device. */
void virtio_device_init(VirtioDevice *device, const VirtioDeviceOps *ops, Loop *loop,
                        const GuestMemory *memory);

/* For a device that has more queues than there is room for, or not always as many: @queues, which
 * outlive it, instead. Right behind virtio_device_init(). */
void virtio_device_use_queues(VirtioDevice *device, VirtioQueue *queues, unsigned n);

/* Hands the thread that runs the device's loop over to it. */
void virtio_device_take_thread(VirtioDevice *device, IoThread *thread);

/*
 * The machine's I/O thread becomes the visitor of the device's, if that has its own: for everything
 * below but what says otherwise. 0, or -EAGAIN: it is busy for longer; see iothread_try_enter().
 */
int virtio_device_try_enter(VirtioDevice *device);

/* The same for what the supervisor asks of a device, which waits a little longer: 0, or -EBUSY. */
int virtio_device_enter(VirtioDevice *device);
void virtio_device_leave(VirtioDevice *device);

/* Takes no more requests and has those in flight end. 0, or -EAGAIN: some still are; come back. */
int virtio_device_drain(VirtioDevice *device);

/* Whether requests are in flight. */
bool virtio_device_is_busy(const VirtioDevice *device);

/* Back to power-on: the device's reset, then the common state. Drained. The counters stay. */
void virtio_device_reset(VirtioDevice *device);

/* Resets and frees a drained and unplugged device, and ends its thread. Not by a visitor. Accepts
 * NULL; returns NULL. */
VirtioDevice *virtio_device_free(VirtioDevice *device);
DEFINE_CLEANUP(VirtioDevice *, virtio_device_free)

/* The driver wrote DRIVER_OK: starts the ready queues and activates. 0 or -errno: what the guest did
 * wrong is dealt with by virtio_device_fail(). */
int virtio_device_activate(VirtioDevice *device);

/* A kick of @queue, ignored unless the driver is ready. Returns as virtio_device_activate(). */
int virtio_device_notify(VirtioDevice *device, unsigned queue);

/* Any thread may read the status. */
static inline uint8_t virtio_device_status(const VirtioDevice *device)
{
        return __atomic_load_n(&device->state.status, __ATOMIC_ACQUIRE);
}

static inline void virtio_device_add_status(VirtioDevice *device, uint8_t bits)
{
        __atomic_fetch_or(&device->state.status, bits, __ATOMIC_RELEASE);
}
/* How fast the device may go from now on, also what waits. The machine's I/O thread, whatever the
 * device's own is busy with. 0, or -EINVAL: it has no throttle of this direction. */
int virtio_device_set_throttle(VirtioDevice *device, ThrottleDirection direction,
                               const ThrottleLimits *limits);

/*
 * virtio_queue_pop() for a device that is paced. While the throttle is empty nothing is there
 * (VIRTIO_QUEUE_E_EMPTY), and the device is notified when it no longer is. A request costs one
 * operation and the bytes of all its buffers; what it turns out not to need is given back by
 * virtio_device_refund().
 */
int virtio_device_pop(VirtioDevice *device, unsigned queue, VirtioChain *ret);
void virtio_device_refund(VirtioDevice *device, uint64_t bytes);

/* A request costs so many bytes more than its buffers have. */
void virtio_device_charge(VirtioDevice *device, uint64_t bytes);

/*
 * Whether something may begin by the throttle VIRTIO_PACE_*; if not, the device is notified of all
 * queues when it may. virtio_device_spend() takes what it cost.
 */
bool virtio_device_may_begin(VirtioDevice *device, unsigned pace);
void virtio_device_spend(VirtioDevice *device, unsigned pace, uint64_t bytes, uint64_t ops);

/* Has the device notified of @queue, after all other sources of its loop had their turn. */
void virtio_device_kick(VirtioDevice *device, unsigned queue);

static inline bool virtio_device_is_active(const VirtioDevice *device)
{
        return (virtio_device_status(device) &
                (VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_NEEDS_RESET)) == VIRTIO_STATUS_DRIVER_OK;
}

/* Adds to a counter, on the device's thread. */
static inline void virtio_count(uint64_t *counter, uint64_t n)
{
        uint64_t before = __atomic_load_n(counter, __ATOMIC_RELAXED);

        __atomic_store_n(counter, before + n, __ATOMIC_RELAXED);
}

static inline uint64_t virtio_counter_read(const uint64_t *counter)
{
        return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static inline bool virtio_device_has(const VirtioDevice *device, uint64_t feature)
{
        return (device->state.driver_features & feature) == feature;
}

/* After a batch of pushes to @queue: an interrupt, if the driver asked for one. Whether it did. */
bool virtio_device_signal(VirtioDevice *device, unsigned queue);

/*
 * Lends the interrupt, and the kicks of queue @first and the next, to somebody who uses their fds
 * directly: the kernel. Kicks don't come to the device's loop then. Whoever raises the interrupt can't
 * say why, so as long as any queue's is lent its status says that queues are the reason; a driver that
 * looks for nothing finds nothing.
 */
void virtio_device_lend(VirtioDevice *device, unsigned first);
void virtio_device_take_back(VirtioDevice *device, unsigned first);

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
