/* Anonymous volumes that go with a container; see anonymous.h. */
#include <stdio.h>
#include <string.h>

#include "uvmctl/anonymous.h"
#include "uvmctl/listing.h"

static bool is_its_alone(json_object *volume, json_object *mounts)
{
        if (client_json_int(volume, "Mounts") != 1)
                return false;
        for (size_t i = 0; i < json_object_array_length(mounts); i++) {
                json_object *mount = json_object_array_get_idx(mounts, i);

                if (client_json_bool(mount, "Anonymous") &&
                    strcmp(client_json_string(mount, "Volume"),
                           client_json_string(volume, "Name")) == 0)
                        return true;
        }
        return false;
}

int anonymous_find(sd_bus *bus, const Object *container, json_object **ret)
{
        _cleanup_(json_object_putp) json_object *volumes = listing_load(bus, "ListVolumes");
        json_object *mounts;

        if (!volumes)
                return CLIENT_EXIT_FAILED;
        *ret = json_object_new_array();
        if (!json_object_object_get_ex(container->properties, "Mounts", &mounts))
                return 0;
        for (size_t i = 0; i < json_object_array_length(volumes); i++) {
                json_object *volume = json_object_array_get_idx(volumes, i);
                char name[256];

                snprintf(name, sizeof(name), "%lld/%s", (long long)client_json_int(volume, "Owner"),
                         client_json_string(volume, "Name"));
                if (is_its_alone(volume, mounts))
                        json_object_array_add(*ret, json_object_new_string(name));
        }
        return 0;
}

int anonymous_remove(sd_bus *bus, json_object *volumes)
{
        int r, status = 0;

        for (size_t i = 0; i < json_object_array_length(volumes); i++) {
                r = client_call(bus, CLIENT_MANAGER_PATH, CLIENT_MANAGER, "RemoveVolume", NULL,
                                "sb", json_object_get_string(json_object_array_get_idx(volumes, i)),
                                0);
                if (r)
                        status = r;
        }
        return status;
}
