/*
 * A network device of a guest, for one interface of the sandbox's namespace:
 *
 *      joined → plugging → plugged → configuring → configured
 *
 * and back by unplugging. What it is to become is its goal. A guest that doesn't take what it is told
 * has the device refused: it stays until the interface goes or changes. A device that can't be plugged
 * in fails, and with it a start of the sandbox that waits for it.
 */
#pragma once

#include "base/enum.h"
#include "base/list.h"
#include "uvmd/net/report.h"

#include "proto/throttle.h"

typedef struct Sandbox Sandbox;

typedef enum NicState {
        NIC_JOINED,      /* has a tap; waits for the guest's monitor */
        NIC_PLUGGING,    /* the shim was asked */
        NIC_PLUGGED,     /* waits for the guest to boot */
        NIC_CONFIGURING, /* the agent was asked */
        NIC_CONFIGURED,
        NIC_REFUSED,    /* the agent said no */
        NIC_UNPLUGGING, /* the shim was asked */
        NIC_FAILED,     /* it has no device */
        NIC_GONE,       /* nothing is left but the object */
        NIC_STATE_MAX_,
} NicState;
ENUM_DECLARE(nic_state, NicState);

typedef enum NicGoal {
        NIC_KEEP,
        NIC_REFRESH, /* to be told anew what it is like */
        NIC_DROP,    /* to be taken away and forgotten */
} NicGoal;

typedef struct Nic {
        List link; /* in the sandbox's network */
        Sandbox *sandbox;
        uint32_t ifindex;
        char kind[NET_KIND_MAX + 1];
        AgentNetwork network; /* what the guest is to have */
        bool running;         /* the interface is up and has a carrier */
        uint32_t queues;
        int fds[2 * NET_QUEUES_MAX]; /* of the tap and vhost-net, until it is plugged in */
        unsigned n_fds;
        NicState state;
        NicGoal goal;
        uint32_t slot; /* from PLUGGED on */
        bool taken;    /* the guest has had it configured */
        char *refusal; /* why it is refused, for people */
} Nic;

/* For an interface with a new tap, whose fds it takes, as it takes the interface's description. 0 or
 * -ENOMEM: then both stay. */
int nic_new(Nic **ret, Sandbox *sandbox, NetInterface *interface, int *fds);

/* For a record: one that a guest has. */
int nic_new_plugged(Nic **ret, Sandbox *sandbox, uint32_t slot);

/* Forgets it: its tap goes with its last fd, here or in the monitor. Returns NULL. */
Nic *nic_free(Nic *nic);

/* The interface is as @interface says now, whose description is taken; NULL: it isn't there. */
void nic_update(Nic *nic, NetInterface *interface);

/* Takes the next step towards its goal, if one is due. The device may be freed. */
void nic_continue(Nic *nic);

/* An earlier uvmd has unplugged it. */
void nic_lose(Nic *nic);

/* Whether a start is to wait for it: the guest has never had it yet. */
static inline bool nic_is_awaited(const Nic *nic)
{
        return !nic->taken && nic->goal != NIC_DROP && nic->state < NIC_FAILED;
}

/* Whether it has a slot of the board, or is to have one. */
static inline bool nic_has_slot(const Nic *nic)
{
        return nic->state < NIC_FAILED;
}

/* Whether it has a slot that is known. */
static inline bool nic_is_plugged(const Nic *nic)
{
        return nic->state >= NIC_PLUGGED && nic->state <= NIC_UNPLUGGING;
}

/* Whether its tap may still be there. */
static inline bool nic_has_tap(const Nic *nic)
{
        return nic->state != NIC_GONE;
}
