/*
 * Arrays of strings that end in NULL, each string and the array owned by one owner. A NULL array is
 * "not given", an array without strings is "given, empty". A map is an array of key, value, key, …
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"

char **strv_new(void);          /* empty; NULL: out of memory */
char **strv_free(char **array); /* returns NULL */
DEFINE_CLEANUP(char **, strv_free)

size_t strv_length(char *const *array);
char **strv_copy(char *const *array); /* NULL stays NULL */

/* Append a copy, or @text itself, which they own even when they fail. 0 or -ENOMEM. */
int strv_append(char ***array, const char *text);
int strv_append_take(char ***array, char *text);
int strv_append_all(char ***array, char *const *more);

/* Sets "K=V" over an earlier "K=…" of the array. 0, -EINVAL without a '=' behind a name, -ENOMEM. */
int strv_set_environment(char ***array, const char *assignment);

/* The value of @key in a map, or NULL. */
const char *strv_map_get(char *const *map, const char *key);
