/*
 * How many vCPUs and how much memory a sandbox's guest has, changed while it runs. vCPUs are plugged
 * and unplugged. Memory above what the guest booted with is plugged into a virtio-mem device, which is
 * made when first wanted; below, the balloon takes what is too much. A guest does either in its own
 * time or not at all: what it has is told by SHIM_MEMORY, and a change that comes no further is given
 * up, with what was reached as what is wanted.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "proto/shim.h"

typedef struct Sandbox Sandbox;

typedef struct Hotplug {
        /* Of the guest that runs; recorded. */
        uint32_t vcpus_max;
        uint64_t boot_memory, memory_limit;

        bool has_balloon, has_mem;
        uint32_t balloon_slot, mem_slot;

        /* As the guest said last; all of it is its own word. */
        uint64_t plugged, ballooned;

        uint64_t plug_target, balloon_target;
        sd_bus_message *vcpus_call, *memory_call; /* that wait */
        sd_event_source *limit;                   /* of the memory call */
        sd_event_source *vcpus_limit;
        bool vcpus_asked;  /* the shim has not answered yet, whether somebody waits or not */
        uint64_t distance; /* how far it was from its end, at best */
} Hotplug;

/* What the next guest may come to have; with it LAUNCH is filled. */
void hotplug_plan(Sandbox *sandbox);

/* The monitor is there: it gets a balloon. */
void hotplug_on_launched(Sandbox *sandbox);

/* The guest goes on under a new uvmd, which asks what it has. */
void hotplug_adopt(Sandbox *sandbox);

void hotplug_on_memory(Sandbox *sandbox, const ShimMemory *memory);

/* A guest that was given up has changed its vCPUs after all. */
void hotplug_on_vcpus(Sandbox *sandbox, uint32_t online);

/* The guest is gone: who waits is told, a next one boots with what is wanted. */
void hotplug_on_guest_gone(Sandbox *sandbox);

/* How many slots its devices take. */
unsigned hotplug_count_slots(const Sandbox *sandbox);

/* What the guest has, in bytes; 0: none runs. */
uint64_t hotplug_memory(const Sandbox *sandbox);

/* What it may be given: while it runs, else what the next one could. */
uint64_t hotplug_memory_limit(const Sandbox *sandbox);
uint32_t hotplug_vcpus_max(const Sandbox *sandbox);

/* The bus calls; @call is answered late where a guest runs. 0 or -errno with @error. */
int hotplug_set_vcpus(Sandbox *sandbox, uint32_t vcpus, sd_bus_message *call, sd_bus_error *error);
int hotplug_set_memory(Sandbox *sandbox, uint64_t bytes, sd_bus_message *call, sd_bus_error *error);
