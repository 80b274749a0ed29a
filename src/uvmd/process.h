/* A process: what Exec adds to a running container. Forgotten once it has exited and somebody has
 * been told its code. */
#pragma once

#include "uvmd/container.h"
#include "uvmd/task.h"

/* Exited ones whose code nobody has asked for, and all others, of one sandbox. */
#define PROCESSES_MAX 512

typedef struct Process {
        Task task;
        Container *container;
        TaskConfig config;
        UT_hash_handle hh; /* by task.token */
} Process;

/* @config is consumed on success. 0 or -errno with @error. */
int process_new(Process **ret, Container *container, TaskConfig *config, sd_bus_error *error);

/* An empty one for a record to fill. */
int process_new_empty(Process **ret, Container *container, uint64_t token);
Process *process_free(Process *process);

int process_start(Process *process, sd_bus_message *call, sd_bus_error *error);
