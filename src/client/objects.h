/*
 * A snapshot of everything uvmd has, and names looked up in it. A person's NAME is a container's name
 * or id (or a beginning of its id that only it has), or a sandbox's, which stands for its main
 * container.
 */
#pragma once

#include "client/bus.h"
#include "client/json.h"

typedef struct Objects Objects;

/* One object and its properties, borrowed from the snapshot. */
typedef struct Object {
        const char *path;
        json_object *properties;
} Object;

int objects_load(sd_bus *bus, Objects **ret);
Objects *objects_free(Objects *objects);

static inline void objects_freep(Objects **objects)
{
        objects_free(*objects);
}

/* Calls @visit for each object with @interface, sorted by Created, newest first. Stops at a status. */
int objects_each(Objects *objects, ClientInterface interface,
                 int (*visit)(const Object *object, void *userdata), void *userdata);

/* A status; an unknown or ambiguous name is reported. */
int objects_find_container(Objects *objects, const char *name, Object *ret);
int objects_find_sandbox(Objects *objects, const char *name, Object *ret);

/* Only the path of the container, for who needs no more of it: in new memory. A status. */
int objects_find_container_path(sd_bus *bus, const char *name, char **ret);

/* The object at @path. False if there is none with that interface. */
bool objects_get(Objects *objects, const char *path, ClientInterface interface, Object *ret);
