/*
 * A sandbox: one virtual machine, its scope, its shim and what runs in it.
 *
 *      created → starting → running ⇄ paused → stopping → stopped → starting …
 *
 * "stopping" lasts until nothing of it is left: shim, scope, runtime directory, id range.
 */
#pragma once

#include <stdint.h>
#include <systemd/sd-bus.h>

#include "base/enum.h"
#include "base/list.h"
#include "base/parse.h"
#include "uvmd/binds.h"
#include "uvmd/configuration.h"
#include "uvmd/container.h"
#include "uvmd/hotplug.h"
#include "uvmd/manager.h"
#include "uvmd/net/network.h"
#include "uvmd/process.h"
#include "uvmd/shim_link.h"
#include "uvmd/sweep.h"
#include "uvmd/unit.h"

/* Each needs a slot of the board. */
#define SANDBOX_CONTAINERS_MAX 24

typedef enum SandboxState {
        SANDBOX_CREATED,
        SANDBOX_STARTING,
        SANDBOX_RUNNING,
        SANDBOX_PAUSED,
        SANDBOX_STOPPING,
        SANDBOX_STOPPED,
        SANDBOX_STATE_MAX_,
} SandboxState;
ENUM_DECLARE(sandbox_state, SandboxState);

/* "" and the names of dbus/org.uvm1.Sandbox.xml: the shim's reasons and "lost". */
typedef enum SandboxReason {
        SANDBOX_REASON_NONE,
        SANDBOX_REASON_EXITED,
        SANDBOX_REASON_POWEROFF,
        SANDBOX_REASON_STOPPED,
        SANDBOX_REASON_KILLED,
        SANDBOX_REASON_PANIC,
        SANDBOX_REASON_CRASH,
        SANDBOX_REASON_OOM,
        SANDBOX_REASON_BOOT_FAILED,
        SANDBOX_REASON_BOOT_TIMEOUT,
        SANDBOX_REASON_LOST,
        SANDBOX_REASON_MAX_,
} SandboxReason;
ENUM_DECLARE(sandbox_reason, SandboxReason);

/* What follows when it has stopped. */
typedef enum SandboxNext {
        SANDBOX_KEEP,
        SANDBOX_DELETE,
} SandboxNext;

/* How far a start has come; the last two hold until it has stopped. */
typedef enum SandboxBoot {
        SANDBOX_BOOT_NONE,
        SANDBOX_BOOT_SCOPED,   /* systemd has the scope */
        SANDBOX_BOOT_LAUNCHED, /* LAUNCH was sent */
        SANDBOX_BOOT_PLUGGING, /* it was answered: devices may come */
        SANDBOX_BOOT_BOOTED,   /* BOOT was sent */
        SANDBOX_BOOT_GREETED,  /* the agent has said hello */
} SandboxBoot;

/* How far a stop has come. */
typedef enum SandboxStopStage {
        SANDBOX_STOP_NONE,
        SANDBOX_STOP_CONTAINERS, /* they have got their signals */
        SANDBOX_STOP_GUEST,      /* the shim was asked */
        SANDBOX_STOP_DRAIN,      /* it has ended; output and exits are still on their way */
} SandboxStopStage;

/* BootTimestamps: uvmd's own two, then the shim's. */
enum {
        SANDBOX_PHASE_START,
        SANDBOX_PHASE_SCOPE,
        SANDBOX_PHASE_SHIM, /* + ShimPhase */
        SANDBOX_PHASES = SANDBOX_PHASE_SHIM + SHIM_PHASE_MAX_,
};
const char *sandbox_phase_to_string(unsigned phase);

struct Sandbox {
        Manager *manager;
        char id[ID_SIZE + 1];
        char *name;
        uint32_t owner;
        SandboxConfig config;

        SandboxState state;
        SandboxReason reason;
        char *reason_text;
        SandboxNext next;
        uint64_t created, started, stopped; /* CLOCK_REALTIME µs, 0: never */
        uint64_t phases[SANDBOX_PHASES];    /* CLOCK_MONOTONIC µs */

        /* While starting and later, until stopped. */
        uint32_t range_base;
        pid_t leader;
        sd_event_source *leader_source; /* reaps it, where it is our child */
        Unit *unit;
        ShimLink *link;
        int kvm, firmware;    /* for LAUNCH */
        SandboxBoot boot;     /* how far the start has come */
        sd_bus_error failure; /* why the start failed */
        SandboxStopStage stop_stage;
        sd_event_source *grace;
        sd_event_source *gone; /* asks, behind all that is going on, whether anything is left */

