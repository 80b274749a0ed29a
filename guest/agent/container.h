/*
 * A container: namespaces, a cgroup, a root, a first process and those that were added.
 *
 *   CREATING ──> CREATED ──> STARTING ──> RUNNING ──> STOPPED ──> DELETING
 *      │            │            │                       ^           ^
 *      │            └────────────┴───────────────────────┘           │
 *      └─────────────────────────────────────────────────────────────┘
 *
 * Its end is the end of its first process: what is left then is killed. Requests are answered from
 * here, sooner or later, by the id they came with.
 */
#pragma once

#include <stdint.h>

#include "base/list.h"
#include "proto/agent.h"

#include "agent/cgroup.h"
#include "agent/guest.h"
#include "agent/process.h"

typedef enum ContainerState {
        CONTAINER_CREATING,
        CONTAINER_CREATED,
        CONTAINER_STARTING,
        CONTAINER_RUNNING,
        CONTAINER_STOPPED,
        CONTAINER_DELETING,
        CONTAINER_STATE_MAX_,
} ContainerState;
ENUM_DECLARE(container_state, ContainerState);

typedef struct Container {
        List link; /* in Guest.containers */
        Guest *guest;
        char *id;
        AgentContainerSpec spec;
        ContainerState state;
        Cgroup cgroup;
        List processes;   /* the first one has the id "" */
        List operations;  /* what workers do to it (operation.h) */
        uint64_t names;   /* which of guest->resolver_changes its files know */
        bool doomed;      /* to be cleaned up when the last of these has ended */
        uint32_t request; /* the DELETE or failed CREATE that waits for the cleaning up, or 0 */
        Fault fault;      /* of that CREATE */
} Container;

/* NULL if there is none. */
Container *container_find(Guest *guest, const char *id);
Process *container_find_process(Container *container, const char *id);

/* Each answers request @request, now or later. The message's fields may be taken. */
void container_create(Guest *guest, uint32_t request, AgentCreate *create);
void container_start(Container *container, uint32_t request);
void container_exec(Container *container, uint32_t request, AgentExec *exec);
void container_delete(Container *container, uint32_t request);

/* To the one process, or to all. 0 or -errno. */
int container_signal(Container *container, const AgentSignal *signal);
/* SIGKILL to everything in it. */
void container_kill(Container *container);

/* True if a process of it is alive or has not been told of, or if a worker is at its files. */
bool container_is_busy(const Container *container);

/* An operation has left its list. */
void container_on_operation_done(Container *container);
