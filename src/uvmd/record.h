/*
 * Records: what must outlive uvmd, one JSON file per sandbox under STATEDIR/sandboxes. Replaced
 * atomically (temporary file, rename), so that a kill at any moment leaves the old or the new one.
 * They are synced to disk when a sandbox that is to be kept was created or has stopped; in between
 * it is enough that they outlive the process: a host that crashes loses the virtual machine anyway.
 */
#pragma once

#include <json-c/json.h>

#include "uvmd/sandbox.h"

#define RECORD_VERSION 1

/* 0 or -errno. */
int record_save(Sandbox *sandbox);

/* Removes the record and the copy of a custom firmware image. */
void record_remove(const Sandbox *sandbox);

/* Makes a Sandbox object of every record; bad ones are logged and left alone. 0 or -errno. */
int record_load_all(Manager *manager);

/* STATEDIR/sandboxes/ID.fw; free() it. NULL: out of memory. */
char *record_firmware_path(const Sandbox *sandbox);

/* The two directions, for tests. NULL: out of memory. 0, -EBADMSG or -ENOMEM. */
json_object *record_to_json(const Sandbox *sandbox);
int record_from_json(Manager *manager, const char *id, json_object *json, Sandbox **ret);
