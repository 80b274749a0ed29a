/* JSON files that are replaced atomically. */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>

#define JSONFILE_SIZE_MAX (4 << 20)

/* Writes PATH.tmp and renames it; @durable: it is on disk when this returns. 0 or -errno. */
int jsonfile_write(const char *path, json_object *json, bool durable);

/* 0 and an object (json_object_put() it), -EBADMSG: no JSON, -EFBIG, -errno. */
int jsonfile_read(const char *path, json_object **ret);

/* The same of text in memory; nesting is bounded. 0 or -EBADMSG. */
int jsonfile_parse(const char *text, size_t size, json_object **ret);

/* Members of a record that was read: NULL or false where there is none, or none of that type. Borrowed. */
const char *jsonfile_get_string(json_object *json, const char *key);
bool jsonfile_get_bool(json_object *json, const char *key);

/* The n-th item of an array, or NULL behind the last. */
json_object *jsonfile_get_item(json_object *json, const char *key, size_t n);
