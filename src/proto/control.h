/*
 * Messages between uvm-shim and uvm-vmm, over a SEQPACKET socket pair, one message a packet:
 *
 *   0      2       4        8
 *   | type | flags | serial | payload … |        little-endian, flags are 0
 *
 * The shim asks, with serials of its own choice but 0; each request gets exactly one REPLY (or
 * STATS) with its serial, a late one for PAUSE and VSOCK_CONNECT, and for STOP the ENDED itself.
 * Messages that the VMM sends by itself have serial 0. A message that isn't well-formed ends the
 * link: the VMM ends with CONTROL_END_PROTOCOL_ERROR.
 *
 *   VMM   READY                                     jailed and waiting
 *   shim  CONFIGURE + /dev/kvm, firmware, console   once
 *   shim  ADD_DEVICE … , VSOCK_LISTEN …             any number, before and after START
 *   shim  START
 *   VMM   PHASE …, VSOCK_ACCEPTED …
 *   shim  PAUSE, RESUME, VSOCK_CONNECT, REMOVE_DEVICE, ADD_BIND, SET_THROTTLE, SET_VCPUS,
 *         RESIZE, GET_STATS …
 *   VMM   MEMORY …                                  the guest gave or took memory
 *   shim  STOP, or the guest ends
 *   VMM   ENDED                                     the last message; the process exits
 *                                                   with 0 if the reason is STOPPED or the guest's
 *
 * The end of the link means STOP to the VMM. Fds go with the message that names them, in the order
 * given at each payload. Pure: no state, no system calls. Every byte is checked by the decoder.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/enum.h"
#include "proto/throttle.h"

#define CONTROL_MESSAGE_SIZE_MAX 4096
#define CONTROL_HEADER_SIZE      8
#define CONTROL_TEXT_SIZE_MAX    512
#define CONTROL_CMDLINE_SIZE_MAX 1024
#define CONTROL_TAG_SIZE_MAX     32
#define CONTROL_SERIAL_SIZE_MAX  20 /* virtio 1.2 §5.2.6.1: VIRTIO_BLK_T_GET_ID */
#define CONTROL_NAME_SIZE_MAX    64
#define CONTROL_VCPUS_MAX        32
#define CONTROL_SLOTS_MAX        32
#define CONTROL_MAC_SIZE         6
#define CONTROL_NET_QUEUES_MAX   4  /* pairs of one network device */
#define CONTROL_NET_MTU_MIN      68 /* virtio 1.2 §5.1.4.1 */
#define CONTROL_NET_MTU_MAX      65535
#define CONTROL_SLOT_ANY         UINT32_MAX

typedef enum ControlType {
        /* from the shim */
        CONTROL_CONFIGURE = 1,
        CONTROL_ADD_DEVICE,
        CONTROL_REMOVE_DEVICE,
        CONTROL_START,
        CONTROL_PAUSE,
        CONTROL_RESUME,
        CONTROL_STOP,
        CONTROL_VSOCK_LISTEN,
        CONTROL_VSOCK_UNLISTEN,
        CONTROL_VSOCK_CONNECT,
        CONTROL_GET_STATS,
        CONTROL_ADD_BIND,
        CONTROL_REMOVE_BIND,
        CONTROL_SET_THROTTLE,
        CONTROL_SET_VCPUS,
        CONTROL_RESIZE,
        CONTROL_SET_LINK,
        /* from the VMM */
        CONTROL_READY,
        CONTROL_REPLY,
        CONTROL_STATS,
        CONTROL_PHASE,
        CONTROL_VSOCK_ACCEPTED,
        CONTROL_MEMORY,
        CONTROL_ENDED,
        CONTROL_TYPE_MAX,
} ControlType;
ENUM_DECLARE(control_type, ControlType);