        bool identity;  /* the monitor maps all ids to themselves: SHIM_LAUNCH_IDENTITY */
        uint32_t slots; /* of the board */
        Hotplug hotplug;
        Binds binds;
        Sweep sweep;
        uint32_t next_mount;
        Network network;

        uint64_t next_token;
        Container *containers; /* hash by id */
        Process *processes;    /* hash by token */

        List start_calls; /* answered when running or when the start has failed */
        List stop_calls;  /* Stop, Kill, Delete: answered when stopped */

        UT_hash_handle hh;
};

/* Makes a sandbox and its record. @config is consumed on success. 0 or -errno with @error. */
int sandbox_new(Sandbox **ret, Manager *manager, uint32_t owner, const char *name,
                SandboxConfig *config, sd_bus_error *error);

/* An empty one for a record to fill. */
int sandbox_new_empty(Sandbox **ret, Manager *manager, const char *id);

/* Drops the object, not what it stands for: a new uvmd finds that again. */
Sandbox *sandbox_free(Sandbox *sandbox);

char *sandbox_path(const Sandbox *sandbox);

/* What the guest calls itself: the configured name, else what the sandbox's name makes. Borrowed. */
const char *sandbox_hostname(const Sandbox *sandbox);

/* The bus calls: @call is answered late. 0 or -errno with @error. */
int sandbox_start(Sandbox *sandbox, sd_bus_message *call, sd_bus_error *error);
int sandbox_stop(Sandbox *sandbox, uint64_t grace, sd_bus_message *call, sd_bus_error *error);
int sandbox_kill(Sandbox *sandbox, sd_bus_message *call, sd_bus_error *error);
int sandbox_delete(Sandbox *sandbox, bool force, sd_bus_message *call, sd_bus_error *error);

/* Finds what an earlier uvmd left of it: its shim, or why it ended. */
void sandbox_adopt(Sandbox *sandbox);

/* The setter of the state machine. */
void sandbox_set_state(Sandbox *sandbox, SandboxState state);

/* Writes its record; failures are logged: the sandbox goes on. */
void sandbox_save(Sandbox *sandbox);

Container *sandbox_find_container(Sandbox *sandbox, const char *name_or_id);
Task *sandbox_find_task(Sandbox *sandbox, uint64_t token);

/* Slots of the board that are taken or promised. */
unsigned sandbox_count_slots(const Sandbox *sandbox);

/* The main container has exited: the guest has nothing more to do. */
void sandbox_on_main_exit(Sandbox *sandbox);

/* A task has exited, maybe while the sandbox stops. */
void sandbox_on_task_exit(Sandbox *sandbox);

/* Nothing is left of its network on the host, but for a namespace that was given. */
void sandbox_on_network_gone(Sandbox *sandbox);

/* The shim says that the virtual machine has ended. */
void sandbox_on_stopped(Sandbox *sandbox);

/* "uvm-ID.scope"; free() it. NULL: out of memory. */
char *sandbox_unit_name(const Sandbox *sandbox);

/*
 * For boot.c and stop.c. sandbox_fail() ends a start: kills what it has made, keeps @error for its
 * callers. sandbox_tear_down() waits until nothing is left, then the sandbox is stopped; it may be
 * freed then, at once. sandbox_forget() removes a sandbox of which nothing runs.
 */
void sandbox_fail(Sandbox *sandbox, int r, const sd_bus_error *error);
void sandbox_tear_down(Sandbox *sandbox);
void sandbox_kill_hard(Sandbox *sandbox);
void sandbox_forget(Sandbox *sandbox);
void sandbox_set_reason(Sandbox *sandbox, SandboxReason reason, const char *text);
/* @memory_max: what the unit could use, UINT64_MAX for any; 0: what was configured. */
void sandbox_set_reason_oom(Sandbox *sandbox, uint64_t memory_max);
int sandbox_on_leader_exit(sd_event_source *source, const siginfo_t *info, void *userdata);

/* A message of the guest's life, from the link. */
extern const ShimLinkEvents sandbox_link_events;

/* Sends an agent request; @payload is the encoded message. As shim_link_request(). */
int sandbox_ask_agent(Sandbox *sandbox, uint32_t type, uint64_t process, const void *payload,
                      size_t size, ShimReplyHandler handler, void *userdata);
