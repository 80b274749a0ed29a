/*
 * Bus values as JSON: what --format json prints, and what the tables are made from. Dictionaries
 * become objects (their keys as text), arrays and structs arrays, variants what they hold, fds null.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>
#include <systemd/sd-bus.h>

#include "base/cleanup.h"

static inline void json_object_putp(json_object **object)
{
        json_object_put(*object);
}

/* Reads the next complete value of @message. NULL with a line on standard error if it can't. */
json_object *client_json_read(sd_bus_message *message);

/* The text, number or truth of @object's member @key; "", 0 or false if it has none. Borrows. */
const char *client_json_string(json_object *object, const char *key);
int64_t client_json_int(json_object *object, const char *key);
bool client_json_bool(json_object *object, const char *key);

/* Prints it indented, with a newline. */
void client_json_print(json_object *object);
