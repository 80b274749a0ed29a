/*
 * The way of a container's writable layer (layer.h) into each guest that runs it:
 *
 *      absent → opening → opened → plugging → plugged
 *
 * Only a container whose Storage is "disk" has one. It is a device from before the agent makes the
 * container until after it has forgotten it.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "base/enum.h"
#include "proto/shim.h"
#include "uvmd/worker.h"

typedef struct Container Container;

#define UPPER_SERIAL_SIZE 21 /* virtio-blk's */

typedef enum UpperState {
        UPPER_ABSENT,
        UPPER_OPENING, /* a worker makes or opens the file */
        UPPER_OPENED,  /* waits for the guest's monitor */
        UPPER_PLUGGING,
        UPPER_PLUGGED,
        UPPER_STATE_MAX_,
} UpperState;
ENUM_DECLARE(upper_state, UpperState);

typedef struct Upper {
        UpperState state;
        bool exists; /* the file was made: recorded */
        Worker *worker;
        int fd; /* until it is plugged in */
        uint32_t slot;
} Upper;

void upper_init(Upper *upper);
void upper_done(Upper *upper);

/* Whether @container has one. */
bool upper_is_wanted(const Container *container);

/* How the guest finds it. */
void upper_serial(const Container *container, char ret[UPPER_SERIAL_SIZE]);

/* Brings it on its way. 0 or -errno with @error. */
int upper_set_up(Container *container, sd_bus_error *error);

/* The monitor is there. */
void upper_continue(Container *container);

/* Whether it is on its way to being plugged; whether all is there that the container needs. */
bool upper_is_moving(const Container *container);
bool upper_is_ready(const Container *container);

/* A start failed: what no answer is still to come for goes. */
void upper_undo(Container *container);

/* Takes the device away; nobody waits for that. */
void upper_unplug(Container *container);

void upper_on_guest_gone(Container *container);

/* For a record: it is plugged in, in a guest that goes on. */
void upper_adopt(Container *container, uint32_t slot);

/* The container is gone for good: so is the file. */
void upper_remove(Container *container);
