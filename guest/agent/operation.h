/*
 * What the host asks to be done to a container's files while it is there: a mount added or removed,
 * a copy, a list of changes. A worker does it, because it may block; here is what these have in
 * common. The worker may enter the container's mount namespace, by the pidfd of the container's
 * first process; a container whose first process waits to be started will do.
 *
 * Operations keep a container from being deleted; those that change nothing of it end with it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

#include "agent/container.h"
#include "agent/fault.h"
#include "agent/worker.h"

/* Fds of every operation's worker. */
#define OPERATION_FD_PROCESS (WORKER_FD)     /* pidfd of the first process */
#define OPERATION_FD_UPPER   (WORKER_FD + 1) /* the overlay's upper side, if it has one */
#define OPERATION_FD_LOWER   (WORKER_FD + 2)

typedef struct Operation Operation;

typedef struct OperationKind {
        bool ends_with_container;
        /* In the worker: 0, and what it wrote to @output is the reply's payload; or -errno with
         * @fault filled in. */
        int (*run)(Operation *operation, int output, Fault *fault);
        /* In the agent, when the worker has ended, or could not be started, and before the reply. */
        void (*done)(Operation *operation, int r);
        void (*free)(Operation *operation);
} OperationKind;

/* Embedded. */
struct Operation {
        List link; /* in Container.operations */
        const OperationKind *kind;
        Container *container;
        uint32_t request;
        Worker *worker;
};

/* Starts it, and answers @request when it is done or has failed. Takes @operation, which is freed by
 * its kind afterwards. */
void operation_start(Operation *operation, const OperationKind *kind, Container *container,
                     uint32_t request);

/* The container has ended: those that end with it are made to. */
void operations_end(Container *container);

/* Asks those of @kind to end. */
void operations_ask(Container *container, const OperationKind *kind);

/* In the worker: leaves the agent's mount namespace for the container's, with its root as the
 * working directory and *ret_root (if not NULL) an fd of it. 0 or -errno with @fault filled in. */
int operation_enter(int *ret_root, Fault *fault);
