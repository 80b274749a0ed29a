/*
 * A namespace that stands in for one that is gone, while plugins take back what they made: those that
 * look for the interface's addresses there, to know which rules are its, find them. In workers.
 */
#pragma once

#include <json-c/json.h>

/* Makes one with @interface and the addresses of the CNI result @result, and stays in its own. The
 * namespace lives as long as *ret is open. 0 or -errno. */
int stand_in_open(int *ret, const char *interface, json_object *result);
