/* From a set-up to a running container; see launch.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "client/late.h"
#include "client/objects.h"
#include "uvmctl/anonymous.h"
#include "uvmctl/launch.h"
#include "uvmctl/mount.h"
#include "uvmctl/network_ports.h"

void launch_done(Launch *launch)
{
        free(launch->sandbox);
        free(launch->container);
}

static int launch_create_sandbox(Launch *launch, sd_bus *bus, const Setup *setup)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL, *reply = NULL;
        int r = client_message_new(bus, CLIENT_MANAGER_PATH, CLIENT_MANAGER, "CreateSandbox",
                                   &message);

        if (r)
                return r;
        if (sd_bus_message_append(message, "s", setup->name ? setup->name : "") < 0)
                return client_fail("the name can't be sent");
        r = setup_append_sandbox(setup, message);
        if (r)
                return r;
        r = client_send(bus, message, &reply);
        if (r)
                return r;
        launch->owns_sandbox = true;
        return client_read_path(reply, &launch->sandbox);
}

static int launch_find_sandbox(Launch *launch, sd_bus *bus, const char *name)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r = client_call(bus, CLIENT_MANAGER_PATH, CLIENT_MANAGER, "GetSandbox", &reply, "s",
                            name);

        return r ? r : client_read_path(reply, &launch->sandbox);
}

static int launch_create_container(Launch *launch, sd_bus *bus, const Setup *setup,
                                   const char *image, char **command)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL, *reply = NULL;
        int r = client_message_new(bus, launch->sandbox, CLIENT_SANDBOX, "CreateContainer",
                                   &message);

        if (r)
                return r;
        if (sd_bus_message_append(message, "s", setup->name ? setup->name : "") < 0)
                return client_fail("the name can't be sent");
        r = setup_append_container(setup, message, image, command);
        if (r)
                return r;
        r = client_send(bus, message, &reply);
        return r ? r : client_read_path(reply, &launch->container);
}

int launch_create(Launch *launch, sd_bus *bus, Setup *setup, const char *image, char **command)
{
        int r = network_publish_exposed(&setup->network, bus, image);

        if (!r)
                r = setup->sandbox ? launch_find_sandbox(launch, bus, setup->sandbox)
                                   : launch_create_sandbox(launch, bus, setup);

        if (r)
                return r;
        r = launch_create_container(launch, bus, setup, image, command);
        if (!r && launch->owns_sandbox)
                r = network_attach_others(&setup->network, bus, launch->sandbox);
        if (!r && launch->owns_sandbox)
                r = network_throttle_all(&setup->network, bus, launch->sandbox);
        for (size_t i = 0; !r && i < setup->n_mounts; i++)
                r = mount_attach(bus, launch->container, &setup->mounts[i]);
        for (size_t i = 0; !r && i < setup->n_throttles; i++)
                r = mount_throttle(bus, launch->container, &setup->throttles[i]);
        if (r)
                launch_undo(launch, bus);
        return r;
}

/* What was made for a container that came to nothing holds nothing. NULL: there is none. */
static json_object *launch_find_volumes(const Launch *launch, sd_bus *bus)
{
        _cleanup_(objects_freep) Objects *objects = NULL;
        json_object *volumes = NULL;
        Object container;

        if (launch->container && !objects_load(bus, &objects) &&
            objects_get(objects, launch->container, CLIENT_CONTAINER, &container))
                anonymous_find(bus, &container, &volumes);
        return volumes;
}

void launch_undo(const Launch *launch, sd_bus *bus)
{
        const char *path = launch->owns_sandbox ? launch->sandbox : launch->container;
        _cleanup_(json_object_putp) json_object *volumes = NULL;

        if (!path)
                return;
        volumes = launch_find_volumes(launch, bus);
        sd_bus_call_method(
                bus, "org.uvm1", path,
                client_interface_name(launch->owns_sandbox ? CLIENT_SANDBOX : CLIENT_CONTAINER),
                "Delete", NULL, NULL, "b", 1);
        for (size_t i = 0; volumes && i < json_object_array_length(volumes); i++)
                sd_bus_call_method(
                        bus, "org.uvm1", CLIENT_MANAGER_PATH, client_interface_name(CLIENT_MANAGER),
                        "RemoveVolume", NULL, NULL, "sb",
                        json_object_get_string(json_object_array_get_idx(volumes, i)), 0);
}

/* The state of the sandbox, in new memory. */
static int launch_get_state(const Launch *launch, sd_bus *bus, char **ret)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = sd_bus_get_property_string(bus, "org.uvm1", launch->sandbox,
                                           client_interface_name(CLIENT_SANDBOX), "State", &error,
                                           ret);

        if (sd_bus_error_is_set(&error))
                return client_report(&error);
        return r < 0 ? client_fail_errno(r, "cannot call uvmd") : 0;
}

int launch_start(const Launch *launch, sd_bus *bus, const char *name)
{
        _cleanup_(freep) char *state = NULL, *what = NULL;
        int r = launch_get_state(launch, bus, &state);

        if (r)
                return r;
        if (asprintf(&what, "Starting %s …", name ? name : "the virtual machine") < 0)
                what = NULL;
        if (strcmp(state, "running") != 0)
                r = client_call_late(bus, launch->sandbox, CLIENT_SANDBOX, "Start", what);
        if (!r)
                r = client_call_late(bus, launch->container, CLIENT_CONTAINER, "Start", what);
        return r;
}