typedef enum ControlDevice {
        CONTROL_DEVICE_RNG = 1,
        CONTROL_DEVICE_VSOCK,
        CONTROL_DEVICE_P9,
        CONTROL_DEVICE_BLOCK,
        CONTROL_DEVICE_NET,
        CONTROL_DEVICE_BALLOON, /* one of a machine; a second: EEXIST */
        CONTROL_DEVICE_MEM,     /* likewise; EINVAL where memory_max_bytes leaves it no room.
                                   REMOVE_DEVICE while memory is plugged: EBUSY */
        CONTROL_DEVICE_MAX,
} ControlDevice;
ENUM_DECLARE(control_device, ControlDevice);

/* Why a machine ended. */
typedef enum ControlEnd {
        CONTROL_END_STOPPED = 1,    /* STOP, or the shim went away */
        CONTROL_END_GUEST_RESET,    /* port 0x64: a reboot, or a panic (see the console) */
        CONTROL_END_BOOT_REFUSED,   /* the firmware stub could not use this machine */
        CONTROL_END_TRIPLE_FAULT,   /* a vCPU shut down */
        CONTROL_END_KVM_ERROR,      /* an exit that can't be handled: the text has reason and RIP */
        CONTROL_END_OUT_OF_MEMORY,  /* the host had no memory for the guest's */
        CONTROL_END_DEVICE_ERROR,   /* a device failed on the host's side */
        CONTROL_END_PROTOCOL_ERROR, /* a message that isn't one */
        CONTROL_END_INTERNAL_ERROR, /* any other failure of the host or of ours */
        CONTROL_END_MAX,
} ControlEnd;
ENUM_DECLARE(control_end, ControlEnd);

/*
 * Steps of a start, each with its time. Those from CONTROL_PHASE_GUEST on are the value (0 to 255)
 * that the guest wrote to the boot-phase port (proto/handoff.h), plus CONTROL_PHASE_GUEST.
 */
typedef enum ControlPhase {
        CONTROL_PHASE_PROCESS_START = 1, /* main() */
        CONTROL_PHASE_JAILED,
        CONTROL_PHASE_CONFIGURED,      /* CONFIGURE arrived */
        CONTROL_PHASE_KVM_READY,       /* VM, interrupt controller and memory exist */
        CONTROL_PHASE_FIRMWARE_LOADED, /* segments and hand-off are in place */
        CONTROL_PHASE_FIRST_RUN,       /* right before the first KVM_RUN */
        CONTROL_PHASE_GUEST = 256,
} ControlPhase;

#define CONTROL_CONFIGURE_MERGE_PAGES 1U /* the host may share equal pages (KSM): a side channel */

/* Fds: /dev/kvm, the firmware image, the console's stream (written without blocking). */
typedef struct ControlConfigure {
        uint64_t memory_bytes;     /* that the guest boots with */
        uint64_t memory_max_bytes; /* with what a MEM device may add; 0: no more */
        uint32_t flags;            /* CONTROL_CONFIGURE_* */
        uint32_t vcpus;            /* that run from the start, 1 to max_vcpus */
        uint32_t max_vcpus;        /* that the guest may ever see, up to CONTROL_VCPUS_MAX */
        uint32_t slots;            /* virtio-mmio slots, up to CONTROL_SLOTS_MAX */
        char cmdline[CONTROL_CMDLINE_SIZE_MAX + 1]; /* added to the image's own */
} ControlConfigure;

#define CONTROL_P9_READ_ONLY 1U /* every change is refused with EROFS */
#define CONTROL_P9_BINDS     2U /* the root is made up: its entries come by ADD_BIND */

#define CONTROL_BLOCK_READ_ONLY 1U

#define CONTROL_NET_VHOST 1U /* a vhost-net fd for each queue pair */

#define CONTROL_BIND_READ_ONLY 1U

