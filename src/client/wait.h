/*
 * Waiting for the exit of a container or process, whatever becomes of uvmd meanwhile: when it goes
 * away before it has answered, the same is asked again, which starts it if nobody else does.
 */
#pragma once

#include <systemd/sd-event.h>

#include "client/bus.h"

typedef struct Wait Wait;

/* @status as in client/bus.h, already reported; @code is the exit code if it is 0. Called once. */
typedef void (*WaitDone)(int status, int code, void *userdata);

/* The object's @path is borrowed. The bus must be attached to the event loop. A status. */
int wait_start(Wait **ret, sd_bus *bus, sd_event *event, const char *path,
               ClientInterface interface, WaitDone done, void *userdata);
Wait *wait_free(Wait *wait);

/* The same in a loop of its own, until it has exited or the user interrupts (client/late.h). */
int wait_for_exit(sd_bus *bus, const char *path, ClientInterface interface, int *ret_code);
