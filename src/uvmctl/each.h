/* Verbs that do one thing to each container named, and go on after a failure. */
#pragma once

#include "client/objects.h"

/* A status; reports its own failure. */
typedef int (*EachContainer)(sd_bus *bus, Objects *objects, const Object *container,
                             void *userdata);

/*
 * Calls @act for each of @names (or for all containers if @all), printing the name of each that
 * succeeded. Returns the last failure's status, or 0.
 */
int each_container(char **names, int n, bool all, EachContainer act, void *userdata);

/* The sandbox of @container. A status. */
int each_sandbox_of(Objects *objects, const Object *container, Object *ret);

/* Whether @container and its sandbox are one thing to the user: it is the main one. */
bool each_is_main(const Object *container);
