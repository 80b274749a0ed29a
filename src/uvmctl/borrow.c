/* Containers whose files are wanted; see borrow.h. */
#include <stdio.h>
#include <string.h>

#include "client/late.h"
#include "uvmctl/borrow.h"
#include "uvmctl/each.h"

/* Waits until what is ending has ended: Stop answers then. */
static int borrow_stop(const Borrow *borrow, const char *sandbox)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        int r = client_message_new(borrow->bus, sandbox, CLIENT_SANDBOX, "Stop", &message);

        if (r)
                return r;
        if (sd_bus_message_append(message, "t", 0) < 0)
                return client_fail("the call can't be made");
        return client_send_late(borrow->bus, message, "Stopping the virtual machine …", NULL);
}

static int borrow_start(Borrow *borrow, const Object *sandbox, bool lasting)
{
        const char *state = client_json_string(sandbox->properties, "State");
        const char *storage = client_json_string(borrow->container.properties, "Storage");
        bool ending = strcmp(state, "stopping") == 0;
        int r;

        if (!ending && strcmp(state, "created") != 0 && strcmp(state, "stopped") != 0)
                return 0; /* it runs, or uvmd says why it can't be used */
        if (client_json_bool(sandbox->properties, "AutoRemove"))
                return client_fail("container %s does not run, and is removed when it has run: "
                                   "there is nothing to copy",
                                   borrow->name);
        if (lasting && strcmp(storage, "disk") != 0)
                return client_fail("container %s does not run, and keeps nothing: its writable "
                                   "layer is in the memory of its virtual machine",
                                   borrow->name);
        r = ending ? borrow_stop(borrow, sandbox->path) : 0;
        if (r)
                return r;
        r = client_call_late(borrow->bus, sandbox->path, CLIENT_SANDBOX, "Start",
                             "Starting the virtual machine …");
        borrow->started = !r;
        return r;
}

int borrow_open(Borrow *borrow, const char *name, bool lasting)
{
        Object sandbox;
        int r = client_bus_open(&borrow->bus);

        if (!r)
                r = objects_load(borrow->bus, &borrow->objects);
        if (!r)
                r = objects_find_container(borrow->objects, name, &borrow->container);
        if (!r)
                r = each_sandbox_of(borrow->objects, &borrow->container, &sandbox);
        if (r)
                return r;
        borrow->name = client_json_string(borrow->container.properties, "Name");
        borrow->sandbox = sandbox.path;
        return borrow_start(borrow, &sandbox, lasting);
}

/* Whether anything of the sandbox runs now: then it is somebody else's to stop. */
static bool borrow_is_used(const Borrow *borrow)
{
        Objects *now;
        Object sandbox, container;
        json_object *paths = NULL;
        bool used = false;

        if (objects_load(borrow->bus, &now))
                return true;
        if (objects_get(now, borrow->sandbox, CLIENT_SANDBOX, &sandbox))
                json_object_object_get_ex(sandbox.properties, "Containers", &paths);
        for (size_t i = 0; paths && i < json_object_array_length(paths); i++)
                if (objects_get(now, json_object_get_string(json_object_array_get_idx(paths, i)),
                                CLIENT_CONTAINER, &container))
                        used |= strcmp(client_json_string(container.properties, "State"),
                                       "running") == 0;
        objects_free(now);
        return used;
}

void borrow_done(Borrow *borrow)
{
        if (borrow->started && !borrow_is_used(borrow))
                borrow_stop(borrow, borrow->sandbox);
        objects_free(borrow->objects);
        sd_bus_flush_close_unref(borrow->bus);
        *borrow = (Borrow){};
}

int borrow_message(const Borrow *borrow, const char *member, sd_bus_message **ret)
{
        return client_message_new(borrow->bus, borrow->container.path, CLIENT_CONTAINER, member,
                                  ret);
}

int borrow_send(const Borrow *borrow, sd_bus_message *message, const char *what,
                sd_bus_message **ret_reply)
{
        return client_send_late(borrow->bus, message, what, ret_reply);
}

int borrow_copy_out(const Borrow *borrow, int directory, const char *path, const char *name,
                    bool follow, bool root_only)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        int r = borrow_message(borrow, "CopyOut", &message);

        if (r)
                return r;
        r = sd_bus_message_append(message, "hssa{sv}", directory, path, name, 2, "Follow", "b",
                                  follow, "RootOnly", "b", root_only);
        if (r < 0)
                return client_fail_errno(r, "cannot make the call");
        return borrow_send(borrow, message, "Copying …", NULL);
}

int borrow_copy_in(const Borrow *borrow, int directory, const char *name, const char *path,
                   bool into)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        int r = borrow_message(borrow, "CopyIn", &message);

        if (r)
                return r;
        r = sd_bus_message_append(message, "hssa{sv}", directory, name, path, 1, "Into", "b", into);
        if (r < 0)
                return client_fail_errno(r, "cannot make the call");
        return borrow_send(borrow, message, "Copying …", NULL);
}
