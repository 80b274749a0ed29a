/* Verbs over several containers; see each.h. */
#include <stdio.h>

#include "uvmctl/each.h"

typedef struct Each {
        sd_bus *bus;
        Objects *objects;
        EachContainer act;
        void *userdata;
        int status;
} Each;

static int each_act(const Object *container, void *userdata)
{
        Each *each = userdata;
        int r = each->act(each->bus, each->objects, container, each->userdata);

        if (r)
                each->status = r;
        else
                puts(client_json_string(container->properties, "Name"));
        return 0;
}

int each_container(char **names, int n, bool all, EachContainer act, void *userdata)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(objects_freep) Objects *objects = NULL;
        Each each = {.act = act, .userdata = userdata};
        int r = client_bus_open(&bus);

        if (!r)
                r = objects_load(bus, &objects);
        if (r)
                return r;
        each.bus = bus;
        each.objects = objects;
        if (all)
                objects_each(objects, CLIENT_CONTAINER, each_act, &each);
        for (int i = 0; i < n; i++) {
                Object container;

                r = objects_find_container(objects, names[i], &container);
                if (r)
                        each.status = r;
                else
                        each_act(&container, &each);
        }
        return each.status;
}

int each_sandbox_of(Objects *objects, const Object *container, Object *ret)
{
        const char *path = client_json_string(container->properties, "Sandbox");

        if (!objects_get(objects, path, CLIENT_SANDBOX, ret))
                return client_fail("container %s has lost its sandbox",
                                   client_json_string(container->properties, "Name"));
        return 0;
}

bool each_is_main(const Object *container)
{
        return client_json_bool(container->properties, "Main");
}
