/* CreateVolume, ListVolumes and RemoveVolume of org.uvm1.Manager; see volumes.h. */
#include <errno.h>
#include <stddef.h>

#include "uvmd/bus/bus.h"
#include "uvmd/bus/volumes.h"
#include "uvmd/configuration.h"
#include "uvmd/errors.h"
#include "uvmd/options.h"
#include "uvmd/strv.h"
#include "uvmd/volume.h"

typedef struct VolumeOptions {
        char **labels;
} VolumeOptions;

static const Option volume_options[] = {
        {.key = "Labels",
         .type = OPTION_MAP,
         .offset = offsetof(VolumeOptions, labels),
         .max = CONFIG_LABELS_MAX},
};

int bus_create_volume(BusCall *call, void *manager, sd_bus_error *error)
{
        VolumeOptions options = {};
        Volume *volume = NULL;
        const char *name;
        int r = sd_bus_message_read(call->message, "s", &name);

        if (r >= 0)
                r = options_read(call->message, volume_options, ELEMENTSOF(volume_options),
                                 &options, error);
        if (r >= 0 && volume_find(manager, call->uid, name))
                r = error_set(error, -EEXIST, ERROR_VOLUME_EXISTS,
                              "You have a volume \"%s\" already.", name);
        if (r >= 0)
                r = volume_new(&volume, manager, call->uid, name, options.labels, error);
        options_done(volume_options, ELEMENTSOF(volume_options), &options);
        return r < 0 ? r : sd_bus_reply_method_return(call->message, "s", volume->name);
}

static int append_labels(sd_bus_message *reply, char *const *labels)
{
        int r = sd_bus_message_open_container(reply, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append(reply, "s", "Labels");
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'v', "a{ss}");
        if (r >= 0)
                r = bus_append_map(reply, labels);
        for (unsigned depth = 0; r >= 0 && depth < 2; depth++)
                r = sd_bus_message_close_container(reply);
        return r;
}

static int append_volume(sd_bus_message *reply, const Volume *volume)
{
        int r = sd_bus_message_open_container(reply, 'a', "{sv}");

        if (r >= 0)
                r = sd_bus_message_append(reply, "{sv}{sv}{sv}{sv}{sv}{sv}", "Name", "s",
                                          volume->name, "Owner", "u", volume->owner, "Created", "t",
                                          volume->created, "Mounts", "u", volume->n_users, "InUse",
                                          "b", volume->n_loose + volume->n_coherent > 0,
                                          "Anonymous", "b", volume->anonymous);
        if (r >= 0)
                r = append_labels(reply, volume->labels);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

int bus_list_volumes(BusCall *call, void *manager, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Volume *volume, *next;
        int r = sd_bus_message_new_method_return(call->message, &reply);

        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        HASH_ITER (hh, ((Manager *)manager)->volumes, volume, next)
                if (r >= 0 && (call->uid == 0 || call->uid == volume->owner))
                        r = append_volume(reply, volume);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

int bus_remove_volume(BusCall *call, void *manager, sd_bus_error *error)
{
        const char *name;
        Volume *volume;
        int force, r = sd_bus_message_read(call->message, "sb", &name, &force);

        if (r < 0)
                return r;
        volume = volume_find(manager, call->uid, name);
        if (!volume)
                return error_set(error, -ENOENT, ERROR_NO_SUCH_VOLUME, "There is no volume \"%s\".",
                                 name);
        return volume_take_away(volume, force, call->message, error);
}
