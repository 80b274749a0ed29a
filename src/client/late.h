/*
 * Calls that take their time: a boot, a stop, an import. While one is under way the user sees, after a
 * second, what is waited for (on a terminal), and can interrupt.
 */
#pragma once

#include "client/bus.h"

/* The status of an interrupted call: 128 + SIGINT, as shells have it. */
#define CLIENT_EXIT_INTERRUPTED 130

/*
 * Sends @message and waits. @what ("Starting web …") is shown from the first second on; NULL: never.
 * A status as in client/bus.h, or CLIENT_EXIT_INTERRUPTED after SIGINT or SIGTERM: the call itself
 * goes on in uvmd.
 */
int client_send_late(sd_bus *bus, sd_bus_message *message, const char *what,
                     sd_bus_message **ret_reply);

/* The same for a call without arguments or results. */
int client_call_late(sd_bus *bus, const char *path, ClientInterface interface, const char *member,
                     const char *what);

/* The same with one string as argument. */
int client_call_late_string(sd_bus *bus, const char *path, ClientInterface interface,
                            const char *member, const char *argument, const char *what);
