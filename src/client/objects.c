/* A snapshot of everything uvmd has; see objects.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/objects.h"

struct Objects {
        json_object *all; /* path → interface → properties */
};

int objects_load(sd_bus *bus, Objects **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL, *reply = NULL;
        Objects *objects;
        int r;

        r = sd_bus_message_new_method_call(bus, &message, "org.uvm1", CLIENT_MANAGER_PATH,
                                           "org.freedesktop.DBus.ObjectManager",
                                           "GetManagedObjects");
        if (r < 0)
                return client_fail_errno(r, "cannot call uvmd");
        r = client_send(bus, message, &reply);
        if (r)
                return r;
        objects = calloc(1, sizeof(*objects));
        if (!objects)
                return client_fail_errno(-ENOMEM, "cannot go on");
        objects->all = client_json_read(reply);
        if (!objects->all) {
                objects_free(objects);
                return CLIENT_EXIT_FAILED;
        }
        *ret = objects;
        return 0;
}

Objects *objects_free(Objects *objects)
{
        if (objects)
                json_object_put(objects->all);
        free(objects);
        return NULL;
}

static int object_compare_newest(const void *a, const void *b)
{
        int64_t left = client_json_int(((const Object *)a)->properties, "Created");
        int64_t right = client_json_int(((const Object *)b)->properties, "Created");

        return left < right ? 1 : left > right ? -1 : 0;
}

/* All objects with @interface, newest first; free() the array. */
static Object *objects_collect(Objects *objects, ClientInterface interface, size_t *ret_n)
{
        const char *name = client_interface_name(interface);
        Object *found = calloc((size_t)json_object_object_length(objects->all) + 1, sizeof(*found));
        size_t n = 0;

        if (!found)
                abort();
        json_object_object_foreach (objects->all, path, interfaces) {
                json_object *properties;

                if (json_object_object_get_ex(interfaces, name, &properties))
                        found[n++] = (Object){.path = path, .properties = properties};
        }
        qsort(found, n, sizeof(*found), object_compare_newest);
        *ret_n = n;
        return found;
}

int objects_each(Objects *objects, ClientInterface interface,
                 int (*visit)(const Object *object, void *userdata), void *userdata)
{
        size_t n;
        _cleanup_(freep) Object *found = objects_collect(objects, interface, &n);
        int r = 0;

        for (size_t i = 0; i < n && !r; i++)
                r = visit(&found[i], userdata);
        return r;
}

bool objects_get(Objects *objects, const char *path, ClientInterface interface, Object *ret)
{
        json_object *interfaces, *properties;

        if (!json_object_object_get_ex(objects->all, path, &interfaces) ||
            !json_object_object_get_ex(interfaces, client_interface_name(interface), &properties))
                return false;
        *ret = (Object){.path = path, .properties = properties};
        return true;
}

/* 1 found, 0 none, -ENOTUNIQ. A whole name or id wins over the beginning of an id. */
static int objects_match(Objects *objects, ClientInterface interface, const char *name, Object *ret)
{
        size_t n, size = strlen(name);
        _cleanup_(freep) Object *found = objects_collect(objects, interface, &n);
        int n_names = 0, n_prefixes = 0;
        Object by_name = {0}, by_prefix = {0};

        for (size_t i = 0; i < n; i++) {
                const char *id = client_json_string(found[i].properties, "Id");

                if (strcmp(id, name) == 0) {
                        *ret = found[i];
                        return 1;
                }
                if (strcmp(client_json_string(found[i].properties, "Name"), name) == 0) {
                        by_name = found[i];
                        n_names++;
                } else if (size >= 3 && strncmp(id, name, size) == 0) {
                        by_prefix = found[i];
                        n_prefixes++;
                }
        }
        if (n_names > 1 || (n_names == 0 && n_prefixes > 1))
                return -ENOTUNIQ;
        if (n_names + n_prefixes == 0)
                return 0;
        *ret = n_names ? by_name : by_prefix;
        return 1;
}

int objects_find_sandbox(Objects *objects, const char *name, Object *ret)
{
        int r = objects_match(objects, CLIENT_SANDBOX, name, ret);

        if (r == -ENOTUNIQ)
                return client_fail("\"%s\" could be several sandboxes: give the id", name);
        if (r == 0)
                return client_fail("there is no sandbox \"%s\": see uvmctl sandbox list", name);
        return 0;
}

/* The main container of a sandbox, or its only one. */
static bool objects_main_container(Objects *objects, const Object *sandbox, Object *ret)
{
        json_object *paths;
        Object container;
        bool found = false;

        if (!json_object_object_get_ex(sandbox->properties, "Containers", &paths))
                return false;
        for (size_t i = 0; i < json_object_array_length(paths); i++) {
                const char *path = json_object_get_string(json_object_array_get_idx(paths, i));

                if (!objects_get(objects, path, CLIENT_CONTAINER, &container))
                        continue;
                *ret = container;
                found = true;
                if (client_json_bool(container.properties, "Main"))
                        return true;
        }
        return found && json_object_array_length(paths) == 1;
}

int objects_find_container(Objects *objects, const char *name, Object *ret)
{
        Object sandbox;
        int r = objects_match(objects, CLIENT_CONTAINER, name, ret);

        if (r > 0)
                return 0;
        if (r == -ENOTUNIQ)
                return client_fail("\"%s\" could be several containers: give the id", name);
        if (objects_match(objects, CLIENT_SANDBOX, name, &sandbox) > 0 &&
            objects_main_container(objects, &sandbox, ret))
                return 0;
        return client_fail("there is no container \"%s\": see uvmctl ps -a", name);
}

int objects_find_container_path(sd_bus *bus, const char *name, char **ret)
{
        _cleanup_(objects_freep) Objects *objects = NULL;
        Object container;
        int r = objects_load(bus, &objects);

        if (!r)
                r = objects_find_container(objects, name, &container);
        if (r)
                return r;
        *ret = strdup(container.path);
        return *ret ? 0 : client_fail("out of memory");
}
