/*
 * Calls to uvmd as the command-line tools make them.
 *
 * Functions return a status for exit(): 0, or after printing one line to standard error
 * CLIENT_EXIT_FAILED, and CLIENT_EXIT_NOT_EXECUTABLE or CLIENT_EXIT_NOT_FOUND where uvmd says that
 * the command could not be run. These are the numbers that podman and docker use.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

#define CLIENT_EXIT_FAILED         125
#define CLIENT_EXIT_NOT_EXECUTABLE 126
#define CLIENT_EXIT_NOT_FOUND      127

#define CLIENT_MANAGER_PATH "/org/uvm1"

typedef enum ClientInterface {
        CLIENT_MANAGER,
        CLIENT_SANDBOX,
        CLIENT_CONTAINER,
        CLIENT_PROCESS,
        CLIENT_INTERFACE_MAX_,
} ClientInterface;

const char *client_interface_name(ClientInterface interface);

/* Prints "PROGRAM: …" to standard error; client_fail() returns CLIENT_EXIT_FAILED. */
void client_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
int client_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
int client_fail_errno(int r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The bus that uvmd is on: the system bus, or the one of UVM_BUS_ADDRESS (for tests). */
int client_bus_open(sd_bus **ret);

/* A method call whose arguments the caller appends; send it with client_send(). */
int client_message_new(sd_bus *bus, const char *path, ClientInterface interface, const char *member,
                       sd_bus_message **ret);

/* Sends and waits for the answer, as long as it takes. @ret_reply may be NULL. */
int client_send(sd_bus *bus, sd_bus_message *message, sd_bus_message **ret_reply);

/* Both in one, with arguments in sd_bus_message_append() form; @types may be NULL. */
int client_call(sd_bus *bus, const char *path, ClientInterface interface, const char *member,
                sd_bus_message **ret_reply, const char *types, ...);

/* Prints the error of a reply and returns the status that goes with it. */
int client_report(const sd_bus_error *error);

/* Whether uvmd went away before it answered: the same call may be made again. */
bool client_error_is_restart(const sd_bus_error *error);

/* Reads an object path as the only argument into new memory. */
int client_read_path(sd_bus_message *reply, char **ret);
