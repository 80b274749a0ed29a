/* Anonymous volumes that go with a container. */
#pragma once

#include "client/objects.h"

/* Those that were made for the container and that it has alone, as RemoveVolume takes them: before it is removed. A status. */
int anonymous_find(sd_bus *bus, const Object *container, json_object **ret);

/* Removes them: behind it. A status. */
int anonymous_remove(sd_bus *bus, json_object *volumes);
