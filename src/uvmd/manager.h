/*
 * The service: it owns the bus, the sandboxes, the images and the id ranges. One thread, one
 * sd-event loop; nothing here waits.
 */
#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "base/list.h"
#include "base/parse.h"
#include "uvmd/admission.h"
#include "uvmd/idrange.h"
#include "uvmd/image/image.h"

typedef struct Manager Manager;
typedef struct Sandbox Sandbox;

/* Where things are: the installed places, or what the command line says (tests). Borrowed. */
typedef struct ManagerPaths {
        const char *run_dir;
        const char *state_dir;
        const char *shim;
        const char *vmm;
        const char *firmware;
} ManagerPaths;

struct Manager {
        ManagerPaths paths;
        char instance[ID_SIZE + 1]; /* random: tells what this uvmd wrote from what others did */
        sd_event *event;
        sd_bus *bus;
        IdRanges *ranges;
        Admission admission; /* set by whoever makes the manager */
        ImageStore *images;
        Sandbox *sandboxes;        /* hash by id */
        struct Volume *volumes;    /* hash by "UID/NAME" */
        unsigned n_volume_workers; /* that remove files */
        sd_event_source *volume_wake;
        List network_calls;             /* see bus/manager_networks.c */
        struct Worker *network_sweep;   /* takes back what is left of networks; NULL: nothing is */
        sd_event_source *network_names; /* guests are to hear of each other */
        struct BusCallers *callers;     /* see bus/call.c */
        struct EventLog *events;        /* NULL: it isn't opened yet, or closed again */
        sd_event_source *events_new;    /* the signal that is due */
        sd_event_source *idle;
};

int manager_new(Manager **ret, const ManagerPaths *paths, uint32_t range_base,
                uint32_t range_count);
Manager *manager_free(Manager *manager);
DEFINE_CLEANUP(Manager *, manager_free)

/* Loads the records, adopts the shims, takes the bus name. 0 or -errno. */
int manager_start(Manager *manager);
int manager_run(Manager *manager);

/* Something happened: idle exit is far away again. */
void manager_touch(Manager *manager);

/* By id; NULL: there is none. */
Sandbox *manager_find_sandbox(Manager *manager, const char *id);

/* By id, or by name among those of @owner. */
Sandbox *manager_find_sandbox_of(Manager *manager, uint32_t owner, const char *name);
