/*
 * What went wrong, for a person and for a machine: the form in which a child that sets up a
 * container reports to the agent, and the agent to the host.
 */
#pragma once

#include <stdint.h>

#define FAULT_TEXT_SIZE 512

/* What a shell would answer (podman-run(1), "Exit status"). */
enum {
        FAULT_EXIT_SETUP = 125,          /* our own trouble, not the command's */
        FAULT_EXIT_NOT_EXECUTABLE = 126, /* the command is there and can't be run */
        FAULT_EXIT_NOT_FOUND = 127,
};

typedef struct Fault {
        int error; /* negative errno, 0: none */
        uint8_t exit_code;
        char text[FAULT_TEXT_SIZE];
} Fault;

/* Fills in "…: strerror(-@r)" with exit code 125. Returns @r. */
int fault_set(Fault *fault, int r, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same with the text as it is and an exit code of its own. */
int fault_set_exit(Fault *fault, int r, uint8_t exit_code, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
