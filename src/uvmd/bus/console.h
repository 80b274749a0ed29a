/* Sandbox.GetConsole. */
#pragma once

#include "uvmd/sandbox.h"

/* Answers @call late with the console's tail as text. 0 or -errno with @error. */
int bus_get_console(Sandbox *sandbox, sd_bus_message *call, sd_bus_error *error);

/*
 * Copies @size bytes of anything as UTF-8 that a D-Bus string can hold: what is no UTF-8, and NUL,
 * becomes U+FFFD. free() it. NULL: out of memory. Pure.
 */
char *console_to_text(const void *data, size_t size);
