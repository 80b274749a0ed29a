/* What GetStats has gathered, and how it is said: see dbus/org.uvm1.Sandbox.xml. */
#pragma once

#include "base/parse.h"
#include "proto/agent.h"
#include "proto/control.h"
#include "uvmd/sandbox.h"
#include "uvmd/unit.h"

typedef enum StatsPressure {
        STATS_PRESSURE_CPU,
        STATS_PRESSURE_MEMORY,
        STATS_PRESSURE_IO,
        STATS_PRESSURES_,
} StatsPressure;
extern const char *const stats_pressure_names[STATS_PRESSURES_];

typedef struct StatsContainer {
        struct StatsCall *call;
        char id[ID_SIZE + 1], name[NAME_SIZE_MAX + 1];
        bool known;
        AgentStats stats;
} StatsContainer;

/* What is plugged into a slot. */
typedef struct StatsDevice {
        bool known;
        char name[NAME_SIZE_MAX + 1];      /* "root", "layer", "binds", an interface; or ""… */
        char *target;                      /* … and then where it is in the container; owned */
        char container[NAME_SIZE_MAX + 1]; /* whose it is; "": the machine's */
} StatsDevice;

typedef struct StatsCall {
        sd_bus_message *message;
        unsigned n_pending;
        UnitStats unit;
        bool has_pressure[STATS_PRESSURES_];
        AgentPressure pressure[STATS_PRESSURES_];
        bool has_monitor, has_machine;
        ControlStats monitor;
        AgentStats machine;
        uint64_t memory;
        StatsDevice devices[CONTROL_SLOTS_MAX];
        size_t n_containers;
        StatsContainer containers[];
} StatsCall;

/* Fills @call->devices. */
void stats_name_devices(Sandbox *sandbox, StatsCall *call);

/* The a{sv}. 0 or -errno. */
int stats_reply_append(sd_bus_message *reply, const StatsCall *call);
