/*
 * A command of a virtio network driver (virtio 1.2 §5.1.6.5), taken apart:
 *
 *   readable                          writable
 *   class[1] command[1] | data …      ack[1] …
 *
 *   MQ (4)              VQ_PAIRS_SET (0)   pairs[2]      how many pairs of queues are used
 *   GUEST_OFFLOADS (5)  SET (0)            features[8]   which of the GUEST_ ones are used
 *
 * All others are answered with an error, as are wrong values. Pure; a chain is hostile and shared with
 * the guest: what is decided on is copied once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/virtio/queue.h"

/* What a driver may ask for, by the features that it took. */
typedef struct NetControlLimits {
        unsigned pairs;    /* 0: no MQ */
        uint64_t offloads; /* VIRTIO_NET_F_GUEST_*; 0: no CTRL_GUEST_OFFLOADS */
} NetControlLimits;

typedef enum NetCommandType {
        NET_COMMAND_REFUSED,
        NET_COMMAND_PAIRS,
        NET_COMMAND_OFFLOADS,
} NetCommandType;

typedef struct NetCommand {
        NetCommandType type;
        unsigned pairs;    /* 1 to the limit */
        uint64_t offloads; /* some of the limits' */
} NetCommand;

/* There is no place for the answer: the device needs reset. */
#define NET_CONTROL_E_MALFORMED 32 /* no VIRTIO_QUEUE_E_* */

/* 0, or NET_CONTROL_E_MALFORMED. */
int net_command_decode(const VirtioChain *chain, const NetControlLimits *limits, NetCommand *ret);

/* Says how it went, in a chain that was decoded. Returns the bytes written. */
uint32_t net_command_answer(const VirtioChain *chain, bool is_done);