typedef struct ControlAddDevice {
        uint32_t slot; /* or CONTROL_SLOT_ANY */
        ControlDevice kind;
        ThrottleLimits throttle; /* p9, block, net (TRANSMIT); others, with any but 0: EINVAL */
        union {
                struct {
                        uint64_t guest_cid; /* 3 to 2^32 - 2 */
                } vsock;
                /* Fd: the root, an O_PATH directory of a mount that nothing is above of; none with
                 * CONTROL_P9_BINDS. */
                struct {
                        char tag[CONTROL_TAG_SIZE_MAX + 1]; /* 1 byte or more */
                        uint32_t flags;                     /* CONTROL_P9_* */
                } p9;
                /* Fd: a regular file or block device, open for reading and, unless READ_ONLY,
                 * writing. Its size is taken when the device is added. */
                struct {
                        char serial[CONTROL_SERIAL_SIZE_MAX + 1]; /* 1 byte or more */
                        uint32_t flags;                           /* CONTROL_BLOCK_* */
                } block;
                /* Fds: a tap's queues (IFF_VNET_HDR, IFF_NO_PI, not blocking), then, with VHOST,
                 * as many of /dev/vhost-net. The VMM sets the taps' offloads and header sizes. */
                struct {
                        uint8_t mac[CONTROL_MAC_SIZE]; /* no multicast address, not all 0 */
                        uint16_t mtu;    /* offered to the guest, CONTROL_NET_MTU_*; 0: none */
                        uint32_t queues; /* pairs, 1 to CONTROL_NET_QUEUES_MAX */
                        uint32_t flags;  /* CONTROL_NET_* */
                        ThrottleLimits receive;
                } net;
        };
} ControlAddDevice;

/*
 * An entry of the root directory that a p9 device with CONTROL_P9_BINDS makes up. ADD_BIND: EEXIST
 * there is one of that name; fd: an O_PATH directory of a mount that nothing is above of, or a
 * single file. REMOVE_BIND: ENOENT; what the guest still has open of it goes on until it closes it.
 */
typedef struct ControlBind {
        uint32_t slot;                        /* of the device; another kind: EINVAL */
        uint32_t flags;                       /* CONTROL_BIND_*; REMOVE_BIND: 0 */
        char name[CONTROL_NAME_SIZE_MAX + 1]; /* a file name: no '/', not "." or "..", not empty */
} ControlBind;

/* The answer to everything but GET_STATS. */
typedef struct ControlReply {
        uint32_t code;  /* 0, or a positive errno */
        uint32_t value; /* ADD_DEVICE: the slot; SET_VCPUS: how many there are; else 0 */
        char text[CONTROL_TEXT_SIZE_MAX + 1]; /* for people; empty on success */
} ControlReply;

/* KVM_RUN returning to the VMM, by reason, over all vCPUs. */
typedef enum ControlExit {
        CONTROL_EXIT_IO,
        CONTROL_EXIT_MMIO,
        CONTROL_EXIT_HALT,
        CONTROL_EXIT_SIGNAL,
        CONTROL_EXIT_OTHER,
        CONTROL_EXIT_MAX,
} ControlExit;
ENUM_DECLARE(control_exit, ControlExit);

typedef struct ControlDeviceStats {
        uint32_t slot;
        ControlDevice kind;
        uint64_t notifies;
        uint64_t interrupts;
        uint64_t requests;
        uint64_t bytes_from_guest;
        uint64_t bytes_to_guest;
        uint64_t delayed_usec; /* that requests waited for the throttle, at most */
        uint64_t deliveries;   /* net: packets to the guest; @requests are those from it */
        uint64_t drops;   /* net: packets to the guest that found no buffer, or were no packet */
        uint64_t waiting; /* block: requests that wait until the host has room for them */
} ControlDeviceStats;

/* The guest's memory. What the guest told of itself is as it said it: UINT64_MAX where it didn't. */
typedef struct ControlMemoryStats {
        uint64_t boot_bytes;
        uint64_t requested_bytes; /* MEM: what RESIZE asked for */
        uint64_t plugged_bytes;   /* MEM: what the guest has taken */
        uint64_t target_bytes;    /* BALLOON: what RESIZE asked for */
        uint64_t balloon_bytes;   /* BALLOON: what the guest has given */
        uint64_t reported_bytes;  /* BALLOON: given back by free page reporting so far, in all */
        uint64_t stats_usec;      /* CLOCK_MONOTONIC of the following; 0: never told. GET_STATS has
                                     the guest make new ones, for the next answer, if they are older
                                     than half a second */
        uint64_t free, available, total, caches; /* bytes; virtio 1.2 §5.5.6.4 */
        uint64_t major_faults, minor_faults, swap_in, swap_out;
} ControlMemoryStats;

