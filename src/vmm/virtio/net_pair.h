/*
 * One pair of a network device's queues and the tap's queue behind it: moves packets while there are
 * some, for a turn, then lets others of the loop have theirs.
 *
 * While packets come, the tap's readiness is all that is waited for, and the driver is asked for no
 * kicks; when the guest has no buffers it is the other way round. A tap that takes no more packets, or
 * a throttle that is empty, leaves them in the guest's ring.
 *
 * That packets were sent is no news that a guest waits for, and all of a device's queues have one
 * interrupt: so one, or a few small ones, are told of by the next that it gets, or a little later; more at
 * once, together with what the host answered meanwhile.
 *
 * Where there is a vhost-net fd the kernel may be asked to move the packets instead (net/vhost.h); then
 * neither the tap nor the queues are touched here.
 *
 * Thread: the device's loop, or its visitor.
 */
#pragma once

#include "vmm/virtio/device.h"
#include "vmm/virtio/net_receive.h"

typedef struct NetPair {
        VirtioDevice *device;
        unsigned index; /* its queues are 2 × index for the guest to receive from, and the next */
        int tap;
        LoopFd source;    /* of the tap, while the driver uses the pair */
        bool is_open;     /* the driver uses it */
        bool is_linked;   /* else packets of both directions are lost */
        bool is_starved;  /* the guest has no buffers */
        bool is_held;     /* the throttle is empty: nothing is received */
        bool is_stuck;    /* the tap takes no packets */
        bool is_gone;     /* the tap is no more */
        bool is_attached; /* the host uses the tap's queue */
        NetReceive receive;

        uint32_t n_untold, untold_bytes; /* packets that were sent and not told of */
        LoopTimer tell;                  /* at the latest */
        bool is_tell_due;                /* when the timer is done, else at its next */
        bool awaits_answer;              /* something small was sent, and nothing came yet */

        int vhost;     /* /dev/vhost-net, or FD_NONE */
        bool is_vhost; /* the kernel moves the packets */
        int error_fd;  /* by which it says that it can't use a queue */
        LoopFd error;
} NetPair;

/* Takes @tap and @vhost (FD_NONE: none) over. 0 or -errno; net_pair_done() in any case. */
int net_pair_init(NetPair *pair, VirtioDevice *device, unsigned index, int tap, int vhost);
void net_pair_done(NetPair *pair);

/* From now on the host's packets come to this pair, and they are moved. 0 or -errno. */
int net_pair_open(NetPair *pair, bool is_mergeable);

/* No packet is moved any more, no buffer is touched. Harmless on one that isn't open. */
void net_pair_close(NetPair *pair);

/* The driver kicked. 0, or a positive value: the guest did wrong; or -errno. */
int net_pair_receive(NetPair *pair);
int net_pair_transmit(NetPair *pair);

/* Has the kernel move the packets if it can, or this process. Of an open pair. */
int net_pair_use_vhost(NetPair *pair, bool is_wanted);

void net_pair_set_link(NetPair *pair, bool is_up);
