/*
 * The workers that enter a sandbox's network namespace; what they tell is report.h's.
 *
 * Reconciling looks at all that is there and makes it so: each interface that a guest can have gets a
 * tap that it is joined to, those that have one are put right again. It can be run at any time and
 * any number of times. Interfaces may come and go while it runs: one that goes in the middle is
 * left out, as if it had never been there.
 */
#pragma once

#include "uvmd/net/report.h"
#include "uvmd/worker.h"

typedef struct Sandbox Sandbox;

typedef struct ReconcileOptions {
        int netns;              /* of the namespace; borrowed */
        const uint32_t *joined; /* ifindexes of those that have a tap; borrowed */
        unsigned n_joined;
        unsigned queues;      /* of new taps, 1 to NET_QUEUES_MAX */
        bool monitor;         /* open a socket that tells of changes, before looking */
        const Sandbox *about; /* whose it is, for the journal; borrowed; NULL: nobody's (tests) */
} ReconcileOptions;

/* The handler gets an encoded NetReport with its fds. @options is not kept. 0 or -errno. */
int reconcile_start(Worker **ret, sd_event *event, const ReconcileOptions *options,
                    WorkerHandler handler, void *userdata);

/* Takes our filters away from all interfaces, for a namespace that goes on without the guest. */
int reconcile_release(Worker **ret, sd_event *event, int netns, const Sandbox *about,
                      WorkerHandler handler, void *userdata);

/* What the first does, in the namespace that this process is in (tests). @fds has room for
 * IO_FDS_MAX. 0 or -errno with @error. */
int reconcile_here(const ReconcileOptions *options, NetReport *ret, int *fds, unsigned *ret_n_fds,
                   sd_bus_error *error);
int reconcile_release_here(sd_bus_error *error);