typedef struct ControlStats {
        uint64_t vcpu_usec; /* CPU time of the vCPU threads */
        uint64_t io_usec;   /* CPU time of the rest of the process */
        uint64_t all_exits; /* of the hardware, also those that KVM handled; 0: KVM can't tell */
        uint64_t exits[CONTROL_EXIT_MAX];
        uint64_t console_bytes;
        uint64_t console_dropped; /* bytes that nobody read in time */
        uint32_t vcpus;           /* that there are */
        ControlMemoryStats memory;
        uint32_t n_devices;
        ControlDeviceStats devices[CONTROL_SLOTS_MAX];
} ControlStats;

typedef struct ControlMessage {
        ControlType type;
        uint32_t serial;
        union {
                ControlConfigure configure;
                ControlAddDevice add_device;
                struct {
                        uint32_t slot;
                } remove_device;
                struct {
                        uint32_t
                                port; /* of the host: connections of the guest to it are accepted */
                } vsock_listen, vsock_unlisten;
                /* Fd: a stream; the VMM joins it with the connection. Refused connections reply
                 * ECONNREFUSED, late. */
                struct {
                        uint32_t guest_port;
                } vsock_connect;
                ControlBind add_bind, remove_bind;
                /* Takes effect at once, also for what waits. ENODEV: the slot is empty; EINVAL: the
                 * device can't have a throttle. */
                struct {
                        uint32_t slot;
                        ThrottleDirection direction; /* one that the device has, else EINVAL */
                        ThrottleLimits limits;
                } set_throttle;
                /* 1 to max_vcpus, once the machine was started; else EINVAL. Up: the vCPUs wait
                 * for the guest to bring them up (on x86 by INIT and SIPI) when the answer
                 * comes. Down: the guest has taken those with the highest numbers offline;
                 * they run no more. */
                struct {
                        uint32_t vcpus;
                } set_vcpus;
                /* MEM: how much the guest is to have plugged, a multiple of its block size (EINVAL)
                 * within memory_max_bytes. BALLOON: how much it is to give. Answered at once; what
                 * the guest does is told by MEMORY and GET_STATS. ENODEV, EINVAL: no such device. */
                struct {
                        uint32_t slot;
                        uint64_t bytes;
                } resize;
                /* Of a net device; ENODEV, EINVAL as above. */
                struct {
                        uint32_t slot;
                        bool up;
                } set_link;
                /* Of a MEM or BALLOON device: after a change, at most one that wasn't sent. */
                struct {
                        uint32_t slot;
                        uint64_t requested_bytes; /* by RESIZE */
                        uint64_t actual_bytes;    /* plugged, or in the balloon */
                } memory;
                ControlReply reply;
                ControlStats stats;
                struct {
                        uint32_t id;   /* ControlPhase */
                        uint64_t usec; /* CLOCK_MONOTONIC */
                } phase;
                /* Fd: a stream that is joined with the connection. */
                struct {
                        uint32_t guest_port;
                        uint32_t host_port;
                } vsock_accepted;
                struct {
                        ControlEnd reason;
                        char text[CONTROL_TEXT_SIZE_MAX + 1];
                } ended;
        };
} ControlMessage;

/* Whether an entry of a binds device may have this name, of at most CONTROL_NAME_SIZE_MAX bytes. */
bool control_bind_name_is_valid(const char *name);

/* Whether a network device may have this address: one station's. */
bool control_mac_is_valid(const uint8_t mac[CONTROL_MAC_SIZE]);

/* How many fds go with this message; what comes with another number is malformed. */
unsigned control_fd_count(const ControlMessage *message);

/*
 * 0 and the size (at most CONTROL_MESSAGE_SIZE_MAX), or -ENOBUFS. Texts that are too long are cut;
 * the other fields must be legal.
 */
int control_encode(const ControlMessage *message, void *buffer, size_t size, size_t *ret_size);

/* 0 or -EBADMSG; @ret is written only on success. */
int control_decode(const void *data, size_t size, ControlMessage *ret);
