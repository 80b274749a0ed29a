/*
 * The shared "binds" device of a sandbox: one 9p device whose root directory lists single files, and
 * directories where slots have run out. It is plugged in when the first is wanted and stays as long as
 * the guest runs. Always coherent: what is behind it changes on the host.
 */
#pragma once

#include <stdint.h>
#include <systemd/sd-bus.h>

#define BINDS_TAG "binds"

typedef struct Sandbox Sandbox;

typedef enum BindsState {
        BINDS_ABSENT,
        BINDS_PLUGGING,
        BINDS_PLUGGED,
} BindsState;

typedef struct Binds {
        BindsState state;
        uint32_t slot; /* when plugged; recorded */
} Binds;

/* Plugs it in if it is not there; the sandbox's mounts go on when it is. 0 or -errno. */
int binds_want(Sandbox *sandbox);

/* The guest has ended, and it with it. */
void binds_on_guest_gone(Sandbox *sandbox);
