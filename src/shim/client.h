/*
 * A client that is attached to a process: up to one fd for input and two for output. It is there
 * while any of them is open. One thread.
 */
#pragma once

#include <stdbool.h>

#include "base/list.h"

#include "proto/shim.h"
#include "shim/input.h"
#include "shim/output.h"
#include "shim/process.h"

typedef struct Client {
        List link; /* on process->clients or table->dead_clients */
        Process *process;
        bool primary;
        bool dead; /* on table->dead_clients */
        Feed feed;
        Sink sinks[PROCESS_OUTPUTS];
} Client;

/* Takes the fds, also on failure: FD_NONE for what the client does not want. A terminal is given
 * twice, as two fds. All must be non-blocking. 0 or -errno. */
int client_new(Process *process, bool primary, int input, const int outputs[PROCESS_OUTPUTS]);

/* Closes all its fds; it is freed from the loop. */
void client_drop(Client *client);
